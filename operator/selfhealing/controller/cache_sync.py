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
from selfhealing.controller.event_handlers import Observer
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, NotFoundError, UnavailableError
from selfhealing.kube.metrics import GHOSTS
from selfhealing.kube.resources import APPS, CONFIG_SELECTORS, PODS, WATCHED, Resource

logger = logging.getLogger(__name__)

STORED: Final[tuple[Resource, ...]] = (APPS, *WATCHED, PODS)
POLL: Final = 0.1
KIND_POLL: Final = 1.0
SETTLE: Final = 5.0
"""Seconds from a watch's new list until the others will have made theirs."""
DEAD: Final = 60.0
"""A watch that has not brought an object for so many seconds is dead: kopf reconnects sooner."""
CATCH_UP_ROUND: Final = 30.0
"""Seconds that the watches may take to bring what a list showed, before it is listed again."""


class BrokenWatchError(RuntimeError):
    """A watch does not bring what there is; only a new start mends that."""


class Relister:
    """Compares the store with what the API server lists."""

    def __init__(
        self,
        client: Client,
        store: Store,
        observer: Observer,
        namespaces: Sequence[str],
        sources: Sequence[Resource] = (),
    ) -> None:
        """Compare ``store``, which ``observer`` fills, in ``namespaces`` (none means all).

        ``sources`` are the kinds of configuration that are watched: without the state of these,
        pods would be made anew at each start of the operator.
        """
        self._kinds = (*STORED, *sources)
        self._client = client
        self._store = store
        self._observer = observer
        self._namespaces: Sequence[str | None] = namespaces or (None,)
        self._given_up: set[str] = set()
        self._missed: dict[str, float] = {}

    async def wait_for_kind(self) -> None:
        """Wait until the API server answers and knows the SelfHealingApp kind."""
        told = ""
        while obstacle := await self.obstacle():
            if obstacle != told:
                logger.warning("%s; waiting for it", obstacle)
            told = obstacle
            await asyncio.sleep(KIND_POLL)

    async def obstacle(self) -> str:
        """Say why it is no use to start now; empty when it is."""
        try:
            async for _ in self._client.metadata(APPS, self._namespaces[0]):
                break
        except NotFoundError:
            return f"{names.KIND} is not known to the API server: kubectl apply -f crd/"
        except UnavailableError as error:
            return str(error)
        except ApiError:  # whoever asks next has to deal with it
            return ""
        return ""

    async def catch_up(self) -> None:
        """Wait until the watches have brought everything that exists now.

        An app must not be judged by half of its pods, nor a child made because the watch has not
        shown it yet. But an object that can never be taken in must not stop the whole operator:
        what is still missing after a second round, while nothing else is, is done without.
        """
        stuck: dict[str, set[str]] = {}
        while True:
            listed = await self._listed()
            try:
                async with asyncio.timeout(CATCH_UP_ROUND):
                    while self._missing(listed):  # noqa: ASYNC110 - once, at the start
                        await asyncio.sleep(POLL)
                    self._observer.relisted.clear()  # those were the first lists
                    return
            except TimeoutError:
                missing = self._missing(listed)
            if missing and missing == stuck:
                logger.error("going on without what the watches do not bring: %s", missing)
                self._given_up = set().union(*missing.values())
                return
            stuck = missing
            behind = {kind: len(uids) for kind, uids in missing.items()}
            logger.warning("still waiting for the watches to bring %s", behind)

    def _missing(self, listed: dict[str, set[str]]) -> dict[str, set[str]]:
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
                await asyncio.wait_for(self._observer.relisted.wait(), interval)
                await asyncio.sleep(SETTLE)
            self._observer.relisted.clear()
            try:
                await self.compare()
            except ApiError as error:
                logger.warning("could not list everything, again in %.0f s: %s", interval, error)

    async def compare(self) -> int:
        """Forget what is stored but no longer exists; returns how much that was.

        Raises:
            BrokenWatchError: something has existed for a while and is not stored.
        """
        # Stored before the list was made, and not in it: gone. What came later is left alone.
        before = {resource.kind: self._store.uids(resource.kind) for resource in self._kinds}
        listed = await self._listed()
        ghosts: list[tuple[str, str, AppKey]] = [
            (kind, uid, key)
            for kind, held in before.items()
            for uid, key in held.items()
            if uid not in listed[kind]
        ]
        for kind, uid, key in ghosts:
            if uid in self._store.uids(kind):
                logger.info("%s: a %s was gone without a word from the watch", key, kind)
                self._observer.gone(kind, uid, key)
                GHOSTS.inc()
        self._look_for_dead_watches(listed)
        return len(ghosts)

    def _look_for_dead_watches(self, listed: dict[str, set[str]]) -> None:
        missing = self._missing(listed)
        now = asyncio.get_running_loop().time()
        uids: set[str] = set().union(*missing.values()) - self._given_up
        self._missed = {uid: self._missed.get(uid, now) for uid in uids}
        if any(since + DEAD <= now for since in self._missed.values()):
            kinds = ", ".join(sorted(missing))
            raise BrokenWatchError(f"the watches do not bring what there is: {kinds}")

    async def _listed(self) -> dict[str, set[str]]:
        return {resource.kind: await self._uids(resource) for resource in self._kinds}

    async def _uids(self, resource: Resource) -> set[str]:
        fields = CONFIG_SELECTORS.get(resource.kind, "")
        labels = "" if resource is APPS or fields else names.LABEL_APP
        found: set[str] = set()
        for namespace in self._namespaces:
            try:
                async for item in self._client.metadata(resource, namespace, labels, fields):
                    meta = item["metadata"]
                    if _is_stored(resource, meta):
                        found.add(meta["uid"])
            except NotFoundError:  # the CRD has been removed, and all its resources with it
                continue
        return found


def _is_stored(resource: Resource, meta: Mapping[str, Any]) -> bool:
    """Whether the store keeps such an object: of pods only those whose label names an app."""
    return resource is not PODS or bool((meta.get("labels") or {}).get(names.LABEL_APP))
