"""Reads the ConfigMaps and Secrets that apps refer to, one by one, and keeps their digests.

The watches tell of metadata only. An object is read when an app begins to refer to it, and when the
watch tells of another version, so memory and requests do not depend on objects without a reference.
"""

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from selfhealing.api.config_refs import ConfigKeys, ConfigObject, ConfigRef
from selfhealing.cache.config_digests import ABSENT, ConfigDigest, ConfigIndex, config_digest
from selfhealing.cache.parse import parse_resource_version
from selfhealing.cache.views import AppKey
from selfhealing.controller.event_handlers import DELETED, WatchEvent
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError
from selfhealing.kube.resources import Resource

logger = logging.getLogger(__name__)

MAX_CONCURRENT_READS: Final = 4
"""Objects that are in memory at the same time, each for a moment."""
MAX_READS_PER_NAMESPACE: Final = 2
MAX_INLINE_KEYS: Final = 1000
"""Keys, of all apps that read an object together, whose digests take about 2 ms: those of more are
not computed in the event loop."""
READ_DELAY: Final = 0.2
"""Seconds from a change until the object is read: several changes are read once."""


class ConfigReader:
    """Keeps the digests of an index up to date; enqueues the apps whose pods read an object."""

    def __init__(
        self,
        client: Client,
        index: ConfigIndex,
        app_queue: WorkQueue[AppKey],
        resources: Iterable[Resource],
        debounce: float,
    ) -> None:
        """Read objects of ``resources``; an app is enqueued ``debounce`` seconds after a change."""
        self._client = client
        self._index = index
        self._app_queue = app_queue
        self._resources = {resource.kind: resource for resource in resources}
        self._debounce = debounce
        self._queue: WorkQueue[ConfigObject] = WorkQueue(
            lambda target: target.namespace, MAX_READS_PER_NAMESPACE
        )
        self._requested: set[ConfigObject] = set()
        """Objects that an app waits for: they have not been read yet."""
        self._failed: set[ConfigObject] = set()
        """Those of them whose first read has failed; it is repeated."""

    def follow(self, app: AppKey, references: Mapping[ConfigRef, ConfigKeys]) -> bool:
        """Track the objects that the pods of an app read; kinds that are not watched are left out.

        Args:
            app: the app.
            references: the objects, each with the keys that the pods read.

        Returns:
            Whether all of them have been read, or have failed to be. If not, the app is enqueued as
            soon as they have.
        """
        self._index.set_references(
            app, {ref: keys for ref, keys in references.items() if ref.kind in self._resources}
        )
        unread = set(self._index.find_unread(app))
        for target in unread - self._requested:
            self._requested.add(target)
            self._queue.add(target)
        return unread <= self._failed

    def find_unwatched_kinds(self, references: Collection[ConfigRef]) -> frozenset[str]:
        """Return the kinds among ``references`` that are not watched."""
        return frozenset(each.kind for each in references) - self._resources.keys()

    def on_changed(self, target: ConfigObject, resource_version: int) -> None:
        """Read an object again if this version of it is new and an app refers to it."""
        if self._index.is_outdated(target, resource_version):
            self._queue.add(target, READ_DELAY)

    def on_deleted(self, target: ConfigObject) -> None:
        """Read an object again that may be deleted: another may have its name now."""
        if self._index.readers(target):
            self._queue.add(target, READ_DELAY)

    def find_existing(self, kind: str, namespace: str | None) -> set[ConfigObject]:
        """Return the objects of a kind that apps refer to and that existed when they were read."""
        return self._index.find_existing(kind, namespace)

    async def run(self) -> None:
        """Read the objects that are due, for ever."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(MAX_CONCURRENT_READS):
                tasks.create_task(self._run_worker())

    async def _run_worker(self) -> None:
        while True:
            target = await self._queue.get()
            try:
                await self._read(target)
            except ApiError as error:
                delay = self._retry_later(target)
                logger.warning("could not read %s, retry in %.1f s: %s", target, delay, error)
            except Exception:
                delay = self._retry_later(target)
                logger.exception("could not read %s, retry in %.1f s", target, delay)
            finally:
                self._queue.done(target)

    async def _read(self, target: ConfigObject) -> None:
        if self._index.readers(target):
            kind, name = target.reference
            raw = await self._client.get(self._resources[kind], target.namespace, name)
            selections = self._index.selections(target)
            digest = (
                ABSENT if raw is None else await _compute_digest({**raw, "kind": kind}, selections)
            )
            self._enqueue(self._index.upsert(target, digest))
        self._queue.forget(target)
        self._requested.discard(target)
        self._failed.discard(target)

    def _retry_later(self, target: ConfigObject) -> float:
        """Read an object again after its back-off; apps that wait for it go on without it."""
        if target in self._requested - self._failed:
            self._failed.add(target)
            self._enqueue(self._index.readers(target))
        return self._queue.add_rate_limited(target)

    def _enqueue(self, apps: Iterable[AppKey]) -> None:
        for app in apps:
            self._app_queue.add(app, self._debounce)


async def _compute_digest(
    raw: Mapping[str, Any], selections: Collection[ConfigKeys]
) -> ConfigDigest:
    """Compute the digests of an object; those of many keys in a thread."""
    count = sum(len(keys) for keys in selections if keys is not None)
    if count <= MAX_INLINE_KEYS:
        return config_digest(raw, selections)
    return await asyncio.to_thread(config_digest, raw, selections)


class ConfigWatch:
    """Handles the metadata of the ConfigMaps or Secrets of one watch."""

    def __init__(self, reader: ConfigReader, kind: str, namespace: str | None) -> None:
        """``namespace`` is that of the watch, None for everywhere."""
        self._reader = reader
        self._kind = kind
        self._namespace = namespace
        self._unlisted: set[ConfigObject] = set()

    def on_list_started(self) -> None:
        """Remember which objects existed: of deletions before a list no event tells."""
        self._unlisted = self._reader.find_existing(self._kind, self._namespace)

    def on_event(self, event: WatchEvent) -> None:
        """Pass the version of an object on, or its deletion."""
        meta = event["object"]["metadata"]
        target = ConfigObject(meta["namespace"], ConfigRef(self._kind, meta["name"]))
        self._unlisted.discard(target)
        if event["type"] == DELETED:
            self._reader.on_deleted(target)
        else:
            self._reader.on_changed(target, parse_resource_version(meta))

    def on_listed(self) -> None:
        """Report the objects that the list does not have."""
        for target in self._unlisted:
            self._reader.on_deleted(target)
        self._unlisted = set()
