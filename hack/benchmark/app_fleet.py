"""Figures (b) to (e): a fleet of apps that grows, changes and idles, and an operator restart."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

from hack.benchmark import apps, operator_process
from hack.benchmark.api_client import AsyncKubeClient
from hack.benchmark.convergence import grow_fleet
from hack.testkit import process_stats
from hack.testkit.kube_client import Json
from hack.testkit.operator_process import OperatorProcess, select_writes
from hack.testkit.wait import poll_async

HEALING_SCALE = "0.1"
"""Factor of all times of healing: a revision is stable after 1 minute instead of 10."""
STABLE_TIMEOUT = 240.0
"""Seconds until every revision must be stable, which is written once per revision."""
SETTLE_SECONDS = 15.0
"""Seconds between a change of the fleet and a measurement of idling."""
POLL_INTERVAL = 5.0
RELIST_INTERVAL = 5
"""Seconds between two relists while their cost is measured."""
RELIST_WINDOW = 30.0
DEFAULT_RELIST_INTERVAL = 300
"""Seconds between two relists by default."""
LATE_WRITE_WINDOW = 5.0
"""Seconds after a restart in which late writes are counted."""


@dataclass(frozen=True)
class IdleCost:
    """The cost of an operator that has nothing to do."""

    seconds: float
    cpu: float
    requests: Counter[str]
    changed_apps: int
    """SelfHealingApps whose resource version changed."""

    @property
    def core_share(self) -> float:
        """CPU seconds per second."""
        return self.cpu / self.seconds


async def measure_memory(  # noqa: PLR0913, PLR0917 - the fleet before and after
    api: AsyncKubeClient,
    running: OperatorProcess,
    namespace: str,
    count: int,
    present: int,
    concurrency: int,
) -> process_stats.Memory:
    """Grow the fleet to ``count`` apps and return the operator's memory."""
    if count > present:
        await grow_fleet(
            api, namespace, apps.list_app_names(count - present, present), concurrency, present
        )
    await asyncio.sleep(SETTLE_SECONDS)
    return running.read_memory()


async def _list_resource_versions(api: AsyncKubeClient, namespace: str) -> dict[str, str]:
    items = await api.list("SelfHealingApp", namespace, metadata=True)
    return {i["metadata"]["uid"]: i["metadata"]["resourceVersion"] for i in items["items"]}


def _count_changed(before: dict[str, str], after: dict[str, str]) -> int:
    return sum(before.get(uid) != version for uid, version in after.items())


async def wait_until_stable(api: AsyncKubeClient, namespace: str) -> bool:
    """Wait until every app has a stable revision; return whether all have."""

    async def are_stable() -> bool:
        listed = await api.list("SelfHealingApp", namespace)
        records = [item.get("status", {}).get("healing", {}) for item in listed["items"]]
        return all(record.get("stableRevision") for record in records)

    try:
        return await poll_async(
            "every app has a stable revision", are_stable, STABLE_TIMEOUT, interval=POLL_INTERVAL
        )
    except TimeoutError:
        return False


async def measure_idle(
    api: AsyncKubeClient,
    running: OperatorProcess,
    namespace: str,
    seconds: float,
) -> IdleCost:
    """Measure the operator for ``seconds`` while nothing changes."""
    before = await _list_resource_versions(api, namespace)
    requests, cpu = await operator_process.count_requests(running), running.read_cpu_seconds()
    await asyncio.sleep(seconds)
    cpu_used = running.read_cpu_seconds() - cpu
    sent = await operator_process.count_requests(running) - requests
    return IdleCost(
        seconds,
        cpu_used,
        sent,
        _count_changed(before, await _list_resource_versions(api, namespace)),
    )


async def measure_relist_cost(namespace: str, count: int, idle_share: float) -> float:
    """Return CPU seconds of one relist: those with frequent relists, less those of idling."""
    running = operator_process.create_measured_operator(
        [namespace], {"SELFHEALING_RELIST_INTERVAL": str(RELIST_INTERVAL)}
    )
    try:
        await operator_process.start(running, count)
        # The start takes the same lists once, after one that only looks for the kind.
        initial_lists = _count_lists(await operator_process.count_requests(running)) - 1
        await asyncio.sleep(SETTLE_SECONDS)
        cpu = running.read_cpu_seconds()
        lists = _count_lists(await operator_process.count_requests(running))
        await asyncio.sleep(RELIST_WINDOW)
        cpu_used = running.read_cpu_seconds() - cpu - idle_share * RELIST_WINDOW
        more_lists = _count_lists(await operator_process.count_requests(running)) - lists
        return max(0.0, cpu_used) * initial_lists / max(1, more_lists)
    finally:
        await operator_process.stop(running)


def _count_lists(requests: Counter[str]) -> int:
    """Count the lists of apps: of kinds that reflectors watch, those list at the start, too."""
    return requests["list SelfHealingApp"]


async def measure_restart(
    api: AsyncKubeClient, running: OperatorProcess, namespace: str, count: int
) -> Json:
    """Restart the operator among ``count`` apps that need no change."""
    started = time.perf_counter()
    await operator_process.stop(running)
    stop_seconds = time.perf_counter() - started
    before = await _list_resource_versions(api, namespace)
    start = await operator_process.start(running, count)
    await asyncio.sleep(LATE_WRITE_WINDOW)
    sent = await operator_process.count_requests(running)
    return {
        "stopSeconds": round(stop_seconds, 3),
        "knownSeconds": round(start.synced, 3),
        "caughtUpSeconds": round(start.reconciled, 3),
        "writes": select_writes(sent).total(),
        "changedApps": _count_changed(before, await _list_resource_versions(api, namespace)),
        "requests": dict(sent),
    }
