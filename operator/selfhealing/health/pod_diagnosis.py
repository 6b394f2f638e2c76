"""Diagnoses single pods: a problem that has lasted for long enough becomes a diagnosis.

The status shows a problem (``health.pod_problems``) at once. A remediation needs a diagnosis: a
first crash, a single failed pull or a probe that fails for a moment is a problem, but no diagnosis.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from selfhealing.cache.child_views import DEFAULT_PROGRESS_DEADLINE_SECONDS
from selfhealing.cache.views import ContainerView, PodView
from selfhealing.health import messages
from selfhealing.health.crash_loops import (
    CRASH_LOOP_BACK_OFF,
    is_crash_looping,
    last_termination,
    mean_restart_interval,
    uptime,
)
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.faults import FAILED_MOUNT, NOT_READY, READINESS_FLAPPING
from selfhealing.health.pod_problems import (
    IMAGE_PULL_BACK_OFF,
    NODE_LOST,
    START_FAILURE_REASONS,
    UNSCHEDULABLE,
    PodProblem,
    is_active,
)
from selfhealing.health.termination_causes import (
    OOM_KILLED,
    PROBE_REASONS,
    ContainerKey,
    TerminationCauses,
)


class DiagnosisType(StrEnum):
    """What can be wrong with an app, the most severe first."""

    CRASH_LOOPING = "CrashLooping"
    LIVENESS_KILLED = "LivenessKilled"
    OOM_KILLED = "OOMKilled"
    IMAGE_PULL_FAILING = "ImagePullFailing"
    CONFIG_ERROR = "ConfigError"
    VOLUME_FAILING = "VolumeFailing"
    START_FAILING = "StartFailing"
    UNSCHEDULABLE = "Unschedulable"
    ROLLOUT_STALLED = "RolloutStalled"
    NOT_READY_TOO_LONG = "NotReadyTooLong"
    STUCK_TERMINATING = "StuckTerminating"
    NODE_LOST = "NodeLost"
    PODS_FAILED = "PodsFailed"
    PODS_REFUSED = "PodsRefused"
    QUOTA_EXCEEDED = "QuotaExceeded"
    METRICS_UNAVAILABLE = "MetricsUnavailable"
    DEPENDENCY_DOWN = "DependencyDown"
    CPU_THROTTLED = "CPUThrottled"
    READINESS_FLAPPING = "ReadinessFlapping"
    SCALING_LIMITED = "ScalingLimited"
    MEMORY_CLIMBING = "MemoryClimbing"


WARNINGS: Final = frozenset(
    {
        DiagnosisType.READINESS_FLAPPING,
        DiagnosisType.SCALING_LIMITED,
        DiagnosisType.MEMORY_CLIMBING,
    }
)
"""Diagnoses of an app that serves. They warn of a fault to come, and never lead to a quarantine."""

NEVER_QUARANTINED: Final = WARNINGS | {DiagnosisType.METRICS_UNAVAILABLE}
"""Diagnoses of apps that still serve requests. They alone never lead to a quarantine, which would
also stop the remediation of a later, more severe diagnosis."""


OOM_RESTARTS: Final = 2
"""Restarts after which an out-of-memory kill is a diagnosis."""

STUCK_TERMINATING_AFTER: Final = timedelta(minutes=1)
"""How long a pod may still exist after its deletionTimestamp, which includes its grace period."""

_IMAGE_PULL_REASONS: Final = frozenset(
    {IMAGE_PULL_BACK_OFF, "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
)
_CONFIG_ERROR_REASONS: Final = frozenset({"CreateContainerConfigError", "CreateContainerError"})
_CRASH_REASONS: Final = frozenset({CRASH_LOOP_BACK_OFF, "Error", "Completed"})


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How long a state must last before it is a diagnosis.

    Attributes:
        start_grace: for a container that does not start.
        unready_timeout: for a pod that was ready and is not ready any more.
        metrics_timeout: for an autoscaler without metrics.
        progress_deadline: for a pod that was never ready: the Deployment's progressDeadlineSeconds.
    """

    start_grace: timedelta
    unready_timeout: timedelta
    metrics_timeout: timedelta
    progress_deadline: timedelta = timedelta(seconds=DEFAULT_PROGRESS_DEADLINE_SECONDS)


