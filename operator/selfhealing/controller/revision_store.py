"""Keeps pod templates that have worked, to go back to: in ControllerRevisions of the app."""

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from selfhealing.api import names
from selfhealing.cache.views import AppView
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ConflictError, UnavailableError, is_outage
from selfhealing.kube.resources import CONTROLLER_REVISIONS
from selfhealing.render.meta import Owner
from selfhealing.render.overrides import build_kept, kept_name

logger = logging.getLogger(__name__)

REMEMBERED: Final = 256
"""Templates that are held in memory: those of apps that are on trial or rolled back."""

BARRED: Final = 300.0
"""Seconds until a version is kept, or read, again where that was refused: people are needed."""

Json = dict[str, Any]


class RefusedError(Exception):
    """A version cannot be read, for a reason that does not pass by itself."""


class Keeper:
    """Reads and writes the kept templates; what is refused is said once in BARRED seconds."""

    def __init__(self, client: Client, clock: Callable[[], float]) -> None:
        """Keep by ``client``; ``clock`` gives steady seconds."""
        self._client = client
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], Json] = OrderedDict()
        self._barred: dict[tuple[str, str], float] = {}

    def wait(self, app: AppView, version: str) -> float:
        """Seconds for which a version is neither kept nor read, because that was refused; or 0."""
        return max(0.0, self._barred.get((app.uid, version), 0.0) - self._clock())

    async def load(self, app: AppView, version: str) -> Json | None:
        """The kept pod template of a version; None when it is not kept any more.

        Raises:
            RefusedError: nobody can tell, because people have to do something first.
            UnavailableError: nobody can tell now.
        """
        known = self._known.get((app.uid, version))
        if known is not None:
            self._known.move_to_end((app.uid, version))
            return known
        if self.wait(app, version):
            raise RefusedError("it was refused a moment ago")
        try:
            return await self._look(app, version)
        except UnavailableError:
            raise
        except ApiError as error:
            self._bar(app, version, "read", error)
            raise RefusedError(error.message) from error

    async def keep(self, app: AppView, version: str, template: Json) -> bool:
        """Keep the pod template of a version; one that is kept already stays as it is.

        Returns:
            False when it cannot be kept: a stranger's object has its name, or it is not allowed.

        Raises:
            UnavailableError: the API server is out of reach.
        """
        owner = Owner(app.key.namespace, app.key.name, app.uid)
        try:
            await self._client.create(CONTROLLER_REVISIONS, build_kept(owner, version, template))
        except ConflictError as error:
            if await self._look(app, version) is None:
                self._bar(app, version, "kept", error)
                return False
        except ApiError as error:
            if is_outage(error):
                raise
            self._bar(app, version, "kept", error)
            return False
        else:
            self._remember(app, version, template)
        return True

    async def forget(self, app: AppView, version: str) -> None:
        """Keep a version no longer; one that cannot be deleted goes with the app."""
        self._known.pop((app.uid, version), None)
        name = kept_name(app.key.name, version)
        try:
            raw = await self._client.get(CONTROLLER_REVISIONS, app.key.namespace, name)
            if raw is not None and _is_of(raw, app):
                uid = raw["metadata"]["uid"]
                await self._client.delete(CONTROLLER_REVISIONS, app.key.namespace, name, uid)
        except ApiError as error:
            logger.warning("%s: version %s is kept for longer: %s", app.key, version, error)

    async def _look(self, app: AppView, version: str) -> Json | None:
        name = kept_name(app.key.name, version)
        raw = await self._client.get(CONTROLLER_REVISIONS, app.key.namespace, name)
        template = _template(raw, app) if raw is not None else None
        if template is not None:
            self._remember(app, version, template)
        return template

    def _remember(self, app: AppView, version: str, template: Json) -> None:
        self._known[app.uid, version] = template
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _bar(self, app: AppView, version: str, what: str, error: ApiError) -> None:
        now = self._clock()
        self._barred = {each: end for each, end in self._barred.items() if end > now}
        self._barred[app.uid, version] = now + BARRED
        logger.warning(
            "%s: version %s, to be gone back to, cannot be %s; again in %.0f s: %s",
            app.key,
            version,
            what,
            BARRED,
            error,
        )


def _template(raw: Json, app: AppView) -> Json | None:
    """The pod template that an object keeps for an app, if it does."""
    data: Json = raw.get("data") or {}
    containers = (data.get("spec") or {}).get("containers") or ()
    is_template = any(each.get("name") == names.CONTAINER_NAME for each in containers)
    return data if is_template and _is_of(raw, app) else None


def _is_of(raw: Json, app: AppView) -> bool:
    owners = raw["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == app.uid for owner in owners)
