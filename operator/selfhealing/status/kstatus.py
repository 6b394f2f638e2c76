"""Evaluates the conditions Reconciling and Stalled, by which other tools tell how an app is.

kstatus (sigs.k8s.io/cli-utils/pkg/kstatus), on which Flux, Helm and others stand, calls a resource
InProgress while Reconciling is True and Failed while Stalled is True. Both are absent otherwise.
"""

from typing import Final

from selfhealing.api.healing_status import BlockedReason, HealingStatus
from selfhealing.api.status import ConditionStatus, Phase
from selfhealing.health.job_run import FAILED, JobRun
from selfhealing.health.rollout import DEPLOYMENT_PAUSED
from selfhealing.remediation.context import SELF_ENDING_BLOCKED_REASONS
from selfhealing.status.conditions import ConditionFields
from selfhealing.status.job_phase import JOB_SUSPENDED
from selfhealing.status.phase import ROLLED_BACK, PhaseSummary

RECONCILING: Final = "Reconciling"
STALLED: Final = "Stalled"

_STALLED_REASONS: Final = frozenset({ROLLED_BACK, DEPLOYMENT_PAUSED, JOB_SUSPENDED})
"""Reasons of an app that is as a person, or a rollback, has left it."""

PROGRESS_DEADLINE_EXCEEDED: Final = "ProgressDeadlineExceeded"
"""The Deployment controller's reason for a rollout that makes no progress."""

_DECIDED_BY_PEOPLE: Final = frozenset(
    {BlockedReason.AWAITING_APPROVAL, BlockedReason.ROLLOUT_PAUSED}
)
"""Blocked reasons that only a person ends."""

_PASSING: Final = SELF_ENDING_BLOCKED_REASONS | {BlockedReason.COOLDOWN, BlockedReason.NOT_DUE}
"""Blocked reasons that end by themselves: a remediation follows."""


def evaluate_kstatus(
    summary: PhaseSummary, job_run: JobRun | None, record: HealingStatus | None
) -> tuple[ConditionFields, ...]:
    """Evaluate Reconciling and Stalled: at most one of them, and neither when there is no need.

    An app that is not what its spec asks for has one of them, unless ``spec.paused`` is what keeps
    it from that.
    """
    if summary.complete or summary.phase is Phase.PAUSED:
        return ()
    reason = _find_stall(summary, job_run, record)
    if reason:
        return ((STALLED, ConditionStatus.TRUE, reason, summary.message),)
    reason = str(Phase.HEALING) if summary.phase is Phase.HEALING else summary.reason
    return ((RECONCILING, ConditionStatus.TRUE, reason, summary.message),)


def _find_stall(summary: PhaseSummary, job_run: JobRun | None, record: HealingStatus | None) -> str:
    """The reason why the app does not move without a person; empty if it does."""
    if summary.phase is Phase.QUARANTINED:
        return str(Phase.QUARANTINED)
    if summary.phase is Phase.HEALING:
        return ""
    if summary.phase is Phase.INVALID or summary.reason in _STALLED_REASONS:
        return summary.reason
    if job_run is not None and job_run.result == FAILED:
        return summary.reason
    blocked_reason = record.blocked_reason if record is not None else None
    if summary.phase is Phase.DEGRADED and blocked_reason in _DECIDED_BY_PEOPLE:
        return str(blocked_reason)
    # As kstatus has it for a Deployment: one that misses progressDeadlineSeconds has failed.
    is_stuck = summary.reason == PROGRESS_DEADLINE_EXCEEDED and blocked_reason not in _PASSING
    return summary.reason if is_stuck else ""