@dataclass(frozen=True, slots=True)
class PodDiagnosis:
    """The diagnosis of one pod.

    Attributes:
        message: a clause that follows the pod's name.
        container: the container that has the problem; empty if it is the pod as a whole.
        text: what the kubelet or the scheduler says of it, unshortened; empty if they say nothing.
    """

    pod: PodView
    type: DiagnosisType
    message: str
    container: str = ""
    text: str = ""


def diagnose_pod(
    pod: PodView,
    problem: PodProblem | None,
    causes: TerminationCauses,
    deadlines: Deadlines,
    thresholds: Thresholds,
) -> PodDiagnosis | None:
    """Diagnose one pod; None if nothing has lasted for long enough.

    Args:
        pod: a pod of the app.
        problem: the problem of the pod, as the status shows it.
        causes: why its containers terminated.
        deadlines: the time of this evaluation.
        thresholds: how long each state must last.
    """
    if pod.deleting:
        return _stuck_terminating(pod, deadlines)
    if not is_active(pod):
        return None
    if problem is None or problem.reason in {NOT_READY, READINESS_FLAPPING}:
        return (
            _slow_crash_loop(pod, causes, deadlines)
            or _not_ready_too_long(pod, problem, deadlines, thresholds)
            or _readiness_flapping(pod, problem)
        )
    diagnosis_type = _diagnosis_type(problem, pod, causes, deadlines)
    if diagnosis_type in _NO_EXTRA_WAIT or (
        diagnosis_type is not None and _has_start_grace_passed(pod, deadlines, thresholds)
    ):
        return PodDiagnosis(pod, diagnosis_type, problem.message, problem.container, problem.text)
    return None


_NO_EXTRA_WAIT: Final = frozenset(
    {
        DiagnosisType.CRASH_LOOPING,
        DiagnosisType.LIVENESS_KILLED,
        DiagnosisType.OOM_KILLED,
        DiagnosisType.NODE_LOST,
    }
)
"""Diagnoses that already include a waiting period or a number of restarts: start_grace is not
added."""


def _diagnosis_type(
    problem: PodProblem, pod: PodView, causes: TerminationCauses, deadlines: Deadlines
) -> DiagnosisType | None:
    reason = problem.reason
    if reason in _CRASH_REASONS:
        return _crash_diagnosis_type(pod, causes, deadlines)
    if reason == OOM_KILLED:
        restart_counts = (
            c.restarts
            for c in pod.containers
            if (termination := last_termination(c)) and termination.reason == OOM_KILLED
        )
        return DiagnosisType.OOM_KILLED if max(restart_counts, default=0) >= OOM_RESTARTS else None
    if reason in _IMAGE_PULL_REASONS:
        return DiagnosisType.IMAGE_PULL_FAILING
    if reason in _CONFIG_ERROR_REASONS:
        return DiagnosisType.CONFIG_ERROR
    types_by_reason = {
        UNSCHEDULABLE: DiagnosisType.UNSCHEDULABLE,
        NODE_LOST: DiagnosisType.NODE_LOST,
        FAILED_MOUNT: DiagnosisType.CONFIG_ERROR
        if messages.is_missing_config(problem.text)
        else DiagnosisType.VOLUME_FAILING,
    }
    return types_by_reason.get(reason, DiagnosisType.START_FAILING)


def _crash_diagnosis_type(
    pod: PodView, causes: TerminationCauses, deadlines: Deadlines
) -> DiagnosisType | None:
    """The type of the crash loop that the pod is in; None if it is in none."""
    looping = [c for c in pod.containers if is_crash_looping(pod, c, deadlines)]
    if not looping:
        return None
    return _loop_diagnosis_type(pod, max(looping, key=lambda container: container.restarts), causes)


