"""The use of memory: asked for only where it is wanted, kept short, and noticed when it matters."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from selfhealing.cache.parse import app_view
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.memory_metrics import (
    AWAY_PACE,
    KEPT,
    LONGEST_SELECTOR,
    PACE,
    MemoryUsage,
)
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ForbiddenError, NotFoundError, UnavailableError
from selfhealing.kube.resources import POD_METRICS, Resource
from tests.unit import builders
from tests.unit.controller.clock import now
from tests.unit.snapshots import KEY, put

Json = dict[str, Any]

ASKING = {"image": "web:v1", "healing": {"memory": {"max": "1Gi"}}}
SILENT = {"image": "web:v1", "healing": {"budget": 2}, "resources": {"limits": {"memory": "1Gi"}}}
POD = "web-abc-1"
UID = f"uid-of-{POD}"
MISSING = NotFoundError(404, "", "404 page not found")
FORBIDDEN = ForbiddenError(403, "Forbidden", "pods.metrics.k8s.io is forbidden")
AWAY = UnavailableError(503, "ServiceUnavailable", "the server is currently unable")


class World:
    """A cluster, the operator's picture of it and who looks at the use of memory.

    Attributes:
        used: by pod, what it uses now, in MiB.
        error: what every list ends with instead.
        asked: the time, the namespace and the selector of each list.
        measured: when it was measured; None for now.
    """

    def __init__(self, spec: Json | None = None, scale: float = 1) -> None:
        self.used: dict[str, float] = {POD: 50}
        self.error: ApiError | None = None
        self.asked: list[tuple[float, str | None, str]] = []
        self.measured: float | None = None
        self.store = Store()
        self.queue: WorkQueue[AppKey] = WorkQueue()
        self.usage = MemoryUsage(cast("Client", self), self.store, self.queue, scale, now)
        put(self.store, builders.app(spec or ASKING))
        put(self.store, builders.deployment())
        self.pod()

    def pod(self, uid: str = UID, version: int = 1, limit: str = "100Mi") -> None:
        """Let the pod be there."""
        thing = builders.pod(POD, builders.running(), limit=limit, version=version)
        thing["metadata"]["uid"] = uid
        put(self.store, thing)

    async def objects(
        self, resource: Resource, namespace: str | None, labels: str = ""
    ) -> AsyncIterator[Json]:
        """Answer as Client.objects does."""
        assert POD_METRICS is resource
        self.asked.append((now(), namespace, labels))
        for pod, used in self.used.items():
            yield {
                "metadata": {"name": pod, "namespace": namespace},
                "timestamp": builders.iso(now() if self.measured is None else self.measured),
                "containers": [{"name": "app", "usage": {"memory": f"{int(used * 1024)}Ki"}}],
            }
        if self.error:
            raise self.error

    def kept(self, uid: str = UID) -> list[int]:
        """What is kept of the pod, in MiB."""
        facts = self.store.facts(KEY)
        assert facts is not None
        return [each.used >> 20 for each in self.usage.of(facts).get(uid, ())]

    async def look(self, *uses: float) -> None:
        """Look once for each of these uses, at the pace."""
        for used in uses:
            self.used[POD] = used
            await self.usage.look()
            await asyncio.sleep(PACE)

    async def woken(self) -> list[AppKey]:
        """Who has been woken since this was asked last."""
        found = []
        while self.queue.depth():
            found.append(key := await self.queue.get())
            self.queue.done(key)
        return found


class TestAsking:
    """When what is asked for."""

    @pytest.mark.parametrize(("scale", "pace"), [(1, 15), (2, 30), (0.5, 7.5), (0.1, 5)], ids=str)
    async def test_the_pace(self, scale: float, pace: float) -> None:
        """By the scale of healing, but not more often than every five seconds."""
        world = World(scale=scale)
        task = asyncio.create_task(world.usage.run())
        await asyncio.sleep(3 * pace + 1)
        task.cancel()

        selector = "selfhealing.dev/app in (web)"
        assert [(pace * n, builders.NAMESPACE, selector) for n in (1, 2, 3)] == world.asked

    async def test_nobody_wants_it(self) -> None:
        """An operator whose apps say nothing of it costs the API server nothing."""
        world = World(SILENT)
        task = asyncio.create_task(world.usage.run())
        await asyncio.sleep(20 * PACE)
        task.cancel()

        assert [] == world.asked

    async def test_one_list_for_each_namespace(self) -> None:
        """For the apps that want it, and for no other."""
        world = World()
        for namespace, name, spec in (
            (builders.NAMESPACE, "api", ASKING),
            (builders.NAMESPACE, "quiet", SILENT),
            ("other", "web", ASKING),
        ):
            uid = f"uid-of-{namespace}-{name}"
            app = builders.app(spec, namespace=namespace, name=name, uid=uid)
            world.store.put_app(app_view(app))
        await world.usage.look()

        assert [
            (builders.NAMESPACE, "selfhealing.dev/app in (web,api)"),
            ("other", "selfhealing.dev/app in (web)"),
        ] == [asked[1:] for asked in world.asked]

    async def test_many_apps(self) -> None:
        """A selector has an end: all of the namespace are asked for then."""
        world = World()
        for number in range(LONGEST_SELECTOR):
            name = f"app-{number}"
            world.store.put_app(app_view(builders.app(ASKING, name=name, uid=f"uid-of-{name}")))
        await world.usage.look()

        assert "selfhealing.dev/app" == world.asked[0][2]


class TestKeeping:
    """What is remembered."""

    async def test_the_last_ones(self) -> None:
        """No more than ten."""
        world = World()
        await world.look(*range(20))

        assert list(range(20))[-KEPT:] == world.kept()

    async def test_the_same_measurement(self) -> None:
        """Counts once, however often it is seen."""
        world = World()
        world.measured = 7
        await world.look(50, 50, 50)

        assert [50] == world.kept()

    async def test_a_pod_that_is_gone(self) -> None:
        """And one of the same name that comes after it."""
        world = World()
        await world.look(50, 51)
        world.store.drop_pod(UID)
        world.pod("another", version=9)
        await world.look(52)

        assert [] == world.kept()
        assert [52] == world.kept("another")

        world.used.clear()
        await world.usage.look()

        assert [] == world.kept("another")

    async def test_a_stranger(self) -> None:
        """A pod that the store does not know, and one that was not measured."""
        world = World()
        world.used = {"web-abc-9": 50}
        await world.usage.look()

        assert [] == world.kept()

    async def test_nobody_wants_it_any_more(self) -> None:
        """Then nothing is kept."""
        world = World()
        await world.look(50)
        put(world.store, builders.app(SILENT, resourceVersion="9"))
        await world.usage.look()

        assert [] == world.kept()
        assert 1 == len(world.asked)


class TestWaking:
    """The app is looked at when the answer is another."""

    async def test_it_comes_and_goes(self) -> None:
        """Once each; and not while it stays as it is."""
        world = World()
        await world.look(70, 75, 80)

        assert [] == await world.woken()

        await world.look(86)

        assert [KEY] == await world.woken()

        await world.look(91)

        assert [] == await world.woken()

        await world.look(60)

        assert [KEY] == await world.woken()

    async def test_an_app_that_is_gone(self) -> None:
        """Wakes nobody for ever."""
        world = World()
        await world.look(70, 75, 80, 86)
        await world.woken()
        world.store.drop_app(KEY, builders.APP_UID)
        await world.usage.look()
        await world.woken()
        await world.usage.look()

        assert [] == await world.woken()


class TestFailures:
    """The metrics API may not be there."""

    @pytest.mark.parametrize("error", [MISSING, FORBIDDEN], ids=["not served", "no right"])
    async def test_it_is_away(self, error: ApiError, caplog: pytest.LogCaptureFixture) -> None:
        """It is said once, and asked for again every few minutes."""
        world = World(scale=0.1)
        world.error = error
        task = asyncio.create_task(world.usage.run())
        await asyncio.sleep(2 * AWAY_PACE + 60)

        assert [5, 305, 605] == [asked[0] for asked in world.asked]
        assert 1 == len(caplog.records)
        assert "is metrics-server installed?" in caplog.text

        caplog.set_level("INFO")
        world.error = None
        await asyncio.sleep(AWAY_PACE)
        task.cancel()

        assert "the use of memory is measured again" in caplog.text
        assert world.kept()

    async def test_a_moment(self, caplog: pytest.LogCaptureFixture) -> None:
        """What was known is forgotten: who climbed before is looked at once more."""
        world = World()
        await world.look(70, 75, 80, 86)
        await world.woken()
        world.error = AWAY
        await world.look(88, 90)

        assert [] == world.kept()
        assert [KEY] == await world.woken()
        assert 6 == len(world.asked)
        assert 1 == len(caplog.records)
