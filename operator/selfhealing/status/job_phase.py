"""Summarizes an app that runs as a Job: its phase, reason and message."""

from collections.abc import Mapping
from typing import Final

from selfhealing.api.status import Phase
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.health import messages
from selfhealing.health.assessment import HealthAssessment
from selfhealing.health.job_run import COMPLETE, JobRun
from selfhealing.health.pod_problems import PodProblem, is_active, is_ending
from selfhealing.status.sections import join_clauses, pluralize, summarize_problems

JOB_SUSPENDED: Final = "JobSuspended"

_JOB_FAILURE_MESSAGES: Final[Mapping[str, str]] = {
    "BackoffLimitExceeded": "it failed more often than backoffLimit allows",
    "DeadlineExceeded": "it ran for longer than activeDeadlineSeconds",
}
"""Texts for the reasons of a failed Job (pkg/controller/job, Kubernetes 1.36)."""

PhaseFields = tuple[Phase, str, str, bool]
"""The fields of a PhaseSummary: phase, reason, message, complete."""


def summarize_job(snapshot: AppSnapshot, assessment: HealthAssessment, run: JobRun) -> PhaseFields:
    """Summarize the Job; the most severe state has priority."""
    if run.result == COMPLETE:
        return (
            Phase.COMPLETED,
            "Completed",
            _describe_success(run, assessment.probe_killed_success),
            True,
        )
    if run.result:
        return Phase.DEGRADED, run.reason, describe_job_failure(run, assessment.job_failure), False
    if run.suspended:
        name = snapshot.app.key.name
        advice = f'kubectl patch job/{name} --type=merge -p \'{{"spec":{{"suspend":false}}}}\''
        return Phase.PROGRESSING, JOB_SUSPENDED, f"the Job is suspended; to go on: {advice}", False
    if not run.wanted:
        return Phase.PROGRESSING, "JobEnding", "every pod has succeeded; the Job is ending", False
    return _summarize_job_progress(snapshot, assessment, run)


def _summarize_job_progress(
    snapshot: AppSnapshot, assessment: HealthAssessment, run: JobRun
) -> PhaseFields:
    count = f"{run.ready_wanted} of {pluralize(run.wanted, 'pod')} ready"
    if assessment.current_problems:
        pod_problems = assessment.current_problems
        return (
            Phase.DEGRADED,
            pod_problems[0].reason,
            join_clauses(count, summarize_problems(pod_problems)),
            False,
        )
    if assessment.has_no_pods:
        advice = f"it has no pod, see kubectl describe job {snapshot.app.key.name}"
        return Phase.DEGRADED, "NoPods", join_clauses(count, advice), False
    if run.ready >= run.wanted:
        return Phase.READY, "AllPodsReady", count, True
    if assessment.job_failure is not None and not run.active:
        text = join_clauses(
            count, summarize_problems((assessment.job_failure,)), "the Job makes another pod"
        )
        return Phase.DEGRADED, assessment.job_failure.reason, text, False
    return _summarize_waiting_job(snapshot, run, count)


def _summarize_waiting_job(snapshot: AppSnapshot, run: JobRun, count: str) -> PhaseFields:
    """Summarize a Job in which nothing fails, and not every pod is ready."""
    active_pods = [pod for pod in snapshot.pods if is_active(pod)]
    if active_pods and all(is_ending(pod) for pod in active_pods):
        return Phase.PROGRESSING, "JobEnding", "every pod has succeeded; the Job is ending", False
    if not any(pod.node for pod in active_pods):
        what = "a node" if run.active else "pods to be created"
        return Phase.PENDING, "PodsPending", join_clauses(count, f"waiting for {what}"), False
    return Phase.PROGRESSING, "PodsStarting", join_clauses(count, "starting"), False


def _describe_success(run: JobRun, stopped_pod: PodProblem | None) -> str:
    message = "completed" if run.succeeded <= 1 else f"completed, {run.succeeded} pods succeeded"
    if stopped_pod is None:
        return message
    return join_clauses(
        message,
        f"{summarize_problems((stopped_pod,))}, but ended with exit code 0, which is success",
    )


def describe_job_failure(run: JobRun, pod_problem: PodProblem | None) -> str:
    """Describe why a Job has given up, and how its latest pod failed."""
    reason = (
        _JOB_FAILURE_MESSAGES.get(run.reason) or messages.first_sentence(run.message) or run.reason
    )
    return join_clauses(
        f"the Job has given up: {reason}", summarize_problems((pod_problem,)) if pod_problem else ""
    )
