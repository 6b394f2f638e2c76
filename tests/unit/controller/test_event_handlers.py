"""Watch events into the store, and the app that they are news of to the queue."""

from collections.abc import Callable
from typing import Any

import pytest

from selfhealing.api.config import ConfigRef
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.event_handlers import Observer
from selfhealing.controller.workqueue import WorkQueue
from tests.unit import builders
from tests.unit.controller.clock import now
from tests.unit.snapshots import KEY

Json = dict[str, Any]
DEBOUNCE = 0.5


class Watched:
    """An observer with its store and its queue."""

    def __init__(self) -> None:
        self.store = Store()
        self.queue: WorkQueue[AppKey] = WorkQueue()
        self.observer = Observer(self.store, self.queue, DEBOUNCE)

    def see(self, *objects: Json, kind: str = "MODIFIED") -> None:
        """Let the watches bring objects."""
        takes: dict[str, Callable[[Json], None]] = {
            "SelfHealingApp": self.observer.app,
            "Pod": self.observer.pod,
            "Event": self.observer.event,
        }
        for thing in objects:
            takes.get(thing["kind"], self.observer.child)({"type": kind, "object": thing})

    async def news(self) -> list[tuple[AppKey, float]]:
        """What work was asked for, and after how long."""
        found, start = [], now()
        while self.queue.depth():
            key = await self.queue.get()
            found.append((key, now() - start))
            self.queue.done(key)
        return found


@pytest.fixture
async def watched() -> Watched:
    """A world in which the app exists and was looked at."""
    watched = Watched()
    watched.see(builders.app())
    await watched.news()
    return watched


OTHERS = [
    builders.deployment(),
    builders.service(),
    builders.autoscaler(),
    builders.pod("web-abc-1", builders.running()),
]


async def test_an_app_is_worked_on_at_once() -> None:
    """When it appears, when its spec changes and when it goes."""
    watched = Watched()
    watched.see(builders.app(), kind="ADDED")

    assert [(KEY, 0)] == await watched.news()

    watched.see(builders.app({"image": "web:v2"}, generation=2, resourceVersion="2"))

    assert [(KEY, 0)] == await watched.news()

    watched.see(builders.app(resourceVersion="3"), kind="DELETED")

    assert [(KEY, 0)] == await watched.news()
    assert watched.store.app(KEY) is None


@pytest.mark.parametrize("thing", OTHERS, ids=lambda thing: str(thing["kind"]))
async def test_what_belongs_to_an_app_waits_for_more(watched: Watched, thing: Json) -> None:
    """It comes, comes again without news, and goes."""
    watched.see(thing, kind="ADDED")

    assert [(KEY, DEBOUNCE)] == await watched.news()
    assert thing["metadata"]["uid"] in watched.store.uids(thing["kind"])

    watched.see(thing)

    assert [] == await watched.news()

    watched.see(thing, kind="DELETED")

    assert [(KEY, DEBOUNCE)] == await watched.news()
    assert {} == watched.store.uids(thing["kind"])


async def test_many_changes_are_one_piece_of_work(watched: Watched) -> None:
    """A rollout of fifty pods does not mean fifty reconciles."""
    watched.see(*(builders.pod(f"web-abc-{number}", builders.running()) for number in range(50)))

    assert [(KEY, DEBOUNCE)] == await watched.news()


@pytest.mark.parametrize("thing", OTHERS, ids=lambda thing: str(thing["kind"]))
async def test_without_the_app_nothing_is_worked_on(thing: Json) -> None:
    """But it is kept, for when the app comes."""
    watched = Watched()
    watched.see(thing)

    assert [] == await watched.news()
    assert thing["metadata"]["uid"] in watched.store.uids(thing["kind"])


async def test_a_pod_without_the_label_is_nobody_s(watched: Watched) -> None:
    """The watch's selector lets an empty label pass."""
    watched.see(builders.pod("web-abc-1", labels={"selfhealing.dev/app": ""}))
    watched.see(builders.pod("web-abc-2", labels={}))

    assert [] == await watched.news()
    assert {} == watched.store.uids("Pod")


async def test_a_child_is_its_app_s_by_name_whatever_its_label(watched: Watched) -> None:
    """A label that somebody changed is drift of the app that the child is named after."""
    watched.see(builders.service(labels={"selfhealing.dev/app": "thief"}))

    assert [(KEY, DEBOUNCE)] == await watched.news()


async def test_old_news_are_none(watched: Watched) -> None:
    """An older version after a newer one, and a late word of what has gone."""
    watched.see(builders.deployment(3, version=7))
    await watched.news()
    watched.see(builders.deployment(2, version=5))

    assert [] == await watched.news()

    watched.see(builders.deployment(3, version=8), kind="DELETED")
    await watched.news()
    watched.see(builders.deployment(3, version=7))

    assert [] == await watched.news()


async def test_a_killed_container_is_news(watched: Watched) -> None:
    """Once; not the expiry of the Event, nor what is said of strangers or of other things."""
    watched.see(builders.pod("web-abc-1", builders.running()))
    await watched.news()
    watched.see(builders.killing("web-abc-1", 5))

    assert [(KEY, DEBOUNCE)] == await watched.news()

    watched.see(builders.killing("web-abc-1", 5))
    watched.see(builders.killing("web-abc-1", 9), kind="DELETED")
    watched.see(builders.killing("stranger-abc-1", 5))
    watched.see({**builders.killing("web-abc-1", 9), "message": "Stopping container app"})

    assert [] == await watched.news()


@pytest.mark.parametrize("thing", [builders.app(), *OTHERS], ids=lambda thing: str(thing["kind"]))
async def test_what_is_found_gone_is_worked_on_at_once(watched: Watched, thing: Json) -> None:
    """The list has waited long enough."""
    watched.see(thing)
    await watched.news()
    watched.observer.gone(thing["kind"], thing["metadata"]["uid"], KEY)

    assert [(KEY, 0)] == await watched.news()
    assert {} == watched.store.uids(thing["kind"])


async def test_a_config_map_is_news_for_its_readers(watched: Watched) -> None:
    """When it comes, when what it holds changes, and when it goes; for others it is none."""

    def see(thing: Json, kind: str = "MODIFIED") -> None:
        watched.observer.config({"type": kind, "object": thing})

    see(builders.config(data={"mode": "fast"}))
    assert [] == await watched.news()

    watched.store.configs.refer(KEY, frozenset({ConfigRef("ConfigMap", "settings")}))
    see(builders.config(data={"mode": "fast"}, version=2, labels={"seen": "yes"}))
    assert [] == await watched.news()

    see(builders.config(data={"mode": "slow"}, version=3))
    assert [(KEY, DEBOUNCE)] == await watched.news()

    see(builders.config("Secret", data={"mode": "slow"}))
    assert [] == await watched.news()

    see(builders.config(data={"mode": "slow"}, version=4), kind="DELETED")
    assert [(KEY, DEBOUNCE)] == await watched.news()
