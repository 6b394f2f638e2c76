"""Saves the pod templates of stable revisions in ControllerRevisions, for a rollback."""

import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import orjson
from cachetools import LRUCache

from selfhealing.api import names
from selfhealing.api.scalars import TEXT_LIMIT, WORD_LIMIT
from selfhealing.cache.ownership import is_own_orphan
from selfhealing.cache.parse import has_owner
from selfhealing.cache.views import AppView
from selfhealing.controller.backoff import Backoff
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ConflictError, UnavailableError, is_outage
from selfhealing.kube.resources import CONTROLLER_REVISIONS
from selfhealing.remediation.context import SavedRevisionName
from selfhealing.remediation.template_check import SavedRevision
from selfhealing.render.meta import Owner
from selfhealing.render.overrides import build_revision, get_image

logger = logging.getLogger(__name__)

CACHE_BYTES: Final = 2 * 1024 * 1024
"""Bytes of templates as JSON that are kept, those of 500 ordinary apps. As Python objects a
template of many short texts takes twenty times its size, and nobody tells of a deleted app."""

MAX_LISTED: Final = 10
"""Saved revisions of an app that are looked at: there are two."""

RETRY_AFTER: Final = 300.0
"""Seconds until a refused request is retried: a person has to act first."""

Json = dict[str, Any]

_RevisionKey = tuple[str, str]
"""The UID of an app and the hash of its pod template."""


class UnreadableRevisionError(Exception):
    """A revision cannot be read until a person has acted."""


