"""The view of a node: its state, and which pods it could take."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from selfhealing.cache.parse import UNREACHABLE_TAINT, clean_message

Json = Mapping[str, Any]

OUT_OF_SERVICE_TAINT: Final = "node.kubernetes.io/out-of-service"
"""Set by people on a node that is known to be off (KEP-2268). Kubernetes then deletes its pods by
force and detaches their volumes at once."""
ZONE_LABEL: Final = "topology.kubernetes.io/zone"
_READY: Final = "Ready"

MAX_CONDITIONS: Final = 8
"""Conditions of a node that are kept; node-problem-detector brings about ten types."""
MAX_CONDITION_LENGTH: Final = 64

_PRESSURE: Final = "Pressure"
"""The end of the types by which the kubelet evicts pods itself, and says so in their status."""
_TROUBLE: Final = (
    "corrupt",
    "deadlock",
    "degraded",
    "error",
    "fail",
    "flapping",
    "frequent",
    "missing",
    "problem",
    "readonly",
    "shutdown",
    "unavailable",
    "unhealthy",
)
"""Words in the types that mean trouble when they are True: those of node-problem-detector (its
config directory and its health checker), of AKS, and NetworkUnavailable of Kubernetes. A type
without one, such as VMEventScheduled or EtcdIsVoter, may mean anything."""


class Taint(NamedTuple):
    """A taint that keeps pods without a toleration away: NoSchedule or NoExecute."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node.

    Attributes:
        allocatable: by resource, the quantity that all pods of the node may request together.
        is_lost: Ready is not True, or the node has UNREACHABLE_TAINT.
        is_out_of_service: a person says that it is off.
        is_cordoned: the scheduler puts no pod on it.
        bad_conditions: the types of the conditions that name a problem, such as those of
            node-problem-detector; neither Ready nor a pressure.
        has_memory_pressure: it reports that it runs out of memory.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    allocatable: Mapping[str, str] = field(default_factory=dict)
    is_lost: bool = False
    is_out_of_service: bool = False
    is_cordoned: bool = False
    bad_conditions: tuple[str, ...] = ()
    has_memory_pressure: bool = False

    @property
    def zone(self) -> str:
        """The value of ZONE_LABEL; empty without it."""
        return self.labels.get(ZONE_LABEL, "")


def node_view(raw: Json) -> NodeView:
    """View a node. Nodes share most of their labels, so the strings are interned."""
    meta, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or ()}
    taints = spec.get("taints") or ()
    taint_keys = {taint["key"] for taint in taints}
    return NodeView(
        name=meta["name"],
        labels={sys.intern(k): sys.intern(v) for k, v in (meta.get("labels") or {}).items()},
        taints=tuple(
            Taint(taint["key"], taint.get("value") or "", taint["effect"])
            for taint in taints
            if taint["effect"] != "PreferNoSchedule"
        ),
        allocatable={
            sys.intern(k): sys.intern(str(v)) for k, v in (status.get("allocatable") or {}).items()
        },
        is_lost=conditions.get(_READY) != "True" or UNREACHABLE_TAINT in taint_keys,
        is_out_of_service=OUT_OF_SERVICE_TAINT in taint_keys,
        is_cordoned=bool(spec.get("unschedulable")),
        bad_conditions=tuple(sorted(_bad_conditions(conditions))[:MAX_CONDITIONS]),
        has_memory_pressure=conditions.get("MemoryPressure") == "True",
    )


def _bad_conditions(conditions: Mapping[str, str]) -> Iterator[str]:
    """Yield the types that name a problem; one that ends with Ready (EKS: KernelReady) is good."""
    for kind, status in conditions.items():
        if kind == _READY or kind.endswith(_PRESSURE):
            continue
        is_good_when_true = kind.endswith(_READY)
        if (is_good_when_true and status == "False") or (
            not is_good_when_true
            and status == "True"
            and any(word in kind.lower() for word in _TROUBLE)
        ):
            yield clean_message(kind)[:MAX_CONDITION_LENGTH]
