"""The view of a node that tells which pods it could take."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Json = Mapping[str, Any]


class Taint(NamedTuple):
    """A taint that keeps pods without a toleration away: NoSchedule or NoExecute."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class NodeView:
    """What a node offers to pods.

    Attributes:
        allocatable: by resource, the quantity that all pods of the node may request together.
    """

    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    allocatable: Mapping[str, str]


def node_view(raw: Json) -> NodeView:
    """View a node. Nodes share most of their labels, so the strings are interned."""
    meta, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    return NodeView(
        name=meta["name"],
        labels={sys.intern(k): sys.intern(v) for k, v in (meta.get("labels") or {}).items()},
        taints=tuple(
            Taint(taint["key"], taint.get("value") or "", taint["effect"])
            for taint in spec.get("taints") or ()
            if taint["effect"] != "PreferNoSchedule"
        ),
        allocatable={
            sys.intern(k): sys.intern(str(v)) for k, v in (status.get("allocatable") or {}).items()
        },
    )
