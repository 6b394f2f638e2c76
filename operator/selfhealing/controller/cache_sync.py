"""Lists of metadata against the store: has it caught up, does it hold ghosts, is a watch dead?

kopf does not tell when its first lists are through, and after a watch has expired it never tells of
objects that were deleted in the gap. Both are found by asking for the metadata of everything. And a
kind that is removed and comes back may be watched by nobody: then the operator starts anew.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from selfhealing.api import names
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.event_handlers import EventHandlers
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, NotFoundError, UnavailableError
from selfhealing.kube.metrics import STALE_OBJECTS
from selfhealing.kube.resources import (
    APPS,
    CONFIG_FIELD_SELECTORS,
    PODS,
    WATCHED_CHILDREN,
    Resource,
)

logger = logging.getLogger(__name__)

CACHED_RESOURCES: Final[tuple[Resource, ...]] = (APPS, *WATCHED_CHILDREN, PODS)
SYNC_POLL_INTERVAL: Final = 0.1
CRD_POLL_INTERVAL: Final = 1.0
RELIST_DELAY: Final = 5.0
"""Seconds from a watch's new list until the others will have made theirs."""
WATCH_TIMEOUT: Final = 60.0
"""A watch that has not brought an object for so many seconds is dead: kopf reconnects sooner."""
SYNC_ROUND_TIMEOUT: Final = 30.0
"""Seconds that the watches may take to bring what a list showed, before it is listed again."""


class BrokenWatchError(RuntimeError):
    """A watch does not bring what there is; only a new start mends that."""


class CacheSync:
    """Compares the store with what the API server lists."""

    def __init__(
        self,
        client: Client,
        store: Store,
        event_handlers: EventHandlers,
        namespaces: Sequence[str],
        config_resources: Sequence[Resource] = (),
    ) -> None:
        """Compare ``store``, which ``observer`` fills, in ``namespaces`` (none means all).

        ``sources`` are the kinds of configuration that are watched: without the state of these,
        pods would be made anew at each start of the operator.
        """
        self._kinds = (*CACHED_RESOURCES, *config_resources)
        self._client = client
        self._store = store
        self._event_handlers = event_handlers
        self._namespaces: Sequence[str | None] = namespaces or (None,)
        self._ignored_uids: set[str] = set()
        self._missing_since: dict[str, float] = {}

    async def wait_for_crd(self) -> None:
        """Wait until the API server answers and knows the SelfHealingApp kind."""
        logged_reason = ""
        while reason := await self.not_ready_reason():
            if reason != logged_reason:
                logger.warning("%s; waiting for it", reason)
            logged_reason = reason
            await asyncio.sleep(CRD_POLL_INTERVAL)

    async def not_ready_reason(self) -> str:
        """Say why it is no use to start now; empty when it is."""
        try:
            async for _ in self._client.list_metadata(APPS, self._namespaces[0]):
                break
        except NotFoundError:
            return f"{names.KIND} is not known to the API server: kubectl apply -f crd/"
        except UnavailableError as error:
            return str(error)
        except ApiError:  # whoever asks next has to deal with it
            return ""
        return ""

    async def wait_for_sync(self) -> None:
        """Wait until the watches have brought everything that exists now.

        An app must not be judged by half of its pods, nor a child made because the watch has not
        shown it yet. But an object that can never be taken in must not stop the whole operator:
        what is still missing after a second round, while nothing else is, is done without.
        """
        previously_missing: dict[str, set[str]] = {}
        while True:
            listed = await self._list_uids()
            try:
                async with asyncio.timeout(SYNC_ROUND_TIMEOUT):
                    while self._find_missing(listed):  # noqa: ASYNC110 - once, at the start
                        await asyncio.sleep(SYNC_POLL_INTERVAL)
                    self._event_handlers.relisted.clear()  # those were the first lists
                    return
            except TimeoutError:
                missing = self._find_missing(listed)
            if missing and missing == previously_missing:
                logger.error("going on without what the watches do not bring: %s", missing)
                self._ignored_uids = set().union(*missing.values())
                return
            previously_missing = missing
            missing_counts = {kind: len(uids) for kind, uids in missing.items()}
            logger.warning("still waiting for the watches to bring %s", missing_counts)

    def _find_missing(self, listed: dict[str, set[str]]) -> dict[str, set[str]]:
        """The ``listed`` objects of each kind that the store does not hold yet."""
        missing = {kind: uids - self._store.uids(kind).keys() for kind, uids in listed.items()}
        return {kind: uids for kind, uids in missing.items() if uids}

    async def run(self, interval: float) -> None:
        """Compare every ``interval`` seconds and when a watch had to list anew, for ever.

        Raises:
            BrokenWatchError: a watch does not bring what comparisons have shown for a while.
        """
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._event_handlers.relisted.wait(), interval)
                await asyncio.sleep(RELIST_DELAY)
            self._event_handlers.relisted.clear()
            try:
                await self.prune_stale_objects()
            except ApiError as error:
                logger.warning("could not list everything, again in %.0f s: %s", interval, error)

    async def prune_stale_objects(self) -> int:
        """Forget what is stored but no longer exists; returns how much that was.

        Raises:
            BrokenWatchError: something has existed for a while and is not stored.
        """
        # Stored before the list was made, and not in it: gone. What came later is left alone.
        stored_before = {resource.kind: self._store.uids(resource.kind) for resource in self._kinds}
        listed = await self._list_uids()
        stale_objects: list[tuple[str, str, AppKey]] = [
            (kind, uid, key)
            for kind, stored in stored_before.items()
            for uid, key in stored.items()
            if uid not in listed[kind]
        ]
        for kind, uid, key in stale_objects:
            if uid in self._store.uids(kind):
                logger.info("%s: a %s was gone without a word from the watch", key, kind)
                self._event_handlers.on_missing(kind, uid, key)
                STALE_OBJECTS.inc()
        self._check_watches(listed)
        return len(stale_objects)

    def _check_watches(self, listed: dict[str, set[str]]) -> None:
        missing = self._find_missing(listed)
        now = asyncio.get_running_loop().time()
        uids: set[str] = set().union(*missing.values()) - self._ignored_uids
        self._missing_since = {uid: self._missing_since.get(uid, now) for uid in uids}
        if any(since + WATCH_TIMEOUT <= now for since in self._missing_since.values()):
            kinds = ", ".join(sorted(missing))
            raise BrokenWatchError(f"the watches do not bring what there is: {kinds}")

    async def _list_uids(self) -> dict[str, set[str]]:
        return {resource.kind: await self._list_kind_uids(resource) for resource in self._kinds}

    async def _list_kind_uids(self, resource: Resource) -> set[str]:
        fields = CONFIG_FIELD_SELECTORS.get(resource.kind, "")
        labels = "" if resource is APPS or fields else names.LABEL_APP
        uids: set[str] = set()
        for namespace in self._namespaces:
            try:
                async for item in self._client.list_metadata(resource, namespace, labels, fields):
                    meta = item["metadata"]
                    if _is_cached(resource, meta):
                        uids.add(meta["uid"])
            except NotFoundError:  # the CRD has been removed, and all its resources with it
                continue
        return uids


def _is_cached(resource: Resource, meta: Mapping[str, Any]) -> bool:
    """Whether the store keeps such an object: of pods only those whose label names an app."""
    return resource is not PODS or bool((meta.get("labels") or {}).get(names.LABEL_APP))
