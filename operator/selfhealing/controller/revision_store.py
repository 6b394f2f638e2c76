"""Saves the pod templates of stable revisions in ControllerRevisions, for a rollback."""

import logging
from collections.abc import Callable
from typing import Any, Final

from cachetools import LRUCache

from selfhealing.api import names
from selfhealing.cache.views import AppView
from selfhealing.controller.backoff import Backoff
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ConflictError, UnavailableError, is_outage
from selfhealing.kube.resources import CONTROLLER_REVISIONS
from selfhealing.render.meta import Owner
from selfhealing.render.overrides import build_revision, revision_name

logger = logging.getLogger(__name__)

CACHE_SIZE: Final = 256
"""Templates in memory: those of apps on probation or rolled back."""

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
        self._cache: LRUCache[_RevisionKey, Json] = LRUCache(CACHE_SIZE)
        self._backoff: Backoff[_RevisionKey] = Backoff(
            clock, initial=RETRY_AFTER, maximum=RETRY_AFTER
        )

    def retry_after(self, app: AppView, revision: str) -> float:
        """Return the seconds until a revision is saved or read again after a refusal; 0 for now."""
        return self._backoff.retry_after((app.uid, revision))

    async def load(self, app: AppView, revision: str) -> Json | None:
        """Return the saved pod template of a revision; None when it is not saved any more.

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

    async def save(self, app: AppView, revision: str, template: Json) -> bool:
        """Save the pod template of a revision; one that is saved already stays as it is.

        Returns:
            False when it cannot be saved: an object of another owner has its name, or the request
            is refused.

        Raises:
            UnavailableError: the API server is out of reach.
        """
        owner = Owner(app.key.namespace, app.key.name, app.uid)
        try:
            await self._client.create(
                CONTROLLER_REVISIONS, build_revision(owner, revision, template)
            )
        except ConflictError as error:
            if await self._read_revision(app, revision) is None:
                self._back_off(app, revision, "saved", error)
                return False
        except ApiError as error:
            if is_outage(error):
                raise
            self._back_off(app, revision, "saved", error)
            return False
        else:
            self._cache_template(app, revision, template)
        return True

    async def delete(self, app: AppView, revision: str) -> None:
        """Delete a saved revision; if that fails, it is deleted with the app."""
        self._cache.pop((app.uid, revision), None)
        name = revision_name(app.key.name, revision)
        try:
            raw = await self._client.get(CONTROLLER_REVISIONS, app.key.namespace, name)
            if raw is not None and _is_owned_by(raw, app):
                uid = raw["metadata"]["uid"]
                await self._client.delete(CONTROLLER_REVISIONS, app.key.namespace, name, uid)
        except ApiError as error:
            logger.warning("%s: stable revision %s cannot be deleted: %s", app.key, revision, error)

    async def _read_revision(self, app: AppView, revision: str) -> Json | None:
        name = revision_name(app.key.name, revision)
        raw = await self._client.get(CONTROLLER_REVISIONS, app.key.namespace, name)
        template = _parse_template(raw, app) if raw is not None else None
        if template is not None:
            self._cache_template(app, revision, template)
        return template

    def _cache_template(self, app: AppView, revision: str, template: Json) -> None:
        self._cache[app.uid, revision] = template

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


def _parse_template(raw: Json, app: AppView) -> Json | None:
    """Return the pod template in a ControllerRevision of the app; None for other content."""
    data: Json = raw.get("data") or {}
    containers = (data.get("spec") or {}).get("containers") or ()
    is_template = any(container.get("name") == names.CONTAINER_NAME for container in containers)
    return data if is_template and _is_owned_by(raw, app) else None


def _is_owned_by(raw: Json, app: AppView) -> bool:
    owners = raw["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == app.uid for owner in owners)
