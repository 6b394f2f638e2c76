"""Removes fields of a live child that an apply cannot remove.

They stand in the way of an apply, or belong to other field managers.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import orjson

from selfhealing.api import names
from selfhealing.apply.field_owners import remove_obsolete_fields
from selfhealing.apply.foreign_fields import remove_foreign_fields
from selfhealing.apply.reset import reset_to_desired
from selfhealing.cache.child_views import CHILD_VIEWS, deployment_view
from selfhealing.cache.views import AppKey, ChildView, DeploymentView, TemplateEdit
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
    return await _replace(client, key, live, {"/spec": new_spec}) is not None


async def reset_template(
    client: Client,
    key: AppKey,
    live: DeploymentView,
    desired: Json,
    edits: Sequence[TemplateEdit],
) -> DeploymentView | None:
    """Remove the foreign fields of some edits from the pod template, and correct its other fields.

    It is one request, so that it is one rollout.

    Returns:
        The Deployment; None when the result is refused.
    """
    rendered = desired["spec"]["template"]
    template = remove_foreign_fields(live, edits, rendered)
    new_template = reset_to_desired(template, rendered)
    raw = await _replace(client, key, live, {"/spec/template": new_template})
    return deployment_view(raw) if raw is not None else None


async def reset_obsolete_fields(
    client: Client, key: AppKey, raw: Json, desired: Json
) -> ChildView | None:
    """Remove fields that are no longer desired and stay because another manager owns them.

    Returns:
        The child; None when there is nothing to remove, or the result is refused.
    """
    parts: dict[str, Any] = {**remove_obsolete_fields(raw, desired)}
    if not parts:
        return None
    if "/spec" in parts:  # in one request, so that it is one rollout
        parts["/spec"] = reset_to_desired(parts["/spec"], desired["spec"])
    view = CHILD_VIEWS[desired["kind"]]
    result = await _replace(client, key, view(raw), parts)
    return view(result) if result is not None else None


async def _replace(
    client: Client, key: AppKey, live: ChildView, parts: Mapping[str, Mapping[str, Any]]
) -> Json | None:
    """Replace parts of a child, by JSON pointer; None when the result is refused.

    Raises:
        ConflictError: the child has changed since it was read.
    """
    resource = CHILDREN[live.kind]
    operations: list[Json] = [
        # A conflict if the object has changed since it was read.
        {
            "op": "replace",
            "path": "/metadata/resourceVersion",
            "value": str(live.resource_version),
        },
        *({"op": "replace", "path": path, "value": value} for path, value in parts.items()),
    ]
    try:
        raw = await client.json_patch(
            resource, key.namespace, key.name, operations, names.RESET_MANAGER
        )
    except InvalidError:
        return None
    return await _release_reset_fields(client, key, live.kind, raw)


async def _release_reset_fields(client: Client, key: AppKey, kind: str, raw: Json) -> Json:
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
        if live is None or names.RESET_MANAGER not in managers:
            return live or raw
        path = f"/metadata/managedFields/{managers.index(names.RESET_MANAGER)}"
        operations = [
            {"op": "test", "path": f"{path}/manager", "value": names.RESET_MANAGER},
            {"op": "remove", "path": path},
        ]
        with suppress(InvalidError):
            return await client.json_patch(
                resource, key.namespace, key.name, operations, names.RESET_MANAGER
            )
    logger.warning("%s: %s still owns fields of the %s", key, names.RESET_MANAGER, kind)
    return live or raw
