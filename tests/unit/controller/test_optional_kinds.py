"""Kinds that may be missing: asked for only where an app does, and noticed when they come or go."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.event_handlers import EventHandlers
from selfhealing.controller.optional_kinds import (
    MAX_POLL_INTERVAL,
    POLL_INTERVAL,
    REQUESTED_BY,
    OptionalKinds,
)
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ForbiddenError, NotFoundError, UnavailableError
from selfhealing.kube.resources import OPTIONAL_CHILDREN, Resource
from tests.unit import builders
from tests.unit.controller.fake_loop import now
from tests.unit.snapshots import KEY, put_object

Json = dict[str, Any]

KIND = "VerticalPodAutoscaler"
REQUESTING_SPEC = {"image": "web:v1", "verticalScaling": {}}


class FakeApiServer:
    """What is served, as lists show it.

    Attributes:
        error: what every list ends with instead.
        failing: the only namespace of which it does; empty for all.
        seconds: how long a list takes.
    """

    def __init__(self, *objects: Json) -> None:
        self.objects = list(objects)
        self.error: Exception | None = None
        self.failing = ""
        self.seconds = 0.0
        self.requests: list[tuple[str, str | None, str]] = []

    async def list_objects(
        self, resource: Resource, namespace: str | None, labels: str = ""
    ) -> AsyncIterator[Json]:
        """Answer as Client.objects does; a list does not say the kind of its items."""
        self.requests.append((resource.kind, namespace, labels))
        await asyncio.sleep(self.seconds)
        if self.error and self.failing in {"", namespace}:
            raise self.error
        for manifest in self.objects:
            if manifest["kind"] != resource.kind or (
                namespace not in {None, manifest["metadata"]["namespace"]}
            ):
                continue
            yield {field: value for field, value in manifest.items() if field != "kind"}

    def count_lists(self, kind: str) -> int:
        """How often a kind was listed."""
        return len([request for request in self.requests if request[0] == kind])


class Harness:
    """A cluster, the operator's picture of it and who looks at the optional kinds."""

    def __init__(
        self, *objects: Json, spec: Json | None = None, namespaces: tuple[str, ...] = ()
    ) -> None:
        self.api_server = FakeApiServer(*objects)
        self.store = Store()
        self.queue: WorkQueue[AppKey] = WorkQueue()
        event_handlers = EventHandlers(self.store, self.queue, 0)
        client = type("FakeClient", (), {"list_objects": self.api_server.list_objects})()
        self.optional_kinds = OptionalKinds(
            cast("Client", client),
            self.store,
            event_handlers,
            self.queue,
            namespaces,
            now,
        )
        put_object(self.store, builders.app(spec or REQUESTING_SPEC))

    async def drain_queue(self) -> list[AppKey]:
        """Who has been woken since this was asked last."""
        keys = []
        while self.queue.depth():
            keys.append(key := await self.queue.get())
            self.queue.done(key)
        return keys


def not_served_error() -> NotFoundError:
    """The answer for a kind that is not served."""
    return NotFoundError(404, "", "404 page not found")


def test_every_optional_kind_is_asked_for_by_a_field() -> None:
    """The table here and the one of the rights are the same."""
    assert set(REQUESTED_BY) == {resource.kind for resource in OPTIONAL_CHILDREN}


async def test_what_is_there_is_stored() -> None:
    """The app that it belongs to is woken, once."""
    harness = Harness(builders.vpa({"cpu": "25m"}))
    await harness.optional_kinds.list_all()

    assert {"uid-of-VerticalPodAutoscaler": KEY} == harness.store.uids(KIND)
    assert [KEY] == await harness.drain_queue()

    await harness.optional_kinds.list_all()

    assert [] == await harness.drain_queue()
    assert not harness.optional_kinds.is_missing(KIND)


async def test_what_is_gone_is_forgotten() -> None:
    """Also when the kind itself is gone."""
    for error in (None, not_served_error()):
        harness = Harness(builders.vpa())
        await harness.optional_kinds.list_all()
        await harness.drain_queue()
        harness.api_server.objects.clear()
        harness.api_server.error = error
        await harness.optional_kinds.list_all()

        assert {} == harness.store.uids(KIND)
        assert [KEY] == await harness.drain_queue()


