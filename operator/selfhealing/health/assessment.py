"""Assesses one app: the progress of its rollout or Job, and the problems of its pods."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from selfhealing.api.names import DEPLOYMENT
from selfhealing.cache.child_views import DEFAULT_PROGRESS_DEADLINE_SECONDS
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.evictions import (
    Eviction,
    describe_evictions,
    describe_rejections,
    find_own_limit_evictions,
)
from selfhealing.health.job_failures import find_last_failure, find_probe_killed_success
from selfhealing.health.job_run import JobRun, summarize_job_run
from selfhealing.health.observations import Observations
from selfhealing.health.pod_problems import (
    NODE_LOST,
    PodProblem,
    find_pod_problems,
    is_active,
)
from selfhealing.health.readiness import describe_start
from selfhealing.health.rollout import Rollout, current_template_hash, summarize_rollout
from selfhealing.health.termination_causes import TerminationCauses

NO_PODS_GRACE: Final = timedelta(seconds=30)
"""How long a started Job may have no pod before that is a fault."""


@dataclass(frozen=True, slots=True)
class HealthAssessment:
    """The state of an app that the status and the diagnoses are made from.

    Attributes:
        workload_kind: DEPLOYMENT or JOB, as the spec asks for.
        rollout: the progress of the Deployment; None for a Job.
        current_problems: problems of pods of the current template, the most severe first.
        old_problems: problems of pods of earlier templates, the most severe first.
        node_rejections: that nodes reject or evict new pods, and why; empty if they do not.
        own_limit_evictions: that pods of the current template are evicted again and again for a
            limit of their own, and which; empty if they are not.
        evictions: the pods that were evicted for a limit of their own.
        start_waits: by the name of a pod that starts the probe that it waits for, a clause.
        job_run: the progress of the Job; None for a Deployment.
        job_failure: why the latest pod of the Job failed.
        probe_killed_success: a pod of the Job that succeeded although a probe had it stopped.
        has_no_pods: whether the Job has had no pod for NO_PODS_GRACE.
    """

    workload_kind: str
    rollout: Rollout | None
    current_problems: tuple[PodProblem, ...]
    old_problems: tuple[PodProblem, ...]
    node_rejections: str
    own_limit_evictions: str = ""
    evictions: tuple[Eviction, ...] = ()
    start_waits: Mapping[str, str] = field(default_factory=dict)
    job_run: JobRun | None = None
    job_failure: PodProblem | None = None
    probe_killed_success: PodProblem | None = None
    has_no_pods: bool = False

    @property
    def worst_problem(self) -> PodProblem | None:
        """The most severe problem; problems of the current template come first."""
        return next(iter((*self.current_problems, *self.old_problems)), None)

    @property
    def has_pod_problem(self) -> bool:
        """Whether a pod has a problem other than a lost node, for however short a time.

        A pod that starts has no problem.
        """
        return any(
            problem.reason != NODE_LOST for problem in (*self.current_problems, *self.old_problems)
        )


def assess_health(
    snapshot: AppSnapshot,
    causes: TerminationCauses,
    deadlines: Deadlines,
    workload_kind: str = DEPLOYMENT,
    previous_run: JobRun | None = None,
) -> HealthAssessment:
    """Assess one app.

    Args:
        snapshot: the app and its objects, as the cache holds them.
        causes: why containers terminated.
        deadlines: the time of this evaluation.
        workload_kind: DEPLOYMENT or JOB, as the spec asks for.
        previous_run: the finished run of a Job that has been deleted since.
    """
    progress_deadline = (
        snapshot.deployment.progress_deadline_seconds
        if snapshot.deployment
        else DEFAULT_PROGRESS_DEADLINE_SECONDS
    )
    observations = Observations(snapshot)
    problems = find_pod_problems(
        snapshot.pods,
        causes,
        deadlines,
        timedelta(seconds=progress_deadline),
        observations,
    )
    waits = (
        (pod.name, describe_start(pod, observations, deadlines))
        for pod in snapshot.pods
        if is_active(pod) and not pod.ready
    )
    current_hash = current_template_hash(snapshot)
    evictions = find_own_limit_evictions(snapshot, observations, deadlines)
    evicted = {eviction.pod.uid for eviction in evictions}
    others = (pod for pod in snapshot.pods if pod.uid not in evicted)
    return HealthAssessment(
        workload_kind=workload_kind,
        rollout=summarize_rollout(snapshot),
        current_problems=tuple(
            problem for problem in problems if problem.template_hash in {"", current_hash}
        ),
        old_problems=tuple(
            problem for problem in problems if problem.template_hash not in {"", current_hash}
        ),
        node_rejections=describe_rejections(others, observations, deadlines),
        own_limit_evictions=describe_evictions(evictions, current_hash),
        evictions=evictions,
        start_waits={name: wait for name, wait in waits if wait},
        job_run=summarize_job_run(snapshot) or previous_run,
        job_failure=find_last_failure(snapshot, causes),
        probe_killed_success=find_probe_killed_success(snapshot, causes),
        has_no_pods=_has_no_pods(snapshot, deadlines),
    )


def _has_no_pods(snapshot: AppSnapshot, deadlines: Deadlines) -> bool:
    """Whether a Job has had no pod for NO_PODS_GRACE: its status does not report refused pods."""
    job = snapshot.job
    if job is None or job.started_at is None:
        return False
    if any(pod.template_hash == job.uid for pod in snapshot.pods):
        return False
    return deadlines.reached(job.started_at + NO_PODS_GRACE)
