"""Diagnoses the app as a whole: what is wrong, by what cause, and with which confidence.

The input is API objects only: the problems of the pods, whether pods of the previous revision have
them too, the nodes of the pods, and when the problems began.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from selfhealing.cache.child_views import DEFAULT_PROGRESS_DEADLINE_SECONDS
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import PodView
from selfhealing.health import messages
from selfhealing.health.assessment import HealthAssessment
from selfhealing.health.attribution import Cause, Confidence, Probation, attribute_cause
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.pod_diagnosis import DiagnosisType, PodDiagnosis, Thresholds, diagnose_pod
from selfhealing.health.pod_problems import is_active
from selfhealing.health.termination_causes import TerminationCauses

SAME_TIME_WINDOW: Final = timedelta(seconds=60)
"""Pods that all became not ready within this time share a cause."""

_SEVERITY_ORDER: Final = tuple(DiagnosisType)
"""The most severe first, which is the order in which the types are defined."""


@dataclass(frozen=True, slots=True)
class AppDiagnosis:
    """One diagnosis of the app.

    Attributes:
        type: what is wrong.
        cause: what the diagnosis is attributed to.
        confidence: how certain the cause is.
        pods: the affected pods.
        message: a sentence that names the first of them.
        symptom: what the pods show, a clause that follows a pod's name; empty if unknown.
        container: the container that has the problem; empty if unknown, or if pods differ in it.
        comparison: how the cause was found; empty if nothing was compared.
    """

    type: DiagnosisType
    cause: Cause
    confidence: Confidence
    pods: tuple[PodView, ...]
    message: str
    symptom: str = ""
    container: str = ""
    comparison: str = ""


def diagnose_app(  # noqa: PLR0913, PLR0917 - everything that is known about an app
    snapshot: AppSnapshot,
    assessment: HealthAssessment,
    causes: TerminationCauses,
    deadlines: Deadlines,
    thresholds: Thresholds,
    probation: Probation,
) -> tuple[AppDiagnosis, ...]:
    """Diagnose the app; the most severe diagnosis comes first."""
    problems_by_pod = {
        found.pod_name: found for found in (*assessment.current_problems, *assessment.old_problems)
    }
    deployment = snapshot.deployment
    progress_deadline = (
        deployment.progress_deadline_seconds if deployment else DEFAULT_PROGRESS_DEADLINE_SECONDS
    )
    thresholds = replace(thresholds, progress_deadline=timedelta(seconds=progress_deadline))
    candidates = (
        diagnose_pod(pod, problems_by_pod.get(pod.name), causes, deadlines, thresholds)
        for pod in snapshot.pods
    )
    pod_diagnoses = [found for found in candidates if found is not None]
    diagnoses = [
        *_diagnose_pods(snapshot, pod_diagnoses, probation),
        *_diagnose_workload(snapshot, assessment, deadlines, thresholds, probation),
    ]
    return tuple(sorted(diagnoses, key=lambda diagnosis: _SEVERITY_ORDER.index(diagnosis.type)))


def _diagnose_pods(
    snapshot: AppSnapshot, pod_diagnoses: Iterable[PodDiagnosis], probation: Probation
) -> list[AppDiagnosis]:
    diagnoses_by_type: dict[DiagnosisType, list[PodDiagnosis]] = defaultdict(list)
    for pod_diagnosis in pod_diagnoses:
        diagnoses_by_type[pod_diagnosis.type].append(pod_diagnosis)
    diagnoses = []
    for diagnosis_type, group in diagnoses_by_type.items():
        pods = tuple(pod_diagnosis.pod for pod_diagnosis in group)
        message = messages.summarize_pods([pod.name for pod in pods], group[0].message)
        if diagnosis_type is DiagnosisType.NOT_READY_TOO_LONG and _is_shared_outage(snapshot, pods):
            why = "all pods stopped being ready at once, though they run: check their dependencies"
            diagnoses.append(_environment_diagnosis(DiagnosisType.DEPENDENCY_DOWN, pods, why))
            continue
        cause, confidence = attribute_cause(snapshot, diagnosis_type, pods, probation)
        containers = {pod_diagnosis.container for pod_diagnosis in group}
        diagnoses.append(
            AppDiagnosis(
                diagnosis_type,
                cause,
                confidence,
                pods,
                message,
                symptom=group[0].message,
                container=containers.pop() if len(containers) == 1 else "",
            )
        )
    return diagnoses


def _is_shared_outage(snapshot: AppSnapshot, unready_pods: tuple[PodView, ...]) -> bool:
    """Whether all pods, at least two, were ready and became not ready together."""
    active_pods = [pod for pod in snapshot.pods if is_active(pod)]
    unready_since = [pod.ready_since for pod in unready_pods if pod.ready_since is not None]
    if (
        len(unready_pods) < 2  # noqa: PLR2004 - two pods
        or len(unready_pods) < len(active_pods)
        or len(unready_since) < len(unready_pods)
    ):
        return False
    were_ready = all(
        c.running_since is not None
        and pod.ready_since is not None
        and pod.ready_since > c.running_since
        for pod in unready_pods
        for c in pod.containers
        if not c.is_init
    )
    return were_ready and max(unready_since) - min(unready_since) <= SAME_TIME_WINDOW


def _diagnose_workload(
    snapshot: AppSnapshot,
    assessment: HealthAssessment,
    deadlines: Deadlines,
    thresholds: Thresholds,
    probation: Probation,
) -> list[AppDiagnosis]:
    rollout = assessment.rollout
    diagnoses = []
    if rollout is not None and not rollout.is_complete:
        if rollout.stalled_condition is not None:
            message = f"the rollout is stuck: {messages.shorten(rollout.stalled_condition.message)}"
            cause = _stall_cause(snapshot, assessment, probation)
            diagnoses.append(
                AppDiagnosis(DiagnosisType.ROLLOUT_STALLED, cause, Confidence.LOW, (), message)
            )
        if rollout.replica_failure is not None:
            is_quota_exceeded = "exceeded quota" in rollout.replica_failure.message
            diagnosis_type = (
                DiagnosisType.QUOTA_EXCEEDED if is_quota_exceeded else DiagnosisType.PODS_REFUSED
            )
            why = messages.strip_pod_names(
                messages.refusal_cause(rollout.replica_failure.message), snapshot.app.key.name
            )
            diagnoses.append(_environment_diagnosis(diagnosis_type, (), f"pods are refused: {why}"))
    if assessment.node_rejections:
        why = f"nodes reject new pods: {assessment.node_rejections}"
        diagnoses.append(_environment_diagnosis(DiagnosisType.PODS_FAILED, (), why))
    return [*diagnoses, *_metrics_unavailable(snapshot, deadlines, thresholds)]


def _stall_cause(
    snapshot: AppSnapshot, assessment: HealthAssessment, probation: Probation
) -> Cause:
    """What a stalled rollout is attributed to.

    That is the new revision, unless its pods are refused, rejected or unschedulable.
    """
    has_replica_failure = (
        assessment.rollout is not None and assessment.rollout.replica_failure is not None
    )
    has_unschedulable_pods = any(is_active(pod) and pod.unschedulable for pod in snapshot.pods)
    if has_replica_failure or has_unschedulable_pods or assessment.node_rejections:
        return Cause.ENVIRONMENT
    return Cause.NEW_VERSION if probation.is_open else Cause.UNKNOWN


def _metrics_unavailable(
    snapshot: AppSnapshot, deadlines: Deadlines, thresholds: Thresholds
) -> list[AppDiagnosis]:
    autoscaler = snapshot.hpa
    conditions = autoscaler.conditions if autoscaler else ()
    for condition in conditions:
        if condition.type != "ScalingActive" or condition.status != "False":
            continue
        if not condition.reason.startswith("FailedGet") or condition.since is None:
            continue
        if deadlines.reached(condition.since + thresholds.metrics_timeout):
            why = messages.shorten(
                messages.strip_pod_names(condition.message, snapshot.app.key.name)
            )
            message = f"the autoscaler gets no metrics: {why}"
            return [_environment_diagnosis(DiagnosisType.METRICS_UNAVAILABLE, (), message)]
    return []


def _environment_diagnosis(
    diagnosis_type: DiagnosisType, pods: tuple[PodView, ...], message: str
) -> AppDiagnosis:
    return AppDiagnosis(diagnosis_type, Cause.ENVIRONMENT, Confidence.HIGH, pods, message)
