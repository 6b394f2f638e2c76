"""Figure (a): from nothing to all pods ready, with the operator and with a raw loop of applies."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter

from hack.benchmark import apps, operator_process
from hack.benchmark.api_client import AsyncKubeClient
from hack.benchmark.preflight import CHILD_KINDS, temporary_namespace
from hack.testkit import process_stats
from hack.testkit.kube_client import Json
from hack.testkit.wait import poll_async

POLL_INTERVAL = 0.1
READY_TIMEOUT = 600
CONCURRENCIES = (4, 8, 16, 32)
"""Concurrencies of the raw loop that are tried."""
CONCURRENCY_SAMPLE = 40
"""Apps per tried concurrency."""


@dataclass(frozen=True)
class ConvergenceRun:
    """One convergence; times are seconds from the first apply."""

    written: float
    """Until all objects exist."""
    ready: float
    """Until all pods are ready and, with the operator, every status says so."""
    cpu: float = 0.0
    """CPU seconds of the operator."""
    requests: Counter[str] = field(default_factory=Counter)
    """Requests of the operator."""
    machine_cpu: Counter[str] = field(default_factory=Counter)
    """CPU seconds of this machine by command."""

    def to_json(self, count: int) -> Json:
        """Return the run for the JSON report."""
        return {
            "writtenSeconds": round(self.written, 3),
            "readySeconds": round(self.ready, 3),
            "operatorCpuSeconds": round(self.cpu, 2),
            "operatorRequestsPerApp": {k: round(v / count, 2) for k, v in self.requests.items()},
            "machineCpuSeconds": {k: round(v, 1) for k, v in self.machine_cpu.most_common(8)},
        }


class ReadinessWatcher:
    """Watches objects of a kind until a number of them is ready."""

    def __init__(self, is_ready: Callable[[Json], bool], wanted: int) -> None:
        self._is_ready = is_ready
        self._expected = wanted
        self._names: set[str] = set()
        self._done = asyncio.Event()
        self.ready_at = 0.0

    async def follow_watch(self, api: AsyncKubeClient, kind: str, namespace: str) -> None:
        """Follow a watch until enough objects are ready."""
        async for event in api.watch(kind, namespace):
            resource = event["object"]
            name = resource["metadata"]["name"]
            if event["type"] != "DELETED" and self._is_ready(resource):
                self._names.add(name)
            else:
                self._names.discard(name)
            if len(self._names) >= self._expected:
                self.ready_at = perf_counter()
                self._done.set()
                return

    async def wait_until_ready(self) -> None:
        """Wait until enough objects are ready.

        Raises:
            TimeoutError: they are not; the message has their number.
        """
        try:
            async with asyncio.timeout(READY_TIMEOUT):
                await self._done.wait()
        except TimeoutError:
            raise TimeoutError(
                f"{len(self._names)} of {self._expected} were ready after {READY_TIMEOUT} s"
            ) from None


@asynccontextmanager
async def watch_readiness(
    api: AsyncKubeClient, kind: str, namespace: str, count: int
) -> AsyncIterator[ReadinessWatcher]:
    """Watch the readiness of ``count`` Deployments or SelfHealingApps during the block."""
    watcher = ReadinessWatcher(
        is_app_ready if kind == "SelfHealingApp" else is_deployment_ready, count
    )
    task = asyncio.create_task(watcher.follow_watch(api, kind, namespace))
    try:
        yield watcher
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def is_deployment_ready(deployment: Json) -> bool:
    """Return whether all pods of a Deployment are ready."""
    return int(deployment.get("status", {}).get("readyReplicas", 0)) >= apps.PODS_PER_APP


def is_app_ready(app: Json) -> bool:
    """Return whether the status of an app says that it and all its pods are ready."""
    status = app.get("status", {})
    return status.get("readyReplicas", 0) >= apps.PODS_PER_APP and any(
        c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ())
    )


async def run_concurrently(
    names: Sequence[str], concurrency: int, process_name: Callable[[str], Awaitable[None]]
) -> None:
    """Call ``process_name`` for every name, ``concurrency`` at a time."""
    queue = iter(names)

    async def worker() -> None:
        for name in queue:
            await process_name(name)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(concurrency):
            tasks.create_task(worker())


async def run_raw_loop(
    api: AsyncKubeClient, names: Sequence[str], concurrency: int, *, wait: bool = True
) -> ConvergenceRun:
    """Apply every object of every app in a loop: the cost of the same work without an operator."""
    async with temporary_namespace(api, "raw") as where:

        async def create_app(name: str) -> None:
            created = await api.apply(apps.build_app(where, name))
            for child in apps.render_app_children(where, name, created["metadata"]["uid"]):
                await api.apply(child)

        before = process_stats.read_cpu_by_command()
        async with watch_readiness(api, "Deployment", where, len(names)) as ready:
            started = perf_counter()
            await run_concurrently(names, concurrency, create_app)
            written = perf_counter() - started
            if wait:
                await ready.wait_until_ready()
        machine = process_stats.read_cpu_by_command() - before
        return ConvergenceRun(
            written, ready.ready_at - started if wait else 0.0, machine_cpu=machine
        )


async def run_with_operator(
    api: AsyncKubeClient, names: Sequence[str], concurrency: int
) -> ConvergenceRun:
    """Apply the SelfHealingApps; the operator creates the children."""
    async with (
        temporary_namespace(api, "operator") as where,
        operator_process.run_operator(where) as running,
    ):
        requests, cpu = await operator_process.count_requests(running), running.read_cpu_seconds()
        before = process_stats.read_cpu_by_command()
        started = perf_counter()
        written, ready = await grow_fleet(api, where, names, concurrency)
        return ConvergenceRun(
            written - started,
            ready - started,
            running.read_cpu_seconds() - cpu,
            await operator_process.count_requests(running) - requests,
            process_stats.read_cpu_by_command() - before,
        )


async def grow_fleet(
    api: AsyncKubeClient, namespace: str, names: Sequence[str], concurrency: int, present: int = 0
) -> tuple[float, float]:
    """Apply apps beside ``present`` existing ones and wait until all are ready.

    Returns:
        When the last child existed and when the last status said Ready.
    """
    total = present + len(names)

    async def create_app(name: str) -> None:
        await api.apply(apps.build_app(namespace, name))

    async with watch_readiness(api, "SelfHealingApp", namespace, total) as watcher:
        await run_concurrently(names, concurrency, create_app)
        for kind in CHILD_KINDS:
            await poll_async(
                f"{total} objects of kind {kind} exist",
                partial(_has_objects, api, kind, namespace, total),
                READY_TIMEOUT,
                interval=POLL_INTERVAL,
            )
        written = perf_counter()
        await watcher.wait_until_ready()
        return written, max(written, watcher.ready_at)


async def _has_objects(api: AsyncKubeClient, kind: str, namespace: str, count: int) -> bool:
    return await api.count(kind, namespace) >= count


async def measure_concurrencies(api: AsyncKubeClient) -> tuple[int, dict[int, float]]:
    """Try the raw loop at several concurrencies; return the best, and apps per second of each."""
    names = apps.list_app_names(CONCURRENCY_SAMPLE)
    rates = {}
    for width in CONCURRENCIES:
        run = await run_raw_loop(api, names, width, wait=False)
        rates[width] = CONCURRENCY_SAMPLE / run.written
    return max(rates, key=lambda width: rates[width]), rates
