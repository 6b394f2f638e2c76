"""Keeps pod templates that have worked, to go back to: in ControllerRevisions of the app."""

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
"""Templates that are held in memory: those of apps that are on trial or rolled back."""

RETRY_AFTER: Final = 300.0
"""Seconds until a version is kept, or read, again where that was refused: people are needed."""

Json = dict[str, Any]

_RevisionKey = tuple[str, str]
"""The UID of an app and the hash of its pod template."""


class UnreadableRevisionError(Exception):
    """A version cannot be read, for a reason that does not pass by itself."""


class RevisionStore:
    """Reads and writes the kept templates; what is refused is said once in BARRED seconds."""

    def __init__(self, client: Client, clock: Callable[[], float]) -> None:
        """Keep by ``client``; ``clock`` gives steady seconds."""
        self._client = client
        self._cache: LRUCache[_RevisionKey, Json] = LRUCache(CACHE_SIZE)
        self._backoff: Backoff[_RevisionKey] = Backoff(
            clock, initial=RETRY_AFTER, maximum=RETRY_AFTER
        )

    def retry_after(self, app: AppView, revision: str) -> float:
        """Seconds for which a version is neither kept nor read, because that was refused; or 0."""
        return self._backoff.retry_after((app.uid, revision))

    async def load(self, app: AppView, revision: str) -> Json | None:
        """The kept pod template of a version; None when it is not kept any more.

        Raises:
            RefusedError: nobody can tell, because people have to do something first.
            UnavailableError: nobody can tell now.
        """
        cached = self._cache.get((app.uid, revision))
        if cached is not None:
            return cached
        if self.retry_after(app, revision):
            raise UnreadableRevisionError("it was refused a moment ago")
        try:
            return await self._read_revision(app, revision)
        except UnavailableError:
            raise
        except ApiError as error:
            self._back_off(app, revision, "read", error)
            raise UnreadableRevisionError(error.message) from error

    async def save(self, app: AppView, revision: str, template: Json) -> bool:
        """Keep the pod template of a version; one that is kept already stays as it is.

        Returns:
            False when it cannot be kept: a stranger's object has its name, or it is not allowed.

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
                self._back_off(app, revision, "kept", error)
                return False
        except ApiError as error:
            if is_outage(error):
                raise
            self._back_off(app, revision, "kept", error)
            return False
        else:
            self._cache_template(app, revision, template)
        return True

    async def delete(self, app: AppView, revision: str) -> None:
        """Keep a version no longer; one that cannot be deleted goes with the app."""
        self._cache.pop((app.uid, revision), None)
        name = revision_name(app.key.name, revision)
        try:
            raw = await self._client.get(CONTROLLER_REVISIONS, app.key.namespace, name)
            if raw is not None and _is_owned_by(raw, app):
                uid = raw["metadata"]["uid"]
                await self._client.delete(CONTROLLER_REVISIONS, app.key.namespace, name, uid)
        except ApiError as error:
            logger.warning("%s: version %s is kept for longer: %s", app.key, revision, error)

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
            "%s: version %s, to be gone back to, cannot be %s; again in %.0f s: %s",
            app.key,
            revision,
            operation,
            delay,
            error,
        )


def _parse_template(raw: Json, app: AppView) -> Json | None:
    """The pod template that an object keeps for an app, if it does."""
    data: Json = raw.get("data") or {}
    containers = (data.get("spec") or {}).get("containers") or ()
    is_template = any(container.get("name") == names.CONTAINER_NAME for container in containers)
    return data if is_template and _is_owned_by(raw, app) else None


def _is_owned_by(raw: Json, app: AppView) -> bool:
    owners = raw["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == app.uid for owner in owners)
