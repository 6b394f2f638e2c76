"""Deployments whose pod template others have edited, with their entries in managedFields."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import orjson

from selfhealing.api import names
from selfhealing.api.spec import parse_spec
from selfhealing.apply.drift import item_key, list_keys
from selfhealing.cache.child_views import deployment_view
from selfhealing.cache.views import DeploymentView
from selfhealing.render import Owner, build_children
from tests.unit import builders

Json = dict[str, Any]

OWNER = Owner(builders.NAMESPACE, builders.APP, builders.APP_UID)


def container_edit(name: str = "app", **fields: Any) -> Json:  # noqa: ANN401 - JSON
    """Fields of a container of a pod template."""
    return {"spec": {"containers": [{"name": name, **fields}]}}


SNIPPETS: dict[str, Json] = {
    "command": container_edit(command=["/bin/false"]),
    "variable": container_edit(env=[{"name": "THEIRS", "value": "1"}]),
    "probe": container_edit(
        livenessProbe={"httpGet": {"path": "/wrong", "port": 1}, "periodSeconds": 1}
    ),
    "port": container_edit(ports=[{"name": "more", "containerPort": 9, "protocol": "TCP"}]),
    "limits": container_edit(resources={"limits": {"cpu": "1m"}}),
    "mount": container_edit(volumeMounts=[{"name": "theirs", "mountPath": "/theirs"}]),
    "sidecar": container_edit("proxy", image="proxy:v1", args=["-v"]),
    "volume": {"spec": {"volumes": [{"name": "theirs", "emptyDir": {}}]}},
    "dns": {"spec": {"dnsPolicy": "None"}},
    "init": {"spec": {"initContainers": [{"name": "wait", "image": "wait:v1"}]}},
    "node": {"spec": {"nodeSelector": {"disk": "none"}}},
    "annotation": {"metadata": {"annotations": {"example.com/inject": "yes"}}},
    "label": {"metadata": {"labels": {"team": "blue"}}},
}
"""What others may put into a pod template, disjoint of each other."""


def build_desired(**spec: Any) -> Json:  # noqa: ANN401 - JSON
    """Return the Deployment that the operator applies."""
    return build_children(OWNER, parse_spec({"image": builders.IMAGE, **spec}))[0]


def merge(target: Any, change: Any, field: str = "") -> Any:  # noqa: ANN401 - any JSON value
    """Merge a change into a value as server-side apply does."""
    if isinstance(target, Mapping) and isinstance(change, Mapping):
        merged = {key: merge(target.get(key), value, key) for key, value in change.items()}
        return {**target, **merged}
    keys = list_keys(field, change) if isinstance(change, list) else None
    if not isinstance(target, list) or keys is None:
        return deepcopy(change)
    changes = {item_key(item, keys): item for item in change}
    merged_items = [merge(item, changes.pop(item_key(item, keys), {})) for item in target]
    return [*merged_items, *deepcopy(list(changes.values()))]


def field_tree(value: Any, field: str = "") -> Json:  # noqa: ANN401 - any JSON value
    """Return the FieldsV1 of a value that is set."""
    if isinstance(value, Mapping) and field not in {"nodeSelector", "emptyDir"}:
        return {f"f:{key}": field_tree(inner, key) for key, inner in value.items()}
    keys = list_keys(field, value) if isinstance(value, list) else None
    if keys is None:
        return {}
    return {
        f"k:{orjson.dumps(dict(zip(keys, item_key(item, keys), strict=True))).decode()}": {
            ".": {},
            **field_tree(item),
        }
        for item in value
    }


def build_edited(
    desired: Json,
    *edits: tuple[str, float, Sequence[Json]],
    annotations: Json | None = None,
    **meta: Any,  # noqa: ANN401 - JSON
) -> Json:
    """Return the live Deployment after edits: manager, seconds after noon, what was set.

    Args:
        desired: the Deployment as it was applied.
        edits: the edits.
        annotations: annotations of the Deployment that the first editor has set.
        meta: more metadata.
    """
    live = deepcopy(desired)
    metadata = live["metadata"]
    entries = [
        {
            "manager": names.FIELD_MANAGER,
            "operation": "Apply",
            "fieldsV1": {"f:spec": {"f:template": field_tree(desired["spec"]["template"])}},
        }
    ]
    for manager, seconds, changes in edits:
        tree: Json = {}
        for change in changes:
            live["spec"]["template"] = merge(live["spec"]["template"], change)
            tree = merge(tree, field_tree(change))
        fields: Json = {"f:spec": {"f:template": tree}}
        if annotations and len(entries) == 1:
            fields["f:metadata"] = field_tree({"annotations": annotations})
            metadata["annotations"] = {**metadata["annotations"], **annotations}
        entries.append(
            {
                "manager": manager,
                "operation": "Update",
                "time": builders.iso(seconds),
                "fieldsV1": fields,
            }
        )
    metadata |= {"uid": "uid-of-Deployment", "resourceVersion": "7", "managedFields": entries}
    metadata |= meta
    return live


def view_edited(desired: Json, *edits: tuple[str, float, Sequence[Json]]) -> DeploymentView:
    """Return the view of ``build_edited``."""
    return deployment_view(build_edited(desired, *edits))
