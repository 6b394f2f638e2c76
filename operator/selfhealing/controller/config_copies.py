"""Keeps copies of the ConfigMaps that stable revisions read, and finds those for a rollback."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from cachetools import TTLCache

from selfhealing.api import names
from selfhealing.api.config_refs import ABSENT_DIGEST, CONFIG_MAP, ConfigKeys, ConfigRef
from selfhealing.cache.config_digests import config_digest, select_contents
from selfhealing.cache.views import AppView
from selfhealing.controller.fair_slots import FairSlots
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ConflictError, is_outage
from selfhealing.kube.resources import CONFIG_MAPS, WATCHED_CONFIG_MAPS
from selfhealing.remediation.config_copies import (
    MAX_COPIES,
    ConfigCopy,
    build_config_copy,
    find_usable_copies,
    parse_config_copy,
    select_expired_copies,
)
from selfhealing.render.meta import Owner
from selfhealing.render.references import hash_config_digests

logger = logging.getLogger(__name__)

Json = Mapping[str, Any]

MAX_COPY_LISTS: Final = 1
"""Lists of copies that are read at the same time."""
MAX_LISTED: Final = 200
"""ConfigMaps with the label of an app's copies whose metadata is read: anybody may create such."""

CACHE_SIZE: Final = 256
CACHE_SECONDS: Final = 60.0
"""Copies do not change, but somebody may delete them."""


class ConfigCopies:
    """Saves, finds and prunes copies. A refused request is logged: the app has no copies then."""

    def __init__(self, client: Client, slots: FairSlots, clock: Callable[[], float]) -> None:
        """A list is read while one of ``slots`` is held; ``clock`` returns monotonic seconds."""
        self._client = client
        self._usable: TTLCache[tuple[str, str], dict[str, str]] = TTLCache(
            CACHE_SIZE, CACHE_SECONDS, timer=clock
        )
        self._slots = slots

    async def save(
        self,
        app: AppView,
        config_hash: str,
        digests: Mapping[ConfigRef, str],
        references: Mapping[ConfigRef, ConfigKeys],
    ) -> None:
        """Copy the ConfigMaps that a stable revision reads, and delete copies of old contents.

        Args:
            app: the app.
            config_hash: the config hash of the revision's pod template.
            digests: the digests of what the pods read now. If they do not lead to ``config_hash``,
                something has changed since, and nothing is copied.
            references: what the pods read, with the keys: only these are copied.

        Raises:
            UnavailableError: the API server is out of reach.
        """
        sources = [
            reference.name
            for reference, digest in digests.items()
            if reference.kind == CONFIG_MAP and digest != ABSENT_DIGEST
        ]
        if not sources or len(sources) > MAX_COPIES or hash_config_digests(digests) != config_hash:
            return
        try:
            for source in sources:
                raw = await self._client.get(CONFIG_MAPS, app.key.namespace, source)
                if raw is not None:
                    keys = references.get(ConfigRef(CONFIG_MAP, source))
                    await self._copy(app, raw, keys, config_hash, digests)
            await self._prune(app, config_hash)
        except ApiError as error:
            if is_outage(error):
                raise
            logger.warning("%s: its ConfigMaps cannot be copied: %s", app.key, error)

    async def find(self, app: AppView, config_hash: str) -> Mapping[str, str]:
        """Return the names of the usable copies, by the name of the ConfigMap.

        Raises:
            UnavailableError: the API server is out of reach.
        """
        cached = self._usable.get((app.uid, config_hash))
        if cached is not None:
            return cached
        try:
            found = await self._find_usable(app, config_hash)
        except ApiError as error:
            if is_outage(error):
                raise
            logger.warning("%s: copies of ConfigMaps cannot be read: %s", app.key, error)
            found = {}
        self._usable[app.uid, config_hash] = found
        return found

    async def _copy(
        self,
        app: AppView,
        source: Json,
        keys: ConfigKeys,
        config_hash: str,
        digests: Mapping[ConfigRef, str],
    ) -> None:
        digest = config_digest({**source, "kind": CONFIG_MAP}, [keys]).of_keys(keys)
        if digest != digests[ConfigRef(CONFIG_MAP, source["metadata"]["name"])]:
            return  # it has changed: the new content is not the proven one
        source = select_contents(source, keys)
        try:
            await self._client.create(
                CONFIG_MAPS, build_config_copy(_owner(app), source, config_hash, digests)
            )
        except ConflictError:
            return  # the copy exists; its content is checked when it is used

    async def _prune(self, app: AppView, config_hash: str) -> None:
        for copy in select_expired_copies(await self._list(app), config_hash):
            await self._client.delete(CONFIG_MAPS, app.key.namespace, copy.name, copy.uid)

    async def _find_usable(self, app: AppView, config_hash: str) -> dict[str, str]:
        """Read the copies one by one: none is held while another is read."""
        copies = [copy for copy in await self._list(app) if copy.config_hash == config_hash]
        usable: dict[str, str] = {}
        for copy in copies[:MAX_COPIES]:
            raw = await self._client.get(CONFIG_MAPS, app.key.namespace, copy.name)
            usable |= find_usable_copies(_owner(app), [raw] if raw else [], config_hash)
        return usable

    async def _list(self, app: AppView) -> list[ConfigCopy]:
        """Return the copies of an app, whatever they contain.

        Raises:
            NoSlotError: lists of other apps are read.
        """
        selector = f"{names.LABEL_CONFIG_COPY}={app.key.name}"
        owner, count = _owner(app), 0
        found: list[ConfigCopy] = []
        with self._slots.hold(app.key):
            async for raw in self._client.list_metadata(
                WATCHED_CONFIG_MAPS, app.key.namespace, selector
            ):
                count += 1
                if (copy := parse_config_copy(owner, raw)) is not None:
                    found.append(copy)
                if count >= MAX_LISTED:
                    break
        return found


def _owner(app: AppView) -> Owner:
    return Owner(app.key.namespace, app.key.name, app.uid)
