"""Proves from live objects, at the moment of an act, that a pod is the app's.

The cache may be behind, and what a stored record names may never have been the app's
(``cache.ownership`` has the rule for the cache).
"""

from collections.abc import Mapping
from typing import Any

from selfhealing.api import names
from selfhealing.cache.parse import parse_controller_uid, parse_owner_uid
from selfhealing.cache.views import AppView
from selfhealing.kube.client import Client
from selfhealing.kube.resources import CHILDREN, REPLICA_SETS, Resource

Json = Mapping[str, Any]


async def is_pod_of_app(client: Client, app: AppView, pod: Json) -> bool:
    """Follow the chain of controllers from a live pod to the app, object by object.

    Args:
        client: the API client.
        app: the app.
        pod: the pod as it was just read.

    Raises:
        ApiError: an object of the chain cannot be read, so nothing is proved.
    """
    controller = _find_controller(pod)
    if controller is None:
        return False
    if (controller.get("kind"), _group_of(controller)) == (names.JOB, "batch"):
        return await _is_child_of_app(client, app, names.JOB, controller)
    if (controller.get("kind"), _group_of(controller)) != (REPLICA_SETS.kind, REPLICA_SETS.group):
        return False
    replica_set = await _get_referenced(client, app, REPLICA_SETS, controller)
    owner = _find_controller(replica_set) if replica_set is not None else None
    return owner is not None and await _is_child_of_app(client, app, names.DEPLOYMENT, owner)


def is_isolated_pod_of_app(app: AppView, pod: Json) -> bool:
    """Whether a live pod is one that was isolated from the app: by its owner, and by its label."""
    meta = pod["metadata"]
    label = (meta.get("labels") or {}).get(names.LABEL_QUARANTINED)
    is_released = not parse_controller_uid(meta)
    return label == app.key.name and is_released and parse_owner_uid(meta) == app.uid


async def _is_child_of_app(client: Client, app: AppView, kind: str, reference: Json) -> bool:
    """Whether ``reference`` names the app's own workload, which has the app's name."""
    if reference.get("name") != app.key.name:
        return False
    raw = await _get_referenced(client, app, CHILDREN[kind], reference)
    return raw is not None and parse_owner_uid(raw["metadata"]) == app.uid


async def _get_referenced(
    client: Client, app: AppView, resource: Resource, reference: Json
) -> Json | None:
    """Read the metadata of the object of an owner reference; None if it is gone or another one."""
    name = str(reference.get("name", ""))
    raw = await client.get_metadata(resource, app.key.namespace, name)
    return raw if raw is not None and raw["metadata"]["uid"] == reference.get("uid") else None


def _find_controller(raw: Json) -> Json | None:
    references = raw["metadata"].get("ownerReferences") or ()
    return next((owner for owner in references if owner.get("controller")), None)


def _group_of(reference: Json) -> str:
    return str(reference.get("apiVersion", "")).rpartition("/")[0]
