"""Lists against the store: the start waits for the watches, and ghosts are found."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from selfhealing.api.config import ConfigRef
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.cache_sync import (
    CATCH_UP_ROUND,
    DEAD,
    SETTLE,
    STORED,
    BrokenWatchError,
    Relister,
)
from selfhealing.controller.event_handlers import Observer
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.client import Client
from selfhealing.kube.errors import NotFoundError, UnavailableError
from selfhealing.kube.resources import CONFIG_SOURCES, Resource
from tests.unit import builders
from tests.unit.controller.clock import now
from tests.unit.snapshots import KEY

Json = dict[str, Any]


class Cluster:
    """What exists, as lists of metadata show it.

    Attributes:
        meanwhile: called while the first kind is listed, once.
        error: what every list ends with instead.
    """

    def __init__(self, *objects: Json) -> None:
        self.objects = list(objects)
        self.meanwhile: Callable[[], None] = lambda: None
        self.error: Exception | None = None
        self.asked: list[tuple[str, str | None, str]] = []
        self.fields: dict[str, str] = {}

    async def metadata(
        self, resource: Resource, namespace: str | None, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Json]:
        """Answer as Client.metadata does."""
        self.fields[resource.kind] = fields
        self.asked.append((resource.kind, namespace, labels))
        if self.error:
            raise self.error
        found = [
            thing
            for thing in self.objects
            if thing["kind"] == resource.kind
            and namespace in (None, thing["metadata"]["namespace"])
            and (not labels or labels in thing["metadata"].get("labels", {}))
        ]
        await asyncio.sleep(1)
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        for thing in found:
            yield {"metadata": thing["metadata"]}


class World:
    """A cluster, the operator's picture of it and the relister between them."""

    def __init__(
        self,
        *objects: Json,
        namespaces: tuple[str, ...] = (),
        sources: tuple[Resource, ...] = (),
    ) -> None:
        self.cluster = Cluster(*objects)
        self.store = Store()
        self.queue: WorkQueue[AppKey] = WorkQueue()
        self.observer = Observer(self.store, self.queue, 0)
        self.relister = Relister(
            cast("Client", self.cluster), self.store, self.observer, namespaces, sources
        )

    def watched(self, *objects: Json, kind: str | None = "ADDED") -> None:
        """Let the watches bring objects."""
        for thing in objects:
            takes = {"SelfHealingApp": self.observer.app, "Pod": self.observer.pod}
            takes.get(thing["kind"], self.observer.child)({"type": kind, "object": thing})

    def held(self) -> set[str]:
        """The uids of all that is stored."""
        return {uid for resource in STORED for uid in self.store.uids(resource.kind)}


def everything() -> list[Json]:
    """An app with all that belongs to it."""
    pod = builders.pod("web-abc-1", builders.running())
    return [
        builders.app(),
        builders.deployment(),
        builders.service(),
        builders.autoscaler(),
        builders.budget(),
        pod,
    ]


async def test_what_exists_stays() -> None:
    """Nothing is evicted and nobody is woken."""
    world = World(*everything())
    world.watched(*everything())
    await world.queue.get()

    assert 0 == await world.relister.compare()
    assert len(everything()) == len(world.held())
    assert 0 == world.queue.depth()


@pytest.mark.parametrize("index", range(len(everything())))
async def test_a_ghost_is_evicted_and_its_app_looked_at(index: int) -> None:
    """Whatever kind it is."""
    world = World(*everything())
    world.watched(*everything())
    world.queue.done(await world.queue.get())
    ghost = world.cluster.objects.pop(index)

    assert 1 == await world.relister.compare()
    assert ghost["metadata"]["uid"] not in world.held()
    assert len(everything()) - 1 == len(world.held())
    assert KEY == await world.queue.get()


async def test_what_came_while_the_list_was_made_is_left_alone() -> None:
    """It is not in the list, but it is no ghost."""
    world = World(*everything())
    world.watched(*everything())
    late = builders.pod("web-abc-2", builders.running())
    world.cluster.meanwhile = lambda: world.watched(late)

    assert 0 == await world.relister.compare()
    assert late["metadata"]["uid"] in world.held()


async def test_what_the_watch_said_meanwhile_is_not_said_again() -> None:
    """A pod goes while the list is made: gone once, and counted by the list as what it missed."""
    world = World(*everything()[:-1])
    world.watched(*everything())
    gone = everything()[-1]
    world.cluster.meanwhile = lambda: world.watched(gone, kind="DELETED")
    await world.relister.compare()

    assert gone["metadata"]["uid"] not in world.held()
    assert len(everything()) - 1 == len(world.held())


async def test_without_the_kind_there_are_no_apps() -> None:
    """The CRD may be gone, or not be there yet."""
    world = World(builders.app())
    world.watched(builders.app())
    world.cluster.error = NotFoundError(404, "NotFound", "no such kind")

    assert 1 == await world.relister.compare()


async def test_what_the_watches_never_bring_ends_the_operator() -> None:
    """A look or two may be ahead of the watches; after a minute they are dead."""
    world = World(*everything())
    world.watched(*everything()[1:])

    await world.relister.compare()
    await world.relister.compare()
    await asyncio.sleep(DEAD)

    with pytest.raises(BrokenWatchError, match="SelfHealingApp"):
        await world.relister.compare()


