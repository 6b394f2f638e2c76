"""Figure (b): from a change of a pod to the status that shows it."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter

from hack.benchmark import apps
from hack.benchmark.api_client import AsyncKubeClient
from hack.testkit.kube_client import Json

STATUS_TIMEOUT = 30.0
PAUSE_BETWEEN_CHANGES = 2.0
"""Seconds between two changes of one app, so that no status write delays the next."""
FOLLOW_UP_DELAY = 0.1
"""Seconds between the changes of two pods of an app, for follow-up changes."""


@dataclass
class Latencies:
    """The latencies of many changes, in seconds."""

    from_request: list[float] = field(default_factory=list)
    """From the request of the change, with the time that the API server needs to store it."""
    from_answer: list[float] = field(default_factory=list)
    """From the response of the API server: the part of the operator."""


class StatusWatcher:
    """Follows the number of ready pods in the statuses, and when it changed."""

    def __init__(self) -> None:
        self._ready: dict[str, int] = {}
        self._waiting: dict[str, tuple[int, asyncio.Future[float]]] = {}

    async def follow_watch(self, api: AsyncKubeClient, namespace: str) -> None:
        """Follow a watch without end."""
        async for event in api.watch("SelfHealingApp", namespace):
            app = event["object"]
            name, ready = app["metadata"]["name"], app.get("status", {}).get("readyReplicas", 0)
            self._ready[name] = ready
            expected, future = self._waiting.get(name, (None, None))
            if future is not None and expected == ready and not future.done():
                future.set_result(perf_counter())

    def expect_ready_pods(self, name: str, ready: int) -> "asyncio.Future[float]":
        """Return a future of the time at which the status has ``ready`` ready pods."""
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting[name] = (ready, future)
        return future


@asynccontextmanager
async def _watch_statuses(api: AsyncKubeClient, namespace: str) -> AsyncIterator[StatusWatcher]:
    statuses = StatusWatcher()
    task = asyncio.create_task(statuses.follow_watch(api, namespace))
    try:
        await asyncio.sleep(3)  # the first part of a watch is what is there already
        yield statuses
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class PodChanger:
    """Changes the readiness of pods as a kubelet reports it."""

    def __init__(self, api: AsyncKubeClient, namespace: str, statuses: StatusWatcher) -> None:
        self._api = api
        self._namespace = namespace
        self._statuses = statuses
        self._pods: dict[str, list[str]] = {}

    async def find_apps(self) -> list[str]:
        """Read the pods; return the names of the apps that have all their pods."""
        for pod in (await self._api.list("Pod", self._namespace, metadata=True))["items"]:
            meta = pod["metadata"]
            self._pods.setdefault(meta["labels"]["app"], []).append(meta["name"])
        return [name for name, pods in self._pods.items() if len(pods) == apps.PODS_PER_APP]

    async def change_pod(
        self, name: str, latencies: Latencies, *, pod: int, ready_pods: int
    ) -> None:
        """Change one pod and wait until the status has ``ready_pods`` ready pods."""
        future = self._statuses.expect_ready_pods(name, ready_pods)
        ready = ready_pods > pod
        started = perf_counter()
        await self._api.patch_status(
            "Pod", self._namespace, self._pods[name][pod], _ready_conditions(ready=ready)
        )
        answered = perf_counter()
        try:
            async with asyncio.timeout(STATUS_TIMEOUT):
                observed = await future
        except TimeoutError:  # counted as what it is: not told for so long
            observed = started + STATUS_TIMEOUT
        latencies.from_request.append(observed - started)
        latencies.from_answer.append(max(0.0, observed - answered))


def _ready_conditions(*, ready: bool) -> Json:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    state = {"status": "True"} if ready else {"status": "False", "reason": "ContainersNotReady"}
    return {
        "conditions": [
            {"type": kind, "lastTransitionTime": now, **state}
            for kind in ("Ready", "ContainersReady")
        ]
    }


async def measure_latencies(
    api: AsyncKubeClient, namespace: str, *, singles: int, bursts: int, burst: int
) -> dict[str, Latencies]:
    """Measure single changes, bursts over many apps, and two changes in a row in one app."""
    latencies = {"single": Latencies(), "burst": Latencies(), "followUp": Latencies()}
    async with _watch_statuses(api, namespace) as statuses:
        changes = PodChanger(api, namespace, statuses)
        names = await changes.find_apps()
        random.Random(1).shuffle(names)  # noqa: S311 - a choice that can be repeated
        await _run_singles(changes, names[:singles], latencies["single"])
        await _run_bursts(changes, names, latencies["burst"], bursts=bursts, burst=burst)
        await asyncio.sleep(PAUSE_BETWEEN_CHANGES)
        await _run_follow_ups(changes, names[: max(1, singles // 4)], latencies["followUp"])
    return latencies


async def measure_single_app(
    api: AsyncKubeClient, namespace: str, *, changes: int, interval: float
) -> Latencies:
    """Measure single changes of the only app of a namespace, ``interval`` seconds apart."""
    latencies = Latencies()
    async with _watch_statuses(api, namespace) as statuses:
        changer = PodChanger(api, namespace, statuses)
        [name] = await changer.find_apps()
        for _ in range(changes):
            for ready_pods in (1, 2):
                await changer.change_pod(name, latencies, pod=1, ready_pods=ready_pods)
                await asyncio.sleep(interval)
    return latencies


async def measure_baseline(
    api: AsyncKubeClient, namespace: str, *, bursts: int, burst: int, concurrency: int
) -> Latencies:
    """Measure the bursts without an operator: the least time with this API server.

    A watch follows the pods, and merge patches, ``concurrency`` at a time, write one number.
    """
    latencies = Latencies()
    echo = asyncio.create_task(_mirror_readiness(api, namespace, concurrency))
    try:
        async with _watch_statuses(api, namespace) as statuses:
            changes = PodChanger(api, namespace, statuses)
            names = await changes.find_apps()
            random.Random(1).shuffle(names)  # noqa: S311 - as in measure
            await _run_bursts(changes, names, latencies, bursts=bursts, burst=burst)
    finally:
        echo.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await echo
    return latencies


async def _mirror_readiness(api: AsyncKubeClient, namespace: str, concurrency: int) -> None:
    ready: dict[str, dict[str, bool]] = {}
    slots = asyncio.Semaphore(concurrency)

    async def write(app: str) -> None:
        async with slots:
            await api.merge_status(
                "SelfHealingApp", namespace, app, {"readyReplicas": sum(ready[app].values())}
            )

    async with asyncio.TaskGroup() as tasks:
        async for event in api.watch("Pod", namespace):
            meta, conditions = event["object"]["metadata"], event["object"]["status"]["conditions"]
            app, name = meta["labels"]["app"], meta["name"]
            now = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
            before = ready.setdefault(app, {}).get(name)
            ready[app][name] = now
            if before not in {None, now}:
                tasks.create_task(write(app))


async def _run_bursts(
    changes: PodChanger, names: list[str], latencies: Latencies, *, bursts: int, burst: int
) -> None:
    for number in range(bursts):
        burst_names = names[number * burst % len(names) :][:burst]
        for ready_pods in (1, 2):
            await asyncio.sleep(PAUSE_BETWEEN_CHANGES)
            async with asyncio.TaskGroup() as tasks:
                for name in burst_names:
                    tasks.create_task(
                        changes.change_pod(name, latencies, pod=1, ready_pods=ready_pods)
                    )


async def _run_singles(changes: PodChanger, names: list[str], latencies: Latencies) -> None:
    group = 25
    for start in range(0, len(names), group):
        group_names = names[start : start + group]
        for ready_pods in (1, 2):
            for name in group_names:
                await changes.change_pod(name, latencies, pod=1, ready_pods=ready_pods)
            await asyncio.sleep(PAUSE_BETWEEN_CHANGES)


async def _run_follow_ups(changes: PodChanger, names: list[str], latencies: Latencies) -> None:
    unmeasured = Latencies()
    for name in names:
        await changes.change_pod(name, unmeasured, pod=1, ready_pods=1)
        await asyncio.sleep(FOLLOW_UP_DELAY)
        await changes.change_pod(name, latencies, pod=0, ready_pods=0)
    await asyncio.sleep(PAUSE_BETWEEN_CHANGES)
    for ready_pods in (1, 2):
        for name in names:
            await changes.change_pod(name, unmeasured, pod=ready_pods - 1, ready_pods=ready_pods)
