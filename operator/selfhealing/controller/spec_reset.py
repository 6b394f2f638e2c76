"""Removes the fields of a live child that stand in the way of an apply."""

import logging
from contextlib import suppress
from typing import Any, Final

import orjson

from selfhealing.api import names
from selfhealing.apply.reset import reset_to_desired
from selfhealing.cache.views import AppKey, ChildView
from selfhealing.kube.client import Client
from selfhealing.kube.errors import InvalidError
from selfhealing.kube.resources import CHILDREN

logger = logging.getLogger(__name__)

Json = dict[str, Any]

_RELEASE_ATTEMPTS: Final = 5


async def reset_spec(client: Client, key: AppKey, live: ChildView, desired: Json) -> bool:
    """Remove fields of ``live`` that conflict with the desired ones.

    Returns:
        False when there are none, or the result is refused, too: then the spec is invalid.
    """
    spec = orjson.loads(live.manifest_json)["spec"]
    new_spec = reset_to_desired(spec, desired["spec"])
    if new_spec == spec:
        return False
    resource = CHILDREN[live.kind]
    operations = [
        # A conflict if the object has changed since it was read.
        {
            "op": "replace",
            "path": "/metadata/resourceVersion",
            "value": str(live.resource_version),
        },
        {"op": "replace", "path": "/spec", "value": new_spec},
    ]
    try:
        raw = await client.json_patch(
            resource, key.namespace, key.name, operations, names.RESET_MANAGER
        )
    except InvalidError:
        return False
    await _release_reset_fields(client, key, live.kind, raw)
    return True


async def _release_reset_fields(client: Client, key: AppKey, kind: str, raw: Json) -> None:
    """Remove the reset manager's entry: a field stays for as long as a manager owns it.

    The patch names the entry by its index, which changes when another manager writes. Then the
    API server refuses the patch, and the index is read again.
    """
    resource = CHILDREN[kind]
    live: Json | None = raw
    for attempt in range(_RELEASE_ATTEMPTS):
        if attempt:
            live = await client.get(resource, key.namespace, key.name)
        fields = live["metadata"].get("managedFields", ()) if live is not None else ()
        managers = [entry.get("manager") for entry in fields]
        if names.RESET_MANAGER not in managers:
            return
        path = f"/metadata/managedFields/{managers.index(names.RESET_MANAGER)}"
        operations = [
            {"op": "test", "path": f"{path}/manager", "value": names.RESET_MANAGER},
            {"op": "remove", "path": path},
        ]
        with suppress(InvalidError):
            await client.json_patch(
                resource, key.namespace, key.name, operations, names.RESET_MANAGER
            )
            return
    logger.warning("%s: %s still owns fields of the %s", key, names.RESET_MANAGER, kind)
