"""Compares the cache with lists of metadata: is it complete, is an object stale, is a watch broken?

kopf does not report when its first lists are complete, and after a watch has expired no watch
reports the objects that were deleted in the gap. Both are found by listing the metadata of all
objects. A CRD that is removed and created again may be left without a watch: then the operator
restarts.
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
from selfhealing.controller.namespace_access import NamespaceAccess
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, NotFoundError, UnavailableError, is_refusal
from selfhealing.kube.metrics import STALE_OBJECTS
from selfhealing.kube.resources import (
    APPS,
    PODS,
    REPLICA_SETS,
    WATCHED_CHILDREN,
    Resource,
)

logger = logging.getLogger(__name__)

CACHED_RESOURCES: Final[tuple[Resource, ...]] = (APPS, *WATCHED_CHILDREN, REPLICA_SETS, PODS)
SYNC_POLL_INTERVAL: Final = 0.1
CRD_POLL_INTERVAL: Final = 1.0
RELIST_DELAY: Final = 5.0
"""Seconds after one watch has listed again until the other watches have, too."""
WATCH_TIMEOUT: Final = 60.0
"""Seconds after which a watch that does not deliver an object is broken: kopf reconnects sooner."""
RETRY_POLL_INTERVAL: Final = 5.0
"""Seconds between two looks at which namespaces that refused may be asked again."""
RESTORE_TIMEOUT: Final = 300.0
"""Seconds that the watches have to deliver the objects of a namespace that does not refuse any
more: kopf may try again a minute later only."""
SYNC_ROUND_TIMEOUT: Final = 30.0
"""Seconds that the watches may take to deliver the listed objects before a new list is made."""


MAX_SYNC_ROUNDS: Final = 4
"""Rounds after which the start goes on: in each of them something else may be missing."""


class BrokenWatchError(RuntimeError):
    """A watch does not deliver existing objects; the process has to restart."""


class CacheSync:
    """Compares the store with the lists of the API server."""

    def __init__(
        self,
        client: Client,
        store: Store,
        event_handlers: EventHandlers,
        namespaces: Sequence[str],
        access: NamespaceAccess,
    ) -> None:
        """Compare ``store`` in ``namespaces``, none means all, and tell ``access`` who refuses."""
        self._client = client
        self._store = store
        self._event_handlers = event_handlers
        self._namespaces: Sequence[str | None] = namespaces or (None,)
        self._access = access
        self._listed_since: dict[str, float] = {}
        """By namespace that refused, the time since which it does not any more."""
        self._ignored_uids: set[str] = set()
        self._missing_since: dict[str, float] = {}

    async def wait_for_crd(self) -> None:
        """Wait until the API server answers, and serves and names the SelfHealingApp kind.

        kopf finds the kind by the discovery of the API server. It looks when a CRD changes, and a
        kind that is named only after the last change would never be watched.
        """
        logged_reason = ""
        while reason := await self.not_ready_reason() or await self._undiscovered_reason():
            if reason != logged_reason:
                logger.warning("%s; waiting", reason)
            logged_reason = reason
            await asyncio.sleep(CRD_POLL_INTERVAL)

    async def _undiscovered_reason(self) -> str:
        try:
            if await self._client.is_discovered(APPS):
                return ""
        except UnavailableError as error:
            return str(error)
        except ApiError:  # no right to the discovery: kopf tells it
            return ""
        return f"{names.KIND} is not named by the API server's discovery yet"

    async def not_ready_reason(self) -> str:
        """Return why the operator cannot start now; an empty string when it can."""
        for namespace in self._namespaces:
            try:
                async for _ in self._client.list_metadata(APPS, namespace):
                    break
            except NotFoundError:
                return f"{names.KIND} is not known to the API server: kubectl apply -f crd/"
            except UnavailableError as error:
                return str(error)
            except ApiError:  # the next request reports it
                continue
            return ""
        return ""

    async def wait_for_sync(self) -> None:
        """Wait until the watches have delivered every object that exists now.

        An app must not be evaluated with only some of its pods, and a child must not be created
        because the watch has not delivered it yet. An object that can never be parsed must not
        stop the operator: objects that are missing after two rounds in a row are ignored.
        """
        previously_missing: dict[str, set[str]] = {}
        rounds = 0
        while True:
            missing = await self._list_uids()
            with suppress(TimeoutError):
                async with asyncio.timeout(SYNC_ROUND_TIMEOUT):
                    # What was delivered once is not missing when it is deleted later.
                    while missing := self._find_missing(missing):  # noqa: ASYNC110 - at the start
                        await asyncio.sleep(SYNC_POLL_INTERVAL)
                    self._event_handlers.relisted.clear()  # those were the first lists
                    return
            rounds += 1
            if missing == previously_missing or rounds == MAX_SYNC_ROUNDS:
                logger.error("ignoring objects that the watches do not deliver: %s", missing)
                self._ignored_uids = set().union(*missing.values())
                return
            previously_missing = missing
            missing_counts = {kind: len(uids) for kind, uids in missing.items()}
            logger.warning("still waiting for the watches to bring %s", missing_counts)

    def _find_missing(self, listed: dict[str, set[str]]) -> dict[str, set[str]]:
        """Return the UIDs of ``listed`` that the store does not hold, by kind."""
        missing = {
            kind: {
                uid
                for uid in uids - self._store.uids(kind).keys()
                if not self._store.has_handled(uid)
            }
            for kind, uids in listed.items()
        }
        return {kind: uids for kind, uids in missing.items() if uids}

    async def run(self, interval: float) -> None:
        """Prune stale objects every ``interval`` seconds and after a watch has listed again.

        Raises:
            BrokenWatchError: an object has been missing from the store for WATCH_TIMEOUT.
        """
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._event_handlers.relisted.wait(), interval)
                await asyncio.sleep(RELIST_DELAY)
            self._event_handlers.relisted.clear()
            try:
                await self.prune_stale_objects()
            except ApiError as error:
                logger.warning("could not list all objects, retry in %.0f s: %s", interval, error)

    async def prune_stale_objects(self) -> int:
        """Delete objects that no longer exist from the store; return their number.

        Raises:
            BrokenWatchError: an object has been missing from the store for WATCH_TIMEOUT.
        """
        # Only objects that were stored before the list was made can be stale.
        stored_before = {
            resource.kind: self._store.uids(resource.kind) for resource in CACHED_RESOURCES
        }
        listed = await self._list_uids()
        stale_objects: list[tuple[str, str, AppKey]] = [
            (kind, uid, key)
            for kind, stored in stored_before.items()
            for uid, key in stored.items()
            if uid not in listed[kind] and not self._access.is_refused(key.namespace)
        ]
        for kind, uid, key in stale_objects:
            if uid in self._store.uids(kind):
                logger.info("%s: pruned a stale %s: no watch has reported its deletion", key, kind)
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
            raise BrokenWatchError(f"the watches do not deliver existing objects: {kinds}")

    async def run_retries(self) -> None:
        """Ask the namespaces that refuse again, each after its back-off, for ever."""
        while True:
            await asyncio.sleep(RETRY_POLL_INTERVAL)
            for namespace in self._access.find_due():
                await self.retry_namespace(namespace)

    async def retry_namespace(self, namespace: str) -> None:
        """Serve a namespace again that refused, if the watches have delivered its objects."""
        try:
            listed = await self._list_namespace_uids(namespace)
        except ApiError as error:
            self._listed_since.pop(namespace, None)
            self._access.postpone(namespace, error)
            return
        now = asyncio.get_running_loop().time()
        since = max(
            self._listed_since.setdefault(namespace, now), self._access.last_refusal(namespace)
        )
        # After the time-out ``run`` finds that the watches are broken, if they are.
        if not self._find_missing(listed) or now - since >= RESTORE_TIMEOUT:
            del self._listed_since[namespace]
            self._access.restore(namespace)
            self._event_handlers.relisted.set()  # what was deleted meanwhile is stale

    async def _list_uids(self) -> dict[str, set[str]]:
        """List the UIDs of the objects by kind, where no namespace refuses that.

        Raises:
            ForbiddenError: the whole cluster is served, and refuses it.
        """
        listed: dict[str, set[str]] = {resource.kind: set() for resource in CACHED_RESOURCES}
        for namespace in self._namespaces:
            if self._access.is_refused(namespace):
                continue
            try:
                found = await self._list_namespace_uids(namespace)
            except ApiError as error:
                if namespace is None or not is_refusal(error):
                    raise
                self._access.refuse(namespace, error)
            else:
                for kind, uids in found.items():
                    listed[kind] |= uids
        return listed

    async def _list_namespace_uids(self, namespace: str | None) -> dict[str, set[str]]:
        return {
            resource.kind: await self._list_kind_uids(resource, namespace)
            for resource in CACHED_RESOURCES
        }

    async def _list_kind_uids(self, resource: Resource, namespace: str | None) -> set[str]:
        labels = "" if resource is APPS else names.LABEL_APP
        uids: set[str] = set()
        with suppress(NotFoundError):  # the CRD has been removed, and all its resources with it
            async for item in self._client.list_metadata(resource, namespace, labels):
                meta = item["metadata"]
                if _is_cached(resource, meta):
                    uids.add(meta["uid"])
        return uids


def _is_cached(resource: Resource, meta: Mapping[str, Any]) -> bool:
    """Whether the store holds such an object: some kinds only if their label names an app."""
    is_stored_by_label = resource.kind in {PODS.kind, REPLICA_SETS.kind}
    return not is_stored_by_label or bool((meta.get("labels") or {}).get(names.LABEL_APP))
