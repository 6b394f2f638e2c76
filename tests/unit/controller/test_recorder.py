"""Events: a repeat is counted on the first, a flood is cut, and nothing waits for them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from selfhealing.cache.parse import app_view
from selfhealing.cache.views import AppView
from selfhealing.controller import recorder as module
from selfhealing.controller.recorder import SERIES_WINDOW, Recorder
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ForbiddenError, NotFoundError
from selfhealing.kube.metrics import REGISTRY
from selfhealing.kube.resources import EVENT_SERIES, Resource
from selfhealing.status.event import Notice
from tests.unit import builders
from tests.unit.controller.clock import settle

Json = dict[str, Any]

APP = app_view(builders.app())
NOTICE = Notice("Warning", "ContainerRestarted", "container app of pod web-1 was restarted")


class EventServer:
    """Keeps Events as an API server does.

    Attributes:
        events: what is there, by name, in the order of creation.
        refuses: every request is refused.
    """

    def __init__(self) -> None:
        self.events: dict[str, Json] = {}
        self.refuses = False
        self.requests = 0

    async def create(self, resource: Resource, body: Json) -> Json:
        """Answer as Client.create does."""
        assert resource is EVENT_SERIES

        self._ask()
        self.events[body["metadata"]["name"]] = dict(body)
        return body

    async def merge(self, resource: Resource, namespace: str, name: str, patch: Json) -> Json:
        """Answer as Client.merge does."""
        assert (EVENT_SERIES, "shop") == (resource, namespace)

        self._ask()
        if name not in self.events:
            raise NotFoundError(404, "NotFound", "it has expired")
        self.events[name] |= patch
        return self.events[name]

    def counts(self) -> list[int]:
        """How often each Event was seen."""
        return [event.get("series", {}).get("count", 1) for event in self.events.values()]

    def _ask(self) -> None:
        self.requests += 1
        if self.refuses:
            raise ForbiddenError(403, "Forbidden", "no Events today")


@pytest.fixture
def server() -> EventServer:
    """A server without Events."""
    return EventServer()


@pytest.fixture
async def recorder(server: EventServer) -> AsyncIterator[Recorder]:
    """A recorder that writes to the server."""
    recorder = Recorder(cast("Client", server))
    task = asyncio.create_task(recorder.run())
    await settle()
    yield recorder

    assert not task.done()

    task.cancel()


def other(name: str, uid: str) -> AppView:
    """Another app."""
    return app_view(builders.app(name=name, uid=uid))


def dropped() -> float:
    """How many Events were dropped so far, in all tests."""
    return REGISTRY.get_sample_value("selfhealing_events_dropped_total") or 0


async def tell(recorder: Recorder, app: AppView = APP, notice: Notice = NOTICE) -> None:
    """Tell, and let it be written."""
    recorder.tell(app, notice)
    await settle()


async def test_an_event_is_about_its_app(server: EventServer, recorder: Recorder) -> None:
    """It says what kubectl describe shows."""
    await tell(recorder)

    [event] = server.events.values()
    assert {
        "apiVersion": "selfhealing.dev/v1alpha1",
        "kind": "SelfHealingApp",
        "namespace": "shop",
        "name": "web",
        "uid": builders.APP_UID,
    } == event["regarding"]
    assert (NOTICE.type, NOTICE.reason, NOTICE.message) == (
        event["type"],
        event["reason"],
        event["note"],
    )
    assert "shop" == event["metadata"]["namespace"]
    assert event["metadata"]["name"].startswith("web.")
    assert "series" not in event
    assert all(
        event[field]
        for field in ("action", "eventTime", "reportingController", "reportingInstance")
    )


async def test_repeats_become_a_series(server: EventServer, recorder: Recorder) -> None:
    """One Event whose count grows."""
    for count in range(1, 6):
        await tell(recorder)
        await asyncio.sleep(60)

        assert [count] == server.counts()

    [event] = server.events.values()
    assert event["eventTime"] <= event["series"]["lastObservedTime"]


@pytest.mark.parametrize(
    ("app", "notice"),
    [
        (other("api", "2"), NOTICE),
        (other("web", "3"), NOTICE),
        (APP, Notice("Normal", NOTICE.reason, NOTICE.message)),
        (APP, Notice("Warning", "Degraded", NOTICE.message)),
        (APP, Notice("Warning", NOTICE.reason, "another pod")),
    ],
)
async def test_what_differs_is_another_event(
    server: EventServer, recorder: Recorder, app: AppView, notice: Notice
) -> None:
    """Another app, one that was made anew under the old name, another type, reason or message."""
    await tell(recorder)
    await tell(recorder, app, notice)

    assert [1, 1] == server.counts()


async def test_after_the_window_it_is_news_again(server: EventServer, recorder: Recorder) -> None:
    """The window begins anew with each repeat."""
    await tell(recorder)
    await asyncio.sleep(SERIES_WINDOW - 1)
    await tell(recorder)
    await asyncio.sleep(SERIES_WINDOW - 1)
    await tell(recorder)

    assert [3] == server.counts()

    await asyncio.sleep(SERIES_WINDOW)
    await tell(recorder)

    assert [3, 1] == server.counts()


async def test_an_event_that_has_expired_is_written_anew(
    server: EventServer, recorder: Recorder
) -> None:
    """The API server keeps Events for an hour, and may be told to keep them for less."""
    await tell(recorder)
    server.events.clear()
    await tell(recorder)

    assert [1] == server.counts()

    await tell(recorder)

    assert [2] == server.counts()


async def test_a_refusal_is_counted_and_the_next_is_written(
    server: EventServer, recorder: Recorder
) -> None:
    """Events are a courtesy: nothing is tried again."""
    before = dropped()
    server.refuses = True
    await tell(recorder)

    assert before + 1 == dropped()
    assert 1 == server.requests

    server.refuses = False
    await tell(recorder)

    assert [1] == server.counts()
    assert before + 1 == dropped()


async def test_a_flood_is_cut(server: EventServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit into the queue is dropped and counted; what fits is written."""
    monkeypatch.setattr(module, "QUEUE_LIMIT", 10)
    recorder = Recorder(cast("Client", server))
    before = dropped()

    for number in range(25):
        recorder.tell(APP, Notice("Normal", "Scaled", str(number)))

    assert before + 15 == dropped()

    task = asyncio.create_task(recorder.run())
    await asyncio.sleep(1)
    task.cancel()

    assert [str(number) for number in range(10)] == [e["note"] for e in server.events.values()]


async def test_what_was_told_longest_ago_is_forgotten_first(
    server: EventServer, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded; what still repeats stays known, however old its first Event is."""
    monkeypatch.setattr(module, "REMEMBERED", 3)
    await tell(recorder)
    for number in range(10):
        await tell(recorder, notice=Notice("Normal", "Scaled", str(number)))
        await tell(recorder)

    assert [11, *[1] * 10] == server.counts()

    await tell(recorder, notice=Notice("Normal", "Scaled", "0"))

    assert 12 == len(server.events)
