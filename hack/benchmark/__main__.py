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
    report,
    tenants,
)
from hack.benchmark.api_client import AsyncKubeClient
from hack.benchmark.plan import SECONDS_OF_TENANTS, BenchmarkPlan, parse_arguments
from hack.benchmark.preflight import (
    ClusterNotReadyError,
    require_fake_nodes,
    require_no_other_operator,
    temporary_namespace,
)
from hack.benchmark.progress import BenchmarkProgress
from hack.testkit import process_stats
from hack.testkit.kube_client import Json
from hack.testkit.operator_process import OperatorProcess, select_writes
from hack.testkit.progress import format_clock
from selfhealing.controller.settings import Settings

OPERATOR_WORKERS = Settings().workers

LIBRARIES = {
    "kopf": "kopf",
    "kubernetesClient": "kubernetes",
    "aiohttp": "aiohttp",
    "orjson": "orjson",
    "pydantic": "pydantic",
}


class Benchmark:
    """One run of a plan."""

    def __init__(
        self, api: AsyncKubeClient, plan: BenchmarkPlan, progress: BenchmarkProgress
    ) -> None:
        self._api = api
        self._plan = plan
        self._progress = progress
        self._concurrency = 16
        self.results: Json = {}

    async def run(self) -> None:
        """Measure all figures of the plan."""
        async with temporary_namespace(self._api, "probe") as where:
            await require_no_other_operator(self._api, apps.build_app(where, "probe"))
        if set(self._plan.figures) != {"f"}:
            await self._choose_concurrency()
        if "a" in self._plan.figures:
            for count in self._plan.apps:
                await self._run_convergence(count)
        if self._plan.wants_fleet:
            await self._run_fleet()
        if "f" in self._plan.figures:
            await self._run_tenants()

    async def _choose_concurrency(self) -> None:
        with self._progress.step("trying the raw loop at several concurrencies", 60):
            self._concurrency, rates = await convergence.measure_concurrencies(self._api)
        self.results["width"] = self._concurrency
        self.results["ratesByWidth"] = rates
        tried = ", ".join(f"{width}: {rate:.0f}" for width, rate in rates.items())
        self._progress.print_result(
            f"apps a second by concurrency: {tried}; taken: {self._concurrency}"
        )

    async def _run_convergence(self, count: int) -> None:
        names = apps.list_app_names(count)
        pairs = self.results.setdefault("converge", {}).setdefault(str(count), [])
        for number in range(1, self._plan.repetitions + 1):
            title = f"(a) {count} apps, pair {number} of {self._plan.repetitions}"
            await self._progress.wait_for_quiet_machine(title)
            with self._progress.step(title, self._plan.estimate_pair_seconds(count)):
                # Who begins changes, so that what one leaves behind meets both alike.
                if number % 2:
                    raw_run = await convergence.run_raw_loop(self._api, names, self._concurrency)
                    operator_run = await convergence.run_with_operator(
                        self._api, names, self._concurrency
                    )
                else:
                    operator_run = await convergence.run_with_operator(
                        self._api, names, self._concurrency
                    )
                    raw_run = await convergence.run_raw_loop(self._api, names, self._concurrency)
            pairs.append({"raw": raw_run.to_json(count), "operator": operator_run.to_json(count)})
            self._progress.print_result(
                f"written {raw_run.written:.1f} s raw, {operator_run.written:.1f} s operator "
                f"({operator_run.written / raw_run.written:.2f}); ready {raw_run.ready:.1f} s raw, "
                f"{operator_run.ready:.1f} s operator ({operator_run.ready / raw_run.ready:.2f})"
            )

    async def _run_fleet(self) -> None:
        plan = self._plan
        async with temporary_namespace(self._api, "fleet") as where:
            running = operator_process.create_measured_operator(
                [where], {"SELFHEALING_HEALING_SCALE": app_fleet.HEALING_SCALE}
            )
            try:
                await operator_process.start(running)
                await self._measure_memory(running, where)
                if "b" in plan.figures:
                    await self._measure_latency(running, where)
                if "c" in plan.figures:
                    await self._measure_idle(running, where)
                if "d" in plan.figures:
                    await self._measure_restart(running, where)
            finally:
                await operator_process.stop(running)
            if "c" in plan.figures:
                with self._progress.step("(c) the price of a relist", 60):
                    idle = self.results["idle"]
                    share = idle["cpuSeconds"] / idle["seconds"]
                    price = await app_fleet.measure_relist_cost(where, plan.fleet, share)
                    idle["relistCpuSeconds"] = round(price, 3)
                    idle["relistIntervalSeconds"] = app_fleet.DEFAULT_RELIST_INTERVAL

    async def _run_tenants(self) -> None:
        plan = self._plan
        title = f"(f) {plan.tenants} namespaces, {plan.fat_objects} ConfigMaps and Secrets of 1 MiB"
        await self._progress.wait_for_quiet_machine(title)
        load = tenants.TenantLoad(plan.tenants, plan.fat_objects)
        with self._progress.step(title, SECONDS_OF_TENANTS):
            self.results["tenants"] = await tenants.measure_tenants(self._api, load)

    async def _measure_memory(self, running: OperatorProcess, where: str) -> None:
        present = 0
        records: list[Json] = []
        for count in self._plan.fleet_steps:
            with self._progress.step(f"(e) a fleet of {count} apps", 20 + (count - present) * 0.11):
                usage = await app_fleet.measure_memory(
                    self._api, running, where, count, present, self._concurrency
                )
            present = count
            records.append(_memory_json(usage, count))
            self._progress.print_result(
                f"RSS {usage.rss / 1e6:.0f} MB, PSS {usage.pss / 1e6:.0f} MB"
            )
        if "e" in self._plan.figures:
            self.results["memory"] = records

    async def _measure_latency(self, running: OperatorProcess, where: str) -> None:
        plan = self._plan
        title = "(b) pod changes until the status tells"
        await self._progress.wait_for_quiet_machine(title)
        with self._progress.step(title, plan.singles * 0.6 + plan.bursts * 16 + 30):
            found = await latency.measure_latencies(
                self._api, where, singles=plan.singles, bursts=plan.bursts, burst=plan.burst
            )
            await operator_process.stop(running)
            found["floor"] = await latency.measure_baseline(
                self._api, where, bursts=plan.bursts, burst=plan.burst, concurrency=OPERATOR_WORKERS
            )
            await operator_process.start(running, plan.fleet)
        self.results["latency"] = {
            kind: {
                "fromRequestSeconds": [round(value, 4) for value in values.from_request],
                "fromAnswerSeconds": [round(value, 4) for value in values.from_answer],
            }
            for kind, values in found.items()
        }

    async def _measure_idle(self, running: OperatorProcess, where: str) -> None:
        plan = self._plan
        with self._progress.step("(c) every version proves itself", app_fleet.STABLE_TIMEOUT):
            if not await app_fleet.wait_until_stable(self._api, where):
                self._progress.print_result(
                    "some versions have not proved themselves: they may write later"
                )
            await asyncio.sleep(app_fleet.SETTLE_SECONDS)
        with self._progress.step(f"(c) {plan.idle:.0f} s of idling", plan.idle):
            found = await app_fleet.measure_idle(self._api, running, where, plan.idle)
        self.results["idle"] = {
            "apps": plan.fleet,
            "pods": await self._api.count("Pod", where),
            "seconds": found.seconds,
            "cpuSeconds": round(found.cpu, 3),
            "writes": select_writes(found.requests).total(),
            "requests": dict(found.requests),
            "changedApps": found.changed_apps,
        }
        self._progress.print_result(
            f"{found.core_share:.2%} of a core, requests: {dict(found.requests) or 'none'}"
        )

    async def _measure_restart(self, running: OperatorProcess, where: str) -> None:
        count = self._plan.fleet
        runs = []
        for number in range(1, self._plan.restarts + 1):
            title = f"(d) restart {number} of {self._plan.restarts} among {count} apps"
            await self._progress.wait_for_quiet_machine(title)
            with self._progress.step(title, 20):
                runs.append(await app_fleet.measure_restart(self._api, running, where, count))
            self._progress.print_result(
                f"{runs[-1]['caughtUpSeconds']} s, {runs[-1]['writes']} writes"
            )
        self.results["restart"] = {"apps": count, "runs": runs}
        if "memory" in self.results:
            usage = {**_memory_json(running.read_memory(), count), "restarted": True}
            self.results["memory"].append(usage)


