"""Lists against the store: the start waits for the watches, and ghosts are found."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.cache_sync import (
    CACHED_RESOURCES,
    CRD_POLL_INTERVAL,
    RELIST_DELAY,
    RESTORE_TIMEOUT,
    RETRY_POLL_INTERVAL,
    SYNC_ROUND_TIMEOUT,
    WATCH_TIMEOUT,
    BrokenWatchError,
    CacheSync,
)
from selfhealing.controller.event_handlers import EventHandlers
from selfhealing.controller.namespace_access import QUIET_SECONDS, RETRY_MAX, NamespaceAccess
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ForbiddenError, NotFoundError, UnavailableError
from selfhealing.kube.metrics import REGISTRY
from selfhealing.kube.resources import Resource
from tests.unit import builders
from tests.unit.controller.fake_loop import now
from tests.unit.snapshots import KEY

Json = dict[str, Any]

FORBIDDEN = ForbiddenError(403, "Forbidden", "selfhealingapps is forbidden")


class FakeApiServer:
    """What exists, as lists of metadata show it.

    Attributes:
        meanwhile: called while the first kind is listed, once.
        error: what every list ends with instead.
        refusing: the namespaces that refuse every list.
        discovered_at: since when the discovery names the kind.
        discovery_error: what the discovery answers instead.
    """

    def __init__(self, *objects: Json) -> None:
        self.objects = list(objects)
        self.during_list: Callable[[], None] = lambda: None
        self.error: Exception | None = None
        self.refusing: set[str] = set()
        self.requests: list[tuple[str, str | None, str]] = []
        self.discovered_at = 0.0
        self.discovery_error: Exception | None = None

    async def is_discovered(self, resource: Resource) -> bool:
        """Answer as Client.is_discovered does."""
        assert resource.kind == "SelfHealingApp"
        if self.discovery_error:
            raise self.discovery_error
        return now() >= self.discovered_at

    async def list_metadata(
        self, resource: Resource, namespace: str | None, labels: str = ""
    ) -> AsyncIterator[Json]:
        """Answer as Client.metadata does."""
        self.requests.append((resource.kind, namespace, labels))
        if self.error:
            raise self.error
        if namespace in self.refusing:
            raise FORBIDDEN
        matching = [
            manifest
            for manifest in self.objects
            if manifest["kind"] == resource.kind
            and namespace in (None, manifest["metadata"]["namespace"])
            and (not labels or labels in manifest["metadata"].get("labels", {}))
        ]
        await asyncio.sleep(1)
        meanwhile, self.during_list = self.during_list, lambda: None
        meanwhile()
        for manifest in matching:
            yield {"metadata": manifest["metadata"]}


class Harness:
    """A cluster, the operator's picture of it and the relister between them."""

    def __init__(
        self,
        *objects: Json,
        namespaces: tuple[str, ...] = (),
    ) -> None:
        self.api_server = FakeApiServer(*objects)
        self.store = Store()
        self.queue: WorkQueue[AppKey] = WorkQueue()
        self.event_handlers = EventHandlers(self.store, self.queue, 0)
        self.access = NamespaceAccess(self.store, self.queue, now)
        self.cache_sync = CacheSync(
            cast("Client", self.api_server),
            self.store,
            self.event_handlers,
            namespaces,
            self.access,
        )

    def deliver_events(self, *objects: Json, kind: str | None = "ADDED") -> None:
        """Let the watches bring objects."""
        for manifest in objects:
            handlers = {
                "SelfHealingApp": self.event_handlers.on_app,
                "Pod": self.event_handlers.on_pod,
            }
            handlers.get(manifest["kind"], self.event_handlers.on_child)(
                {"type": kind, "object": manifest}
            )

    def stored_uids(self) -> set[str]:
        """The uids of all that is stored."""
        return {uid for resource in CACHED_RESOURCES for uid in self.store.uids(resource.kind)}


def build_all_objects() -> list[Json]:
    """An app with all that belongs to it."""
    pod = builders.pod("web-abc-1", builders.running())
    return [
        builders.app(),
        builders.deployment(),
        builders.service(),
        builders.hpa(),
        builders.pdb(),
        pod,
    ]


