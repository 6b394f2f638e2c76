"""(a) From nothing to everything ready: the operator beside a raw loop of the same applies."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter

from hack.benchmark import apps, operator_process, process_stats
from hack.benchmark.api_client import Api
from hack.benchmark.preflight import CHILDREN, Json, namespace
from hack.benchmark.wait import until

POLL = 0.1
READY_LIMIT = 600
WIDTHS = (4, 8, 16, 32)
"""Concurrencies of the raw loop that are tried."""
SAMPLE = 40
"""Apps that each of them is tried with."""


@dataclass(frozen=True)
class Run:
    """One convergence. Seconds from the first apply."""

    written: float
    """All objects exist."""
    ready: float
    """All pods are ready; with the operator: and every status says so."""
    cpu: float = 0.0
    """CPU seconds of the operator."""
    requests: Counter[str] = field(default_factory=Counter)
    """Requests of the operator."""
    machine: Counter[str] = field(default_factory=Counter)
    """CPU seconds of every command on this machine."""

    def json(self, count: int) -> Json:
        """The run for the JSON report."""
        return {
            "writtenSeconds": round(self.written, 3),
            "readySeconds": round(self.ready, 3),
            "operatorCpuSeconds": round(self.cpu, 2),
            "operatorRequestsPerApp": {k: round(v / count, 2) for k, v in self.requests.items()},
            "machineCpuSeconds": {k: round(v, 1) for k, v in self.machine.most_common(8)},
        }


class Ready:
    """Watches objects of a kind until enough of them are ready."""

    def __init__(self, is_ready: Callable[[Json], bool], wanted: int) -> None:
        self._is_ready = is_ready
        self._wanted = wanted
        self._names: set[str] = set()
        self._done = asyncio.Event()
        self.at = 0.0

    async def follow(self, api: Api, kind: str, where: str) -> None:
        """Follow a watch until it is so."""
        async for event in api.watch(kind, where):
            found = event["object"]
            name = found["metadata"]["name"]
            if event["type"] != "DELETED" and self._is_ready(found):
                self._names.add(name)
            else:
                self._names.discard(name)
            if len(self._names) >= self._wanted:
                self.at = perf_counter()
                self._done.set()
                return

    async def wait(self) -> None:
        """Wait until all are ready.

        Raises:
            TimeoutError: they are not; the message says how many are.
        """
        try:
            async with asyncio.timeout(READY_LIMIT):
                await self._done.wait()
        except TimeoutError:
            raise TimeoutError(
                f"{len(self._names)} of {self._wanted} were ready after {READY_LIMIT} s"
            ) from None


@asynccontextmanager
async def following(api: Api, kind: str, where: str, count: int) -> AsyncIterator[Ready]:
    """Follow the readiness of ``count`` Deployments or SelfHealingApps."""
    ready = Ready(app_ready if kind == "SelfHealingApp" else deployment_ready, count)
    task = asyncio.create_task(ready.follow(api, kind, where))
    try:
        yield ready
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def deployment_ready(found: Json) -> bool:
    """Whether all pods of a Deployment are ready."""
    return int(found.get("status", {}).get("readyReplicas", 0)) >= apps.PODS


def app_ready(found: Json) -> bool:
    """Whether an app's status says that it is ready, with all its pods."""
    status = found.get("status", {})
    return status.get("readyReplicas", 0) >= apps.PODS and any(
        c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ())
    )


async def side_by_side(
    names: Sequence[str], width: int, work: Callable[[str], Awaitable[None]]
) -> None:
    """Do ``work`` for every name, ``width`` at a time."""
    queue = iter(names)

    async def worker() -> None:
        for name in queue:
            await work(name)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(width):
            tasks.create_task(worker())


async def raw(api: Api, names: Sequence[str], width: int, *, wait: bool = True) -> Run:
    """Apply every object of every app in a loop: what the same work costs without an operator."""
    async with namespace(api, "raw") as where:

        async def one(name: str) -> None:
            made = await api.apply(apps.app(where, name))
            for child in apps.objects_of(where, name, made["metadata"]["uid"]):
                await api.apply(child)

        before = process_stats.cpu_by_command()
        async with following(api, "Deployment", where, len(names)) as ready:
            begun = perf_counter()
            await side_by_side(names, width, one)
            written = perf_counter() - begun
            if wait:
                await ready.wait()
        machine = process_stats.cpu_by_command() - before
        return Run(written, ready.at - begun if wait else 0.0, machine=machine)


async def operated(api: Api, names: Sequence[str], width: int) -> Run:
    """Apply only the SelfHealingApps; the operator does the rest."""
    async with namespace(api, "operator") as where, operator_process.running(where) as running:
        requests, cpu = await running.requests(), running.cpu()
        before = process_stats.cpu_by_command()
        begun = perf_counter()
        written, ready = await grow(api, where, names, width)
        return Run(
            written - begun,
            ready - begun,
            running.cpu() - cpu,
            await running.requests() - requests,
            process_stats.cpu_by_command() - before,
        )


async def grow(
    api: Api, where: str, names: Sequence[str], width: int, present: int = 0
) -> tuple[float, float]:
    """Apply apps, ``present`` of which are there already, and wait for all of it.

    Returns:
        When the last child existed and when the last status said Ready.
    """
    total = present + len(names)

    async def one(name: str) -> None:
        await api.apply(apps.app(where, name))

    async with following(api, "SelfHealingApp", where, total) as ready:
        await side_by_side(names, width, one)
        for kind in CHILDREN:
            await until(partial(_are_there, api, kind, where, total), POLL)
        written = perf_counter()
        await ready.wait()
        return written, max(written, ready.at)


async def _are_there(api: Api, kind: str, where: str, count: int) -> bool:
    return await api.count(kind, where) >= count


async def best_width(api: Api) -> tuple[int, dict[int, float]]:
    """Try the raw loop at several concurrencies; returns the best and the apps a second of each."""
    names = apps.names(SAMPLE)
    rates = {}
    for width in WIDTHS:
        run = await raw(api, names, width, wait=False)
        rates[width] = SAMPLE / run.written
    return max(rates, key=lambda width: rates[width]), rates