async def test_what_comes_late_ends_nothing() -> None:
    """What a look missed and the watches have brought since is no sign of a dead one."""
    world = World(*everything())

    await world.relister.compare()
    world.watched(*everything())
    await asyncio.sleep(DEAD)
    await world.relister.compare()

    world.cluster.objects.append(builders.app(uid="another", name="other"))
    await world.relister.compare()


async def test_what_the_start_went_without_ends_nothing() -> None:
    """It cannot be taken in; a new start would change nothing."""
    world = World(*everything())
    world.watched(*everything()[:-1])

    await world.relister.catch_up()

    await world.relister.compare()
    await asyncio.sleep(DEAD)
    await world.relister.compare()


async def test_a_watch_that_lists_anew_makes_ghosts_be_looked_for() -> None:
    """Long before the interval is over: what was deleted in the gap, no watch will say."""
    world = World()
    world.watched(*everything())
    world.observer.relisted.clear()
    task = asyncio.create_task(world.relister.run(interval=300))
    await asyncio.sleep(10)

    assert world.held()

    world.watched(builders.app(), kind=None)
    await asyncio.sleep(SETTLE + 20)

    assert not world.held()
    task.cancel()


async def test_a_list_that_fails_evicts_nothing_and_is_made_again() -> None:
    """No answer is not an empty answer."""
    world = World()
    world.watched(*everything())
    world.cluster.error = UnavailableError(503, "", "busy")
    task = asyncio.create_task(world.relister.run(60))
    await asyncio.sleep(150)

    assert len(everything()) == len(world.held())
    assert 2 == len(world.cluster.asked)
    assert not task.done()

    world.cluster.error = None
    await asyncio.sleep(60)

    assert set() == world.held()

    task.cancel()


async def test_only_the_served_namespaces_are_listed() -> None:
    """Children and pods by the app's label, so that no stranger's object is read."""
    world = World(namespaces=("shop", "bank"))
    await world.relister.compare()

    assert {"shop", "bank"} == {namespace for _, namespace, _ in world.cluster.asked}
    assert {("SelfHealingApp", "")} == {
        (kind, labels) for kind, _, labels in world.cluster.asked if not labels
    }
    assert {"selfhealing.dev/app"} == {labels for _, _, labels in world.cluster.asked if labels}


async def test_the_start_waits_for_the_watches() -> None:
    """Until they have brought all that the list showed."""
    world = World(*everything())
    task = asyncio.create_task(world.relister.catch_up())
    for thing in everything():
        await asyncio.sleep(4)

        assert not task.done()

        world.watched(thing)
    await task

    assert 4 * len(everything()) + 0.2 >= now()


async def test_a_pod_without_an_app_s_name_is_not_waited_for() -> None:
    """Its label is there but empty, so it is not stored either."""
    world = World(builders.pod("web-abc-1", labels={"selfhealing.dev/app": ""}))
    await world.relister.catch_up()

    assert len(STORED) == now()


async def test_what_is_deleted_meanwhile_does_not_hold_up_the_start() -> None:
    """The second list no longer has it."""
    world = World(*everything())
    world.watched(*everything()[:-1])
    task = asyncio.create_task(world.relister.catch_up())
    await asyncio.sleep(10)
    world.cluster.objects.pop()
    await task

    assert CATCH_UP_ROUND + 2 * len(STORED) + 0.5 >= now()


async def test_what_never_comes_does_not_stop_the_operator(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After two rounds in which the same is missing it goes on, and says without what."""
    world = World(*everything())
    world.watched(*everything()[:-1])
    await world.relister.catch_up()

    assert 2 * (CATCH_UP_ROUND + len(STORED)) == pytest.approx(now())
    assert "going on without what the watches do not bring: {'Pod': {'uid-of-web-abc-1'}}" in (
        caplog.text
    )


async def test_the_start_waits_for_what_pods_are_configured_by() -> None:
    """Else pods would be made anew at each start; of a list of all, the largest are left out."""
    things = [builders.config(), builders.config("Secret", "password")]
    world = World(*things, sources=CONFIG_SOURCES["all"])
    task = asyncio.create_task(world.relister.catch_up())
    await asyncio.sleep(10)

    assert not task.done()

    for thing in things:
        world.observer.config({"type": "ADDED", "object": thing})
    await task
    assert "metadata.name!=kube-root-ca.crt" == world.cluster.fields["ConfigMap"]
    assert "type!=helm.sh/release.v1" == world.cluster.fields["Secret"]
    assert {"SelfHealingApp", "ConfigMap", "Secret"} == {
        kind for kind, _, labels in world.cluster.asked if not labels
    }


async def test_what_is_not_watched_is_not_listed() -> None:
    """Nor is there a right to it."""
    world = World(
        builders.config(), builders.config("Secret"), sources=CONFIG_SOURCES["configmaps"]
    )
    world.observer.config({"type": "ADDED", "object": builders.config()})
    await world.relister.catch_up()

    assert "Secret" not in world.cluster.fields


async def test_a_config_map_that_went_unseen_concerns_its_readers() -> None:
    """The watch was down; who does not read it is left in peace."""
    world = World(builders.app(), sources=CONFIG_SOURCES["all"])
    world.watched(builders.app())
    world.observer.config({"type": "ADDED", "object": builders.config()})
    world.queue.done(await world.queue.get())
    world.store.configs.refer(KEY, frozenset({ConfigRef("ConfigMap", "settings")}))

    assert 1 == await world.relister.compare()
    assert {} == world.store.uids("ConfigMap")
    assert KEY == await world.queue.get()
