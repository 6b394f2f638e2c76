"""Evaluates the conditions of an app, each a metav1.Condition with its observedGeneration."""

from datetime import datetime
from functools import lru_cache
from typing import Final

from selfhealing.api import names
from selfhealing.api.linear_regex import compile_pattern
from selfhealing.api.scalars import TEXT_LIMIT, WORD_LIMIT
from selfhealing.api.status import Condition, ConditionStatus
from selfhealing.apply.result import SyncResult
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import ConditionView
from selfhealing.health import messages
from selfhealing.health.assessment import HealthAssessment
from selfhealing.health.job_run import COMPLETE, FAILED, JobRun
from selfhealing.health.pod_security import (
    describe_violations,
    find_violations,
    parse_enforced_level,
)
from selfhealing.health.rollout import DEPLOYMENT_PAUSED, Rollout
from selfhealing.remediation.reconcile_input import AnyInput, ReconcileInput
from selfhealing.render.hpa import utilization_resources
from selfhealing.render.overrides import long_running_containers
from selfhealing.render.references import MAX_TRACKED
from selfhealing.status.events import MISSING_REQUEST, POD_SECURITY_ADMITTED
from selfhealing.status.job_phase import JOB_SUSPENDED, describe_job_failure
from selfhealing.status.phase import ROLLED_BACK, PhaseSummary
from selfhealing.status.sections import pluralize, summarize_problems