async def test_what_exists_stays() -> None:
    """Nothing is evicted and nobody is woken."""
    harness = Harness(*build_all_objects())
    harness.deliver_events(*build_all_objects())
    await harness.queue.get()

    assert 0 == await harness.cache_sync.prune_stale_objects()
    assert len(build_all_objects()) == len(harness.stored_uids())
    assert 0 == harness.queue.depth()


@pytest.mark.parametrize("index", range(len(build_all_objects())))
async def test_a_ghost_is_evicted_and_its_app_looked_at(index: int) -> None:
    """Whatever kind it is."""
    harness = Harness(*build_all_objects())
    harness.deliver_events(*build_all_objects())
    harness.queue.done(await harness.queue.get())
    stale = harness.api_server.objects.pop(index)

    assert 1 == await harness.cache_sync.prune_stale_objects()
    assert stale["metadata"]["uid"] not in harness.stored_uids()
    assert len(build_all_objects()) - 1 == len(harness.stored_uids())
    assert KEY == await harness.queue.get()


async def test_what_came_while_the_list_was_made_is_left_alone() -> None:
    """It is not in the list, but it is no ghost."""
    harness = Harness(*build_all_objects())
    harness.deliver_events(*build_all_objects())
    late = builders.pod("web-abc-2", builders.running())
    harness.api_server.during_list = lambda: harness.deliver_events(late)

    assert 0 == await harness.cache_sync.prune_stale_objects()
    assert late["metadata"]["uid"] in harness.stored_uids()


async def test_what_the_watch_said_meanwhile_is_not_said_again() -> None:
    """A pod goes while the list is made: gone once, and counted by the list as what it missed."""
    harness = Harness(*build_all_objects()[:-1])
    harness.deliver_events(*build_all_objects())
    gone = build_all_objects()[-1]
    harness.api_server.during_list = lambda: harness.deliver_events(gone, kind="DELETED")
    await harness.cache_sync.prune_stale_objects()

    assert gone["metadata"]["uid"] not in harness.stored_uids()
    assert len(build_all_objects()) - 1 == len(harness.stored_uids())


async def test_without_the_kind_there_are_no_apps() -> None:
    """The CRD may be gone, or not be there yet."""
    harness = Harness(builders.app())
    harness.deliver_events(builders.app())
    harness.api_server.error = NotFoundError(404, "NotFound", "no such kind")

    assert 1 == await harness.cache_sync.prune_stale_objects()


async def test_what_the_watches_never_bring_ends_the_operator() -> None:
    """A look or two may be ahead of the watches; after a minute they are dead."""
    harness = Harness(*build_all_objects())
    harness.deliver_events(*build_all_objects()[1:])

    await harness.cache_sync.prune_stale_objects()
    await harness.cache_sync.prune_stale_objects()
    await asyncio.sleep(WATCH_TIMEOUT)

    with pytest.raises(BrokenWatchError, match="SelfHealingApp"):
        await harness.cache_sync.prune_stale_objects()


async def test_what_comes_late_ends_nothing() -> None:
    """What a look missed and the watches have brought since is no sign of a dead one."""
    harness = Harness(*build_all_objects())

    await harness.cache_sync.prune_stale_objects()
    harness.deliver_events(*build_all_objects())
    await asyncio.sleep(WATCH_TIMEOUT)
    await harness.cache_sync.prune_stale_objects()

    harness.api_server.objects.append(builders.app(uid="another", name="other"))
    await harness.cache_sync.prune_stale_objects()


async def test_what_the_start_went_without_ends_nothing() -> None:
    """It cannot be taken in; a new start would change nothing."""
    harness = Harness(*build_all_objects())
    harness.deliver_events(*build_all_objects()[:-1])

    await harness.cache_sync.wait_for_sync()

    await harness.cache_sync.prune_stale_objects()
    await asyncio.sleep(WATCH_TIMEOUT)
    await harness.cache_sync.prune_stale_objects()


