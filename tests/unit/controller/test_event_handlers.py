"""Watch events into the store, and the app that they are news of to the queue."""

from collections.abc import Callable
from typing import Any

import pytest

from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller import event_handlers as module
from selfhealing.controller.event_handlers import EventHandlers
from selfhealing.controller.workqueue import WorkQueue
from tests.unit import builders
from tests.unit.controller.fake_loop import now
from tests.unit.snapshots import KEY

Json = dict[str, Any]
DEBOUNCE = 0.5


class Harness:
    """An observer with its store and its queue."""

    def __init__(self) -> None:
        self.store = Store()
        self.queue: WorkQueue[AppKey] = WorkQueue()
        self.event_handlers = EventHandlers(self.store, self.queue, DEBOUNCE)

    def deliver_events(self, *objects: Json, kind: str = "MODIFIED") -> None:
        """Let the watches bring objects."""
        handlers: dict[str, Callable[[Json], None]] = {
            "SelfHealingApp": self.event_handlers.on_app,
            "ReplicaSet": self.event_handlers.on_replica_set,
            "Pod": self.event_handlers.on_pod,
            "Event": self.event_handlers.on_pod_event,
        }
        for manifest in objects:
            handlers.get(manifest["kind"], self.event_handlers.on_child)(
                {"type": kind, "object": manifest}
            )

    async def drain_queue(self) -> list[tuple[AppKey, float]]:
        """What work was asked for, and after how long."""
        queued, start = [], now()
        while self.queue.depth():
            key = await self.queue.get()
            queued.append((key, now() - start))
            self.queue.done(key)
        return queued


@pytest.fixture
async def watched() -> Harness:
    """A world in which the app exists and was looked at."""
    watched = Harness()
    watched.deliver_events(builders.app())
    await watched.drain_queue()
    return watched


CHILD_OBJECTS = [
    builders.deployment(),
    builders.service(),
    builders.hpa(),
    builders.pod("web-abc-1", builders.running()),
]


async def test_an_app_is_worked_on_at_once() -> None:
    """When it appears, when its spec changes and when it goes."""
    watched = Harness()
    watched.deliver_events(builders.app(), kind="ADDED")

    assert [(KEY, 0)] == await watched.drain_queue()

    watched.deliver_events(builders.app({"image": "web:v2"}, generation=2, resourceVersion="2"))

    assert [(KEY, 0)] == await watched.drain_queue()

    watched.deliver_events(builders.app(resourceVersion="3"), kind="DELETED")

    assert [(KEY, 0)] == await watched.drain_queue()
    assert watched.store.app(KEY) is None


@pytest.mark.parametrize("thing", CHILD_OBJECTS, ids=lambda thing: str(thing["kind"]))
async def test_what_belongs_to_an_app_waits_for_more(watched: Harness, thing: Json) -> None:
    """It comes, comes again without news, and goes."""
    watched.deliver_events(thing, kind="ADDED")

    assert [(KEY, DEBOUNCE)] == await watched.drain_queue()
    assert thing["metadata"]["uid"] in watched.store.uids(thing["kind"])

    watched.deliver_events(thing)

    assert [] == await watched.drain_queue()

    watched.deliver_events(thing, kind="DELETED")

    assert [(KEY, DEBOUNCE)] == await watched.drain_queue()
    assert {} == watched.store.uids(thing["kind"])


async def test_many_changes_are_one_piece_of_work(watched: Harness) -> None:
    """A rollout of fifty pods does not mean fifty reconciles."""
    watched.deliver_events(
        *(builders.pod(f"web-abc-{number}", builders.running()) for number in range(50))
    )

    assert [(KEY, DEBOUNCE)] == await watched.drain_queue()


@pytest.mark.parametrize("thing", CHILD_OBJECTS, ids=lambda thing: str(thing["kind"]))
async def test_without_the_app_nothing_is_worked_on(thing: Json) -> None:
    """But it is kept, for when the app comes."""
    watched = Harness()
    watched.deliver_events(thing)

    assert [] == await watched.drain_queue()
    assert thing["metadata"]["uid"] in watched.store.uids(thing["kind"])


