"""Keeps pod templates that have worked, to go back to: in ControllerRevisions of the app."""

import logging
from collections import OrderedDict
from typing import Any, Final

from selfhealing.observe.views import AppView
from selfhealing.render.meta import Owner
from selfhealing.render.overrides import build_kept, kept_name
from selfhealing.runtime.access import CONTROLLER_REVISIONS
from selfhealing.runtime.client import Client
from selfhealing.runtime.errors import ConflictError

logger = logging.getLogger(__name__)

REMEMBERED: Final = 256
"""Templates that are held in memory: those of apps that are on trial or rolled back."""

Json = dict[str, Any]


class Keeper:
    """Reads and writes the kept templates."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: OrderedDict[tuple[str, str], Json] = OrderedDict()

    async def load(self, app: AppView, version: str) -> Json | None:
        """The kept pod template of a version; None when it is not kept any more."""
        known = self._known.get((app.uid, version))
        if known is not None:
            self._known.move_to_end((app.uid, version))
            return known
        name = kept_name(app.key.name, version)
        raw = await self._client.get(CONTROLLER_REVISIONS, app.key.namespace, name)
        if raw is None or not _is_of(raw, app):
            return None
        template: Json = raw["data"]
        self._remember(app, version, template)
        return template

    async def keep(self, app: AppView, version: str, template: Json) -> None:
        """Keep the pod template of a version; one that is kept already stays as it is.

        Raises:
            ConflictError: somebody else's object has that name.
        """
        owner = Owner(app.key.namespace, app.key.name, app.uid)
        try:
            await self._client.create(CONTROLLER_REVISIONS, build_kept(owner, version, template))
        except ConflictError:
            if await self.load(app, version) is None:
                raise
        else:
            self._remember(app, version, template)

    async def forget(self, app: AppView, version: str) -> None:
        """Keep a version no longer."""
        self._known.pop((app.uid, version), None)
        name = kept_name(app.key.name, version)
        raw = await self._client.get(CONTROLLER_REVISIONS, app.key.namespace, name)
        if raw is not None and _is_of(raw, app):
            uid = raw["metadata"]["uid"]
            await self._client.delete(CONTROLLER_REVISIONS, app.key.namespace, name, uid)

    def _remember(self, app: AppView, version: str, template: Json) -> None:
        self._known[app.uid, version] = template
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


def _is_of(raw: Json, app: AppView) -> bool:
    owners = raw["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == app.uid for owner in owners)
