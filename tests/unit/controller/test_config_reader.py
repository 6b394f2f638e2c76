"""ConfigMaps and Secrets: read when an app refers to them, again when they change, else never."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from selfhealing.api.config_refs import (
    ABSENT_DIGEST,
    CONFIG_MAP,
    SECRET,
    UNREAD_DIGEST,
    ConfigObject,
    ConfigRef,
)
from selfhealing.cache.config_digests import ConfigIndex, config_digest
from selfhealing.cache.views import AppKey
from selfhealing.controller.config_reader import (
    MAX_CONCURRENT_READS,
    MAX_INLINE_KEYS,
    MAX_READS_PER_NAMESPACE,
    READ_DELAY,
    ConfigReader,
    ConfigWatch,
)
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.client import Json
from selfhealing.kube.errors import ForbiddenError, UnavailableError
from selfhealing.kube.resources import CONFIG_SOURCES, Resource
from tests.unit import builders
from tests.unit.controller.fake_loop import now
from tests.unit.snapshots import KEY

SETTINGS, PASSWORD = ConfigRef(CONFIG_MAP, "settings"), ConfigRef(SECRET, "password")
TARGET = ConfigObject(builders.NAMESPACE, SETTINGS)
SECOND = 1.0


class FakeServer:
    """ConfigMaps and Secrets that can be read, a second each."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Json] = {}
        self.reads: list[str] = []
        self.concurrent: Counter[str] = Counter()
        self.most_concurrent = 0
        self.most_in_namespace = 0
        self.error: Exception | None = None

    async def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """Answer as Client.get."""
        self.reads.append(f"{resource.kind}/{name}")
        self.concurrent[namespace] += 1
        self.most_concurrent = max(self.most_concurrent, self.concurrent.total())
        self.most_in_namespace = max(self.most_in_namespace, *self.concurrent.values(), 0)
        await asyncio.sleep(SECOND)
        self.concurrent[namespace] -= 1
        if self.error is not None:
            raise self.error
        return self.objects.get((resource.kind, name))


