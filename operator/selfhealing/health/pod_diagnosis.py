"""What is seen on single pods: which illness a pod shows, if it has shown it for long enough.

An ailment (``heal.ailments``) is what a status tells at once. A symptom is what may be acted upon:
a first crash, a pull that failed once or a probe that failed for a moment is none.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from selfhealing.cache.child_views import DEADLINE
from selfhealing.cache.views import ContainerView, PodView, Termination
from selfhealing.health import messages
from selfhealing.health.deadlines import Alarm
from selfhealing.health.pod_problems import (
    CRASH,
    NODE,
    NOT_READY,
    PROOF_SLACK,
    PULL,
    UNSCHEDULABLE,
    Ailment,
    is_live,
)
from selfhealing.health.termination_causes import OOM, PROBE_REASONS, Causes, ContainerKey


class IllnessType(StrEnum):
    """What an app can have."""

    CRASH_LOOPING = "CrashLooping"
    LIVENESS_KILLED = "LivenessKilled"
    OOM_KILLED = "OOMKilled"
    IMAGE_PULL_FAILING = "ImagePullFailing"
    CONFIG_ERROR = "ConfigError"
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
    MEMORY_CLIMBING = "MemoryClimbing"


WARNINGS: Final = frozenset({IllnessType.MEMORY_CLIMBING})
"""What is no illness yet: the app is well, and is never left to people because of it."""

SPARED: Final = WARNINGS | {IllnessType.METRICS_UNAVAILABLE}
"""Illnesses of apps that serve: for these alone none is left to people. Metrics come and go, and
what may be done about that must not cost an app its healing when it falls ill."""


CRASHES: Final = 3
"""Restarts that make a loop: the kubelet has waited 10 s and 20 s by then, and it did not help."""

OOM_KILLS: Final = 2
"""Kills for want of memory that make an illness."""

FLAP: Final = timedelta(minutes=10)
"""A life that is shorter than this counts as a crash in a loop, as it does to the kubelet, which
resets its back-off after 10 minutes."""

OVERDUE: Final = timedelta(minutes=1)
"""How long a pod may outstay its deletion: its time to stop is over by then."""

_PULLS: Final = frozenset({PULL, "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"})
_CONFIG: Final = frozenset({"CreateContainerConfigError", "CreateContainerError"})
_CRASHES: Final = frozenset({CRASH, "Error", "Completed"})
_NEVER_RAN: Final = frozenset({"StartError", "ContainerCannotRun"})
"""Ends of containers that the runtime could not start."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How long a state must last before it is a diagnosis.

    Attributes:
        start: a container that does not start.
        unready: a pod that was ready and is not any more.
        metrics: an autoscaler without metrics.
        rollout: a pod that was never ready: the Deployment's progressDeadlineSeconds.
    """

    start: timedelta
    unready: timedelta
    metrics: timedelta
    rollout: timedelta = timedelta(seconds=DEADLINE)


@dataclass(frozen=True, slots=True)
class Symptom:
    """What one pod shows; ``message`` is a clause that follows its name."""

    pod: PodView
    type: IllnessType
    message: str


def symptom(
    pod: PodView, found: Ailment | None, causes: Causes, alarm: Alarm, thresholds: Thresholds
) -> Symptom | None:
    """What a pod shows, if anything has lasted long enough to be acted upon.

    Args:
        pod: a pod of the app.
        found: what ails it as the status tells it.
        causes: why containers ended.
        alarm: the time.
        thresholds: how long is long enough.
    """
    if pod.deleting:
        return _overdue(pod, alarm)
    if not is_live(pod):
        return None
    if found is None or found.reason == NOT_READY:
        return _flapping(pod, causes, alarm) or _hung(pod, alarm, thresholds)
    kind = _kind(found, pod, causes, alarm)
    if kind in _AT_ONCE or (kind is not None and _lasted(pod, alarm, thresholds)):
        return Symptom(pod, kind, found.message)
    return None


_AT_ONCE: Final = frozenset(
    {
        IllnessType.CRASH_LOOPING,
        IllnessType.LIVENESS_KILLED,
        IllnessType.OOM_KILLED,
        IllnessType.NODE_LOST,
    }
)
"""Illnesses that are told only when they have lasted: by count, or by their own patience."""


def _kind(found: Ailment, pod: PodView, causes: Causes, alarm: Alarm) -> IllnessType | None:
    reason = found.reason
    if reason in _CRASHES:
        return _crash(pod, causes, alarm)
    if reason == OOM:
        kills = (c.restarts for c in pod.containers if (end := _end(c)) and end.reason == OOM)
        return IllnessType.OOM_KILLED if max(kills, default=0) >= OOM_KILLS else None
    if reason in _PULLS:
        return IllnessType.IMAGE_PULL_FAILING
    if reason in _CONFIG:
        return IllnessType.CONFIG_ERROR
    kinds = {UNSCHEDULABLE: IllnessType.UNSCHEDULABLE, NODE: IllnessType.NODE_LOST}
    return kinds.get(reason, IllnessType.START_FAILING)


def _crash(pod: PodView, causes: Causes, alarm: Alarm) -> IllnessType | None:
    """Which loop a pod is in; None while it may still be none."""
    looping = [container for container in pod.containers if _loops(container, alarm)]
    if not looping:
        return None
    return _loop(pod, max(looping, key=lambda container: container.restarts), causes)


def _loops(container: ContainerView, alarm: Alarm) -> bool:
    """Whether a container ends again and again, and lately.

    One that has crashed once a week for a month is in no loop, and neither is one that did so for
    an hour a month ago: its last life was short, and it has not lived twice as long since.
    """
    end, life = _end(container), _life(container)
    if container.restarts < CRASHES:
        return False
    if container.waiting == CRASH:
        return True
    if end is None or life is None or life >= FLAP:
        return False
    since = container.running_since
    return since is None or not alarm.passed(since + 2 * life + PROOF_SLACK)


def _end(container: ContainerView) -> Termination | None:
    return container.terminated or container.last


def _life(container: ContainerView) -> timedelta | None:
    end = _end(container)
    if end is None or end.started_at is None or end.finished_at is None:
        return None
    return end.finished_at - end.started_at


def _loop(pod: PodView, container: ContainerView, causes: Causes) -> IllnessType:
    cause = causes.of(ContainerKey(pod.uid, container.name), _end(container))
    if cause == OOM:
        return IllnessType.OOM_KILLED
    killed = cause in PROBE_REASONS.values()
    return IllnessType.LIVENESS_KILLED if killed else IllnessType.CRASH_LOOPING


def _flapping(pod: PodView, causes: Causes, alarm: Alarm) -> Symptom | None:
    """Whether a pod that looks well at this moment, or only unready, is in a slow loop."""
    for container in pod.containers:
        life = _life(container)
        if life is not None and _loops(container, alarm):
            message = f"has restarted {container.restarts} times, last after {messages.span(life)}"
            return Symptom(pod, _loop(pod, container, causes), message)
    return None


def _hung(pod: PodView, alarm: Alarm, thresholds: Thresholds) -> Symptom | None:
    """Whether a pod has run for long, has not crashed, and is not ready.

    One that has never been ready may start slowly: it gets the time of a whole rollout.
    """
    mains = [c for c in pod.containers if not c.init]
    if any(c.starting for c in mains):
        return None  # its startup probe says how long that may take
    started = [c.running_since for c in mains if c.running_since is not None]
    if pod.ready or not started or len(started) < len(mains):
        return None
    last = max(started)
    was_ready = pod.ready_since is not None and pod.ready_since > last
    was_ready = was_ready or any(c.restarts for c in mains)
    since = max(pod.ready_since or last, last)
    limit = thresholds.unready if was_ready else max(thresholds.unready, thresholds.rollout)
    if not alarm.passed(since + limit):
        return None
    waited = messages.duration(limit)
    message = f"runs but has not been ready for {waited}"
    return Symptom(pod, IllnessType.NOT_READY_TOO_LONG, message)


def _lasted(pod: PodView, alarm: Alarm, thresholds: Thresholds) -> bool:
    """Whether a pod has tried to start for long enough, since it was made or ran last.

    A pod that has run for days pulls its image again when its container ends.
    """
    ends = [_end(container) for container in pod.containers]
    ran = [e.finished_at for e in ends if e is not None and e.reason not in _NEVER_RAN]
    since = max((time for time in (pod.created, *ran) if time is not None), default=None)
    return since is not None and alarm.passed(since + thresholds.start)


def _overdue(pod: PodView, alarm: Alarm) -> Symptom | None:
    if pod.deleted_at is None or not alarm.passed(pod.deleted_at + OVERDUE):
        return None
    held = ", ".join(pod.finalizers)
    why = f"the finalizer {held} holds it" if held else f"its node {pod.node} has not confirmed it"
    return Symptom(pod, IllnessType.STUCK_TERMINATING, f"should be gone, but {why}")
