"""The kubelet's Events about killed containers, bounded by pod.

Whoever may create Events may create any number of them. So Events about one pod displace none about
another, and those about unknown pods displace none about pods of another namespace.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from cachetools import FIFOCache

from selfhealing.cache.views import ContainerKillEvent, PodView

MAX_KILLS_OF_POD: Final = 64
"""Kill Events that are kept of one pod, the latest ones: one for each container and cause."""

MAX_EARLY_PODS: Final = 512
"""Pods of one namespace whose kill Events are kept before the pods are known."""

_PodKills = FIFOCache[tuple[str, bool], ContainerKillEvent]
"""The kill Events of one pod, by the container and whether the Event names a probe."""


class KillEvents:
    """The latest kill Event of each container of known pods, and early ones of unknown pods."""

    def __init__(self) -> None:
        self._by_pod: dict[str, _PodKills] = {}
        self._early: dict[str, FIFOCache[str, _PodKills]] | None = {}
        """By namespace and UID, the Events of pods that are not known yet; None when all pods are
        known: then an Event about an unknown pod is about a pod of no app."""

    def add(self, event: ContainerKillEvent) -> bool:
        """Store an Event about a known pod; return whether it is later than the stored one."""
        return _add_kill(self._by_pod.setdefault(event.pod_uid, _new_pod_kills()), event)

    def add_early(self, event: ContainerKillEvent) -> None:
        """Store an Event about a pod that may become known."""
        if self._early is None:
            return
        pods = self._early.setdefault(event.namespace, FIFOCache(MAX_EARLY_PODS))
        if event.pod_uid not in pods:
            pods[event.pod_uid] = _new_pod_kills()
        _add_kill(pods[event.pod_uid], event)

    def take_early(self, namespace: str, pod_uid: str) -> tuple[ContainerKillEvent, ...]:
        """Return and drop the Events about a pod that have come before the pod."""
        pods = (self._early or {}).get(namespace)
        kills = pods.pop(pod_uid, None) if pods is not None else None
        return tuple(kills.values()) if kills is not None else ()

    def discard_early(self) -> None:
        """Drop the Events about unknown pods, and keep no more of them."""
        self._early = None

    def forget(self, pod_uid: str) -> None:
        """Drop the Events about a pod."""
        self._by_pod.pop(pod_uid, None)

    def find(self, pods: Iterable[PodView]) -> Iterator[ContainerKillEvent]:
        """Yield the Events about the containers of these pods."""
        for pod in pods:
            kills = self._by_pod.get(pod.uid)
            if kills is None:
                continue
            for container in pod.containers:
                found = (kills.get((container.name, is_probe)) for is_probe in (True, False))
                yield from filter(None, found)


def _new_pod_kills() -> _PodKills:
    return FIFOCache(MAX_KILLS_OF_POD)


def _add_kill(kills: _PodKills, event: ContainerKillEvent) -> bool:
    kill_key = event.container, bool(event.probe)
    stored = kills.get(kill_key)
    if stored is not None and stored.at >= event.at:
        return False
    kills[kill_key] = event
    return True