async def test_a_watch_that_lists_anew_makes_ghosts_be_looked_for() -> None:
    """Long before the interval is over: what was deleted in the gap, no watch will say."""
    harness = Harness()
    harness.deliver_events(*build_all_objects())
    harness.event_handlers.relisted.clear()
    task = asyncio.create_task(harness.cache_sync.run(interval=300))
    await asyncio.sleep(10)

    assert harness.stored_uids()

    harness.deliver_events(builders.app(), kind=None)
    await asyncio.sleep(RELIST_DELAY + 20)

    assert not harness.stored_uids()
    task.cancel()


async def test_a_list_that_fails_evicts_nothing_and_is_made_again() -> None:
    """No answer is not an empty answer."""
    harness = Harness()
    harness.deliver_events(*build_all_objects())
    harness.api_server.error = UnavailableError(503, "", "busy")
    task = asyncio.create_task(harness.cache_sync.run(60))
    await asyncio.sleep(150)

    assert len(build_all_objects()) == len(harness.stored_uids())
    assert 2 == len(harness.api_server.requests)
    assert not task.done()

    harness.api_server.error = None
    await asyncio.sleep(60)

    assert set() == harness.stored_uids()

    task.cancel()


async def test_only_the_served_namespaces_are_listed() -> None:
    """Children and pods by the app's label, so that no stranger's object is read."""
    harness = Harness(namespaces=("shop", "bank"))
    await harness.cache_sync.prune_stale_objects()

    assert {"shop", "bank"} == {namespace for _, namespace, _ in harness.api_server.requests}
    assert {("SelfHealingApp", "")} == {
        (kind, labels) for kind, _, labels in harness.api_server.requests if not labels
    }
    assert {"selfhealing.dev/app"} == {
        labels for _, _, labels in harness.api_server.requests if labels
    }


async def test_the_start_waits_for_the_watches() -> None:
    """Until they have brought all that the list showed."""
    harness = Harness(*build_all_objects())
    task = asyncio.create_task(harness.cache_sync.wait_for_sync())
    for manifest in build_all_objects():
        await asyncio.sleep(4)

        assert not task.done()

        harness.deliver_events(manifest)
    await task

    assert 4 * len(build_all_objects()) + 0.2 >= now()


async def test_a_pod_without_an_app_s_name_is_not_waited_for() -> None:
    """Its label is there but empty, so it is not stored either."""
    harness = Harness(builders.pod("web-abc-1", labels={"selfhealing.dev/app": ""}))
    await harness.cache_sync.wait_for_sync()

    assert len(CACHED_RESOURCES) == now()


async def test_what_is_deleted_meanwhile_does_not_hold_up_the_start() -> None:
    """The second list no longer has it."""
    harness = Harness(*build_all_objects())
    harness.deliver_events(*build_all_objects()[:-1])
    task = asyncio.create_task(harness.cache_sync.wait_for_sync())
    await asyncio.sleep(10)
    harness.api_server.objects.pop()
    await task

    assert SYNC_ROUND_TIMEOUT + 2 * len(CACHED_RESOURCES) + 0.5 >= now()


async def test_what_comes_and_goes_does_not_hold_up_the_start() -> None:
    """In a busy cluster something is always deleted while another list is still under way."""
    harness = Harness(*build_all_objects())
    task = asyncio.create_task(harness.cache_sync.wait_for_sync())
    await asyncio.sleep(len(CACHED_RESOURCES))
    for manifest in build_all_objects():
        await asyncio.sleep(1)
        harness.deliver_events(manifest)
        await asyncio.sleep(1)
        harness.deliver_events(manifest, kind="DELETED")
    await task

    assert len(CACHED_RESOURCES) + 2 * len(build_all_objects()) + 0.2 >= now()