async def test_a_pod_without_the_label_is_nobody_s(watched: Harness) -> None:
    """The watch's selector lets an empty label pass."""
    watched.deliver_events(builders.pod("web-abc-1", labels={"selfhealing.dev/app": ""}))
    watched.deliver_events(builders.pod("web-abc-2", labels={}))

    assert [] == await watched.drain_queue()
    assert {} == watched.store.uids("Pod")


async def test_a_child_is_its_app_s_by_name_whatever_its_label(watched: Harness) -> None:
    """A label that somebody changed is drift of the app that the child is named after."""
    watched.deliver_events(builders.service(labels={"selfhealing.dev/app": "thief"}))

    assert [(KEY, DEBOUNCE)] == await watched.drain_queue()


async def test_old_news_are_none(watched: Harness) -> None:
    """An older version after a newer one, and a late word of what has gone."""
    watched.deliver_events(builders.deployment(3, version=7))
    await watched.drain_queue()
    watched.deliver_events(builders.deployment(2, version=5))

    assert [] == await watched.drain_queue()

    watched.deliver_events(builders.deployment(3, version=8), kind="DELETED")
    await watched.drain_queue()
    watched.deliver_events(builders.deployment(3, version=7))

    assert [] == await watched.drain_queue()


async def test_a_replica_set_is_news(watched: Harness) -> None:
    """It may prove pods that have come before it; its deletion changes nothing."""
    watched.deliver_events(builders.replica_set())

    assert [(KEY, DEBOUNCE)] == await watched.drain_queue()
    assert {"uid-of-web-abc": KEY} == watched.store.uids("ReplicaSet")

    watched.deliver_events(builders.replica_set(version=2))
    watched.deliver_events(builders.replica_set(version=2), kind="DELETED")
    watched.deliver_events(builders.replica_set("other", labels={}))

    assert [] == await watched.drain_queue()
    assert {} == watched.store.uids("ReplicaSet")


async def test_a_replica_set_that_is_found_gone(watched: Harness) -> None:
    """It is pruned like the others."""
    watched.deliver_events(builders.replica_set())
    watched.event_handlers.on_missing("ReplicaSet", "uid-of-web-abc", KEY)

    assert {} == watched.store.uids("ReplicaSet")


async def test_a_killed_container_is_news(watched: Harness) -> None:
    """Once; not the expiry of the Event, nor what is said of strangers or of other things."""
    watched.deliver_events(
        builders.deployment(),
        builders.replica_set(),
        builders.pod("web-abc-1", builders.running()),
    )
    await watched.drain_queue()
    watched.deliver_events(builders.probe_kill_event("web-abc-1", 5))

    assert [(KEY, DEBOUNCE)] == await watched.drain_queue()

    watched.deliver_events(builders.probe_kill_event("web-abc-1", 5))
    watched.deliver_events(builders.probe_kill_event("web-abc-1", 9), kind="DELETED")
    watched.deliver_events(builders.probe_kill_event("stranger-abc-1", 5))
    watched.deliver_events(
        {**builders.probe_kill_event("web-abc-1", 9), "message": "Stopping container app"}
    )

    assert [] == await watched.drain_queue()


@pytest.mark.parametrize(
    "thing", [builders.app(), *CHILD_OBJECTS], ids=lambda thing: str(thing["kind"])
)
async def test_what_is_found_gone_is_worked_on_at_once(watched: Harness, thing: Json) -> None:
    """The list has waited long enough."""
    watched.deliver_events(thing)
    await watched.drain_queue()
    watched.event_handlers.on_missing(thing["kind"], thing["metadata"]["uid"], KEY)

    assert [(KEY, 0)] == await watched.drain_queue()
    assert {} == watched.store.uids(thing["kind"])


async def test_a_killing_event_of_an_unknown_pod_is_not_even_parsed(
    watched: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may write a thousand a second."""
    parsed: list[Json] = []
    monkeypatch.setattr(module, "pod_event", parsed.append)
    watched.deliver_events(
        builders.probe_kill_event("stranger-1", 5),
        {"kind": "Event", "metadata": {}},
        {"kind": "Event", "metadata": {}, "reason": "Killing"},
        {"kind": "Event", "metadata": {}, "involvedObject": None},
    )

    assert [] == parsed
    assert [] == await watched.drain_queue()
