"""Events: a repeat is counted on the first, a flood is cut, and nothing waits for them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, cast

import pytest

from selfhealing.cache.parse import app_view
from selfhealing.cache.views import AppKey, AppView
from selfhealing.controller import event_folder, recorder as module
from selfhealing.controller.event_folder import BURST, INTERVAL
from selfhealing.controller.recorder import FOLD_POLL_INTERVAL, SERIES_WINDOW, EventRecorder
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ForbiddenError, NotFoundError
from selfhealing.kube.metrics import EVENTS_DROPPED, REGISTRY
from selfhealing.kube.resources import EVENT_SERIES, Resource
from selfhealing.status.events import Event
from tests.unit import builders
from tests.unit.controller.fake_loop import now, run_until_idle

Json = dict[str, Any]

APP = app_view(builders.app())
EVENT = Event("Warning", "ContainerRestarted", "container app of pod web-1 was restarted")


class EventServer:
    """Keeps Events as an API server does.

    Attributes:
        events: what is there, by name, in the order of creation.
        refuses: every request is refused.
    """

    def __init__(self) -> None:
        self.events: dict[str, Json] = {}
        self.is_refusing = False
        self.requests = 0

    async def create(self, resource: Resource, body: Json) -> Json:
        """Answer as Client.create does."""
        assert resource is EVENT_SERIES

        self._count_request()
        self.events[body["metadata"]["name"]] = dict(body)
        return body

    async def merge_patch(self, resource: Resource, namespace: str, name: str, patch: Json) -> Json:
        """Answer as Client.merge does."""
        assert (EVENT_SERIES, "shop") == (resource, namespace)

        self._count_request()
        if name not in self.events:
            raise NotFoundError(404, "NotFound", "it has expired")
        self.events[name] |= patch
        return self.events[name]

    def series_counts(self) -> list[int]:
        """How often each Event was seen."""
        return [event.get("series", {}).get("count", 1) for event in self.events.values()]

    def _count_request(self) -> None:
        self.requests += 1
        if self.is_refusing:
            raise ForbiddenError(403, "Forbidden", "no Events today")


@pytest.fixture
def server() -> EventServer:
    """A server without Events."""
    return EventServer()


@pytest.fixture
def few_series(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recorder that is made after this recognises the repeats of three Events."""
    monkeypatch.setattr(module, "MAX_SERIES", 3)


def build_recorder(server: EventServer) -> EventRecorder:
    """A recorder that writes to the server; nothing is written before it runs."""
    return EventRecorder(cast("Client", server), now, lambda: builders.at(now()))


@pytest.fixture
async def recorder(server: EventServer) -> AsyncIterator[EventRecorder]:
    """A recorder that writes to the server."""
    recorder = build_recorder(server)
    task = asyncio.create_task(recorder.run())
    await run_until_idle()
    yield recorder

    assert not task.done()

    task.cancel()


def build_other_app(name: str, uid: str) -> AppView:
    """Another app."""
    return app_view(builders.app(name=name, uid=uid))


def dropped_count() -> float:
    """How many Events were dropped so far, in all tests."""
    family = next(iter(EVENTS_DROPPED.collect()))
    return sum(s.value for s in family.samples if s.name == "selfhealing_events_dropped_total")


async def record_event(recorder: EventRecorder, app: AppView = APP, event: Event = EVENT) -> None:
    """Tell, and let it be written."""
    recorder.record_event(app, event)
    await run_until_idle()


