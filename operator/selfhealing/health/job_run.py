"""How far a Job has come: an app that runs to its end.

Counted from the pods themselves where they are sooner true than the Job's own figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from selfhealing.api import names
from selfhealing.api.status import JobStatus
from selfhealing.cache.child_views import BACKOFF_LIMIT
from selfhealing.cache.snapshot import Facts
from selfhealing.cache.views import JobView
from selfhealing.health.pod_problems import is_live

COMPLETE: Final = "Complete"
FAILED: Final = "Failed"


@dataclass(frozen=True, slots=True)
class Run:
    """Where a Job stands.

    ``wanted`` pods are to run now, of which ``live`` are there and ``ready`` are ready; ``goal`` is
    how many must succeed, None where one is enough; ``result`` is COMPLETE, FAILED or empty.
    """

    wanted: int
    live: int
    ready: int
    succeeded: int
    goal: int | None
    suspended: bool
    result: str
    reason: str
    message: str

    @property
    def updated(self) -> int:
        """Pods that are made from the current spec: all of them."""
        return self.live

    @property
    def shown(self) -> int:
        """Ready pods that are wanted."""
        return min(self.ready, self.wanted)


def run(facts: Facts) -> Run | None:
    """Say where the Job of an app stands; None when it has none."""
    job = facts.job
    if job is None:
        return None
    made = [pod for pod in facts.pods if pod.template_hash == job.uid]
    live = [pod for pod in made if is_live(pod)]
    succeeded = max(job.succeeded, sum(pod.phase == "Succeeded" for pod in made))
    return Run(
        wanted=_wanted(job, succeeded, len(live)),
        live=len(live),
        ready=sum(pod.ready for pod in live),
        succeeded=succeeded,
        goal=job.completions,
        suspended=job.suspended,
        result=FAILED if job.reason else job.result,
        reason=job.reason,
        message=job.message,
    )


def _wanted(job: JobView, succeeded: int, live: int) -> int:
    if job.result == COMPLETE:
        return 0
    if job.completions is None:  # once a pod has succeeded, no other is made
        return live if succeeded else job.parallelism
    return max(0, min(job.parallelism, job.completions - succeeded))


class Asked(NamedTuple):
    """The run that a spec asks for: the hash of what is run, and the limits of a Job."""

    mark: str
    backoff_limit: int
    active_deadline: int | None

    def is_(self, known: JobStatus) -> bool:
        """Whether that is the run that is known; one that failed by other limits is not."""
        limits = (known.backoff_limit, known.active_deadline_seconds)
        return known.run == self.mark and (
            known.result != FAILED or limits == (self.backoff_limit, self.active_deadline)
        )


def asked(job: Mapping[str, Any]) -> Asked:
    """The run that the manifest of a Job asks for."""
    spec = job["spec"]
    return Asked(
        mark=job["metadata"]["annotations"][names.ANNOTATION_RUN],
        backoff_limit=spec.get("backoffLimit", BACKOFF_LIMIT),
        active_deadline=spec.get("activeDeadlineSeconds"),
    )


def recorded(facts: Facts, before: JobStatus | None, wanted: Asked | None) -> JobStatus | None:
    """What is known of the latest run: by its Job, or by what was written before the Job went.

    What was written about another run than the one that is ``wanted`` is over.
    """
    job = facts.job
    if job is None:
        return before if before and wanted and wanted.is_(before) else None
    return JobStatus(
        run=job.run,
        succeeded=job.succeeded,
        failed=job.failed,
        result=job.result or None,
        reason=job.reason or None,
        backoff_limit=job.backoff_limit,
        active_deadline_seconds=job.active_deadline,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )


def remembered(known: JobStatus | None) -> Run | None:
    """Where a Job stood that is gone; None when it had not ended, or when there was none."""
    if known is None or known.result is None:
        return None
    return Run(
        wanted=0,
        live=0,
        ready=0,
        succeeded=known.succeeded,
        goal=known.succeeded,
        suspended=False,
        result=known.result,
        reason=known.reason or "",
        message="",
    )
