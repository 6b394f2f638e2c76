"""Decides about foreign edits of a Deployment's pod template: fields that others set and keep.

Such an edit is a version by its field manager at its time. It is left alone while the app is well,
and is proven when the app has stayed healthy with it for the probation. An app that falls ill
before that, in pods that were created after the edit, is ill because of it; then the first
remediation is to remove the fields of the edit. That is done once a day for each manager: a
controller that sets its fields again would only cause rollouts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from selfhealing.api.healing_status import (
    COMPARISON_LIMIT,
    HealingAction,
    HealingStatus,
    Remediation,
)
from selfhealing.apply.foreign_fields import ForeignEdit
from selfhealing.cache.views import PodView
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.remediation import history
from selfhealing.remediation.policy import Policy

REMOVAL_INTERVAL: Final = timedelta(days=1)
"""The time in which the fields of one manager are removed only once."""

STEADY_AFTER: Final = timedelta(minutes=1)
"""How long a pod must be ready to speak for an edit: of pods that all crash, the first is diagnosed
while others are ready between two crashes."""

_OF_ONE_CONTAINER: Final = frozenset(
    {DiagnosisType.IMAGE_PULL_FAILING, DiagnosisType.CONFIG_ERROR, DiagnosisType.START_FAILING}
)
"""Diagnoses whose cause is in the fields of the container, or in those of the pod."""

_OF_RUNNING_CONTAINERS: Final = frozenset(
    {
        DiagnosisType.CRASH_LOOPING,
        DiagnosisType.LIVENESS_KILLED,
        DiagnosisType.OOM_KILLED,
        DiagnosisType.NOT_READY_TOO_LONG,
        DiagnosisType.ROLLOUT_STALLED,
        DiagnosisType.DEPENDENCY_DOWN,
    }
)
"""Diagnoses that any field can cause: an added container may take the port of another one."""

_WITHOUT_VERSION: Final = frozenset(
    {
        DiagnosisType.LIVENESS_KILLED,
        DiagnosisType.UNSCHEDULABLE,
        DiagnosisType.PODS_REFUSED,
        DiagnosisType.ROLLOUT_STALLED,
        DiagnosisType.DEPENDENCY_DOWN,
    }
)
"""Diagnoses that are attributed to the environment because no version of the spec explains them."""

_SCHEDULING_FIELDS: Final = (
    "affinity",
    "hostNetwork",
    "nodeName",
    "nodeSelector",
    "ports",
    "priorityClassName",
    "resources",
    "runtimeClassName",
    "schedulerName",
    "schedulingGates",
    "topologySpreadConstraints",
    "volumes",
)
"""Fields by which a pod finds no node, in the pod or in a container."""

_POD_SECURITY_REFUSAL: Final = "violates PodSecurity"
"""In the messages of the PodSecurity admission plugin (Kubernetes 1.36)."""


@dataclass(frozen=True, slots=True)
class EditHistory:
    """What the responsibility of foreign edits is decided by.

    Attributes:
        edits: the foreign edits of the pod template, the newest first.
        pods: the active pods.
        record: the stored record.
        desired_revision: the revision that the spec asks for.
        now: the time.
    """

    edits: tuple[ForeignEdit, ...]
    pods: Sequence[PodView]
    record: HealingStatus
    desired_revision: str
    now: datetime


def attribute_to_foreign_edits(
    diagnoses: tuple[AppDiagnosis, ...], facts: EditHistory
) -> tuple[AppDiagnosis, ...]:
    """Change the cause of the diagnoses that a foreign edit is responsible for."""
    if not facts.edits:
        return diagnoses
    # A rollout of which no pod is made hangs for the reason of the refusal.
    is_refused = any(
        diagnosis.type is DiagnosisType.PODS_REFUSED
        and find_responsible_edit(diagnosis, facts) is None
        for diagnosis in diagnoses
    )
    return tuple(
        diagnosis
        if is_refused and diagnosis.type is DiagnosisType.ROLLOUT_STALLED
        else _attribute_one(diagnosis, facts)
        for diagnosis in diagnoses
    )


def _attribute_one(diagnosis: AppDiagnosis, facts: EditHistory) -> AppDiagnosis:
    edit = find_responsible_edit(diagnosis, facts)
    return _attribute(diagnosis, edit, facts.pods) if edit else _doubt_version(diagnosis, facts)


def _attribute(diagnosis: AppDiagnosis, edit: ForeignEdit, pods: Sequence[PodView]) -> AppDiagnosis:
    is_healthy_without = any(pod.ready and not _is_created_after(edit, pod) for pod in pods)
    others = "ready" if is_healthy_without else "gone"
    comparison = f"{describe_edit(edit)}; the pods that were created before it are {others}"
    return replace(
        diagnosis,
        cause=Cause.FOREIGN_EDIT,
        confidence=Confidence.HIGH if is_healthy_without else Confidence.MEDIUM,
        message=f"{diagnosis.message}; {describe_edit(edit)}",
        comparison=comparison[:COMPARISON_LIMIT],
    )


def _doubt_version(diagnosis: AppDiagnosis, facts: EditHistory) -> AppDiagnosis:
    """Lower the confidence that a version is the cause, if an edit explains it as well."""
    edit = find_suspected_edit(diagnosis, facts)
    if diagnosis.cause is not Cause.NEW_VERSION or edit is None:
        return diagnosis
    return replace(
        diagnosis,
        confidence=Confidence.LOW,
        comparison=f"it may be that {describe_edit(edit)}"[:COMPARISON_LIMIT],
    )


def describe_edit(edit: ForeignEdit) -> str:
    """Return a clause that names the manager, the fields and the time of an edit."""
    when = f" at {edit.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if edit.at else ""
    return f"{edit.manager} set {edit.description}{when}"


def find_responsible_edit(diagnosis: AppDiagnosis, facts: EditHistory) -> ForeignEdit | None:
    """Return the newest edit that explains a diagnosis; None if there is none.

    The app must have been well without it: the revision is proven, or older pods are ready.
    """
    record = facts.record
    is_revision_proven = (
        record.failed_revision is not None or record.stable_revision == facts.desired_revision
    )
    edit = find_suspected_edit(diagnosis, facts)
    was_well = edit is not None and (
        is_revision_proven
        or any(pod.ready and not _is_created_after(edit, pod) for pod in facts.pods)
    )
    return edit if was_well else None


def find_suspected_edit(diagnosis: AppDiagnosis, facts: EditHistory) -> ForeignEdit | None:
    """Return the newest edit that can cause a diagnosis, whether or not the app was healthy."""
    edits = (
        edit
        for edit in facts.edits
        if not _is_proven(edit, facts.record)
        and _can_cause(edit, diagnosis)
        and _has_begun_with(edit, diagnosis, facts)
    )
    return next(edits, None)


def _is_proven(edit: ForeignEdit, record: HealingStatus) -> bool:
    """Whether the app was healthy with the edit; also when its time is unknown."""
    return edit.at is None or (
        record.proven_edit_time is not None and edit.at <= record.proven_edit_time
    )


def _is_created_after(edit: ForeignEdit, pod: PodView) -> bool:
    """Whether a pod has the edit; both times are the API server's."""
    return edit.at is not None and pod.created is not None and pod.created >= edit.at