class Harness:
    """A reader with its watches of a namespace."""

    def __init__(self, watch: str = "all") -> None:
        self.server = FakeServer()
        self.index = ConfigIndex()
        self.queue: WorkQueue[AppKey] = WorkQueue()
        sources = CONFIG_SOURCES["all" if watch == "all" else "configmaps"]
        self.reader = ConfigReader(self.server, self.index, self.queue, sources, 0)  # type: ignore[arg-type]
        self.watches = {
            source.kind: ConfigWatch(self.reader, source.kind, builders.NAMESPACE)
            for source in sources
        }

    def put(self, manifest: Json, event: str | None = "MODIFIED") -> None:
        """Let an object be so, and its watch tell of its metadata."""
        self.server.objects[manifest["kind"], manifest["metadata"]["name"]] = manifest
        self.tell(manifest, event)

    def tell(self, manifest: Json, event: str | None = "MODIFIED") -> None:
        """Let a watch tell of an object's metadata."""
        metadata = {"kind": "PartialObjectMetadata", "metadata": manifest["metadata"]}
        self.watches[manifest["kind"]].on_event({"type": event, "object": metadata})

    def delete(self, manifest: Json) -> None:
        """Let an object be deleted."""
        del self.server.objects[manifest["kind"], manifest["metadata"]["name"]]
        self.tell(manifest, "DELETED")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let the reader work during the block."""
        task = asyncio.create_task(self.reader.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def next_app(self) -> AppKey:
        """Wait for the app that is enqueued."""
        key = await self.queue.get()
        self.queue.done(key)
        return key


def build_map(mode: str, version: int = 1, **more: Any) -> Json:  # noqa: ANN401 - of the builder
    """Return the ConfigMap that the app reads."""
    return builders.config(data={"mode": mode}, version=version, **more)


async def test_the_digests_of_many_keys() -> None:
    """They are computed outside of the event loop, and are the same."""
    harness = Harness()
    harness.put(build_map("fast"))
    keys = frozenset({"mode", *map(str, range(MAX_INLINE_KEYS))})
    async with harness.running():
        assert not harness.reader.follow(KEY, {SETTINGS: keys})
        assert KEY == await harness.next_app()
        assert harness.reader.follow(KEY, {SETTINGS: keys})

    expected = config_digest(build_map("fast"), [frozenset({"mode"})]).of_keys(frozenset({"mode"}))
    assert {SETTINGS: expected} == harness.index.digests_for(KEY)


async def test_an_app_waits_for_its_first_digests() -> None:
    """It is enqueued when all are known, and then may go on."""
    harness = Harness()
    harness.put(build_map("fast"))
    async with harness.running():
        assert not harness.reader.follow(KEY, {SETTINGS: None, PASSWORD: None})
        assert not harness.reader.follow(KEY, {SETTINGS: None, PASSWORD: None})
        assert KEY == await harness.next_app()
        assert SECOND == now()
        assert harness.reader.follow(KEY, {SETTINGS: None, PASSWORD: None})

    assert {SETTINGS: config_digest(build_map("fast")).digest, PASSWORD: ABSENT_DIGEST} == (
        harness.index.digests_for(KEY)
    )
    assert ["ConfigMap/settings", "Secret/password"] == sorted(harness.server.reads)


async def test_nothing_is_read_that_no_app_refers_to() -> None:
    """However often it changes."""
    harness = Harness()
    async with harness.running():
        for version in range(1, 100):
            harness.put(build_map("fast", version), None if version == 1 else "MODIFIED")
        harness.delete(build_map("fast", 100))
        await asyncio.sleep(60)

    assert [] == harness.server.reads


async def test_what_is_not_watched_is_not_read() -> None:
    """There is no right to it, so nobody waits for it."""
    harness = Harness("configmaps")

    assert harness.reader.follow(KEY, {PASSWORD: None})
    assert {} == harness.index.digests_for(KEY)


async def test_a_burst_of_changes_is_read_once() -> None:
    """And its readers are enqueued once."""
    harness = Harness()
    harness.put(build_map("fast"))
    async with harness.running():
        harness.reader.follow(KEY, {SETTINGS: None})
        await harness.next_app()
        for version in range(2, 50):
            harness.put(build_map(f"mode {version}", version))
        assert KEY == await harness.next_app()

    assert READ_DELAY + 2 * SECOND == now()
    assert 2 == len(harness.server.reads)
    assert (
        config_digest(build_map("mode 49", 49)).digest == harness.index.digests_for(KEY)[SETTINGS]
    )


async def test_a_change_of_a_label_concerns_nobody() -> None:
    """The object is read, and its digest is the same."""
    harness = Harness()
    harness.put(build_map("fast"))
    async with harness.running():
        harness.reader.follow(KEY, {SETTINGS: None})
        await harness.next_app()
        harness.put(build_map("fast", 2, labels={"seen": "yes"}))
        await asyncio.sleep(10)

    assert 2 == len(harness.server.reads)
    assert 0 == harness.queue.depth()


async def test_a_version_that_was_read_is_not_read_again() -> None:
    """The watch lists it, or is behind."""
    harness = Harness()
    harness.put(build_map("fast", 7))
    async with harness.running():
        harness.reader.follow(KEY, {SETTINGS: None})
        await harness.next_app()
        harness.tell(build_map("slow", 6), "MODIFIED")
        harness.tell(build_map("fast", 7), None)
        await asyncio.sleep(10)

    assert 1 == len(harness.server.reads)


async def test_a_deletion_and_a_new_object_of_the_name() -> None:
    """The deletion is looked at: what is there then counts."""
    harness = Harness()
    harness.put(build_map("fast"))
    async with harness.running():
        harness.reader.follow(KEY, {SETTINGS: None})
        await harness.next_app()
        harness.delete(build_map("fast", 2))
        assert KEY == await harness.next_app()
        assert {SETTINGS: ABSENT_DIGEST} == harness.index.digests_for(KEY)

        harness.put(build_map("fast", 3, uid="new"), "ADDED")
        assert KEY == await harness.next_app()
        assert {SETTINGS: config_digest(build_map("fast")).digest} == harness.index.digests_for(KEY)


async def test_a_deletion_that_no_watch_reported() -> None:
    """A new list does not have the object: it is looked for, and others are left alone."""
    harness = Harness()
    harness.put(build_map("fast"))
    harness.put(builders.config("Secret", "password"))
    async with harness.running():
        harness.reader.follow(KEY, {SETTINGS: None, PASSWORD: None})
        await harness.next_app()
        harness.server.objects.clear()
        harness.server.reads.clear()
        watch = harness.watches[CONFIG_MAP]
        watch.on_list_started()
        watch.on_listed()
        assert KEY == await harness.next_app()

        harness.put(build_map("fast", 9), "ADDED")
        await harness.next_app()
        watch.on_list_started()
        harness.tell(build_map("fast", 9), None)
        watch.on_listed()
        await asyncio.sleep(10)

    assert ["ConfigMap/settings"] * 2 == harness.server.reads


async def test_what_cannot_be_read_holds_nobody_up() -> None:
    """The app goes on without the digest; the read is repeated, ever more rarely."""
    harness = Harness()
    harness.put(build_map("fast"))
    harness.server.error = ForbiddenError(403, "Forbidden", "no")
    async with harness.running():
        assert not harness.reader.follow(KEY, {SETTINGS: None})
        assert KEY == await harness.next_app()
        assert harness.reader.follow(KEY, {SETTINGS: None})
        assert {SETTINGS: UNREAD_DIGEST} == harness.index.digests_for(KEY)

        await asyncio.sleep(600)
        assert 10 <= len(harness.server.reads) <= 30
        assert 0 == harness.queue.depth()

        harness.server.error = None
        assert KEY == await harness.next_app()

    assert {SETTINGS: config_digest(build_map("fast")).digest} == harness.index.digests_for(KEY)


async def test_an_object_that_cannot_be_handled_stops_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever somebody has written: the log has it."""
    harness = Harness()
    harness.put({**build_map("fast"), "data": {"key": object()}})
    harness.put(builders.config("Secret", "password"))
    async with harness.running():
        harness.reader.follow(KEY, {SETTINGS: None, PASSWORD: None})
        while not harness.reader.follow(KEY, {SETTINGS: None, PASSWORD: None}):
            await harness.next_app()

    assert UNREAD_DIGEST == harness.index.digests_for(KEY)[SETTINGS]
    assert "could not read ConfigMap shop/settings, retry in" in caplog.text


