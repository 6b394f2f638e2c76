"""Turns the Events of the kubelet about pods into views. Whoever may create Events may write any.

The kubelet sends 25 Events of a pod, then one in five minutes (EventCorrelator of client-go).
"""

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from selfhealing.api.linear_regex import compile_pattern
from selfhealing.cache.event_views import ContainerKillEvent, PodEvent, PodWarning, ProbeFailure
from selfhealing.cache.parse import clean_message, parse_time
from selfhealing.cache.probes import parse_unhealthy_message
from selfhealing.cache.views import TEXT_LIMIT

Json = Mapping[str, Any]

KUBELET: Final = "kubelet"
"""The component that an Event of the kubelet names."""

ATTACH_DETACH_CONTROLLER: Final = "attachdetach-controller"

EVICTED: Final = "Evicted"

WARNING_REASONS: Final[Mapping[str, str]] = {
    "FailedMount": KUBELET,
    "FailedAttachVolume": ATTACH_DETACH_CONTROLLER,
    "FailedToRetrieveImagePullSecret": KUBELET,
    EVICTED: KUBELET,
}
"""The Events that say why a pod cannot start or go on, and the component that writes each."""

KILLING: Final = "Killing"
UNHEALTHY: Final = "Unhealthy"

POD_EVENT_REASONS: Final = frozenset({KILLING, UNHEALTHY, *WARNING_REASONS})
"""The reasons of the Events that are read; the others are dropped before any work."""

MAX_COUNT: Final = 1_000_000
"""The largest count of an Event that is believed."""

_PROBE_KILL_MESSAGE: Final = compile_pattern(
    r"^(?:Init c|C)ontainer (?P<container>\S+) failed (?P<probe>liveness|startup) probe"
)
"""The message of the kubelet's Killing Event after a failed probe (pkg/kubelet/kuberuntime of
Kubernetes 1.36)."""

_POD_STOP_MESSAGE: Final = compile_pattern(r"^Stopping container (?P<container>\S+)$")
"""The kubelet's message when it stops a whole pod. With restartPolicy Never it also does so after a
failed probe, and the message does not name the probe."""

_FIELD_PATH: Final = compile_pattern(
    r"^spec\.(?:initContainers|containers)\{(?P<container>[a-z0-9-]{1,63})\}$"
)
"""The container that an Event is about, in ``involvedObject.fieldPath``."""


def pod_event(raw: Json) -> PodEvent | None:
    """Parse an Event about a pod.

    Whoever may create Events may name any component; ``Store`` checks what the Event is about.

    Returns:
        None for any other Event, and for one that its component does not write, that has no time,
        or that is not in the namespace of its pod.
    """
    target, reason = raw.get("involvedObject") or {}, raw.get("reason") or ""
    namespace = raw["metadata"].get("namespace", "")
    components = {(raw.get("source") or {}).get("component"), raw.get("reportingComponent")}
    if (
        target.get("kind") != "Pod"
        or target.get("namespace", namespace) != namespace
        or WARNING_REASONS.get(reason, KUBELET) not in components
    ):
        return None
    at = _last_time(raw)
    if at is None:
        return None
    about = _About(sys.intern(namespace), target.get("uid", ""), at)
    message = (raw.get("message") or "")[:TEXT_LIMIT]
    if reason in WARNING_REASONS:
        uid = about.pod_uid
        return PodWarning(about.namespace, uid, sys.intern(reason), clean_message(message), at)
    if reason == UNHEALTHY:
        return _probe_failure(raw, about, message)
    return _container_kill(about, message) if reason == KILLING else None


class _About(NamedTuple):
    """What an Event is about: the first fields of its view, and its time."""

    namespace: str
    pod_uid: str
    at: datetime


def _last_time(raw: Json) -> datetime | None:
    """Return when the Event happened last; None if it does not say."""
    series = raw.get("series") or {}
    return parse_time(
        series.get("lastObservedTime")
        or raw.get("lastTimestamp")
        or raw.get("eventTime")
        or raw["metadata"].get("creationTimestamp")
    )


def _probe_failure(raw: Json, about: _About, message: str) -> ProbeFailure | None:
    failure = parse_unhealthy_message(message)
    container = _FIELD_PATH.match(raw["involvedObject"].get("fieldPath") or "")
    if failure is None or container is None:
        return None
    kind, answer = failure
    counted = (raw.get("series") or {}).get("count") or raw.get("count") or 1
    return ProbeFailure(
        namespace=about.namespace,
        pod_uid=about.pod_uid,
        container=sys.intern(container["container"]),
        probe=kind,
        answer=answer,
        count=max(1, min(counted, MAX_COUNT)),
        at=about.at,
    )


def _container_kill(about: _About, message: str) -> ContainerKillEvent | None:
    match = _PROBE_KILL_MESSAGE.match(message) or _POD_STOP_MESSAGE.match(message)
    if match is None:
        return None
    return ContainerKillEvent(
        namespace=about.namespace,
        pod_uid=about.pod_uid,
        container=sys.intern(match["container"]),
        probe=sys.intern(match.groupdict().get("probe") or ""),
        at=about.at,
    )
