"""(b) From a change of a pod to the status that tells of it."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter

from hack.benchmark import apps
from hack.benchmark.api_client import Api
from hack.benchmark.preflight import Json

LIMIT = 30.0
REST = 2.0
"""Seconds between two changes of one app, so that no status write waits for the one before."""
FOLLOW_UP = 0.1
"""Seconds after which the second pod of an app changes, for the figure of follow-up changes."""


@dataclass
class Latencies:
    """Seconds, of many changes."""

    from_request: list[float] = field(default_factory=list)
    """From sending the change: with the time that the API server takes to store it."""
    from_answer: list[float] = field(default_factory=list)
    """From the API server's answer: what the operator adds."""


class Statuses:
    """Follows what the statuses say of ready pods, and when they said it."""

    def __init__(self) -> None:
        self._ready: dict[str, int] = {}
        self._waiting: dict[str, tuple[int, asyncio.Future[float]]] = {}

    async def follow(self, api: Api, where: str) -> None:
        """Follow a watch, for ever."""
        async for event in api.watch("SelfHealingApp", where):
            found = event["object"]
            name, ready = found["metadata"]["name"], found.get("status", {}).get("readyReplicas", 0)
            self._ready[name] = ready
            wanted, future = self._waiting.get(name, (None, None))
            if future is not None and wanted == ready and not future.done():
                future.set_result(perf_counter())

    def expect(self, name: str, ready: int) -> "asyncio.Future[float]":
        """A future of the time at which the app's status will say so many ready pods."""
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting[name] = (ready, future)
        return future


@asynccontextmanager
async def _following(api: Api, where: str) -> AsyncIterator[Statuses]:
    statuses = Statuses()
    task = asyncio.create_task(statuses.follow(api, where))
    try:
        await asyncio.sleep(3)  # the first part of a watch is what is there already
        yield statuses
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class Changes:
    """Makes pods lose and regain their readiness, as a kubelet would report it."""

    def __init__(self, api: Api, where: str, statuses: Statuses) -> None:
        self._api = api
        self._where = where
        self._statuses = statuses
        self._pods: dict[str, list[str]] = {}

    async def look(self) -> list[str]:
        """Find the pods; returns the names of apps that have all of them."""
        for pod in (await self._api.list("Pod", self._where, metadata=True))["items"]:
            meta = pod["metadata"]
            self._pods.setdefault(meta["labels"]["app"], []).append(meta["name"])
        return [name for name, pods in self._pods.items() if len(pods) == apps.PODS]

    async def change(self, name: str, latencies: Latencies, *, pod: int, left: int) -> None:
        """Change one pod and wait until the status says ``left`` ready pods."""
        news = self._statuses.expect(name, left)
        ready = left > pod
        begun = perf_counter()
        await self._api.patch_status(
            "Pod", self._where, self._pods[name][pod], _status(ready=ready)
        )
        answered = perf_counter()
        try:
            async with asyncio.timeout(LIMIT):
                told = await news
        except TimeoutError:  # counted as what it is: not told for so long
            told = begun + LIMIT
        latencies.from_request.append(told - begun)
        latencies.from_answer.append(max(0.0, told - answered))


def _status(*, ready: bool) -> Json:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    state = {"status": "True"} if ready else {"status": "False", "reason": "ContainersNotReady"}
    return {
        "conditions": [
            {"type": kind, "lastTransitionTime": now, **state}
            for kind in ("Ready", "ContainersReady")
        ]
    }


async def measure(
    api: Api, where: str, *, singles: int, bursts: int, burst: int
) -> dict[str, Latencies]:
    """Measure changes one at a time, many apps at once, and twice in a row in one app."""
    found = {"single": Latencies(), "burst": Latencies(), "followUp": Latencies()}
    async with _following(api, where) as statuses:
        changes = Changes(api, where, statuses)
        names = await changes.look()
        random.Random(1).shuffle(names)  # noqa: S311 - a choice that can be repeated
        await _singles(changes, names[:singles], found["single"])
        await _bursts(changes, names, found["burst"], bursts=bursts, burst=burst)
        await asyncio.sleep(REST)
        await _follow_ups(changes, names[: max(1, singles // 4)], found["followUp"])
    return found


async def floor(api: Api, where: str, *, bursts: int, burst: int, width: int) -> Latencies:
    """Measure the bursts without an operator: the least that this API server makes them take.

    A bare watch sees the pods, and a bare merge patch, ``width`` at a time, writes one number.
    """
    latencies = Latencies()
    echo = asyncio.create_task(_echo(api, where, width))
    try:
        async with _following(api, where) as statuses:
            changes = Changes(api, where, statuses)
            names = await changes.look()
            random.Random(1).shuffle(names)  # noqa: S311 - as in measure
            await _bursts(changes, names, latencies, bursts=bursts, burst=burst)
    finally:
        echo.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await echo
    return latencies


async def _echo(api: Api, where: str, width: int) -> None:
    ready: dict[str, dict[str, bool]] = {}
    slots = asyncio.Semaphore(width)

    async def write(app: str) -> None:
        async with slots:
            await api.merge_status(
                "SelfHealingApp", where, app, {"readyReplicas": sum(ready[app].values())}
            )

    async with asyncio.TaskGroup() as tasks:
        async for event in api.watch("Pod", where):
            meta, conditions = event["object"]["metadata"], event["object"]["status"]["conditions"]
            app, name = meta["labels"]["app"], meta["name"]
            now = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
            before = ready.setdefault(app, {}).get(name)
            ready[app][name] = now
            if before not in {None, now}:
                tasks.create_task(write(app))


async def _bursts(
    changes: Changes, names: list[str], latencies: Latencies, *, bursts: int, burst: int
) -> None:
    for number in range(bursts):
        chosen = names[number * burst % len(names) :][:burst]
        for left in (1, 2):
            await asyncio.sleep(REST)
            async with asyncio.TaskGroup() as tasks:
                for name in chosen:
                    tasks.create_task(changes.change(name, latencies, pod=1, left=left))


async def _singles(changes: Changes, names: list[str], latencies: Latencies) -> None:
    group = 25
    for start in range(0, len(names), group):
        some = names[start : start + group]
        for left in (1, 2):
            for name in some:
                await changes.change(name, latencies, pod=1, left=left)
            await asyncio.sleep(REST)


async def _follow_ups(changes: Changes, names: list[str], latencies: Latencies) -> None:
    unmeasured = Latencies()
    for name in names:
        await changes.change(name, unmeasured, pod=1, left=1)
        await asyncio.sleep(FOLLOW_UP)
        await changes.change(name, latencies, pod=0, left=0)
    await asyncio.sleep(REST)
    for left in (1, 2):
        for name in names:
            await changes.change(name, unmeasured, pod=left - 1, left=left)
