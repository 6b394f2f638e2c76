"""Summarizes the state of an app: its phase, a reason, and a sentence that says what to do."""

from dataclasses import dataclass, replace
from typing import Final

from selfhealing.api.status import Phase
from selfhealing.apply.result import NON_BLOCKING, TRANSIENT, USER_ACTION_REQUIRED, SyncResult
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.health import messages
from selfhealing.health.assessment import HealthAssessment
from selfhealing.health.pod_problems import is_active, is_stuck_on_lost_node
from selfhealing.health.rollout import Rollout
from selfhealing.status.job_phase import summarize_job
from selfhealing.status.sections import join_clauses, join_words, pluralize, summarize_problems

ROLLED_BACK: Final = "RolledBack"
"""The reason while an app runs the stable revision instead of the desired revision."""

ROLLING_OUT: Final = "RollingOut"

PODS_PENDING: Final = "PodsPending"

PODS_COMING: Final = frozenset({"PodsStarting", "PodsSettling"})
"""Reasons while pods become ready although no rollout is in progress."""

ADDRESS_PENDING: Final = "AddressPending"
"""The reason while the pods are ready, and the load balancer has no address."""

PODS_MOVING: Final = "PodsMoving"
"""The reason while pods of a lost node are being replaced."""


@dataclass(frozen=True, slots=True)
class PhaseSummary:
    """The phase, a CamelCase reason for conditions, and a sentence for people.

    ``complete``: everything that the current spec asks for exists and is ready.
    """

    phase: Phase
    reason: str
    message: str
    complete: bool = False


def summarize_phase(
    snapshot: AppSnapshot, assessment: HealthAssessment, sync_result: SyncResult, *, paused: bool
) -> PhaseSummary:
    """Summarize the app; the most severe state has priority."""
    state = _summarize_workload(snapshot, assessment)
    user_errors = [error for error in sync_result.errors if error.reason in USER_ACTION_REQUIRED]
    if user_errors:
        message = join_clauses(user_errors[0].message, _format_serving_pods(assessment))
        return PhaseSummary(Phase.INVALID, user_errors[0].reason, message)
    if paused:
        progress = assessment.rollout or assessment.job_run
        state_message = state.message if progress else f"there is no {assessment.workload_kind}"
        message = join_clauses("paused, nothing is changed", state_message)
        return PhaseSummary(Phase.PAUSED, "Paused", message, state.complete)
    blocking_errors = [error for error in sync_result.errors if error.reason not in NON_BLOCKING]
    if blocking_errors and (state.complete or state.phase is not Phase.DEGRADED):
        error = blocking_errors[0]
        is_transient = error.reason in TRANSIENT
        phase = Phase.PROGRESSING if is_transient else Phase.DEGRADED
        return PhaseSummary(
            phase, error.reason, join_clauses(error.message, _format_serving_pods(assessment))
        )
    return state


def continue_rollout(summary: PhaseSummary, previous_reason: str) -> PhaseSummary:
    """Keep the reason RollingOut of a Deployment until its pods are ready.

    The Deployment controller may report the end of a rollout before the last pods are seen as
    ready, or before minReadySeconds are over. These are not pods of a mere scaling.

    Args:
        summary: what the objects say now.
        previous_reason: the reason of the stored condition Ready.
    """
    if summary.reason in PODS_COMING and previous_reason in {
        ROLLING_OUT,
        "RolloutStarting",
        PODS_PENDING,
    }:
        return replace(summary, reason=ROLLING_OUT)
    return summary


def _summarize_workload(snapshot: AppSnapshot, assessment: HealthAssessment) -> PhaseSummary:
    rollout, run, child = (
        assessment.rollout,
        assessment.job_run,
        snapshot.deployment or snapshot.job,
    )
    if child is not None and child.deleting and not (run is not None and run.result):
        text = f"the {child.kind} is being deleted and recreated"
        return PhaseSummary(Phase.PROGRESSING, "Recreating", text)
    if rollout is not None:
        return _summarize_deployment(snapshot, assessment, rollout)
    if run is not None:
        return PhaseSummary(*summarize_job(snapshot, assessment, run))
    return PhaseSummary(
        Phase.PENDING, "Creating", f"the {assessment.workload_kind} is being created"
    )


def _summarize_deployment(
    snapshot: AppSnapshot, assessment: HealthAssessment, rollout: Rollout
) -> PhaseSummary:
    if rollout.is_complete and rollout.wanted == 0:
        return PhaseSummary(Phase.READY, "ScaledToZero", "scaled to 0 pods", complete=True)
    fault = _find_fault(snapshot, assessment, rollout)
    if fault is not None:
        reason, clause = fault
        return PhaseSummary(
            Phase.DEGRADED,
            reason,
            join_clauses(_format_ready_count(rollout), clause, _format_old_pods(rollout)),
        )
    if rollout.is_complete:
        return _summarize_access(snapshot, _format_ready_count(rollout))
    return _summarize_rollout_progress(snapshot, assessment, rollout)


def _summarize_access(snapshot: AppSnapshot, count: str) -> PhaseSummary:
    """Summarize a Deployment whose pods are ready: its load balancer needs an address, too.

    As in kstatus, where a Service of the type LoadBalancer without an address is in progress.
    """
    service = snapshot.service
    if service is None or not service.needs_load_balancer or service.ingress:
        return PhaseSummary(Phase.READY, "AllPodsReady", count, complete=True)
    text = (
        "the load balancer has no address yet; if none comes, the cluster has no controller for "
        "service.type LoadBalancer"
    )
    return PhaseSummary(Phase.PROGRESSING, ADDRESS_PENDING, join_clauses(count, text))


