"""Renders the metadata that all children share: owner, labels and applied hash."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from selfhealing.api import names


@dataclass(frozen=True, slots=True)
class Owner:
    """The SelfHealingApp that owns the children."""

    namespace: str
    name: str
    uid: str


def selector(name: str) -> dict[str, str]:
    """Return the label selector of the pods of the app ``name``.

    It must never change, because a Deployment's selector is immutable.
    """
    return {names.LABEL_APP: name}


def isolated_pod_selector(name: str, pod_labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the LabelSelector of the pods of the app ``name`` and of those that are isolated.

    An isolated pod loses the label of ``selector``, and keeps these. Pods of another app whose
    label ``app`` has this name are not among them.

    Args:
        name: the app.
        pod_labels: the labels that the spec gives to the pods.
    """
    managed = {names.LABEL_MANAGED_BY: names.FIELD_MANAGER}
    if marker := pod_marker(name, pod_labels):
        return {"matchLabels": {**marker, **managed}}
    return {
        "matchLabels": {"app": name, **managed},
        "matchExpressions": [{"key": names.LABEL_NAME, "operator": "DoesNotExist"}],
    }


def pod_marker(name: str, pod_labels: Mapping[str, str]) -> dict[str, str]:
    """Return the label that says whose pods they are if the spec gives them the label ``app``."""
    return {names.LABEL_NAME: name} if "app" in pod_labels else {}


def labels(name: str) -> dict[str, str]:
    """Return the labels of the children and pods of the app ``name``."""
    return {
        **selector(name),
        "app": name,
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/instance": name,
        names.LABEL_MANAGED_BY: names.FIELD_MANAGER,
        "app.kubernetes.io/part-of": name,
    }


def build_metadata(
    owner: Owner,
    annotations: Mapping[str, str] | None = None,
    extra_labels: Mapping[str, str] | None = None,
    *,
    is_controller: bool = True,
) -> dict[str, Any]:
    """Return the metadata of a child, which has its owner's name and is deleted with it.

    Args:
        owner: the app.
        annotations: annotations of the child.
        extra_labels: labels of the child beside those that all children have.
        is_controller: whether the owner reference is the controller reference.
    """
    result: dict[str, Any] = {
        "name": owner.name,
        "namespace": owner.namespace,
        "labels": {**labels(owner.name), **(extra_labels or {}), **selector(owner.name)},
        "ownerReferences": [
            {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "name": owner.name,
                "uid": owner.uid,
                "controller": is_controller,
                "blockOwnerDeletion": True,
            }
        ],
    }
    if annotations:
        result["annotations"] = dict(annotations)
    return result


def with_applied_hash(child: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest with its hash in an annotation.

    By the hash a restarted operator sees without a write that a child is up to date. It also
    detects a field that is no longer in the manifest, which a comparison of fields does not.
    """
    digest = hashlib.sha256(orjson.dumps(child, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    meta = child["metadata"]
    annotations = {**meta.get("annotations", {}), names.ANNOTATION_APPLIED_HASH: digest}
    return {**child, "metadata": {**meta, "annotations": annotations}}


def omit_none(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values of any shape
    """Return the fields that are not None; an explicit 0 or false is kept."""
    return {key: value for key, value in fields.items() if value is not None}


def omit_empty(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values of any shape
    """Return the lists and maps that are not empty; to Kubernetes empty means not given."""
    return {key: value for key, value in fields.items() if value}
