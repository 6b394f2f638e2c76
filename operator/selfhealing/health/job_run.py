"""How far a Job has come: an app that runs to its end.

Counted from the pods themselves where they are sooner true than the Job's own figures.
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
    """Where a Job stands.

    ``wanted`` pods are to run now, of which ``live`` are there and ``ready`` are ready; ``goal`` is
    how many must succeed, None where one is enough; ``result`` is COMPLETE, FAILED or empty.
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
        """Pods that are made from the current spec: all of them."""
        return self.active

    @property
    def ready_wanted(self) -> int:
        """Ready pods that are wanted."""
        return min(self.ready, self.wanted)


def summarize_job_run(snapshot: AppSnapshot) -> JobRun | None:
    """Say where the Job of an app stands; None when it has none."""
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
    if job.completions is None:  # once a pod has succeeded, no other is made
        return active if succeeded else job.parallelism
    return max(0, min(job.parallelism, job.completions - succeeded))


class JobRunSpec(NamedTuple):
    """The run that a spec asks for: the hash of what is run, and the limits of a Job."""

    run_hash: str
    backoff_limit: int
    active_deadline: int | None

    def matches(self, status: JobStatus) -> bool:
        """Whether that is the run that is known; one that failed by other limits is not."""
        limits = (status.backoff_limit, status.active_deadline_seconds)
        return status.run == self.run_hash and (
            status.result != FAILED or limits == (self.backoff_limit, self.active_deadline)
        )


def parse_job_run_spec(job: Mapping[str, Any]) -> JobRunSpec:
    """The run that the manifest of a Job asks for."""
    spec = job["spec"]
    return JobRunSpec(
        run_hash=job["metadata"]["annotations"][names.ANNOTATION_RUN_HASH],
        backoff_limit=spec.get("backoffLimit", DEFAULT_BACKOFF_LIMIT),
        active_deadline=spec.get("activeDeadlineSeconds"),
    )


def build_job_status(
    snapshot: AppSnapshot, previous: JobStatus | None, wanted_run: JobRunSpec | None
) -> JobStatus | None:
    """What is known of the latest run: by its Job, or by what was written before the Job went.

    What was written about another run than the one that is ``wanted`` is over.
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
    """Where a Job stood that is gone; None when it had not ended, or when there was none."""
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
