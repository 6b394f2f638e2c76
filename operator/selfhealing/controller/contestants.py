"""Names who has changed a child: field managers, and the autoscalers behind scaled replicas."""

from collections.abc import Mapping
from typing import Any, Final

from selfhealing.api import names
from selfhealing.api.text import clean_line
from selfhealing.apply.field_owners import SCALE, find_contestants
from selfhealing.cache.managed_fields import MAX_MANAGER_LENGTH
from selfhealing.cache.parse import has_owner
from selfhealing.cache.views import AppView
from selfhealing.kube.client import Client
from selfhealing.kube.resources import CHILDREN

Json = Mapping[str, Any]

MAX_AUTOSCALERS: Final = 200
"""HorizontalPodAutoscalers of the namespace that are read."""

_AUTOSCALER: Final = "HorizontalPodAutoscaler"


async def name_contestants(client: Client, app: AppView, raw: Json, desired: Json) -> list[str]:
    """Return who owns fields of a raw child with other values than its manifest, in words."""
    contestants = find_contestants(raw, desired)
    has_scaled = any(contestant.subresource == SCALE for contestant in contestants)
    autoscalers = await _name_autoscalers(client, app) if has_scaled else []
    found: list[str] = []
    for contestant in contestants:
        is_scale = contestant.subresource == SCALE
        found += (autoscalers if is_scale else []) or [contestant.manager]
    return list(dict.fromkeys(found))


async def _name_autoscalers(client: Client, app: AppView) -> list[str]:
    """Name the autoscalers of others that scale the app's Deployment, or the app."""
    found: list[str] = []
    count = 0
    async for raw in client.list_objects(CHILDREN[_AUTOSCALER], app.key.namespace):
        count += 1
        if count > MAX_AUTOSCALERS:
            break
        target = (raw.get("spec") or {}).get("scaleTargetRef") or {}
        if (target.get("kind"), target.get("name")) in {
            (names.DEPLOYMENT, app.key.name),
            (names.KIND, app.key.name),
        } and not has_owner(raw["metadata"], app.uid):
            made_by = _find_manager(raw)
            found.append(
                f"the {_AUTOSCALER} {raw['metadata']['name']}"
                + (f" (written by {made_by})" if made_by else "")
            )
    return found


def _find_manager(raw: Json) -> str:
    """Return the field manager that wrote an object first; empty if nobody knows."""
    managers = (
        str(entry.get("manager", ""))
        for entry in raw["metadata"].get("managedFields") or ()
        if isinstance(entry, Mapping) and not entry.get("subresource")
    )
    return clean_line(next(managers, ""))[:MAX_MANAGER_LENGTH]