def _memory_json(usage: process_stats.Memory, count: int) -> Json:
    return {"apps": count, "rssBytes": usage.rss, "pssBytes": usage.pss, "peakBytes": usage.peak}


async def _read_versions(api: AsyncKubeClient) -> Json:
    server = await api.send_request("GET", "/version")
    libraries = {name: version(package) for name, package in LIBRARIES.items()}
    return {"kubernetes": server["gitVersion"], **libraries}


def _read_commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _cancel_on_sigterm() -> None:
    """Cancel the main task on SIGTERM, so that it cleans up."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def run_benchmark(plan: BenchmarkPlan, console: Console, commit: str) -> Json:
    """Run the plan and return the report; write it also after an interruption."""
    _cancel_on_sigterm()
    async with AsyncKubeClient() as api:
        await require_fake_nodes(api, plan.max_apps * apps.PODS_PER_APP)
        console.print(
            f"Figures {', '.join(plan.figures)}; (a) with {plan.apps} apps, a fleet of "
            f"{plan.fleet}: about {format_clock(plan.estimate_seconds())} minutes, "
            "more if the machine is busy.",
            highlight=False,
        )
        report_json: Json = {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": process_stats.describe_machine(),
            "versions": {"commit": commit, **await _read_versions(api)},
            "plan": vars(plan),
        }
        begun = monotonic()
        with BenchmarkProgress(console, plan.estimate_seconds()) as progress:
            bench = Benchmark(api, plan, progress)
            try:
                await bench.run()
            finally:
                report_json["seconds"] = round(monotonic() - begun)
                report_json["noise"] = progress.noise
                report_json["brokenWatches"] = api.broken_watches
                report_json["results"] = bench.results
                console.print(f"written: {report.save_json(report_json).relative_to(ROOT)}")
        return report_json


def main() -> int:
    """Run the benchmark."""
    console = Console()
    plan = parse_arguments(sys.argv[1:])
    try:
        found = asyncio.run(run_benchmark(plan, console, _read_commit()))
    except ClusterNotReadyError as error:
        console.print(f"[red]bench:[/red] {error}", highlight=False)
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("stopped; what was measured until then is in .artifacts/bench.json")
        return 130
    report.print_table(console, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
