"""Kinds that may be missing: asked for only where an app does, and noticed when they come or go."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.event_handlers import Observer
from selfhealing.controller.optional_kinds import ASKED_BY, PACE, OptionalKinds
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.client import Client
from selfhealing.kube.errors import NotFoundError, UnavailableError
from selfhealing.kube.resources import OPTIONAL, Resource
from tests.unit import builders
from tests.unit.controller.clock import now
from tests.unit.snapshots import KEY, put

Json = dict[str, Any]

KIND = "VerticalPodAutoscaler"
ASKING = {"image": "web:v1", "verticalScaling": {}}


class Cluster:
    """What is served, as lists show it.

    Attributes:
        error: what every list ends with instead.
    """

    def __init__(self, *objects: Json) -> None:
        self.objects = list(objects)
        self.error: Exception | None = None
        self.asked: list[tuple[str, str | None, str]] = []

    async def objects_of(
        self, resource: Resource, namespace: str | None, labels: str = ""
    ) -> AsyncIterator[Json]:
        """Answer as Client.objects does; a list does not say the kind of its items."""
        self.asked.append((resource.kind, namespace, labels))
        if self.error:
            raise self.error
        for thing in self.objects:
            yield {field: value for field, value in thing.items() if field != "kind"}


class World:
    """A cluster, the operator's picture of it and who looks at the optional kinds."""

    def __init__(self, *objects: Json, spec: Json | None = None, namespace: str = "") -> None:
        self.cluster = Cluster(*objects)
        self.store = Store()
        self.queue: WorkQueue[AppKey] = WorkQueue()
        observer = Observer(self.store, self.queue, 0)
        client = type("FakeClient", (), {"objects": self.cluster.objects_of})()
        self.optional = OptionalKinds(
            cast("Client", client),
            self.store,
            observer,
            self.queue,
            (namespace,) if namespace else (),
            now,
        )
        put(self.store, builders.app(spec or ASKING))

    async def woken(self) -> list[AppKey]:
        """Who has been woken since this was asked last."""
        found = []
        while self.queue.depth():
            found.append(key := await self.queue.get())
            self.queue.done(key)
        return found


def missing() -> NotFoundError:
    """The answer for a kind that is not served."""
    return NotFoundError(404, "", "404 page not found")


def test_every_optional_kind_is_asked_for_by_a_field() -> None:
    """The table here and the one of the rights are the same."""
    assert set(ASKED_BY) == {resource.kind for resource in OPTIONAL}


async def test_what_is_there_is_stored() -> None:
    """The app that it belongs to is woken, once."""
    world = World(builders.vertical({"cpu": "25m"}))
    await world.optional.look()

    assert {"uid-of-VerticalPodAutoscaler": KEY} == world.store.uids(KIND)
    assert [KEY] == await world.woken()

    await world.optional.look()

    assert [] == await world.woken()
    assert not world.optional.lacks(KIND)


async def test_what_is_gone_is_forgotten() -> None:
    """Also when the kind itself is gone."""
    for error in (None, missing()):
        world = World(builders.vertical())
        await world.optional.look()
        await world.woken()
        world.cluster.objects.clear()
        world.cluster.error = error
        await world.optional.look()

        assert {} == world.store.uids(KIND)
        assert [KEY] == await world.woken()


async def test_a_kind_that_comes_wakes_who_asks(caplog: pytest.LogCaptureFixture) -> None:
    """And nobody is woken as long as it does not come."""
    caplog.set_level("INFO")
    world = World()
    world.cluster.error = missing()
    task = asyncio.create_task(world.optional.run())
    await asyncio.sleep(PACE + 1)

    assert world.optional.lacks(KIND)
    assert [KEY] == await world.woken()

    await asyncio.sleep(5 * PACE)

    assert world.optional.lacks(KIND)
    assert [] == await world.woken()

    world.cluster.error = None
    await asyncio.sleep(PACE)

    assert not world.optional.lacks(KIND)
    assert [KEY] == await world.woken()
    assert "the kind VerticalPodAutoscaler is served now" in caplog.text

    task.cancel()


async def test_nobody_asks_and_nobody_looks() -> None:
    """An operator whose apps have no such part costs the API server nothing."""
    world = World(spec={"image": "web:v1"})
    task = asyncio.create_task(world.optional.run())
    await asyncio.sleep(10 * PACE)

    assert [] == world.cluster.asked

    task.cancel()


async def test_what_nobody_asks_for_any_more_is_looked_at() -> None:
    """Until it is gone."""
    world = World(builders.vertical(), spec={"image": "web:v1"})
    await world.optional.look()
    task = asyncio.create_task(world.optional.run())
    await asyncio.sleep(3 * PACE + 1)

    assert 4 == len(world.cluster.asked)

    world.cluster.objects.clear()
    await asyncio.sleep(5 * PACE)

    assert 5 == len(world.cluster.asked)

    task.cancel()


async def test_old_knowledge_is_none() -> None:
    """Whoever asks first after a long time tries for himself."""
    world = World(spec={"image": "web:v1"})
    world.cluster.error = missing()
    await world.optional.look()

    assert world.optional.lacks(KIND)

    await asyncio.sleep(2 * PACE)

    assert not world.optional.lacks(KIND)


async def test_a_failure_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What is stored stays, and the next look is at its time."""
    world = World(builders.vertical())
    await world.optional.look()
    world.cluster.error = UnavailableError(503, "", "busy")
    await world.optional.look()

    assert {"uid-of-VerticalPodAutoscaler": KEY} == world.store.uids(KIND)
    assert not world.optional.lacks(KIND)
    assert f"again in {PACE:.0f} s" in caplog.text


async def test_only_the_served_namespaces_are_listed() -> None:
    """By the app's label, so that no stranger's object is read."""
    world = World(namespace="shop")
    await world.optional.look()

    assert [(KIND, "shop", "selfhealing.dev/app")] == world.cluster.asked