class RevisionStore:
    """Loads, saves and deletes templates; a refusal is logged and retried after RETRY_AFTER."""

    def __init__(self, client: Client, clock: Callable[[], float]) -> None:
        """``clock`` returns monotonic seconds."""
        self._client = client
        self._cache: LRUCache[_RevisionKey, SavedRevision] = LRUCache(
            CACHE_BYTES, getsizeof=lambda saved: len(orjson.dumps(saved.template))
        )
        self._backoff: Backoff[_RevisionKey] = Backoff(
            clock, initial=RETRY_AFTER, maximum=RETRY_AFTER
        )

    def retry_after(self, app: AppView, revision: str) -> float:
        """Return the seconds until a revision is saved or read again after a refusal; 0 for now."""
        return self._backoff.retry_after((app.uid, revision))

    async def load(self, app: AppView, revision: str) -> SavedRevision | None:
        """Return what is saved of a revision, unchecked; None when it is not saved any more.

        Raises:
            UnreadableRevisionError: the request is refused; a person has to act.
            UnavailableError: the API server is out of reach.
        """
        cached = self._cache.get((app.uid, revision))
        if cached is not None:
            return cached
        if self.retry_after(app, revision):
            raise UnreadableRevisionError("an earlier request was refused")
        try:
            return await self._read_revision(app, revision)
        except UnavailableError:
            raise
        except ApiError as error:
            self._back_off(app, revision, "read", error)
            raise UnreadableRevisionError(error.message) from error

    async def list_names(self, app: AppView) -> tuple[SavedRevisionName, ...]:
        """Return the saved revisions of an app, the latest first; none when they cannot be read.

        Raises:
            UnavailableError: the API server is out of reach.
        """
        found: list[tuple[int, SavedRevisionName]] = []
        try:
            found += [
                (int(raw.get("revision", 0)), name)
                async for raw in self._client.list_objects(
                    CONTROLLER_REVISIONS, app.key.namespace, f"{names.LABEL_APP}={app.key.name}"
                )
                if (name := _parse_name(raw, app)) is not None
            ]
        except UnavailableError:
            raise
        except ApiError as error:
            logger.warning("%s: the saved revisions cannot be listed: %s", app.key, error)
            return ()
        latest_first = sorted(found, key=lambda entry: (-entry[0], entry[1]))
        return tuple(name for _, name in latest_first)[:MAX_LISTED]

    async def save(
        self, app: AppView, revision: str, saved: SavedRevision, since: datetime | None = None
    ) -> bool:
        """Save a revision, as the latest of its app.

        Args:
            app: the app.
            revision: the hash of the template.
            saved: what is saved.
            since: when it became the stable revision, by which the revisions are ordered.

        Returns:
            False when it cannot be saved: an object of another owner has its name, or the request
            is refused.

        Raises:
            UnavailableError: the API server is out of reach.
        """
        owner = Owner(app.key.namespace, app.key.name, app.uid)
        number = int(since.timestamp()) if since is not None else 1
        body = build_revision(owner, revision, saved.template, saved.memory_limits, number)
        try:
            try:
                await self._client.create(CONTROLLER_REVISIONS, body)
            except ConflictError:
                if await self._delete_orphan(app, revision):
                    await self._client.create(CONTROLLER_REVISIONS, body)
                    self._cache_revision(app, revision, saved)
                    return True
                live = await self._read_revision(app, revision)
                if live is None:
                    raise  # another owner's
                latest = (await self.list_names(app))[:1]
                if live == saved and revision in {found.revision for found in latest}:
                    return True  # by a process that was killed before the status named it
                # It cannot be changed: it is made again as the latest one.
                await self._delete_revision(app, revision)
                await self._client.create(CONTROLLER_REVISIONS, body)
        except ApiError as error:
            if is_outage(error):
                raise
            self._back_off(app, revision, "saved", error)
            return False
        else:
            self._cache_revision(app, revision, saved)
        return True

    async def prune(self, app: AppView, named: Collection[str]) -> None:
        """Delete the saved revisions that are not ``named``; what fails is deleted with the app.

        All that are saved are looked at: a process that was killed may have left one that no record
        has named since.
        """
        try:
            for found in await self.list_names(app):
                if found.revision not in named:
                    await self._delete_revision(app, found.revision)
        except ApiError as error:
            logger.warning("%s: a saved revision cannot be deleted: %s", app.key, error)

    async def _delete_revision(self, app: AppView, revision: str) -> None:
        self._cache.pop((app.uid, revision), None)
        name = names.revision_name(app.key.name, revision)
        raw = await self._client.get(CONTROLLER_REVISIONS, app.key.namespace, name)
        if raw is not None and has_owner(raw["metadata"], app.uid):
            uid = raw["metadata"]["uid"]
            await self._client.delete(CONTROLLER_REVISIONS, app.key.namespace, name, uid)

    async def _delete_orphan(self, app: AppView, revision: str) -> bool:
        """Delete a revision of an earlier app of the name that was left without an owner."""
        name = names.revision_name(app.key.name, revision)
        raw = await self._client.get(CONTROLLER_REVISIONS, app.key.namespace, name)
        if raw is None or not is_own_orphan(raw["metadata"], app.key.name):
            return False
        uid = raw["metadata"]["uid"]
        await self._client.delete(CONTROLLER_REVISIONS, app.key.namespace, name, uid)
        return True

    async def _read_revision(self, app: AppView, revision: str) -> SavedRevision | None:
        name = names.revision_name(app.key.name, revision)
        raw = await self._client.get(CONTROLLER_REVISIONS, app.key.namespace, name)
        saved = _parse_revision(raw, app) if raw is not None else None
        if saved is not None:
            self._cache_revision(app, revision, saved)
        return saved

    def _cache_revision(self, app: AppView, revision: str, saved: SavedRevision) -> None:
        with suppress(ValueError):  # it is larger than all that is kept
            self._cache[app.uid, revision] = saved

    def _back_off(self, app: AppView, revision: str, operation: str, error: ApiError) -> None:
        self._backoff.forget_expired()
        delay = self._backoff.record_failure((app.uid, revision))
        logger.warning(
            "%s: stable revision %s cannot be %s; retry in %.0f s: %s",
            app.key,
            revision,
            operation,
            delay,
            error,
        )


def _parse_revision(raw: Json, app: AppView) -> SavedRevision | None:
    """Return the content of a ControllerRevision of the app; None for one of another owner.

    Versions before saved the template alone, with the memory limit in it, or with ``memoryLimit``,
    that of the app's container.
    """
    if not has_owner(raw["metadata"], app.uid):
        return None
    data: Json = raw.get("data") or {}
    template = data.get("template")
    limits = data.get("memoryLimits")
    if not isinstance(limits, Mapping):
        limits = {names.CONTAINER_NAME: data.get("memoryLimit")}
    return SavedRevision(
        template=template if isinstance(template, Mapping) else data,
        memory_limits={
            str(container): limit for container, limit in limits.items() if isinstance(limit, str)
        },
    )


def _parse_name(raw: Json, app: AppView) -> SavedRevisionName | None:
    """Return the revision and image of a ControllerRevision; None if it is none of the app's."""
    saved = _parse_revision(raw, app)
    name, prefix = str(raw["metadata"]["name"]), f"{app.key.name}-"
    if saved is None or not name.startswith(prefix):
        return None
    try:
        revision, image = name.removeprefix(prefix), get_image(saved.template)
    except (KeyError, TypeError, StopIteration):
        return None  # somebody has changed it; it is checked again before it is used
    if len(revision) > WORD_LIMIT or len(image) > TEXT_LIMIT:
        return None  # the status has no room for it
    return SavedRevisionName(revision, image)