async def test_what_never_comes_does_not_stop_the_operator(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After two rounds in which the same is missing it goes on, and says without what."""
    harness = Harness(*build_all_objects())
    harness.deliver_events(*build_all_objects()[:-1])
    await harness.cache_sync.wait_for_sync()

    assert 2 * (SYNC_ROUND_TIMEOUT + len(CACHED_RESOURCES)) == pytest.approx(now())
    assert "ignoring objects that the watches do not deliver: {'Pod': {'uid-of-web-abc-1'}}" in (
        caplog.text
    )


def in_bank(manifest: Json) -> Json:
    """The same object in another namespace."""
    meta = manifest["metadata"]
    return {**manifest, "metadata": {**meta, "namespace": "bank", "uid": f"bank-{meta['uid']}"}}


def read_refused(namespace: str) -> float | None:
    """The metric of a namespace."""
    return REGISTRY.get_sample_value("selfhealing_namespace_refused", {"app_namespace": namespace})


BANK_KEY = AppKey("bank", "web")


class TestANamespaceThatRefuses:
    """Its administrator took the operator's rights away; the others are served on."""

    @pytest.fixture
    def harness(self) -> Harness:
        """Two namespaces, of which everything is known."""
        objects = [*build_all_objects(), *map(in_bank, build_all_objects())]
        harness = Harness(*objects, namespaces=("bank", "shop"))
        harness.deliver_events(*objects)
        return harness

    async def retry_for(self, harness: Harness, seconds: float) -> None:
        """Let the refused namespaces be asked for so long."""
        task = asyncio.create_task(harness.cache_sync.run_retries())
        await asyncio.sleep(seconds)
        assert not task.done()
        task.cancel()

    async def test_the_start_goes_on(
        self, harness: Harness, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is told, once."""
        harness.api_server.refusing = {"bank"}

        assert "" == await harness.cache_sync.not_ready_reason()
        await harness.cache_sync.wait_for_sync()
        await harness.cache_sync.prune_stale_objects()

        assert {"bank"} == harness.store.refused_namespaces
        assert 1.0 == read_refused("bank")
        assert 1 == caplog.text.count("the namespace bank refuses the operator")

    async def test_the_kind_is_waited_for_where_the_first_namespace_refuses(
        self, harness: Harness
    ) -> None:
        """The next one knows."""
        harness.api_server.refusing = {"bank", "shop"}
        assert "" == await harness.cache_sync.not_ready_reason()

        harness.api_server.error = NotFoundError(404, "NotFound", "no such kind")
        assert "is not known" in await harness.cache_sync.not_ready_reason()

    async def test_the_kind_is_waited_for_until_the_discovery_names_it(
        self, harness: Harness, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Kopf looks there once, and would never watch a kind that is named later."""
        harness.api_server.discovered_at = now() + 7

        await harness.cache_sync.wait_for_crd()

        assert now() >= harness.api_server.discovered_at
        assert caplog.text.count("is not named by the API server's discovery yet") == 1

    async def test_a_discovery_that_refuses_is_not_waited_for(self, harness: Harness) -> None:
        """What the operator may not know keeps it from nothing."""
        harness.api_server.discovery_error = FORBIDDEN

        async with asyncio.timeout(2 * CRD_POLL_INTERVAL):
            await harness.cache_sync.wait_for_crd()

    async def test_a_discovery_that_does_not_answer_is_asked_again(
        self, harness: Harness, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The API server may be starting."""
        harness.api_server.discovery_error = UnavailableError(0, "", "no response")
        task = asyncio.create_task(harness.cache_sync.wait_for_crd())
        await asyncio.sleep(3 * CRD_POLL_INTERVAL + 2)

        assert not task.done()
        assert "no response" in caplog.text

        harness.api_server.discovery_error = None
        await task

    async def test_all_may_refuse(self, harness: Harness) -> None:
        """A new start would change nothing."""
        harness.api_server.refusing = {"bank", "shop"}

        await harness.cache_sync.wait_for_sync()

        assert {"bank", "shop"} == harness.store.refused_namespaces

    async def test_the_whole_cluster_may_not(self) -> None:
        """Then nothing is served."""
        harness = Harness(*build_all_objects())
        harness.api_server.error = FORBIDDEN

        with pytest.raises(ForbiddenError):
            await harness.cache_sync.wait_for_sync()

    async def test_a_bad_token_refuses_no_namespace(self, harness: Harness) -> None:
        """It is the operator's own trouble."""
        harness.api_server.error = ForbiddenError(401, "Unauthorized", "the token has expired")

        with pytest.raises(ForbiddenError):
            await harness.cache_sync.prune_stale_objects()
        assert set() == harness.store.refused_namespaces

    async def test_the_others_are_pruned(self, harness: Harness) -> None:
        """Of the one that refuses nothing is known."""
        harness.api_server.refusing = {"bank"}
        harness.api_server.objects.clear()

        assert len(build_all_objects()) == await harness.cache_sync.prune_stale_objects()
        assert len(build_all_objects()) == len(harness.stored_uids())

    async def test_it_is_served_again(self, harness: Harness) -> None:
        """Soon after the right is back, and its apps are looked at."""
        harness.api_server.refusing = {"bank"}
        await harness.cache_sync.prune_stale_objects()
        await self.retry_for(harness, 3600)
        assert {"bank"} == harness.store.refused_namespaces
        asked = len(harness.api_server.requests)
        assert asked < 3600 / (RETRY_MAX / 4)

        harness.api_server.refusing.clear()
        while harness.queue.depth():
            harness.queue.done(await harness.queue.get())
        await self.retry_for(harness, RETRY_MAX + 2 * RETRY_POLL_INTERVAL)

        assert set() == harness.store.refused_namespaces
        assert read_refused("bank") is None
        assert BANK_KEY == await harness.queue.get()
        assert 0 == harness.queue.depth()

    async def test_it_waits_for_the_watches(self, harness: Harness) -> None:
        """An app must not be evaluated with only some of its pods."""
        harness.api_server.refusing = {"bank"}
        await harness.cache_sync.prune_stale_objects()
        harness.api_server.refusing.clear()
        late = in_bank(builders.pod("web-abc-2", builders.running()))
        harness.api_server.objects.append(late)
        await self.retry_for(harness, RESTORE_TIMEOUT - 10)
        assert {"bank"} == harness.store.refused_namespaces

        harness.deliver_events(late)
        await self.retry_for(harness, 2 * RETRY_POLL_INTERVAL + len(CACHED_RESOURCES))
        assert set() == harness.store.refused_namespaces

    async def test_watches_that_never_deliver_are_broken(self, harness: Harness) -> None:
        """They have had minutes."""
        harness.api_server.refusing = {"bank"}
        await harness.cache_sync.prune_stale_objects()
        harness.api_server.refusing.clear()
        harness.api_server.objects.append(in_bank(builders.pod("web-abc-2", builders.running())))
        await self.retry_for(harness, RESTORE_TIMEOUT + QUIET_SECONDS + 60)
        assert set() == harness.store.refused_namespaces

        await harness.cache_sync.prune_stale_objects()
        await asyncio.sleep(WATCH_TIMEOUT)
        with pytest.raises(BrokenWatchError):
            await harness.cache_sync.prune_stale_objects()

    async def test_a_refusal_begins_the_wait_for_the_watches_anew(self, harness: Harness) -> None:
        """A watch could not deliver anything before it."""
        harness.api_server.refusing = {"bank"}
        await harness.cache_sync.prune_stale_objects()
        harness.api_server.refusing.clear()
        harness.api_server.objects.append(in_bank(builders.pod("web-abc-2", builders.running())))
        await self.retry_for(harness, RESTORE_TIMEOUT - 10)
        harness.access.refuse("bank", FORBIDDEN)
        await self.retry_for(harness, RESTORE_TIMEOUT - 10)

        assert {"bank"} == harness.store.refused_namespaces

    async def test_a_watch_that_is_refused_keeps_it_out(self, harness: Harness) -> None:
        """It may have the right to list, and none to watch."""
        for _ in range(20):
            harness.access.refuse("bank", FORBIDDEN)
            await self.retry_for(harness, 30)
            assert {"bank"} == harness.store.refused_namespaces

    async def test_no_answer_is_no_answer(self, harness: Harness) -> None:
        """It stays out, and is asked again."""
        harness.access.refuse("bank", FORBIDDEN)
        harness.api_server.error = UnavailableError(503, "", "busy")
        await self.retry_for(harness, QUIET_SECONDS + 30)

        assert {"bank"} == harness.store.refused_namespaces
        assert harness.api_server.requests