async def test_an_event_is_about_its_app(server: EventServer, recorder: EventRecorder) -> None:
    """It says what kubectl describe shows."""
    await record_event(recorder)

    [event] = server.events.values()
    assert {
        "apiVersion": "selfhealing.dev/v1alpha1",
        "kind": "SelfHealingApp",
        "namespace": "shop",
        "name": "web",
        "uid": builders.APP_UID,
    } == event["regarding"]
    assert (EVENT.type, EVENT.reason, EVENT.message) == (
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


async def test_repeats_become_a_series(server: EventServer, recorder: EventRecorder) -> None:
    """One Event whose count grows."""
    for count in range(1, 6):
        await record_event(recorder)
        await asyncio.sleep(60)

        assert [count] == server.series_counts()

    [event] = server.events.values()
    assert event["eventTime"] <= event["series"]["lastObservedTime"]


@pytest.mark.parametrize(
    ("app", "notice"),
    [
        (build_other_app("api", "2"), EVENT),
        (build_other_app("web", "3"), EVENT),
        (APP, Event("Normal", EVENT.reason, EVENT.message)),
        (APP, Event("Warning", "Degraded", EVENT.message)),
        (APP, Event("Warning", EVENT.reason, "another pod")),
    ],
)
async def test_what_differs_is_another_event(
    server: EventServer, recorder: EventRecorder, app: AppView, notice: Event
) -> None:
    """Another app, one that was made anew under the old name, another type, reason or message."""
    await record_event(recorder)
    await record_event(recorder, app, notice)

    assert [1, 1] == server.series_counts()


async def test_after_the_window_it_is_news_again(
    server: EventServer, recorder: EventRecorder
) -> None:
    """The window begins anew with each repeat."""
    await record_event(recorder)
    await asyncio.sleep(SERIES_WINDOW - 1)
    await record_event(recorder)
    await asyncio.sleep(SERIES_WINDOW - 1)
    await record_event(recorder)

    assert [3] == server.series_counts()

    await asyncio.sleep(SERIES_WINDOW)
    await record_event(recorder)

    assert [3, 1] == server.series_counts()


async def test_an_event_that_has_expired_is_written_anew(
    server: EventServer, recorder: EventRecorder
) -> None:
    """The API server keeps Events for an hour, and may be told to keep them for less."""
    await record_event(recorder)
    server.events.clear()
    await record_event(recorder)

    assert [1] == server.series_counts()

    await record_event(recorder)

    assert [2] == server.series_counts()


async def test_a_refusal_is_counted_and_the_next_is_written(
    server: EventServer, recorder: EventRecorder
) -> None:
    """Events are a courtesy: nothing is tried again."""
    before = dropped_count()
    server.is_refusing = True
    await record_event(recorder)

    assert before + 1 == dropped_count()
    assert 1 == server.requests

    server.is_refusing = False
    await record_event(recorder)

    assert [1] == server.series_counts()
    assert before + 1 == dropped_count()


async def test_a_flood_is_cut(server: EventServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit into the queue is dropped and counted; what fits is written."""
    monkeypatch.setattr(module, "MAX_QUEUED_EVENTS", 10)
    recorder = build_recorder(server)
    before = dropped_count()

    for number in range(25):
        recorder.record_event(APP, Event("Normal", f"Reason{number}", str(number)))

    assert before + 15 == dropped_count()

    task = asyncio.create_task(recorder.run())
    await asyncio.sleep(1)
    task.cancel()

    assert [str(number) for number in range(10)] == [e["note"] for e in server.events.values()]


@pytest.mark.usefixtures("few_series")
async def test_what_was_told_longest_ago_is_forgotten_first(
    server: EventServer, recorder: EventRecorder
) -> None:
    """Memory is bounded; what still repeats stays known, however old its first Event is."""
    await record_event(recorder)
    for number in range(9):
        await record_event(recorder, event=Event("Normal", "Scaled", str(number)))
        await record_event(recorder)

    assert [10, *[1] * 9] == server.series_counts()

    await record_event(recorder, event=Event("Normal", "Scaled", "0"))

    assert 11 == len(server.events)


async def test_an_app_that_flaps_makes_a_handful_of_events(
    server: EventServer, recorder: EventRecorder
) -> None:
    """Its phase flips every 7 seconds for an hour; every flip is counted in the end."""
    flips = 3600 // 7
    well = Event("Normal", "Ready", "1 of 1 pods are ready")
    ill = Event("Warning", "Degraded", "0 of 1 pods are ready")
    folded = REGISTRY.get_sample_value("selfhealing_events_folded_total") or 0
    for number in range(flips):
        await record_event(recorder, event=well if number % 2 else ill)
        await asyncio.sleep(7)
    await asyncio.sleep(INTERVAL + FOLD_POLL_INTERVAL)

    assert 2 == len(server.events)
    assert flips == sum(server.series_counts())
    assert server.requests <= 2 * (BURST + 3600 / INTERVAL + 2)
    assert folded < (REGISTRY.get_sample_value("selfhealing_events_folded_total") or 0)


async def test_many_messages_of_one_reason_are_folded(
    server: EventServer, recorder: EventRecorder
) -> None:
    """The first are written as they come; the last one says how many came meanwhile."""
    for number in range(200):
        await record_event(recorder, event=replace(EVENT, message=f"pod {number}"))
    await record_event(recorder, event=Event("Normal", "Scaled", "another reason"))

    assert BURST + 1 == len(server.events)

    await asyncio.sleep(INTERVAL + FOLD_POLL_INTERVAL)
    last = list(server.events.values())[-1]

    assert ("pod 199", 200 - BURST) == (last["note"], last["series"]["count"])
    assert BURST + 2 == len(server.events)


async def test_folded_events_that_are_forgotten_are_counted_as_dropped(
    server: EventServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded, and nothing is lost in silence."""
    monkeypatch.setattr(event_folder, "MAX_REASONS", 1)
    recorder = build_recorder(server)
    before = dropped_count()
    for _ in range(BURST + 3):
        recorder.record_event(APP, EVENT)
    recorder.record_event(APP, Event("Normal", "Scaled", "another reason"))
    task = asyncio.create_task(recorder.run())
    await asyncio.sleep(INTERVAL + FOLD_POLL_INTERVAL)
    task.cancel()

    assert before + 3 == dropped_count()
    assert [BURST, 1] == server.series_counts()


async def test_a_flood_of_one_namespace_displaces_no_other(
    server: EventServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own Events are dropped, and those of another namespace come in turn."""
    monkeypatch.setattr(module, "MAX_NAMESPACE_EVENTS", 3)
    recorder = build_recorder(server)
    other = replace(APP, key=AppKey("other", "app"), uid="uid-of-other")
    before = dropped_count()

    for number in range(5):
        recorder.record_event(APP, Event("Normal", "Scaled", str(number)))
    recorder.record_event(other, Event("Normal", "Scaled", "other"))

    assert before + 2 == dropped_count()

    task = asyncio.create_task(recorder.run())
    await asyncio.sleep(1)
    task.cancel()

    assert ["0", "other", "1", "2"] == [e["note"] for e in server.events.values()]


async def test_an_event_is_clean_and_has_no_secrets(
    server: EventServer, recorder: EventRecorder
) -> None:
    """Its message quotes the cluster, which quotes anybody."""
    message = "failed:\n\u202etoken=hunter2 \x1b[31mred\x1b[0m" + " more" * 400
    recorder.record_event(APP, replace(EVENT, message=message))
    await run_until_idle()
    (event,) = server.events.values()

    assert event["note"].startswith("failed: token=<redacted> red more more")
    assert len(event["note"].encode()) <= 1024


async def test_nothing_is_kept_of_the_specs_of_apps(recorder: EventRecorder) -> None:
    """Also of apps that were deleted since: thousands of them would fill the memory."""
    for number in range(20):
        recorder.record_event(replace(APP, uid=f"u{number}", spec=b"x" * 100_000), EVENT)

    reasons = recorder._folder._reasons.values()  # noqa: SLF001 - what is kept
    assert 20 == len(reasons)
    assert {b""} == {reason.app.spec for reason in reasons} | {r.app.status for r in reasons}
