"""What is seen on single pods: which illness a pod shows, if it has shown it for long enough.

An ailment (``heal.ailments``) is what a status tells at once. A symptom is what may be acted upon:
a first crash, a pull that failed once or a probe that failed for a moment is none.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from selfhealing.heal import words
from selfhealing.heal.ailments import (
    CRASH,
    NODE,
    NOT_READY,
    PULL,
    START,
    UNSCHEDULABLE,
    Ailment,
    is_live,
)
from selfhealing.heal.alarm import Alarm
from selfhealing.heal.causes import OOM, PROBE_REASONS, Causes, ContainerKey
from selfhealing.heal.policy import Policy
from selfhealing.observe.views import ContainerView, PodView


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


@dataclass(frozen=True, slots=True)
class Symptom:
    """What one pod shows; ``message`` is a clause that follows its name."""

    pod: PodView
    type: IllnessType
    message: str


def symptom(
    pod: PodView, found: Ailment | None, causes: Causes, alarm: Alarm, policy: Policy
) -> Symptom | None:
    """What a pod shows, if anything has lasted long enough to be acted upon.

    Args:
        pod: a pod of the app.
        found: what ails it as the status tells it.
        causes: why containers ended.
        alarm: the time.
        policy: how long is long enough.
    """
    if pod.deleting:
        return _overdue(pod, alarm)
    if not is_live(pod):
        return None
    if found is None:
        return _flapping(pod, causes, alarm) or _hung(pod, alarm, policy)
    kind = _kind(found, pod, causes)
    if kind is IllnessType.NOT_READY_TOO_LONG:
        return _hung(pod, alarm, policy)
    if kind in _AT_ONCE or (kind is not None and _lasted(pod, alarm, policy)):
        return Symptom(pod, kind, found.message)
    return None


_AT_ONCE: Final = frozenset(
    {
        IllnessType.CRASH_LOOPING,
        IllnessType.LIVENESS_KILLED,
        IllnessType.OOM_KILLED,
        IllnessType.NODE_LOST,
        IllnessType.UNSCHEDULABLE,
    }
)
"""Illnesses that are told only when they have lasted: by count, or by their own patience."""


def _kind(found: Ailment, pod: PodView, causes: Causes) -> IllnessType | None:
    reason = found.reason
    if reason in _CRASHES:
        return _crash(pod, causes)
    if reason == OOM:
        kills = max((c.restarts for c in pod.containers), default=0)
        return IllnessType.OOM_KILLED if kills >= OOM_KILLS else None
    if reason in _PULLS:
        return IllnessType.IMAGE_PULL_FAILING
    if reason in _CONFIG:
        return IllnessType.CONFIG_ERROR
    return {
        UNSCHEDULABLE: IllnessType.UNSCHEDULABLE,
        NODE: IllnessType.NODE_LOST,
        NOT_READY: IllnessType.NOT_READY_TOO_LONG,
        START: IllnessType.START_FAILING,
    }.get(reason, IllnessType.START_FAILING)


def _crash(pod: PodView, causes: Causes) -> IllnessType | None:
    """Which loop a pod is in; None while it may still be none."""
    worst = max(pod.containers, key=lambda c: c.restarts)
    if worst.restarts < CRASHES:
        return None
    return _loop(pod, worst, causes)


def _loop(pod: PodView, container: ContainerView, causes: Causes) -> IllnessType:
    cause = causes.of(ContainerKey(pod.uid, container.name), container.terminated or container.last)
    if cause == OOM:
        return IllnessType.OOM_KILLED
    killed = cause in PROBE_REASONS.values()
    return IllnessType.LIVENESS_KILLED if killed else IllnessType.CRASH_LOOPING


def _flapping(pod: PodView, causes: Causes, alarm: Alarm) -> Symptom | None:
    """Whether a pod that looks well at this moment is in a slow loop.

    Told by the rate: it has restarted often, its last life was short, and it has not lived twice as
    long since.
    """
    for container in pod.containers:
        end, since = container.last, container.running_since
        if container.restarts < CRASHES or end is None or since is None:
            continue
        if end.started_at is None or end.finished_at is None:
            continue
        life = end.finished_at - end.started_at
        if life < FLAP and not alarm.passed(since + 2 * life):
            message = f"has restarted {container.restarts} times, last after {words.span(life)}"
            return Symptom(pod, _loop(pod, container, causes), message)
    return None


def _hung(pod: PodView, alarm: Alarm, policy: Policy) -> Symptom | None:
    """Whether a pod has run for long, has not crashed, and is not ready."""
    mains = [c for c in pod.containers if not c.init]
    started = [c.running_since for c in mains if c.running_since is not None]
    if pod.ready or not started or len(started) < len(mains):
        return None
    since = max(pod.ready_since or started[0], *started)
    if not alarm.passed(since + policy.hung_after):
        return None
    waited = words.duration(policy.hung_after)
    message = f"runs but has not been ready for {waited}"
    return Symptom(pod, IllnessType.NOT_READY_TOO_LONG, message)


def _lasted(pod: PodView, alarm: Alarm, policy: Policy) -> bool:
    return pod.created is not None and alarm.passed(pod.created + policy.patience)


def _overdue(pod: PodView, alarm: Alarm) -> Symptom | None:
    if pod.deleted_at is None or not alarm.passed(pod.deleted_at + OVERDUE):
        return None
    held = ", ".join(pod.finalizers)
    why = f"the finalizer {held} holds it" if held else f"its node {pod.node} has not confirmed it"
    return Symptom(pod, IllnessType.STUCK_TERMINATING, f"should be gone, but {why}")