def _loop_diagnosis_type(
    pod: PodView, container: ContainerView, causes: TerminationCauses
) -> DiagnosisType:
    cause = causes.reason_for(ContainerKey(pod.uid, container.name), last_termination(container))
    if cause == OOM_KILLED:
        return DiagnosisType.OOM_KILLED
    is_probe_kill = cause in PROBE_REASONS.values()
    return DiagnosisType.LIVENESS_KILLED if is_probe_kill else DiagnosisType.CRASH_LOOPING


def _slow_crash_loop(
    pod: PodView, causes: TerminationCauses, deadlines: Deadlines
) -> PodDiagnosis | None:
    """Diagnose a crash loop whose container runs at this moment, with or without being ready."""
    for container in pod.containers:
        interval = mean_restart_interval(pod, container)
        if interval is not None and is_crash_looping(pod, container, deadlines):
            message = f"has restarted {container.restarts} times"
            lasted = uptime(last_termination(container))
            message += f", last after {messages.format_elapsed(lasted)}" if lasted else ""
            diagnosis_type = _loop_diagnosis_type(pod, container, causes)
            return PodDiagnosis(pod, diagnosis_type, message, container.name)
    return None


def _readiness_flapping(pod: PodView, problem: PodProblem | None) -> PodDiagnosis | None:
    if problem is None or problem.reason != READINESS_FLAPPING:
        return None
    return PodDiagnosis(pod, DiagnosisType.READINESS_FLAPPING, problem.message, problem.container)


def _not_ready_too_long(
    pod: PodView, problem: PodProblem | None, deadlines: Deadlines, thresholds: Thresholds
) -> PodDiagnosis | None:
    """Diagnose a pod whose containers run without a crash, but which is not ready for too long.

    A pod that was never ready may start slowly: it gets the progress deadline of a rollout.
    """
    regular_containers = [c for c in pod.containers if not c.is_init]
    if any(c.starting for c in regular_containers):
        return None  # the startup probe limits how long the start may take
    start_times = [c.running_since for c in regular_containers if c.running_since is not None]
    if pod.ready or not start_times or len(start_times) < len(regular_containers):
        return None
    last_started = max(start_times)
    was_ready = pod.ready_since is not None and pod.ready_since > last_started
    was_ready = was_ready or any(c.restarts for c in regular_containers)
    since = max(pod.ready_since or last_started, last_started)
    timeout = (
        thresholds.unready_timeout
        if was_ready
        else max(thresholds.unready_timeout, thresholds.progress_deadline)
    )
    if not deadlines.reached(since + timeout):
        return None
    waited = messages.format_duration(timeout)
    message = f"runs but has not been ready for {waited}"
    message += f": {problem.answer}" if problem is not None and problem.answer else ""
    container = next((c.name for c in regular_containers if not c.ready), "")
    return PodDiagnosis(pod, DiagnosisType.NOT_READY_TOO_LONG, message, container)


def _has_start_grace_passed(pod: PodView, deadlines: Deadlines, thresholds: Thresholds) -> bool:
    """Whether start_grace has passed since the pod was created, or since a container last ran.

    The end of the last run counts, because a pod that has run for days pulls its image again when
    a container is restarted.
    """
    terminations = [last_termination(container) for container in pod.containers]
    finish_times = [
        termination.finished_at
        for termination in terminations
        if termination is not None and termination.reason not in START_FAILURE_REASONS
    ]
    since = max((time for time in (pod.created, *finish_times) if time is not None), default=None)
    return since is not None and deadlines.reached(since + thresholds.start_grace)


def _stuck_terminating(pod: PodView, deadlines: Deadlines) -> PodDiagnosis | None:
    if pod.deleted_at is None or not deadlines.reached(pod.deleted_at + STUCK_TERMINATING_AFTER):
        return None
    finalizers = ", ".join(pod.finalizers)
    cause = (
        f"the finalizer {finalizers} blocks its deletion"
        if finalizers
        else f"its node {pod.node} has not confirmed that it stopped"
    )
    return PodDiagnosis(pod, DiagnosisType.STUCK_TERMINATING, f"is stuck terminating: {cause}")