def _find_fault(
    snapshot: AppSnapshot, assessment: HealthAssessment, rollout: Rollout
) -> tuple[str, str] | None:
    """The fault of a Deployment as (reason, clause); None if it only is not complete yet."""
    if rollout.stalled_condition is not None and not rollout.is_complete:
        stuck = "the rollout is stuck"
        return rollout.stalled_condition.reason, join_clauses(
            stuck, _find_stall_cause(snapshot, assessment, rollout)
        )
    # A rollout in progress replaces the old pods, so their problems are not a fault then.
    if assessment.current_problems or (assessment.old_problems and rollout.is_rolled_out):
        worst = (*assessment.current_problems, *assessment.old_problems)[0]
        return worst.reason, summarize_problems(
            (*assessment.current_problems, *assessment.old_problems)
        )
    if assessment.own_limit_evictions:  # also while their substitutes are ready, for a while
        return "PodsEvicted", assessment.own_limit_evictions
    return None if rollout.is_complete else _find_creation_fault(snapshot, assessment, rollout)


def _find_creation_fault(
    snapshot: AppSnapshot, assessment: HealthAssessment, rollout: Rollout
) -> tuple[str, str] | None:
    """Why pods that are wanted cannot be created or started, as (reason, clause)."""
    if rollout.replica_failure is not None:
        return rollout.replica_failure.reason, _describe_replica_failure(snapshot, rollout)
    if assessment.node_rejections:
        return "PodsRejected", assessment.node_rejections
    return None


def _find_stall_cause(snapshot: AppSnapshot, assessment: HealthAssessment, rollout: Rollout) -> str:
    if assessment.current_problems:
        return summarize_problems(assessment.current_problems)
    if rollout.replica_failure is not None:
        return _describe_replica_failure(snapshot, rollout)
    if rejections := assessment.own_limit_evictions or assessment.node_rejections:
        return rejections
    message = rollout.stalled_condition.message if rollout.stalled_condition is not None else ""
    return messages.shorten(message.rstrip("."))


def _describe_replica_failure(snapshot: AppSnapshot, rollout: Rollout) -> str:
    message = rollout.replica_failure.message if rollout.replica_failure is not None else ""
    cause = messages.refusal_cause(message)
    return f"pods are refused: {messages.strip_pod_names(cause, snapshot.app.key.name)}"


def _summarize_rollout_progress(
    snapshot: AppSnapshot, assessment: HealthAssessment, rollout: Rollout
) -> PhaseSummary:
    count = _format_ready_count(rollout)
    if rollout.is_paused and not rollout.has_only_updated_pods:
        advice = (
            f"the Deployment is paused: kubectl rollout resume deployment/{snapshot.app.key.name}"
        )
        return PhaseSummary(Phase.PROGRESSING, "DeploymentPaused", join_clauses(count, advice))
    if not any(pod.node for pod in snapshot.pods if is_active(pod)):
        what = "a node" if rollout.active else "pods to be created"
        return PhaseSummary(Phase.PENDING, PODS_PENDING, join_clauses(count, f"waiting for {what}"))
    if not rollout.is_observed:
        return PhaseSummary(
            Phase.PROGRESSING, "RolloutStarting", join_clauses(count, "a rollout begins")
        )
    if not rollout.is_rolled_out:
        activity = "rolling out" if rollout.old else "starting"
        old_pods = _format_old_pods(rollout) or (
            summarize_problems(assessment.old_problems) if assessment.old_problems else ""
        )
        wait = _describe_start(assessment)
        return PhaseSummary(
            Phase.PROGRESSING, ROLLING_OUT, join_clauses(count, activity, old_pods, wait)
        )
    if rollout.current_ready >= rollout.wanted:
        text = (
            "waiting for minReadySeconds"
            if rollout.is_awaiting_min_ready
            else _format_old_pods(rollout)
        )
        return PhaseSummary(Phase.PROGRESSING, "PodsSettling", join_clauses(count, text))
    return _summarize_starting_pods(snapshot, assessment, count)


def _summarize_starting_pods(
    snapshot: AppSnapshot, assessment: HealthAssessment, count: str
) -> PhaseSummary:
    stuck_pods = [pod for pod in snapshot.pods if is_stuck_on_lost_node(pod)]
    if stuck_pods:
        nodes = join_words(sorted({pod.node for pod in stuck_pods}))
        reason = (
            f"{pluralize(len(stuck_pods), 'pod')} left behind on {nodes}, which does not answer"
        )
        return PhaseSummary(
            Phase.PROGRESSING, PODS_MOVING, join_clauses(count, "starting elsewhere", reason)
        )
    wait = _describe_start(assessment)
    return PhaseSummary(Phase.PROGRESSING, "PodsStarting", join_clauses(count, "starting", wait))


def _describe_start(assessment: HealthAssessment) -> str:
    """What the first pod that still starts waits for; empty if none waits for a probe."""
    return next((f"{name}: {wait}" for name, wait in assessment.start_waits.items()), "")


def _format_ready_count(rollout: Rollout) -> str:
    return f"{rollout.ready_wanted} of {pluralize(rollout.wanted, 'pod')} ready"


def _format_old_pods(rollout: Rollout) -> str:
    if not rollout.old_ready:
        return ""
    return f"{pluralize(rollout.old_ready, 'old pod')} still {_inflect_serve(rollout.old_ready)}"


def _format_serving_pods(assessment: HealthAssessment) -> str:
    progress = assessment.rollout or assessment.job_run
    ready = progress.ready if progress is not None else 0
    return f"{pluralize(ready, 'pod')} {_inflect_serve(ready)} as before" if ready else ""


def _inflect_serve(count: int) -> str:
    return "serves" if count == 1 else "serve"
