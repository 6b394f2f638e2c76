"""How an app is that runs to its end: what its Job and the Job's pods say."""

from collections.abc import Mapping
from typing import Final

from selfhealing.api.status import Phase
from selfhealing.cache.snapshot import Facts
from selfhealing.health import messages
from selfhealing.health.assessment import Diagnosis
from selfhealing.health.job_run import COMPLETE, Run
from selfhealing.health.pod_problems import Ailment, is_live
from selfhealing.status.sentences import amount, clauses, naming

SUSPENDED: Final = "JobSuspended"

_FAILURES: Final[Mapping[str, str]] = {
    "BackoffLimitExceeded": "it failed more often than backoffLimit allows",
    "DeadlineExceeded": "it ran for longer than activeDeadlineSeconds",
}
"""The Job's own reasons (pkg/controller/job, Kubernetes 1.36), and what they mean."""

Judgement = tuple[Phase, str, str, bool]
"""The fields of a Verdict: phase, reason, message, whether all that is asked for is there."""


def job_state(facts: Facts, diagnosis: Diagnosis, run: Run) -> Judgement:
    """Say how the app is, the gravest thing first."""
    if run.result == COMPLETE:
        return Phase.COMPLETED, "Completed", _success(run, diagnosis.stopped), True
    if run.result:
        return Phase.DEGRADED, run.reason, job_failure(run, diagnosis.failure), False
    if run.suspended:
        name = facts.app.key.name
        advice = f'kubectl patch job/{name} --type=merge -p \'{{"spec":{{"suspend":false}}}}\''
        return Phase.PROGRESSING, SUSPENDED, f"the Job is suspended; to go on: {advice}", False
    if not run.wanted:
        return Phase.PROGRESSING, "JobEnding", "every pod has succeeded; the Job is ending", False
    return _under_way(facts, diagnosis, run)


def _under_way(facts: Facts, diagnosis: Diagnosis, run: Run) -> Judgement:
    count = f"{run.shown} of {amount(run.wanted, 'pod')} ready"
    if diagnosis.current:
        found = diagnosis.current
        return Phase.DEGRADED, found[0].reason, clauses(count, naming(found)), False
    if diagnosis.podless:
        advice = f"it has no pod, see kubectl describe job {facts.app.key.name}"
        return Phase.DEGRADED, "NoPods", clauses(count, advice), False
    if run.ready >= run.wanted:
        return Phase.READY, "AllPodsReady", count, True
    if diagnosis.failure is not None and not run.live:
        text = clauses(count, naming((diagnosis.failure,)), "the Job makes another pod")
        return Phase.DEGRADED, diagnosis.failure.reason, text, False
    if not any(pod.node for pod in facts.pods if is_live(pod)):
        what = "a node" if run.live else "pods to be made"
        return Phase.PENDING, "PodsPending", clauses(count, f"waiting for {what}"), False
    return Phase.PROGRESSING, "PodsStarting", clauses(count, "starting"), False


def _success(run: Run, stopped: Ailment | None) -> str:
    done = "completed" if run.succeeded <= 1 else f"completed, {run.succeeded} pods succeeded"
    if stopped is None:
        return done
    return clauses(done, f"{naming((stopped,))}, but ended with exit code 0, which is success")


def job_failure(run: Run, failure: Ailment | None) -> str:
    """Why a Job has given up, and how its latest pod failed."""
    why = _FAILURES.get(run.reason) or messages.first_sentence(run.message) or run.reason
    return clauses(f"the Job has given up: {why}", naming((failure,)) if failure else "")
