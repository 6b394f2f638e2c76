"""Summarizes the progress of a Job: an app that runs to completion.

Pods are counted directly where the Job's own status lags behind them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from selfhealing.api import names
from selfhealing.api.status import JobStatus
from selfhealing.cache.child_views import DEFAULT_BACKOFF_LIMIT
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import JobView
from selfhealing.health.pod_problems import is_active

COMPLETE: Final = "Complete"
FAILED: Final = "Failed"


@dataclass(frozen=True, slots=True)
class JobRun:
    """The progress of a Job.

    Attributes:
        wanted: pods that should run now.
        active: pods that run or will run.
        ready: pods that are ready.
        succeeded: pods that succeeded.
        completions: pods that must succeed; None if one is enough.
        suspended: whether the Job is suspended.
        result: COMPLETE, FAILED, or empty while the Job runs.
        reason: the Job's reason for its failure.
        message: the Job's message for its failure.
    """

    wanted: int
    active: int
    ready: int
    succeeded: int
    completions: int | None
    suspended: bool
    result: str
    reason: str
    message: str

    @property
    def updated(self) -> int:
        """Pods that are made from the current spec, which are all pods of a Job."""
        return self.active

    @property
    def ready_wanted(self) -> int:
        """Ready pods, at most the wanted number."""
        return min(self.ready, self.wanted)


def summarize_job_run(snapshot: AppSnapshot) -> JobRun | None:
    """Summarize the Job of an app; None if the app has no Job."""
    job = snapshot.job
    if job is None:
        return None
    job_pods = [pod for pod in snapshot.pods if pod.template_hash == job.uid]
    active_pods = [pod for pod in job_pods if is_active(pod)]
    succeeded = max(job.succeeded, sum(pod.phase == "Succeeded" for pod in job_pods))
    return JobRun(
        wanted=_count_wanted(job, succeeded, len(active_pods)),
        active=len(active_pods),
        ready=sum(pod.ready for pod in active_pods),
        succeeded=succeeded,
        completions=job.completions,
        suspended=job.suspended,
        result=FAILED if job.reason else job.result,
        reason=job.reason,
        message=job.message,
    )


def _count_wanted(job: JobView, succeeded: int, active: int) -> int:
    if job.result == COMPLETE:
        return 0
    if job.completions is None:  # the Job creates no pod after the first success
        return active if succeeded else job.parallelism
    return max(0, min(job.parallelism, job.completions - succeeded))


class JobRunSpec(NamedTuple):
    """The run that a spec asks for: the hash of the Job's immutable fields, and its limits."""

    run_hash: str
    backoff_limit: int
    active_deadline: int | None

    def matches(self, status: JobStatus) -> bool:
        """Whether ``status`` is of this run; a run that failed by other limits is another one."""
        limits = (status.backoff_limit, status.active_deadline_seconds)
        return status.run == self.run_hash and (
            status.result != FAILED or limits == (self.backoff_limit, self.active_deadline)
        )


def parse_job_run_spec(job: Mapping[str, Any]) -> JobRunSpec:
    """Read the run that the manifest of a Job asks for."""
    spec = job["spec"]
    return JobRunSpec(
        run_hash=job["metadata"]["annotations"][names.ANNOTATION_RUN_HASH],
        backoff_limit=spec.get("backoffLimit", DEFAULT_BACKOFF_LIMIT),
        active_deadline=spec.get("activeDeadlineSeconds"),
    )


def build_job_status(
    snapshot: AppSnapshot, previous: JobStatus | None, wanted_run: JobRunSpec | None
) -> JobStatus | None:
    """The status of the latest run, from its Job, or from the stored status if the Job is gone.

    A stored status of another run than ``wanted_run`` is dropped.
    """
    job = snapshot.job
    if job is None:
        return previous if previous and wanted_run and wanted_run.matches(previous) else None
    return JobStatus(
        run=job.run_hash,
        succeeded=job.succeeded,
        failed=job.failed,
        result=job.result or None,
        reason=job.reason or None,
        backoff_limit=job.backoff_limit,
        active_deadline_seconds=job.active_deadline_seconds,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )


def job_run_from_status(status: JobStatus | None) -> JobRun | None:
    """The final state of a Job that was deleted; None if it had not finished."""
    if status is None or status.result is None:
        return None
    return JobRun(
        wanted=0,
        active=0,
        ready=0,
        succeeded=status.succeeded,
        completions=status.succeeded,
        suspended=False,
        result=status.result,
        reason=status.reason or "",
        message="",
    )
