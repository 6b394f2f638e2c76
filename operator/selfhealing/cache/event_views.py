"""The frozen views of Events about pods."""

from dataclasses import dataclass
from datetime import datetime

from selfhealing.cache.probes import ProbeAnswer


@dataclass(frozen=True, slots=True)
class ContainerKillEvent:
    """A kill of a container, as the kubelet's Event reports it.

    Attributes:
        namespace: the namespace of the Event, which is that of the pod.
        pod_uid: the UID of the pod.
        container: the container's name.
        probe: the probe that failed, "liveness" or "startup"; empty if the Event names none because
            the kubelet stopped the whole pod.
        at: when the kill last happened.
    """

    namespace: str
    pod_uid: str
    container: str
    probe: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ProbeFailure:
    """Failures of one probe with the same answer, as the kubelet's Event counts them.

    Attributes:
        namespace: the namespace of the Event, which is that of the pod.
        pod_uid: the UID of the pod.
        container: the container's name.
        probe: "startup", "liveness" or "readiness".
        answer: what the probe got.
        count: how often; the kubelet reports 25 Events of a pod, then one in five minutes.
        at: when it last happened.
    """

    namespace: str
    pod_uid: str
    container: str
    probe: str
    answer: ProbeAnswer
    count: int
    at: datetime


@dataclass(frozen=True, slots=True)
class PodWarning:
    """An Event that says why a pod cannot start or go on: one of those in ``WARNING_REASONS``.

    Attributes:
        namespace: the namespace of the Event, which is that of the pod.
        pod_uid: the UID of the pod.
        reason: FailedMount, FailedAttachVolume, FailedToRetrieveImagePullSecret or Evicted.
        message: the text of the Event.
        at: when it last happened.
    """

    namespace: str
    pod_uid: str
    reason: str
    message: str
    at: datetime


PodEvent = ContainerKillEvent | ProbeFailure | PodWarning
"""What the operator knows of a pod from Events."""