async def test_a_failed_read_of_a_change_keeps_what_is_known() -> None:
    """Until it succeeds."""
    harness = Harness()
    harness.put(build_map("fast"))
    async with harness.running():
        harness.reader.follow(KEY, {SETTINGS: None})
        await harness.next_app()
        harness.server.error = UnavailableError(503, "", "busy")
        harness.put(build_map("slow", 2))
        await asyncio.sleep(10)
        known = harness.index.digests_for(KEY)
        harness.server.error = None
        assert KEY == await harness.next_app()

    assert {SETTINGS: config_digest(build_map("fast")).digest} == known
    assert {SETTINGS: config_digest(build_map("slow")).digest} == harness.index.digests_for(KEY)


async def test_an_app_that_is_gone_ends_the_retries() -> None:
    """Nothing is kept of it."""
    harness = Harness()
    harness.server.error = ForbiddenError(403, "Forbidden", "no")
    async with harness.running():
        harness.reader.follow(KEY, {SETTINGS: None})
        await harness.next_app()
        harness.reader.follow(KEY, {})
        count = len(harness.server.reads)
        await asyncio.sleep(600)

        assert count == len(harness.server.reads)

        harness.server.error = None
        assert not harness.reader.follow(KEY, {SETTINGS: None})
        assert KEY == await harness.next_app()


async def test_few_objects_are_in_memory_at_once() -> None:
    """An app may refer to hundreds of a megabyte each; those of another namespace do not wait."""
    harness = Harness()
    others = [AppKey(f"namespace-{n}", "web") for n in range(3)]
    references = {ConfigRef(CONFIG_MAP, f"settings-{n}"): None for n in range(40)}
    async with harness.running():
        harness.reader.follow(KEY, references)
        for app in others:
            harness.reader.follow(app, {SETTINGS: None})
        while not all(harness.reader.follow(app, {SETTINGS: None}) for app in others):
            await harness.next_app()
        assert now() <= 4 * SECOND
        while not harness.reader.follow(KEY, references):
            await harness.next_app()

    assert MAX_CONCURRENT_READS == harness.server.most_concurrent
    assert MAX_READS_PER_NAMESPACE == harness.server.most_in_namespace
    assert 43 == len(harness.server.reads)
