"""What a story ends with: every object of its namespace, and what was created and deleted.

Times, UIDs and the names of pods differ from run to run, and are left out.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hack.testkit.kube_client import Json
from hack.testkit.namespace import KIND, AppNamespace
from selfhealing.api.names import ANNOTATION_APPLIED_HASH

KINDS = (
    KIND,
    "Deployment",
    "ReplicaSet",
    "Pod",
    "Service",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "Job",
    "ControllerRevision",
    "ConfigMap",
)
"""The kinds that the operator writes, and those of the controllers behind it."""

OF_KUBERNETES = frozenset({"kube-root-ca.crt"})
"""Objects that every namespace has."""

ASSIGNED_FIELDS = frozenset({"clusterIP", "clusterIPs", "healthCheckNodePort", "nodePort"})
"""Fields of a Service that the API server chooses."""

MISSING = "(nothing)"

STATUS_FIELDS = ("phase", "ready", "replicas", "readyReplicas", "updatedReplicas", "image")
HEALING_FIELDS = (
    "desiredRevision",
    "stableRevision",
    "failedRevision",
    "quarantined",
    "excludedNode",
    "memoryLimit",
)
ACTION_FIELDS = ("remediation", "outcome", "diagnosis")


def read_end_state(space: AppNamespace) -> Json:
    """Return a description of each object of a namespace by ``Kind/name``; pods by their owner."""
    objects = [
        (kind, item)
        for kind in KINDS
        for item in space.kube.list(kind, space.name)
        if item["metadata"]["name"] not in OF_KUBERNETES
    ]
    uids = {item["metadata"]["uid"] for _, item in objects}
    described: Json = {}
    for kind, item in objects:
        owners = sorted(_describe_owners(item, uids))
        description = {
            "owners": owners,
            "labels": item["metadata"].get("labels", {}),
            "deleting": "deletionTimestamp" in item["metadata"],
            **DESCRIBE[kind](item),
        }
        if kind != "Pod":
            described[f"{kind}/{item['metadata']['name']}"] = description
            continue
        pods = described.setdefault(f"Pods of {', '.join(owners)}", [])
        pods.append(description)
        pods.sort(key=json.dumps)
    return described


def _describe_owners(item: Json, uids: set[str]) -> Iterator[str]:
    for owner in item["metadata"].get("ownerReferences", ()):
        gone = "" if owner["uid"] in uids else " (gone)"
        yield f"{owner['kind']}/{owner['name']}{gone}"


def _describe_app(app: Json) -> Json:
    status = app.get("status", {})
    healing = status.get("healing", {})
    return {
        "generation": app["metadata"]["generation"],  # the operator never writes the spec
        "observed": status.get("observedGeneration") == app["metadata"]["generation"],
        "status": _pick(status, STATUS_FIELDS),
        "restarts": status.get("restarts", {}).get("total"),
        "conditions": {
            each["type"]: f"{each['status']} {each['reason']}"
            for each in status.get("conditions", ())
        },
        "healing": _pick(healing, HEALING_FIELDS),
        "history": [_pick(action, ACTION_FIELDS) for action in healing.get("history", ())],
    }


def _describe_deployment(deployment: Json) -> Json:
    meta = deployment["metadata"]
    return {
        "generation": meta["generation"],
        # The hash of what was applied is that of the owner's UID, too.
        "annotations": meta.get("annotations", {}) | {ANNOTATION_APPLIED_HASH: ""},
        "spec": deployment["spec"],
        "managers": sorted(
            {each["manager"] for each in meta["managedFields"] if each["operation"] == "Apply"}
        ),
    }


def _describe_pod(pod: Json) -> Json:
    conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", ())}
    return {
        "images": [container["image"] for container in pod["spec"]["containers"]],
        "phase": pod["status"].get("phase"),
        "ready": conditions.get("Ready"),
    }


def _without_assigned(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, Mapping):
        return {k: _without_assigned(v) for k, v in value.items() if k not in ASSIGNED_FIELDS}
    return [_without_assigned(each) for each in value] if isinstance(value, list) else value


def _describe_spec(item: Json) -> Json:
    return {"spec": _without_assigned(item["spec"])}


def _describe_name(_: Json) -> Json:
    return {}


DESCRIBE: Mapping[str, Callable[[Json], Json]] = {
    KIND: _describe_app,
    "Deployment": _describe_deployment,
    "ReplicaSet": lambda item: {"replicas": item["spec"]["replicas"]},
    "Pod": _describe_pod,
    "Service": _describe_spec,
    "HorizontalPodAutoscaler": _describe_spec,
    "PodDisruptionBudget": _describe_spec,
    "Job": _describe_spec,
    "ControllerRevision": lambda item: {"data": item["data"]},  # its number is a time
    "ConfigMap": _describe_name,  # the evidence holds times
}


def _pick(item: Mapping[str, Any], fields: tuple[str, ...]) -> Json:
    return {name: item[name] for name in fields if name in item}


def list_differences(expected: Any, actual: Any, path: str = "") -> list[str]:  # noqa: ANN401 - JSON
    """Return one line for each leaf that differs: its path and both values."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return [
            line
            for key in sorted({*expected, *actual})
            for line in list_differences(
                expected.get(key, MISSING), actual.get(key, MISSING), f"{path}.{key}".lstrip(".")
            )
        ]
    if expected == actual:
        return []
    return [f"{path}: {json.dumps(actual)} instead of {json.dumps(expected)}"]
