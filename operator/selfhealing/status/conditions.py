"""The conditions of an app, each a metav1.Condition with the generation that it was judged by."""

import re
from datetime import datetime
from typing import Final

from selfhealing.api.status import Condition, ConditionStatus
from selfhealing.apply.result import Outcome
from selfhealing.cache.snapshot import Facts
from selfhealing.cache.views import ConditionView
from selfhealing.health import messages
from selfhealing.health.assessment import Diagnosis
from selfhealing.health.job_run import COMPLETE, FAILED, Run
from selfhealing.health.rollout import HELD, Rollout
from selfhealing.status.job_phase import SUSPENDED, job_failure
from selfhealing.status.phase import ROLLED_BACK, Verdict
from selfhealing.status.sentences import amount, naming

MESSAGE_LIMIT: Final = 1024

_REASON: Final = re.compile(r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")
"""What metav1.Condition takes: a reason that comes from elsewhere must not spoil the status."""

Finding = tuple[str, ConditionStatus, str, str]
"""A condition without its times: type, status, reason, message."""

_TRUE, _FALSE, _UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


def findings(
    facts: Facts, diagnosis: Diagnosis, outcome: Outcome, verdict: Verdict, *, paused: bool
) -> tuple[Finding, ...]:
    """Judge every condition.

    ``kubectl wait --for=condition=TYPE sha/NAME`` works for each of them.
    """
    return (
        ("Ready", _TRUE if verdict.complete else _FALSE, verdict.reason, verdict.message),
        _reconciled(outcome, paused=paused),
        _running(diagnosis.run)
        if diagnosis.run
        else _progressing(diagnosis.rollout, diagnosis.workload),
        _healthy(diagnosis, verdict),
        _paused(paused=paused),
        *_scaling_active(facts),
    )


def conditions(
    found: tuple[Finding, ...], previous: list[Condition], generation: int, now: datetime
) -> list[Condition]:
    """Date what was ``found``: ``lastTransitionTime`` moves only when a status changes."""
    known = {condition.type: condition for condition in previous}
    return [_condition(finding, known.get(finding[0]), generation, now) for finding in found]


def _condition(
    found: Finding, known: Condition | None, generation: int, now: datetime
) -> Condition:
    kind, status, reason, message = found
    unchanged = known is not None and known.status == status
    return Condition(
        type=kind,
        status=status,
        reason=reason if _REASON.match(reason) else "Unknown",
        message=message[:MESSAGE_LIMIT],
        last_transition_time=known.last_transition_time if known and unchanged else now,
        observed_generation=generation,
    )


def _reconciled(outcome: Outcome, *, paused: bool) -> Finding:
    if outcome.problems:
        first = outcome.problems[0]
        message = "; ".join(problem.message for problem in outcome.problems)
        return "Reconciled", _FALSE, first.obstacle, message
    if paused:
        return "Reconciled", _UNKNOWN, "Paused", "spec.paused: the children are not looked after"
    return "Reconciled", _TRUE, "ChildrenApplied", "every child is as the spec says"


def _progressing(rollout: Rollout | None, workload: str) -> Finding:
    if rollout is None:
        return "Progressing", _UNKNOWN, f"No{workload}", f"there is no {workload} yet"
    if not rollout.observed:
        return "Progressing", _TRUE, "RolloutStarting", "the Deployment has yet to take up a change"
    if rollout.complete or (rollout.finished and rollout.rolled_out):
        return "Progressing", _FALSE, "RolloutComplete", "every pod is made from the current spec"
    if rollout.stalled is not None:
        message = messages.shorten(rollout.stalled.message)
        return "Progressing", _FALSE, rollout.stalled.reason, message
    if rollout.held:
        return "Progressing", _UNKNOWN, HELD, "somebody has paused the Deployment"
    made = f"{rollout.updated} of {amount(rollout.wanted, 'pod')} made from the current spec"
    return "Progressing", _TRUE, "Scaling" if rollout.rolled_out else "RollingOut", made


def _running(run: Run) -> Finding:
    """Whether a Job has yet to end."""
    if run.result == COMPLETE:
        return "Progressing", _FALSE, "JobComplete", "the Job has ended, and succeeded"
    if run.result:
        return "Progressing", _FALSE, run.reason, "the Job has ended, and failed"
    if run.suspended:
        return "Progressing", _UNKNOWN, SUSPENDED, "somebody has suspended the Job"
    done = f"{run.succeeded} of {amount(run.goal, 'pod')} succeeded" if run.goal else "it runs"
    return "Progressing", _TRUE, "JobRunning", done


def _healthy(diagnosis: Diagnosis, verdict: Verdict) -> Finding:
    run = diagnosis.run
    if verdict.reason == ROLLED_BACK:
        return "Healthy", _FALSE, verdict.reason, verdict.message
    if run is not None and run.result == FAILED:
        return "Healthy", _FALSE, run.reason, job_failure(run, diagnosis.failure)
    if diagnosis.worst is not None:
        message = naming((*diagnosis.current, *diagnosis.old))
        return "Healthy", _FALSE, diagnosis.worst.reason, message
    return "Healthy", _TRUE, "NothingFails", "nothing fails in the pods"


def _paused(*, paused: bool) -> Finding:
    if paused:
        return "Paused", _TRUE, "SpecPaused", "spec.paused is true: nothing is changed"
    return "Paused", _FALSE, "NotPaused", "the operator looks after the children"


def _scaling_active(facts: Facts) -> list[Finding]:
    autoscaler = facts.autoscaler
    if autoscaler is None:
        return []
    found = _find(autoscaler.conditions, "ScalingActive")
    if found is None:
        return [("ScalingActive", _UNKNOWN, "NotReported", "the autoscaler has not looked yet")]
    message = messages.nameless(found.message, facts.app.key.name)
    return [("ScalingActive", ConditionStatus(found.status), found.reason, message)]


def _find(held: tuple[ConditionView, ...], kind: str) -> ConditionView | None:
    return next((condition for condition in held if condition.type == kind), None)