def _has_begun_with(edit: ForeignEdit, diagnosis: AppDiagnosis, facts: EditHistory) -> bool:
    """Whether only pods with the edit have the diagnosis, and no fewer than are well with it."""
    affected_uids = {pod.uid for pod in diagnosis.pods}
    well_pods = [
        pod
        for pod in facts.pods
        if _is_created_after(edit, pod)
        and pod.uid not in affected_uids
        and pod.ready
        and pod.ready_since is not None
        and pod.ready_since <= facts.now - STEADY_AFTER
    ]
    return all(_is_created_after(edit, pod) for pod in diagnosis.pods) and len(
        affected_uids
    ) >= len(well_pods)


def _can_cause(edit: ForeignEdit, diagnosis: AppDiagnosis) -> bool:
    """Whether the fields of an edit can cause a diagnosis."""
    kind = diagnosis.type
    if kind is DiagnosisType.CONFIG_ERROR:
        return any(_reads_configuration(path, diagnosis.container) for path in edit.paths)
    if diagnosis.cause is Cause.ENVIRONMENT and kind not in _WITHOUT_VERSION:
        return False
    if kind is DiagnosisType.PODS_REFUSED:
        return _POD_SECURITY_REFUSAL in diagnosis.message
    if kind is DiagnosisType.UNSCHEDULABLE:
        return any(_concerns_scheduling(path) for path in edit.paths)
    if kind in _OF_ONE_CONTAINER:
        return any(
            not diagnosis.container or _container_of(path) in {"", diagnosis.container}
            for path in edit.paths
        )
    return kind in _OF_RUNNING_CONTAINERS


def _reads_configuration(path: str, container: str) -> bool:
    """Whether a field can name a ConfigMap or Secret that a container reads."""
    if not _container_of(path):
        return path.startswith("volumes")
    field = path.partition("]")[2].lstrip(".")
    is_of_container = not container or _container_of(path) == container
    return is_of_container and (not field or field.startswith("env"))


def _container_of(path: str) -> str:
    """Return the container that a path is in; empty for a field of the pod."""
    head, _, rest = path.partition("[")
    return rest.partition("]")[0] if head in {"containers", "initContainers"} else ""


def _concerns_scheduling(path: str) -> bool:
    if not _container_of(path):
        return path.startswith(_SCHEDULING_FIELDS)
    field = path.partition("]")[2].lstrip(".")
    return not field or field.startswith(_SCHEDULING_FIELDS)


def was_removed_before(edit: ForeignEdit, record: HealingStatus, now: datetime) -> bool:
    """Whether fields of the same manager were removed within REMOVAL_INTERVAL."""
    return any(
        (target := parse_edit_target(action.target)) is not None and target[0] == edit.manager
        for action in record.history
        if action.remediation is Remediation.REMOVE_FOREIGN_FIELDS
        and action.outcome in history.BUDGETED
        and action.at > now - REMOVAL_INTERVAL
    )


def prove_edits(
    record: HealingStatus,
    edits: Sequence[ForeignEdit],
    policy: Policy,
    deadlines: Deadlines,
) -> HealingStatus:
    """Record the time of the newest edit with which the app has been healthy for the probation."""
    unproven = [edit.at for edit in edits if edit.at is not None and not _is_proven(edit, record)]
    if not unproven or record.healthy_since is None:
        return record
    newest = max(unproven)
    if not deadlines.reached(max(record.healthy_since, newest) + policy.probation):
        return record
    return record.model_copy(update={"proven_edit_time": newest})


def format_edit_target(edit: ForeignEdit) -> str:
    """Return the target of an action that removes the fields of an edit."""
    return f"{edit.manager}@{edit.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if edit.at else ""


def parse_edit_target(target: str) -> tuple[str, datetime] | None:
    """Return the manager and the time in a target; None if it is not one."""
    manager, _, text = target.rpartition("@")
    try:
        at = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return (manager, at) if manager else None


def find_edit_to_remove(record: HealingStatus) -> tuple[str, datetime] | None:
    """Return the manager and the time of the edit that the running action removes."""
    action: HealingAction | None = history.find_running(record)
    if action is None or action.remediation is not Remediation.REMOVE_FOREIGN_FIELDS:
        return None
    return parse_edit_target(action.target)
