"""Renders a spec, and compares what it renders with the objects of a cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any, Final

import yaml

from selfhealing.api import names
from selfhealing.api.spec import parse_spec
from selfhealing.apply.drift import item_key, list_keys, matches
from selfhealing.render import Owner, build_children

Json = dict[str, Any]

UNKNOWN_UID: Final = "00000000-0000-0000-0000-000000000000"
"""The UID in the owner references of an app that is not in a cluster yet."""

_LINE_WIDTH: Final = 120


@dataclass(frozen=True, slots=True)
class ObjectDiff:
    """How an object of the cluster differs from what the spec renders.

    Attributes:
        kind: its kind.
        text: a unified diff of YAML, from the cluster to the spec; empty without a difference.
    """

    kind: str
    text: str


def render_app(app: Json, namespace: str) -> tuple[Json, ...]:
    """Return what the operator makes of an app, without overrides of healing.

    The hash of ConfigMaps and Secrets is left out: only the cluster knows their contents.

    Args:
        app: the SelfHealingApp.
        namespace: its namespace, if it does not name one.

    Raises:
        InvalidSpecError: the spec is invalid.
    """
    meta = app["metadata"]
    owner = Owner(meta.get("namespace") or namespace, meta["name"], meta.get("uid") or UNKNOWN_UID)
    return build_children(owner, parse_spec(app.get("spec") or {}))


def compare(manifests: Sequence[Json], live: Mapping[str, Json]) -> tuple[ObjectDiff, ...]:
    """Compare what a spec renders with the objects of a cluster.

    Only what the spec renders is compared: Kubernetes' defaults, an autoscaler's number of pods and
    fields of others are no difference.

    Args:
        manifests: what the spec renders.
        live: the objects, by kind.

    Returns:
        An entry for each object that one of them has, in the order of ``manifests``.
    """
    desired = {str(manifest["kind"]): _without_hash(manifest) for manifest in manifests}
    return tuple(
        ObjectDiff(kind, _diff(kind, desired.get(kind), live.get(kind)))
        for kind in dict.fromkeys((*desired, *live))
    )


def _without_hash(manifest: Json) -> Json:
    """Return a manifest without its owner and hash, which depend on where it is rendered."""
    meta = {key: value for key, value in manifest["metadata"].items() if key != "ownerReferences"}
    annotations = {
        key: value
        for key, value in (meta.pop("annotations", None) or {}).items()
        if key != names.ANNOTATION_APPLIED_HASH
    }
    return {
        **manifest,
        "metadata": {**meta, **({"annotations": annotations} if annotations else {})},
    }


def _diff(kind: str, desired: Json | None, live: Json | None) -> str:
    if desired is not None and live is not None and matches(live, desired):
        return ""
    before = [] if live is None else _to_lines(_project(live, desired, "") if desired else live)
    after = [] if desired is None else _to_lines(desired)
    return "\n".join(
        unified_diff(before, after, f"{kind} (cluster)", f"{kind} (spec)", lineterm="")
    )


def _project(live: Any, desired: Any, field: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the part of a live value that a manifest has, in its order.

    A value that equals the manifest's in another notation is shown as the manifest has it.
    """
    if matches(live, desired, field):
        return desired
    if isinstance(desired, Mapping) and isinstance(live, Mapping):
        return {key: _project(live[key], desired[key], key) for key in desired if key in live}
    if isinstance(desired, list) and isinstance(live, list):
        keys = list_keys(field, desired)
        if keys is None:
            return live
        wanted = {item_key(item, keys): item for item in desired}
        return [
            _project(item, wanted[key], field)
            for item in live
            if (key := item_key(item, keys)) in wanted
        ]
    return live


def _to_lines(value: object) -> list[str]:
    """Return YAML in which each character that may not be shown as it is is escaped."""
    text: str = yaml.safe_dump(value, width=_LINE_WIDTH)
    return text.splitlines()
