"""``python -m hack.benchmark``: measure, print a table, write .artifacts/bench.json."""

import asyncio
import signal
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from time import monotonic

from rich.console import Console

from hack.benchmark import (
    ROOT,
    app_fleet,
    apps,
    convergence,
    latency,
    operator_process,
    process_stats,
    report,
)
from hack.benchmark.api_client import Api
from hack.benchmark.plan import Plan, from_arguments
from hack.benchmark.preflight import Json, NotReadyError, check, check_alone, namespace
from hack.benchmark.progress import Show
from hack.scenarios.common.text import clock_of
from selfhealing.controller.settings import Settings

WORKERS = Settings().workers

LIBRARIES = {
    "kopf": "kopf",
    "kubernetesClient": "kubernetes",
    "aiohttp": "aiohttp",
    "orjson": "orjson",
    "pydantic": "pydantic",
}


class Bench:
    """One run of everything that the plan says."""

    def __init__(self, api: Api, plan: Plan, show: Show) -> None:
        self._api = api
        self._plan = plan
        self._show = show
        self._width = 16
        self.results: Json = {}

    async def run(self) -> None:
        """Measure."""
        with self._show.step("trying the raw loop at several concurrencies", 60):
            async with namespace(self._api, "probe") as where:
                await check_alone(self._api, apps.app(where, "probe"))
            self._width, rates = await convergence.best_width(self._api)
        self.results["width"] = self._width
        self.results["ratesByWidth"] = rates
        tried = ", ".join(f"{width}: {rate:.0f}" for width, rate in rates.items())
        self._show.say(f"apps a second by concurrency: {tried}; taken: {self._width}")
        if "a" in self._plan.figures:
            for count in self._plan.apps:
                await self._converge(count)
        if set(self._plan.figures) - {"a"}:
            await self._fleet()

    async def _converge(self, count: int) -> None:
        names = apps.names(count)
        pairs = self.results.setdefault("converge", {}).setdefault(str(count), [])
        for number in range(1, self._plan.repetitions + 1):
            title = f"(a) {count} apps, pair {number} of {self._plan.repetitions}"
            await self._show.quiet(title)
            with self._show.step(title, self._plan.pair_seconds(count)):
                # Who begins changes, so that what one leaves behind meets both alike.
                if number % 2:
                    plain = await convergence.raw(self._api, names, self._width)
                    ours = await convergence.operated(self._api, names, self._width)
                else:
                    ours = await convergence.operated(self._api, names, self._width)
                    plain = await convergence.raw(self._api, names, self._width)
            pairs.append({"raw": plain.json(count), "operator": ours.json(count)})
            self._show.say(
                f"written {plain.written:.1f} s raw, {ours.written:.1f} s operator "
                f"({ours.written / plain.written:.2f}); ready {plain.ready:.1f} s raw, "
                f"{ours.ready:.1f} s operator ({ours.ready / plain.ready:.2f})"
            )

    async def _fleet(self) -> None:
        plan = self._plan
        async with namespace(self._api, "fleet") as where:
            running = operator_process.Operator(
                [where], {"SELFHEALING_HEALING_SCALE": app_fleet.SCALE}
            )
            try:
                await running.start()
                await self._memory(running, where)
                if "b" in plan.figures:
                    await self._latency(running, where)
                if "c" in plan.figures:
                    await self._idle(running, where)
                if "d" in plan.figures:
                    await self._restart(running, where)
            finally:
                await asyncio.shield(running.close())
            if "c" in plan.figures:
                with self._show.step("(c) the price of a relist", 60):
                    idle = self.results["idle"]
                    share = idle["cpuSeconds"] / idle["seconds"]
                    price = await app_fleet.relist_price(where, plan.fleet, share)
                    idle["relistCpuSeconds"] = round(price, 3)
                    idle["relistIntervalSeconds"] = app_fleet.RELIST_USUAL

    async def _memory(self, running: operator_process.Operator, where: str) -> None:
        present = 0
        found: list[Json] = []
        for count in self._plan.fleet_steps:
            with self._show.step(f"(e) a fleet of {count} apps", 20 + (count - present) * 0.11):
                held = await app_fleet.memory_with(
                    self._api, running, where, count, present, self._width
                )
            present = count
            found.append(_memory(held, count))
            self._show.say(f"RSS {held.rss / 1e6:.0f} MB, PSS {held.pss / 1e6:.0f} MB")
        if "e" in self._plan.figures:
            self.results["memory"] = found

    async def _latency(self, running: operator_process.Operator, where: str) -> None:
        plan = self._plan
        title = "(b) pod changes until the status tells"
        await self._show.quiet(title)
        with self._show.step(title, plan.singles * 0.6 + plan.bursts * 16 + 30):
            found = await latency.measure(
                self._api, where, singles=plan.singles, bursts=plan.bursts, burst=plan.burst
            )
            await running.stop()
            found["floor"] = await latency.floor(
                self._api, where, bursts=plan.bursts, burst=plan.burst, width=WORKERS
            )
            await running.start(plan.fleet)
        self.results["latency"] = {
            kind: {
                "fromRequestSeconds": [round(value, 4) for value in values.from_request],
                "fromAnswerSeconds": [round(value, 4) for value in values.from_answer],
            }
            for kind, values in found.items()
        }

    async def _idle(self, running: operator_process.Operator, where: str) -> None:
        plan = self._plan
        with self._show.step("(c) every version proves itself", app_fleet.PROOF_LIMIT):
            if not await app_fleet.proven(self._api, where):
                self._show.say("some versions have not proved themselves: they may write later")
            await asyncio.sleep(app_fleet.SETTLE)
        with self._show.step(f"(c) {plan.idle:.0f} s of idling", plan.idle):
            found = await app_fleet.idle(self._api, running, where, plan.idle)
        self.results["idle"] = {
            "apps": plan.fleet,
            "pods": await self._api.count("Pod", where),
            "seconds": found.seconds,
            "cpuSeconds": round(found.cpu, 3),
            "writes": operator_process.writes(found.requests),
            "requests": dict(found.requests),
            "changedApps": found.changed,
        }
        self._show.say(f"{found.share:.2%} of a core, requests: {dict(found.requests) or 'none'}")

    async def _restart(self, running: operator_process.Operator, where: str) -> None:
        count = self._plan.fleet
        runs = []
        for number in range(1, self._plan.restarts + 1):
            title = f"(d) restart {number} of {self._plan.restarts} among {count} apps"
            await self._show.quiet(title)
            with self._show.step(title, 20):
                runs.append(await app_fleet.restart(self._api, running, where, count))
            self._show.say(f"{runs[-1]['caughtUpSeconds']} s, {runs[-1]['writes']} writes")
        self.results["restart"] = {"apps": count, "runs": runs}
        if "memory" in self.results:
            held = {**_memory(running.memory(), count), "restarted": True}
            self.results["memory"].append(held)