async def test_a_kind_that_comes_wakes_who_asks(caplog: pytest.LogCaptureFixture) -> None:
    """And nobody is woken as long as it does not come."""
    caplog.set_level("INFO")
    harness = Harness()
    harness.api_server.error = not_served_error()
    task = asyncio.create_task(harness.optional_kinds.run())
    await asyncio.sleep(POLL_INTERVAL + 1)

    assert harness.optional_kinds.is_missing(KIND)
    assert [KEY] == await harness.drain_queue()

    await asyncio.sleep(5 * POLL_INTERVAL)

    assert harness.optional_kinds.is_missing(KIND)
    assert [] == await harness.drain_queue()

    harness.api_server.error = None
    await asyncio.sleep(POLL_INTERVAL)

    assert not harness.optional_kinds.is_missing(KIND)
    assert [KEY] == await harness.drain_queue()
    assert "the kind VerticalPodAutoscaler is served now" in caplog.text

    task.cancel()


async def test_nobody_asks_and_nobody_looks() -> None:
    """An operator whose apps have no such part costs the API server nothing."""
    harness = Harness(spec={"image": "web:v1"})
    task = asyncio.create_task(harness.optional_kinds.run())
    await asyncio.sleep(10 * POLL_INTERVAL)

    assert [] == harness.api_server.requests

    task.cancel()


async def test_what_nobody_asks_for_any_more_is_looked_at() -> None:
    """Until it is gone."""
    harness = Harness(builders.vpa(), spec={"image": "web:v1"})
    await harness.optional_kinds.list_all()
    task = asyncio.create_task(harness.optional_kinds.run())
    await asyncio.sleep(3 * POLL_INTERVAL + 1)

    assert 4 == harness.api_server.count_lists(KIND)
    assert 1 == harness.api_server.count_lists("HTTPRoute")

    harness.api_server.objects.clear()
    await asyncio.sleep(5 * POLL_INTERVAL)

    assert 5 == harness.api_server.count_lists(KIND)

    task.cancel()


async def test_old_knowledge_is_none() -> None:
    """Whoever asks first after a long time tries for himself."""
    harness = Harness(spec={"image": "web:v1"})
    harness.api_server.error = not_served_error()
    await harness.optional_kinds.list_all()

    assert harness.optional_kinds.is_missing(KIND)

    await asyncio.sleep(2 * POLL_INTERVAL)

    assert not harness.optional_kinds.is_missing(KIND)


async def test_a_failure_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What is stored stays, and the next look is at its time."""
    harness = Harness(builders.vpa())
    await harness.optional_kinds.list_all()
    harness.api_server.error = UnavailableError(503, "", "busy")
    await harness.optional_kinds.list_all()

    assert {"uid-of-VerticalPodAutoscaler": KEY} == harness.store.uids(KIND)
    assert not harness.optional_kinds.is_missing(KIND)
    assert f"retry in {POLL_INTERVAL:.0f} s" in caplog.text


async def test_only_the_served_namespaces_are_listed() -> None:
    """By the app's label, so that no stranger's object is read."""
    harness = Harness(namespaces=("shop",))
    await harness.optional_kinds.list_all()

    assert [
        (kind, "shop", "selfhealing.dev/app") for kind in REQUESTED_BY
    ] == harness.api_server.requests


@pytest.mark.parametrize(
    ("seconds", "pause"), [(0, POLL_INTERVAL), (4, 40), (60, MAX_POLL_INTERVAL)]
)
async def test_long_lists_are_made_less_often(seconds: float, pause: float) -> None:
    """Large objects of others take no more than a tenth of the time."""
    harness = Harness()
    harness.api_server.seconds = seconds
    task = asyncio.create_task(harness.optional_kinds.run())
    await asyncio.sleep(POLL_INTERVAL + 3 * (seconds + pause) - 1)
    task.cancel()

    assert 3 == harness.api_server.count_lists(KIND)


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_namespace_that_refuses_does_not_hold_up_the_others(*, is_known: bool) -> None:
    """What is stored of it stays, and what is gone elsewhere is forgotten."""
    other = builders.vpa()
    other["metadata"] |= {"namespace": "bank", "uid": "of-bank"}
    harness = Harness(builders.vpa(), other, namespaces=("bank", "shop"))
    await harness.optional_kinds.list_all()
    harness.api_server.error = ForbiddenError(403, "Forbidden", "no")
    harness.api_server.failing = "bank"
    harness.api_server.objects.clear()
    if is_known:
        harness.store.refused_namespaces.add("bank")
    await harness.optional_kinds.list_all()

    assert {"of-bank"} == harness.store.uids(KIND).keys()
    assert not harness.optional_kinds.is_missing(KIND)
