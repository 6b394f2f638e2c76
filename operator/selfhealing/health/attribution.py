"""Who is to blame: the new version, a node, one pod, or what surrounds the app?

Told by comparison. The same pods of the former version are well: then it is the new one. All that
fail are on one node, and others of the same version are well elsewhere: then it is the node.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import PodView
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.health.pod_problems import is_active
from selfhealing.health.rollout import current_template_hash

MIN_FAILED_SHARE_DIVISOR: Final = 2
"""One of so many pods of the new version must fail: a single one may have bad luck."""


STATUS_WRITE_DELAY: Final = timedelta(seconds=10)
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
class Probation:
    """Whether the version that runs has yet to prove itself.

    ``open``: it is new and was not well for long enough; ``since``: when the spec first asked for
    it, so that pods made before are not its own; ``same_image``: its image is that of the version
    to go back to; ``returns``: there is one.
    """

    is_open: bool
    requested_since: datetime | None = None
    is_image_unchanged: bool = False
    has_stable_revision: bool = True


Attribution = tuple[Cause, Confidence]

_NODE_DIAGNOSES: Final = frozenset({DiagnosisType.NODE_LOST, DiagnosisType.STUCK_TERMINATING})
"""Illnesses that no version of an app can cause."""


def attribute_cause(
    snapshot: AppSnapshot,
    diagnosis_type: DiagnosisType,
    affected_pods: Sequence[PodView],
    probation: Probation,
) -> Attribution:
    """Say what is to blame for an illness that the pods ``ill`` show."""
    if diagnosis_type in _NODE_DIAGNOSES:
        has_finalizers = any(pod.finalizers for pod in affected_pods)
        return Cause.ENVIRONMENT if has_finalizers else Cause.NODE, Confidence.HIGH
    if diagnosis_type is DiagnosisType.UNSCHEDULABLE:  # a node may be on its way, for any version
        return Cause.ENVIRONMENT, Confidence.HIGH
    active_pods = [pod for pod in snapshot.pods if is_active(pod)]
    current_hash = current_template_hash(snapshot)
    if (
        probation.is_open
        and (
            attribution := _attribute_to_revision(
                diagnosis_type, affected_pods, active_pods, current_hash, probation
            )
        )
        is not None
    ):
        return attribution
    return _attribute_by_location(affected_pods, active_pods)


def _attribute_to_revision(
    diagnosis_type: DiagnosisType,
    affected_pods: Sequence[PodView],
    active_pods: Sequence[PodView],
    current_hash: str,
    probation: Probation,
) -> Attribution | None:
    """Whether the new version is to blame; None when it is not."""
    new_pods = [
        pod
        for pod in active_pods
        if pod.template_hash == current_hash and _is_created_for_revision(pod, probation)
    ]
    new_uids = {pod.uid for pod in new_pods}
    affected_new_pods = [pod for pod in affected_pods if pod.uid in new_uids]
    affected_old_pods = [pod for pod in affected_pods if pod.uid not in new_uids]
    if (
        not affected_new_pods
        or affected_old_pods
        or len(affected_new_pods) * MIN_FAILED_SHARE_DIVISOR < len(new_pods)
    ):
        return None
    if diagnosis_type is DiagnosisType.IMAGE_PULL_FAILING and probation.is_image_unchanged:
        return Cause.ENVIRONMENT, Confidence.MEDIUM
    is_not_ready = diagnosis_type is DiagnosisType.NOT_READY_TOO_LONG
    if (is_not_ready or not probation.has_stable_revision) and len(affected_new_pods) < len(
        new_pods
    ):
        return None  # it can be well: others of it are
    is_old_revision_ready = any(pod.ready for pod in active_pods if pod.uid not in new_uids)
    return Cause.NEW_VERSION, Confidence.HIGH if is_old_revision_ready else Confidence.MEDIUM


def _is_created_for_revision(pod: PodView, probation: Probation) -> bool:
    """Whether a pod was made since the version is asked for: those before are of another."""
    if probation.requested_since is None:
        return True
    return pod.created is not None and pod.created >= probation.requested_since - STATUS_WRITE_DELAY


def _attribute_by_location(
    affected_pods: Sequence[PodView], active_pods: Sequence[PodView]
) -> Attribution:
    """Whether the place is to blame: one node, or everything around the app."""
    affected_uids = {pod.uid for pod in affected_pods}
    template_hashes = {pod.template_hash for pod in affected_pods}
    healthy_pods = [
        p
        for p in active_pods
        if p.ready and p.uid not in affected_uids and p.template_hash in template_hashes
    ]
    affected_nodes = {pod.node for pod in affected_pods if pod.node}
    if not healthy_pods:
        return Cause.POD if len(active_pods) == 1 else Cause.UNKNOWN, Confidence.LOW
    other_nodes = {pod.node for pod in healthy_pods} - affected_nodes
    if len(affected_pods) > 1 and len(affected_nodes) == 1 and other_nodes:
        return Cause.NODE, Confidence.MEDIUM
    return Cause.POD, Confidence.MEDIUM
