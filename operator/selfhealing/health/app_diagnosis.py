"""Diagnoses the app as a whole: what is wrong, by what cause, and with which confidence.

The input is API objects only: the problems of the pods, whether pods of the previous revision have
them too, the nodes of the pods, and when the problems began.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from selfhealing.cache.child_views import DEFAULT_PROGRESS_DEADLINE_SECONDS
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import PodView
from selfhealing.health import messages
from selfhealing.health.assessment import HealthAssessment
from selfhealing.health.attribution import (
    SAME_TIME_WINDOW,
    AppEvidence,
    Attribution,
    Cause,
    Confidence,
    Probation,
    attribute_cause,
    attribute_node_fit,
    attribute_refusal,
)
from selfhealing.health.autoscaler import find_scaling_faults
from selfhealing.health.crash_loops import has_long_runs
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.experiments import QUOTA_REFUSAL
from selfhealing.health.fault_origin import FaultOrigin
from selfhealing.health.faults import NOT_READY
from selfhealing.health.node_conditions import NO_CONDITIONS, NodeConditions, describe_bad_nodes
from selfhealing.health.pod_comparison import classify_problem, split_by_revision
from selfhealing.health.pod_diagnosis import DiagnosisType, PodDiagnosis, Thresholds, diagnose_pod
from selfhealing.health.pod_problems import PodProblem, is_active
from selfhealing.health.readiness import was_ready_before
from selfhealing.health.rollout import current_template_hash
from selfhealing.health.slow_liveness import find_slow_pods
from selfhealing.health.termination_causes import TerminationCauses

_SEVERITY_ORDER: Final = tuple(DiagnosisType)
"""The most severe first, which is the order in which the types are defined."""

_OUTAGE_FAULTS: Final = frozenset({DiagnosisType.CRASH_LOOPING, DiagnosisType.NOT_READY_TOO_LONG})
"""What a pod shows when something that it depends on is down."""

_APP_FAULTS: Final = _OUTAGE_FAULTS | {
    DiagnosisType.LIVENESS_KILLED,
    DiagnosisType.OOM_KILLED,
    DiagnosisType.START_FAILING,
}
"""What a pod shows that fails by itself, or by what it depends on."""


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
    node_conditions: NodeConditions = NO_CONDITIONS,
) -> tuple[AppDiagnosis, ...]:
    """Diagnose the app; the most severe diagnosis comes first.

    ``node_conditions``: of the nodes of affected pods, and of healthy ones to compare with.
    """
    problems_by_pod = {
        found.pod_name: found for found in (*assessment.current_problems, *assessment.old_problems)
    }
    deployment = snapshot.deployment
    progress_deadline = (
        deployment.progress_deadline_seconds if deployment else DEFAULT_PROGRESS_DEADLINE_SECONDS
    )
    thresholds = replace(thresholds, progress_deadline=timedelta(seconds=progress_deadline))
    # What the cluster's own words prove needs no time to pass by itself.
    at_once = replace(thresholds, start_grace=timedelta())
    candidates = (
        diagnose_pod(
            pod,
            problem := problems_by_pod.get(pod.name),
            causes,
            deadlines,
            at_once if problem and _is_content(problem) else thresholds,
        )
        for pod in snapshot.pods
    )
    pod_diagnoses = [found for found in candidates if found is not None]
    evidence = AppEvidence(
        snapshot,
        probation,
        problems_by_pod,
        frozenset(found.pod.uid for found in pod_diagnoses if found.type in _APP_FAULTS),
        node_conditions,
    )
    of_pods = _diagnose_pods(evidence, pod_diagnoses)
    diagnoses = [
        *of_pods,
        *_diagnose_workload(
            evidence,
            assessment,
            of_pods,
            lambda pod: _has_had_time(pod, thresholds.progress_deadline, deadlines),
        ),
        *_diagnose_scaling(snapshot, deadlines, thresholds),
    ]
    return tuple(sorted(diagnoses, key=lambda diagnosis: _SEVERITY_ORDER.index(diagnosis.type)))


def _is_content(problem: PodProblem) -> bool:
    """Whether a problem lies in the content of a version, as the cluster says."""
    return classify_problem(problem).origin is FaultOrigin.VERSION_CONTENT


def _diagnose_pods(
    evidence: AppEvidence, pod_diagnoses: Sequence[PodDiagnosis]
) -> list[AppDiagnosis]:
    """Group the diagnoses of the pods by their type, and attribute each group to a cause."""
    diagnoses = []
    rest = list(pod_diagnoses)
    if (outage := _find_outage(evidence, rest)) is not None:
        diagnoses.append(outage)
        rest = [each for each in rest if each.type not in _OUTAGE_FAULTS]
    findings_by_type: dict[DiagnosisType, list[PodDiagnosis]] = defaultdict(list)
    for pod_diagnosis in rest:
        findings_by_type[pod_diagnosis.type].append(pod_diagnosis)
    for diagnosis_type, findings in findings_by_type.items():
        pods = tuple(finding.pod for finding in findings)
        containers = {finding.container for finding in findings}
        message = messages.summarize_pods([pod.name for pod in pods], findings[0].message)
        others = (pod for pod in evidence.snapshot.pods if pod.ready and pod not in pods)
        bad_nodes = describe_bad_nodes(pods, others, evidence.node_conditions)
        if diagnosis_type is DiagnosisType.LIVENESS_KILLED and outage is not None:
            found = Attribution(Cause.ENVIRONMENT, outage.confidence)
        else:
            found = attribute_cause(evidence, diagnosis_type, findings)
        diagnoses.append(
            AppDiagnosis(
                diagnosis_type,
                found.cause,
                found.confidence,
                pods,
                f"{message}; {bad_nodes}" if bad_nodes else message,
                symptom=findings[0].message,
                container=containers.pop() if len(containers) == 1 else "",
                comparison=found.comparison,
            )
        )
    return diagnoses


def _find_outage(
    evidence: AppEvidence, pod_diagnoses: Sequence[PodDiagnosis]
) -> AppDiagnosis | None:
    """Find the outage of something that all pods depend on; None if there is none.

    Pods that run and stopped being ready together have one. So has a version that was proved and
    now fails in every pod, if only in one: no other pod of it would be healthy.
    """
    active_pods = [pod for pod in evidence.snapshot.pods if is_active(pod)]
    failing = [found.pod for found in pod_diagnoses if found.type in _OUTAGE_FAULTS]
    unready = [
        found.pod for found in pod_diagnoses if found.type is DiagnosisType.NOT_READY_TOO_LONG
    ]
    if _became_unready_together(active_pods, unready):
        why = "all pods stopped being ready at once, though they run: check their dependencies"
        return _environment_diagnosis(DiagnosisType.DEPENDENCY_DOWN, tuple(unready), why)
    killed = [found.pod for found in pod_diagnoses if found.type is DiagnosisType.LIVENESS_KILLED]
    is_slow = bool(find_slow_pods(evidence.snapshot, killed))  # they may only be overloaded
    if killed and not failing and not is_slow and not evidence.probation.is_young:
        failing, killed = killed, []  # the probe may ask what they depend on
    if (
        not failing
        or not evidence.probation.is_proved
        or len(failing) + len(killed) < len(active_pods)
        or _has_pods_of_other_templates(evidence, active_pods)  # of a version that is replaced
    ):
        return None
    if len(unready) == len(failing) and _began_apart(unready):
        return None
    if all(has_long_runs(pod) for pod in failing):
        return None  # what they depend on was there when they started
    first = next(found for found in pod_diagnoses if found.pod in failing)
    message = messages.summarize_pods([pod.name for pod in failing], first.message)
    # A single pod may as well have a fault of its own.
    is_likely = len(active_pods) > 1 and not evidence.probation.has_other_config
    suspects = "configuration, which has changed since, and its dependencies"
    suspects = suspects if evidence.probation.has_other_config else "dependencies"
    return AppDiagnosis(
        DiagnosisType.DEPENDENCY_DOWN,
        Cause.ENVIRONMENT,
        Confidence.MEDIUM if is_likely else Confidence.LOW,
        tuple(failing),
        f"{message}; this version was healthy, and no pod of it is: check its {suspects}",
        symptom=first.message,
    )


def _has_pods_of_other_templates(evidence: AppEvidence, pods: Sequence[PodView]) -> bool:
    current_hash = current_template_hash(evidence.snapshot)
    return any(pod.template_hash != current_hash for pod in pods)


def _became_unready_together(
    active_pods: Sequence[PodView], unready_pods: Sequence[PodView]
) -> bool:
    """Whether all pods that were ready, at least two, became not ready together.

    A pod that runs and was never ready, as one of a version that is rolled out meanwhile, does not
    speak against it: it may depend on the same.
    """
    stopped = [pod for pod in unready_pods if was_ready_before(pod)]
    others = [pod for pod in active_pods if pod not in stopped]
    are_others_new = not any(
        pod.ready
        or was_ready_before(pod)
        or any(container.restarts for container in pod.containers)
        for pod in others
    )
    return len(stopped) > 1 and are_others_new and not _began_apart(stopped)


def _began_apart(unready_pods: Sequence[PodView]) -> bool:
    """Whether pods became not ready one after the other; False if that is not known of all."""
    times = [pod.ready_since for pod in unready_pods if pod.ready_since and was_ready_before(pod)]
    is_known = len(times) == len(unready_pods)
    return is_known and max(times) - min(times) > SAME_TIME_WINDOW


def _diagnose_workload(
    evidence: AppEvidence,
    assessment: HealthAssessment,
    of_pods: Sequence[AppDiagnosis],
    has_had_time: Callable[[PodView], bool],
) -> list[AppDiagnosis]:
    """Diagnose what the Deployment reports: a stalled rollout, refused and rejected pods."""
    rollout, probation = assessment.rollout, evidence.probation
    diagnoses = []
    if rollout is not None and not rollout.is_complete:
        if rollout.stalled_condition is not None:
            message = f"the rollout is stuck: {messages.shorten(rollout.stalled_condition.message)}"
            found = _attribute_stall(evidence, assessment, of_pods, has_had_time)
            diagnoses.append(_workload_diagnosis(DiagnosisType.ROLLOUT_STALLED, found, message))
        if rollout.replica_failure is not None:
            refusal = rollout.replica_failure.message
            diagnosis_type = (
                DiagnosisType.QUOTA_EXCEEDED
                if QUOTA_REFUSAL in refusal
                else DiagnosisType.PODS_REFUSED
            )
            why = messages.strip_pod_names(
                messages.refusal_cause(refusal), evidence.snapshot.app.key.name
            )
            found = attribute_refusal(probation)
            diagnoses.append(_workload_diagnosis(diagnosis_type, found, f"pods are refused: {why}"))
    if why := assessment.own_limit_evictions or assessment.node_rejections:
        found = _attribute_rejections(evidence, assessment)
        diagnoses.append(_workload_diagnosis(DiagnosisType.PODS_FAILED, found, why))
    return diagnoses


def _attribute_rejections(evidence: AppEvidence, assessment: HealthAssessment) -> Attribution:
    """Attribute the rejection or eviction of pods by nodes to a cause.

    For a storage limit of the pods it is the version, new or young, if only its pods are evicted
    and it brought the volume with the limit, or changed what writes beside pods of the earlier
    version that serve.
    """
    if not assessment.own_limit_evictions:
        return Attribution(Cause.ENVIRONMENT, Confidence.HIGH)
    probation, change = evidence.probation, evidence.probation.change
    _, old_pods = split_by_revision(evidence.snapshot, probation.requested_since)
    current_hash = current_template_hash(evidence.snapshot)
    limits = [
        (each.pod.template_hash == current_hash, each.limit)
        for each in assessment.evictions
        if each.is_recent
    ]
    is_on_trial = probation.is_open or probation.is_young
    if is_on_trial and probation.has_stable_revision and change is not None:
        compared = f"differs in: {change.describe()}"
        is_new_only = all(is_new for is_new, _ in limits)
        if is_new_only and all(limit.volume in change.volumes for _, limit in limits):
            return Attribution(Cause.NEW_VERSION, Confidence.HIGH, compared)
        does_write = change.affected_containers and all(
            not limit.container or limit.container in change.affected_containers
            for _, limit in limits
        )
        if is_new_only and does_write and any(pod.ready for pod in old_pods):
            return Attribution(Cause.NEW_VERSION, Confidence.MEDIUM, compared)
    return Attribution(Cause.UNKNOWN, Confidence.LOW)


def _attribute_stall(
    evidence: AppEvidence,
    assessment: HealthAssessment,
    of_pods: Sequence[AppDiagnosis],
    has_had_time: Callable[[PodView], bool],
) -> Attribution:
    """Attribute a stalled rollout to what keeps its pods from being ready.

    The Deployment's deadline may have passed because of an obstacle that is gone: a pod counts only
    when it has had that time itself.
    """
    rollout, probation = assessment.rollout, evidence.probation
    if rollout is not None and rollout.replica_failure is not None:
        return attribute_refusal(probation)
    if assessment.own_limit_evictions or assessment.node_rejections:
        return _attribute_rejections(evidence, assessment)
    for cause in (Cause.NEW_VERSION, Cause.ENVIRONMENT):
        for found in of_pods:
            if found.cause is cause:
                return Attribution(cause, found.confidence, found.comparison)
    new_pods, _ = split_by_revision(evidence.snapshot, probation.requested_since)
    if any(pod.unschedulable for pod in new_pods):
        return attribute_node_fit(probation)
    unready = [
        _as_finding(pod, problem)
        for pod in new_pods
        if (problem := evidence.problems.get(pod.name)) and not pod.ready and has_had_time(pod)
    ]
    if not unready or not probation.is_open:
        return Attribution(Cause.UNKNOWN, Confidence.LOW)
    attribution = attribute_cause(evidence, DiagnosisType.ROLLOUT_STALLED, unready)
    # Other pods of the revision are ready: these may only need longer.
    is_by_location = attribution.cause in {Cause.POD, Cause.NODE}
    return Attribution(Cause.UNKNOWN, Confidence.LOW) if is_by_location else attribution


def _has_had_time(pod: PodView, progress_deadline: timedelta, deadlines: Deadlines) -> bool:
    """Whether a pod, and what runs in it, was there for the progress deadline."""
    starts = (pod.created, *(container.running_since for container in pod.containers))
    since = max(filter(None, starts), default=None)
    return since is None or deadlines.reached(since + progress_deadline)


def _as_finding(pod: PodView, problem: PodProblem) -> PodDiagnosis:
    """Return the diagnosis of an unready pod; the answer to its probe does not tell the cause."""
    text = "" if problem.reason == NOT_READY else problem.text
    message = "is not ready"
    return PodDiagnosis(pod, DiagnosisType.ROLLOUT_STALLED, message, problem.container, text)


def _workload_diagnosis(
    diagnosis_type: DiagnosisType, found: Attribution, message: str
) -> AppDiagnosis:
    return AppDiagnosis(
        diagnosis_type, found.cause, found.confidence, (), message, comparison=found.comparison
    )


def _diagnose_scaling(
    snapshot: AppSnapshot, deadlines: Deadlines, thresholds: Thresholds
) -> Iterator[AppDiagnosis]:
    for fault in find_scaling_faults(snapshot, deadlines, thresholds):
        diagnosis = _environment_diagnosis(fault.type, (), fault.message)
        if not fault.is_from_outside:
            diagnosis = replace(diagnosis, cause=Cause.UNKNOWN, confidence=Confidence.LOW)
        yield diagnosis


def _environment_diagnosis(
    diagnosis_type: DiagnosisType, pods: tuple[PodView, ...], message: str
) -> AppDiagnosis:
    return AppDiagnosis(diagnosis_type, Cause.ENVIRONMENT, Confidence.HIGH, pods, message)
