"""Attributes a diagnosis to a cause: the new revision, a node, one pod, or the environment.

The cause is found by comparing pods. If the pods of the previous revision are healthy, the cause is
the new revision. If all affected pods are on one node, and pods of the same revision are healthy on
other nodes, the cause is the node.
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
"""A revision is the cause only if at least one in this number of its pods is affected."""

STATUS_WRITE_DELAY: Final = timedelta(seconds=10)
"""The first pod of a revision may be created this long before the status has desiredSince. A pod of
the previous revision that was created so shortly before cannot have a diagnosis yet."""


class Cause(StrEnum):
    """What a diagnosis is attributed to."""

    NEW_VERSION = "NewVersion"
    NODE = "Node"
    POD = "Pod"
    ENVIRONMENT = "Environment"
    UNKNOWN = "Unknown"


class Confidence(StrEnum):
    """How certain a cause is."""

    HIGH = "High"
    MEDIUM = "Medium"
    LOW = "Low"


@dataclass(frozen=True, slots=True)
class Probation:
    """The state of a revision that has to become the stable revision first.

    Attributes:
        is_open: the revision is new, and has not been healthy for long enough.
        requested_since: when the spec first asked for the revision, so that older pods do not
            belong to it; None if all pods of the current template belong to it.
        is_image_unchanged: its image is the image of the stable revision.
        has_stable_revision: there is a stable revision to roll back to.
    """

    is_open: bool
    requested_since: datetime | None = None
    is_image_unchanged: bool = False
    has_stable_revision: bool = True


Attribution = tuple[Cause, Confidence]

_NODE_DIAGNOSES: Final = frozenset({DiagnosisType.NODE_LOST, DiagnosisType.STUCK_TERMINATING})
"""Diagnoses that no revision of an app can cause."""


def attribute_cause(
    snapshot: AppSnapshot,
    diagnosis_type: DiagnosisType,
    affected_pods: Sequence[PodView],
    probation: Probation,
) -> Attribution:
    """Attribute a diagnosis to a cause.

    Args:
        snapshot: the app and its objects.
        diagnosis_type: the diagnosis.
        affected_pods: the pods that have it.
        probation: the state of the current revision.
    """
    if diagnosis_type in _NODE_DIAGNOSES:
        has_finalizers = any(pod.finalizers for pod in affected_pods)
        return Cause.ENVIRONMENT if has_finalizers else Cause.NODE, Confidence.HIGH
    if diagnosis_type is DiagnosisType.UNSCHEDULABLE:  # a new node would help any revision
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
    """Attribute the diagnosis to the new revision; None if the new revision is not the cause."""
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
        return None  # other pods of the revision are healthy
    is_old_revision_ready = any(pod.ready for pod in active_pods if pod.uid not in new_uids)
    return Cause.NEW_VERSION, Confidence.HIGH if is_old_revision_ready else Confidence.MEDIUM


def _is_created_for_revision(pod: PodView, probation: Probation) -> bool:
    """Whether a pod was created after the spec asked for the revision, so that it belongs to it."""
    if probation.requested_since is None:
        return True
    return pod.created is not None and pod.created >= probation.requested_since - STATUS_WRITE_DELAY


def _attribute_by_location(
    affected_pods: Sequence[PodView], active_pods: Sequence[PodView]
) -> Attribution:
    """Attribute the diagnosis to the node or the pod, by where the healthy pods are."""
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
