"""What all children have in common: owner, labels, selector, and the mark of what was applied."""

import hashlib
from dataclasses import dataclass
from typing import Any

import orjson

from selfhealing.api import names


@dataclass(frozen=True, slots=True)
class Owner:
    """The SelfHealingApp that the children belong to."""

    namespace: str
    name: str
    uid: str


def selector(name: str) -> dict[str, str]:
    """The labels by which the Deployment and the Service find the pods of the app ``name``.

    A Deployment's selector can never change: this must not either.
    """
    return {names.LABEL_APP: name}


def labels(name: str) -> dict[str, str]:
    """The labels of every child and every pod of the app ``name``."""
    return {
        **selector(name),
        "app": name,
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/managed-by": names.FIELD_MANAGER,
        "app.kubernetes.io/part-of": name,
    }


def build_metadata(
    owner: Owner, annotations: dict[str, str] | None = None, *, is_controller: bool = True
) -> dict[str, Any]:
    """The metadata of a child: named as its owner, owned by it, deleted with it.

    ``controlled`` names the owner as its controller, too.
    """
    result: dict[str, Any] = {
        "name": owner.name,
        "namespace": owner.namespace,
        "labels": labels(owner.name),
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
    """Return ``child`` with the hash of itself in its annotations.

    The hash lets a freshly started operator see without a write that a child is what it would
    apply, also where the difference is a field that is no longer in the manifest.
    """
    digest = hashlib.sha256(orjson.dumps(child, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    meta = child["metadata"]
    annotations = {**meta.get("annotations", {}), names.ANNOTATION_APPLIED_HASH: digest}
    return {**child, "metadata": {**meta, "annotations": annotations}}


def omit_none(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values of any shape
    """The fields that the user gave: None means not given, an explicit 0 or false is kept."""
    return {key: value for key, value in fields.items() if value is not None}


def omit_empty(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values of any shape
    """The lists and maps that hold something: an empty one means the same as none to Kubernetes."""
    return {key: value for key, value in fields.items() if value}