def _memory(held: process_stats.Memory, count: int) -> Json:
    return {"apps": count, "rssBytes": held.rss, "pssBytes": held.pss, "peakBytes": held.peak}


async def _versions(api: Api) -> Json:
    server = await api.call("GET", "/version")
    libraries = {name: version(package) for name, package in LIBRARIES.items()}
    return {"kubernetes": server["gitVersion"], **libraries}


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _stop_on_terminate() -> None:
    """Let SIGTERM clean up as Ctrl-C does."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def run(plan: Plan, console: Console, commit: str) -> Json:
    """Run the plan; returns the report, of what was measured until then if it is interrupted."""
    _stop_on_terminate()
    async with Api() as api:
        await check(api, plan.pods_limit * apps.PODS)
        console.print(
            f"Figures {', '.join(plan.figures)}; (a) with {plan.apps} apps, a fleet of "
            f"{plan.fleet}: about {clock_of(plan.seconds())} minutes, more if the machine is busy.",
            highlight=False,
        )
        found: Json = {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": process_stats.machine(),
            "versions": {"commit": commit, **await _versions(api)},
            "plan": vars(plan),
        }
        begun = monotonic()
        with Show(console, plan.seconds()) as show:
            bench = Bench(api, plan, show)
            try:
                await bench.run()
            finally:
                found["seconds"] = round(monotonic() - begun)
                found["noise"] = show.noise
                found["brokenWatches"] = api.broken_watches
                found["results"] = bench.results
                console.print(f"written: {report.save(found).relative_to(ROOT)}")
        return found


def main() -> int:
    """Run the benchmark."""
    console = Console()
    plan = from_arguments(sys.argv[1:])
    try:
        found = asyncio.run(run(plan, console, _commit()))
    except NotReadyError as error:
        console.print(f"[red]bench:[/red] {error}", highlight=False)
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("stopped; what was measured until then is in .artifacts/bench.json")
        return 130
    report.show(console, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