_REASON_PATTERN: Final = compile_pattern(r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")
"""The pattern of a reason in metav1.Condition; another reason would make the status invalid."""

ConditionFields = tuple[str, ConditionStatus, str, str]
"""A condition without its times: type, status, reason, message."""

_TRUE, _FALSE, _UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


def evaluate_conditions(
    snapshot: AppSnapshot,
    assessment: HealthAssessment,
    sync_result: SyncResult,
    summary: PhaseSummary,
    *,
    paused: bool,
) -> tuple[ConditionFields, ...]:
    """Evaluate every condition; ``kubectl wait --for=condition=TYPE sha/NAME`` works for each."""
    return (
        ("Ready", _TRUE if summary.complete else _FALSE, summary.reason, summary.message),
        _evaluate_reconciled(snapshot, sync_result, paused=paused),
        _evaluate_job_progressing(assessment.job_run)
        if assessment.job_run
        else _evaluate_progressing(assessment.rollout, assessment.workload_kind),
        _evaluate_healthy(assessment, summary),
        _evaluate_paused(paused=paused),
    )


def evaluate_pod_security(inputs: AnyInput) -> tuple[ConditionFields, ...]:
    """Evaluate whether the Namespace admits the pods of the spec; empty while it does.

    The operator does not wait for the API server to refuse a pod, which only the ReplicaSet or the
    Job would report.
    """
    if not isinstance(inputs, ReconcileInput):
        return ()
    level = parse_enforced_level(inputs.namespace_labels or {})
    if level is None:
        return ()
    violations = find_violations(inputs.pod_template, level)
    if not violations:
        return ()
    message = describe_violations(level, violations)
    return ((POD_SECURITY_ADMITTED, _FALSE, "PodSecurityViolation", message),)


def describe_missing_request(inputs: AnyInput) -> str:
    """Name the request that the autoscaler needs and the spec does not have; else empty.

    A limit is a request, too, if there is no other one.
    """
    if not isinstance(inputs, ReconcileInput):
        return ""
    autoscaling = inputs.spec.autoscaling
    for resource in utilization_resources(autoscaling):
        for container in long_running_containers(inputs.pod_template):
            resources = container.get("resources") or {}
            given = {*(resources.get("requests") or {}), *(resources.get("limits") or {})}
            if resource in given:
                continue
            field = f"spec.resources.requests.{resource}"
            if container["name"] != names.CONTAINER_NAME:
                field = f"resources.requests.{resource} of container {container['name']}"
            return (
                f"autoscaling needs {field}: its target is a percentage of the request; without it "
                "nothing is scaled, unless a LimitRange sets one"
            )
    return ""


def build_conditions(
    evaluated: tuple[ConditionFields, ...],
    previous: list[Condition],
    generation: int,
    now: datetime,
) -> list[Condition]:
    """Add the times; ``lastTransitionTime`` changes only when the status of a condition does."""
    previous_by_type = {condition.type: condition for condition in previous}
    return [
        _build_condition(fields, previous_by_type.get(fields[0]), generation, now)
        for fields in evaluated
    ]


def _build_condition(
    fields: ConditionFields, previous: Condition | None, generation: int, now: datetime
) -> Condition:
    kind, status, reason, message = fields
    is_unchanged = previous is not None and previous.status == status
    return Condition(
        type=kind,
        status=status,
        reason=reason if _is_reason(reason) else "Unknown",
        message=message[:TEXT_LIMIT],
        last_transition_time=previous.last_transition_time if previous and is_unchanged else now,
        observed_generation=generation,
    )


def _is_reason(text: str) -> bool:
    return len(text) <= WORD_LIMIT and _matches_reason(text)


@lru_cache(maxsize=256)
def _matches_reason(text: str) -> bool:
    """Whether a short text is a reason. Remembered: the same few are asked of all apps."""
    return _REASON_PATTERN.match(text) is not None


def _evaluate_reconciled(
    snapshot: AppSnapshot, sync_result: SyncResult, *, paused: bool
) -> ConditionFields:
    if sync_result.errors:
        first = sync_result.errors[0]
        message = "; ".join(error.message for error in sync_result.errors)
        return "Reconciled", _FALSE, first.reason, message
    if paused:
        return (
            "Reconciled",
            _UNKNOWN,
            "Paused",
            "spec.paused: the children are not reconciled",
        )
    message = "every child matches the spec"
    if adopted := _list_adopted(snapshot):
        message += f"; taken over: {', '.join(adopted)}"
    if snapshot.unwatched_kinds:
        kinds = " and ".join(f"{kind}s" for kind in sorted(snapshot.unwatched_kinds))
        message += f"; a change of {kinds} does not replace the pods: the operator does not "
        message += "watch them (--config-watch)"
    if snapshot.has_too_many_references:
        message += "; a change of ConfigMaps and Secrets does not replace the pods: the spec "
        message += f"refers to more than {MAX_TRACKED} of them"
    return "Reconciled", _TRUE, "ChildrenApplied", message


def _list_adopted(snapshot: AppSnapshot) -> list[str]:
    """Return the kinds of the children that somebody else had made."""
    return [
        kind
        for kind, child in sorted(snapshot.children.items())
        if child.adopt and child.owner_uid == snapshot.app.uid
    ]


def _evaluate_progressing(rollout: Rollout | None, workload: str) -> ConditionFields:
    if rollout is None:
        return "Progressing", _UNKNOWN, f"No{workload}", f"there is no {workload} yet"
    if not rollout.is_observed:
        message = "the Deployment controller has not observed the latest change yet"
        return "Progressing", _TRUE, "RolloutStarting", message
    if rollout.is_complete or (rollout.has_only_updated_pods and rollout.is_rolled_out):
        return "Progressing", _FALSE, "RolloutComplete", "every pod is made from the current spec"
    if rollout.stalled_condition is not None:
        message = messages.shorten(rollout.stalled_condition.message)
        return "Progressing", _FALSE, rollout.stalled_condition.reason, message
    if rollout.is_paused:
        return "Progressing", _UNKNOWN, DEPLOYMENT_PAUSED, "somebody has paused the Deployment"
    progress = f"{rollout.updated} of {pluralize(rollout.wanted, 'pod')} made from the current spec"
    return "Progressing", _TRUE, "Scaling" if rollout.is_rolled_out else "RollingOut", progress


def _evaluate_job_progressing(run: JobRun) -> ConditionFields:
    """Whether a Job has not finished yet."""
    if run.result == COMPLETE:
        return "Progressing", _FALSE, "JobComplete", "the Job has ended, and succeeded"
    if run.result:
        return "Progressing", _FALSE, run.reason, "the Job has ended, and failed"
    if run.suspended:
        return "Progressing", _UNKNOWN, JOB_SUSPENDED, "somebody has suspended the Job"
    message = (
        f"{run.succeeded} of {pluralize(run.completions, 'pod')} succeeded"
        if run.completions
        else "it runs"
    )
    return "Progressing", _TRUE, "JobRunning", message


def _evaluate_healthy(assessment: HealthAssessment, summary: PhaseSummary) -> ConditionFields:
    run = assessment.job_run
    if summary.reason == ROLLED_BACK:
        return "Healthy", _FALSE, summary.reason, summary.message
    if run is not None and run.result == FAILED:
        return "Healthy", _FALSE, run.reason, describe_job_failure(run, assessment.job_failure)
    if assessment.worst_problem is not None:
        message = summarize_problems((*assessment.current_problems, *assessment.old_problems))
        return "Healthy", _FALSE, assessment.worst_problem.reason, message
    return "Healthy", _TRUE, "NothingFails", "nothing fails in the pods"


def _evaluate_paused(*, paused: bool) -> ConditionFields:
    if paused:
        return "Paused", _TRUE, "SpecPaused", "spec.paused is true: nothing is changed"
    return "Paused", _FALSE, "NotPaused", "the operator reconciles the children"


def evaluate_scaling_active(snapshot: AppSnapshot, inputs: AnyInput) -> tuple[ConditionFields, ...]:
    """Evaluate whether the autoscaler can work; empty without one."""
    autoscaler = snapshot.hpa
    if autoscaler is None:
        return ()
    condition = _find_condition(autoscaler.conditions, "ScalingActive")
    missing = describe_missing_request(inputs)
    if missing and (condition is None or condition.status != "True"):
        # The autoscaler says it only after its first measurement, and names the pods for it.
        return (("ScalingActive", _FALSE if condition else _UNKNOWN, MISSING_REQUEST, missing),)
    if condition is None:
        return (("ScalingActive", _UNKNOWN, "NotReported", "the autoscaler has not reported yet"),)
    message = messages.strip_pod_names(condition.message, snapshot.app.key.name)
    return (("ScalingActive", ConditionStatus(condition.status), condition.reason, message),)


def _find_condition(conditions: tuple[ConditionView, ...], kind: str) -> ConditionView | None:
    return next((condition for condition in conditions if condition.type == kind), None)
