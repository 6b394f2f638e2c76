"""How an app is, in one word, one reason and one sentence that helps at night."""

from dataclasses import dataclass
from typing import Final

from selfhealing.api.status import Phase
from selfhealing.apply.result import HARMLESS, NEEDS_PEOPLE, PASSING, Outcome
from selfhealing.cache.snapshot import Facts
from selfhealing.health import messages
from selfhealing.health.assessment import Diagnosis
from selfhealing.health.pod_problems import is_live, left_behind
from selfhealing.health.rollout import Rollout
from selfhealing.status.job_phase import job_state
from selfhealing.status.sentences import amount, clauses, join, naming

ROLLED_BACK: Final = "RolledBack"
"""The reason while an app runs its last good version instead of what the spec asks for."""

MOVING: Final = "PodsMoving"
"""The reason while pods of a lost node are being replaced."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The phase, a CamelCase reason for conditions, and a sentence for people.

    ``complete``: everything that the current spec asks for is there and ready.
    """

    phase: Phase
    reason: str
    message: str
    complete: bool = False


def judge(facts: Facts, diagnosis: Diagnosis, outcome: Outcome, *, paused: bool) -> Verdict:
    """Say how the app is, the gravest thing first."""
    state = _state(facts, diagnosis)
    blocking = [p for p in outcome.problems if p.obstacle in NEEDS_PEOPLE]
    if blocking:
        message = clauses(blocking[0].message, _serving(diagnosis))
        return Verdict(Phase.INVALID, blocking[0].obstacle, message)
    if paused:
        there_is = diagnosis.rollout or diagnosis.run
        how = state.message if there_is else f"there is no {diagnosis.workload}"
        message = clauses("paused, nothing is changed", how)
        return Verdict(Phase.PAUSED, "Paused", message, state.complete)
    grave = [p for p in outcome.problems if p.obstacle not in HARMLESS]
    if grave and (state.complete or state.phase is not Phase.DEGRADED):
        problem = grave[0]
        passing = problem.obstacle in PASSING
        phase = Phase.PROGRESSING if passing else Phase.DEGRADED
        return Verdict(phase, problem.obstacle, clauses(problem.message, _serving(diagnosis)))
    return state


def _state(facts: Facts, diagnosis: Diagnosis) -> Verdict:
    rollout, run, child = diagnosis.rollout, diagnosis.run, facts.deployment or facts.job
    if child is not None and child.deleting and not (run is not None and run.result):
        text = f"the {child.kind} is being deleted, to be made anew"
        return Verdict(Phase.PROGRESSING, "Recreating", text)
    if rollout is not None:
        return _deployment_state(facts, diagnosis, rollout)
    if run is not None:
        return Verdict(*job_state(facts, diagnosis, run))
    return Verdict(Phase.PENDING, "Creating", f"the {diagnosis.workload} is being created")


def _deployment_state(facts: Facts, diagnosis: Diagnosis, rollout: Rollout) -> Verdict:
    if rollout.complete and rollout.wanted == 0:
        return Verdict(Phase.READY, "ScaledToZero", "scaled to 0 pods", complete=True)
    fault = _fault(facts, diagnosis, rollout)
    if fault is not None:
        reason, clause = fault
        return Verdict(Phase.DEGRADED, reason, clauses(_count(rollout), clause, _old(rollout)))
    if rollout.complete:
        return Verdict(Phase.READY, "AllPodsReady", _count(rollout), complete=True)
    return _under_way(facts, diagnosis, rollout)


def _fault(facts: Facts, diagnosis: Diagnosis, rollout: Rollout) -> tuple[str, str] | None:
    """What is wrong, as (reason, clause); None when things only take their time."""
    if rollout.stalled is not None and not rollout.complete:
        stuck = "the rollout is stuck"
        return rollout.stalled.reason, clauses(stuck, _cause(facts, diagnosis, rollout))
    # While a rollout replaces the pods that fail, their ailment is being cured.
    if diagnosis.current or (diagnosis.old and rollout.rolled_out):
        worst = (*diagnosis.current, *diagnosis.old)[0]
        return worst.reason, naming((*diagnosis.current, *diagnosis.old))
    if rollout.complete:
        return None
    if rollout.refused is not None:
        return rollout.refused.reason, _refusal(facts, rollout)
    if diagnosis.rejected:
        return "PodsRejected", f"nodes turn new pods away: {diagnosis.rejected}"
    return None


def _cause(facts: Facts, diagnosis: Diagnosis, rollout: Rollout) -> str:
    if diagnosis.current:
        return naming(diagnosis.current)
    if rollout.refused is not None:
        return _refusal(facts, rollout)
    if diagnosis.rejected:
        return f"nodes turn new pods away: {diagnosis.rejected}"
    message = rollout.stalled.message if rollout.stalled is not None else ""
    return messages.shorten(message.rstrip("."))


def _refusal(facts: Facts, rollout: Rollout) -> str:
    message = rollout.refused.message if rollout.refused is not None else ""
    cause = messages.refusal_cause(message)
    return f"pods are refused: {messages.nameless(cause, facts.app.key.name)}"


def _under_way(facts: Facts, diagnosis: Diagnosis, rollout: Rollout) -> Verdict:
    count = _count(rollout)
    if rollout.held and not rollout.finished:
        advice = f"the Deployment is paused: kubectl rollout resume deployment/{facts.app.key.name}"
        return Verdict(Phase.PROGRESSING, "DeploymentPaused", clauses(count, advice))
    if not any(pod.node for pod in facts.pods if is_live(pod)):
        what = "a node" if rollout.live else "pods to be made"
        return Verdict(Phase.PENDING, "PodsPending", clauses(count, f"waiting for {what}"))
    if not rollout.observed:
        return Verdict(Phase.PROGRESSING, "RolloutStarting", clauses(count, "a change begins"))
    if not rollout.rolled_out:
        how = "rolling out" if rollout.old else "starting"
        old = _old(rollout) or (naming(diagnosis.old) if diagnosis.old else "")
        return Verdict(Phase.PROGRESSING, "RollingOut", clauses(count, how, old))
    if rollout.current_ready >= rollout.wanted:
        text = "waiting for minReadySeconds" if rollout.settling else _old(rollout)
        return Verdict(Phase.PROGRESSING, "PodsSettling", clauses(count, text))
    return _starting(facts, count)


def _starting(facts: Facts, count: str) -> Verdict:
    behind = [pod for pod in facts.pods if left_behind(pod)]
    if behind:
        nodes = join(sorted({pod.node for pod in behind}))
        why = f"{amount(len(behind), 'pod')} left behind on {nodes}, which does not answer"
        return Verdict(Phase.PROGRESSING, MOVING, clauses(count, "starting elsewhere", why))
    return Verdict(Phase.PROGRESSING, "PodsStarting", clauses(count, "starting"))


def _count(rollout: Rollout) -> str:
    return f"{rollout.shown} of {amount(rollout.wanted, 'pod')} ready"


def _old(rollout: Rollout) -> str:
    if not rollout.old_ready:
        return ""
    return f"{amount(rollout.old_ready, 'old pod')} still {_serve(rollout.old_ready)}"


def _serving(diagnosis: Diagnosis) -> str:
    pods = diagnosis.rollout or diagnosis.run
    ready = pods.ready if pods is not None else 0
    return f"{amount(ready, 'pod')} {_serve(ready)} as before" if ready else ""


def _serve(number: int) -> str:
    return "serves" if number == 1 else "serve"
