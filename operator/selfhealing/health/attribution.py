"""Who is to blame: the new version, a node, one pod, or what surrounds the app?

Told by comparison. The same pods of the former version are well: then it is the new one. All that
fail are on one node, and others of the same version are well elsewhere: then it is the node.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from selfhealing.cache.snapshot import Facts
from selfhealing.cache.views import PodView
from selfhealing.health.pod_diagnosis import IllnessType
from selfhealing.health.pod_problems import is_live
from selfhealing.health.rollout import template_hash

HALF: Final = 2
"""One of so many pods of the new version must fail: a single one may have bad luck."""


SLACK: Final = timedelta(seconds=10)
"""The status tells since when a version is asked for, and may be written some seconds after its
first pod is made. A pod of the version before is ill only after a longer life."""


class Cause(StrEnum):
    """What is to blame."""

    NEW_VERSION = "NewVersion"
    NODE = "Node"
    POD = "Pod"
    ENVIRONMENT = "Environment"
    UNKNOWN = "Unknown"


class Confidence(StrEnum):
    """How sure that is."""

    HIGH = "High"
    MEDIUM = "Medium"
    LOW = "Low"


@dataclass(frozen=True, slots=True)
class Trial:
    """Whether the version that runs has yet to prove itself.

    ``open``: it is new and was not well for long enough; ``since``: when the spec first asked for
    it, so that pods made before are not its own; ``same_image``: its image is that of the version
    to go back to; ``returns``: there is one.
    """

    open: bool
    since: datetime | None = None
    same_image: bool = False
    returns: bool = True


Verdict = tuple[Cause, Confidence]

_SURROUNDINGS: Final = frozenset({IllnessType.NODE_LOST, IllnessType.STUCK_TERMINATING})
"""Illnesses that no version of an app can cause."""


def blame(facts: Facts, kind: IllnessType, ill: Sequence[PodView], trial: Trial) -> Verdict:
    """Say what is to blame for an illness that the pods ``ill`` show."""
    if kind in _SURROUNDINGS:
        held = any(pod.finalizers for pod in ill)
        return Cause.ENVIRONMENT if held else Cause.NODE, Confidence.HIGH
    if kind is IllnessType.UNSCHEDULABLE:  # a node may be on its way, for any version
        return Cause.ENVIRONMENT, Confidence.HIGH
    live = [pod for pod in facts.pods if is_live(pod)]
    current = template_hash(facts)
    if trial.open and (found := _version(kind, ill, live, current, trial)) is not None:
        return found
    return _place(ill, live)


def _version(
    kind: IllnessType,
    ill: Sequence[PodView],
    live: Sequence[PodView],
    current: str,
    trial: Trial,
) -> Verdict | None:
    """Whether the new version is to blame; None when it is not."""
    new = [pod for pod in live if pod.template_hash == current and _made_for(pod, trial)]
    uids = {pod.uid for pod in new}
    new_ill = [pod for pod in ill if pod.uid in uids]
    old_ill = [pod for pod in ill if pod.uid not in uids]
    if not new_ill or old_ill or len(new_ill) * HALF < len(new):
        return None
    if kind is IllnessType.IMAGE_PULL_FAILING and trial.same_image:
        return Cause.ENVIRONMENT, Confidence.MEDIUM
    is_hung = kind is IllnessType.NOT_READY_TOO_LONG
    if (is_hung or not trial.returns) and len(new_ill) < len(new):
        return None  # it can be well: others of it are
    old_ready = any(pod.ready for pod in live if pod.uid not in uids)
    return Cause.NEW_VERSION, Confidence.HIGH if old_ready else Confidence.MEDIUM


def _made_for(pod: PodView, trial: Trial) -> bool:
    """Whether a pod was made since the version is asked for: those before are of another."""
    if trial.since is None:
        return True
    return pod.created is not None and pod.created >= trial.since - SLACK


def _place(ill: Sequence[PodView], live: Sequence[PodView]) -> Verdict:
    """Whether the place is to blame: one node, or everything around the app."""
    uids = {pod.uid for pod in ill}
    alike = {pod.template_hash for pod in ill}
    well = [p for p in live if p.ready and p.uid not in uids and p.template_hash in alike]
    nodes = {pod.node for pod in ill if pod.node}
    if not well:
        return Cause.POD if len(live) == 1 else Cause.UNKNOWN, Confidence.LOW
    elsewhere = {pod.node for pod in well} - nodes
    if len(ill) > 1 and len(nodes) == 1 and elsewhere:
        return Cause.NODE, Confidence.MEDIUM
    return Cause.POD, Confidence.MEDIUM
