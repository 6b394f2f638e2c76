"""Finds the pods that their node has rejected or evicted, and whether for a limit of their own.

The kubelet gives a pod that it evicts the phase Failed, the reason Evicted and a message. If the
containers end with exit code 0 at its signal, the phase is Succeeded, and both are lost (Kubernetes
issues 118310 and 141483): then only its Event tells.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import orjson

from selfhealing.cache.parse_events import EVICTED
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import PodView
from selfhealing.health import messages
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.observations import Observations
from selfhealing.health.pod_problems import TERMINAL_PHASES

REJECTION_WINDOW: Final = timedelta(minutes=10)
"""A pod that was created within this time counts as rejected by a node. Older ones say nothing
about the pods that are created now."""

EVICTION_WINDOW: Final = timedelta(minutes=30)
"""For how long an eviction for a limit of the pod counts: what fills a volume may take a while."""

MIN_PODS: Final = 2
"""Rejected or evicted pods that make a fault: a single one is replaced by its ReplicaSet."""


class Eviction(NamedTuple):
    """A pod that was evicted because it used more storage than it may.

    Attributes:
        pod: the pod.
        limit: the limit that it was over.
        message: a clause that stands alone: ``evicted: /cache over its limit of 4Mi``.
        is_recent: the pod ended within EVICTION_WINDOW.
    """

    pod: PodView
    limit: messages.OwnLimit
    message: str
    is_recent: bool


def find_own_limit_evictions(
    snapshot: AppSnapshot, observations: Observations, deadlines: Deadlines
) -> tuple[Eviction, ...]:
    """Find the pods that were evicted for a limit of their own."""
    found = [
        (pod, limit)
        for pod in snapshot.pods
        if (limit := messages.find_own_limit(_find_message(pod, observations))) is not None
    ]
    paths = _find_mount_paths(snapshot.app.spec) if found else {}
    return tuple(
        Eviction(
            pod,
            limit,
            f"evicted: {limit.describe(paths.get(limit.volume, ''))}",
            is_recent=any(not deadlines.reached(at + EVICTION_WINDOW) for at in _list_times(pod)),
        )
        for pod, limit in found
    )


def describe_evictions(evictions: Iterable[Eviction], current_hash: str) -> str:
    """Say why the pods of the current template are evicted; empty if fewer than MIN_PODS are."""
    of_current = [
        each.message
        for each in evictions
        if each.is_recent and each.pod.template_hash == current_hash
    ]
    return f"pods are {min(of_current)}" if len(of_current) >= MIN_PODS else ""


def describe_rejections(
    pods: Iterable[PodView], observations: Observations, deadlines: Deadlines
) -> str:
    """Say why nodes reject or evict new pods; empty if fewer than MIN_PODS were."""
    rejections = [
        (pod.reason or (EVICTED if evicted else "Failed"), evicted or pod.message)
        for pod in pods
        if ((evicted := _find_message(pod, observations)) or pod.phase == "Failed")
        and pod.created
        and not deadlines.reached(pod.created + REJECTION_WINDOW)
    ]
    if len(rejections) < MIN_PODS:
        return ""
    count_by_reason = Counter(reason for reason, _ in rejections)
    reason = min(count_by_reason, key=lambda name: (-count_by_reason[name], name))
    message = min(text for each, text in rejections if each == reason)
    cause = f"{reason}, {messages.first_sentence(message)}" if message else reason
    return f"nodes reject new pods: {cause}"


def _find_message(pod: PodView, observations: Observations) -> str:
    """Find what the kubelet says of the eviction of a pod; empty if it was not evicted."""
    if pod.phase not in TERMINAL_PHASES:
        return ""
    if pod.reason == EVICTED:
        return pod.message
    warning = observations.find_warning(pod, (EVICTED,))
    return warning.message if warning is not None else ""


def _list_times(pod: PodView) -> list[datetime]:
    """When a pod was created, and when its containers ended."""
    ends = [
        container.terminated.finished_at for container in pod.containers if container.terminated
    ]
    return [time for time in (pod.created, *ends) if time is not None]


def _find_mount_paths(spec: bytes) -> dict[str, str]:
    """Find where the app's container mounts each volume of its spec."""
    mounts = (orjson.loads(spec) if spec else {}).get("volumeMounts") or ()
    return {mount["name"]: mount["mountPath"] for mount in mounts}
