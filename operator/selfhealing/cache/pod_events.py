"""The Events about known pods, bounded by pod.

Whoever may create Events may create any number of them. So Events about one pod displace none about
another, and those about unknown pods are not kept.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Final

from cachetools import FIFOCache

from selfhealing.cache.event_views import ContainerKillEvent, PodEvent, PodWarning, ProbeFailure
from selfhealing.cache.views import PodView

MAX_EVENTS_OF_POD: Final = 64
"""Events that are kept of one pod: the latest of each container, probe and answer."""

_PodEvents = FIFOCache[Hashable, PodEvent]


class PodEvents:
    """The latest Event of each kind about known pods."""

    def __init__(self) -> None:
        self._by_pod: dict[str, _PodEvents] = {}

    def add(self, event: PodEvent) -> bool:
        """Store an Event about a known pod; return whether it is later than the stored one."""
        events = self._by_pod.setdefault(event.pod_uid, FIFOCache(MAX_EVENTS_OF_POD))
        key = _event_key(event)
        stored = events.get(key)
        if stored is not None and stored.at >= event.at:
            return False
        events[key] = event
        return True

    def forget(self, pod_uid: str) -> None:
        """Drop the Events about a pod."""
        self._by_pod.pop(pod_uid, None)

    def find_kills(self, pods: Iterable[PodView]) -> Iterator[ContainerKillEvent]:
        """Yield the kills of the containers of these pods; the kill by a probe comes first."""
        for pod, events in self._select_with_events(pods):
            for container in pod.containers:
                for is_probe in (True, False):
                    event = events.get((ContainerKillEvent, container.name, is_probe))
                    if isinstance(event, ContainerKillEvent):
                        yield event

    def find_probe_failures(self, pods: Iterable[PodView]) -> Iterator[ProbeFailure]:
        """Yield the failures of the probes of these pods, in a stable order."""
        for _, events in self._select_with_events(pods):
            failures = (e for e in events.values() if isinstance(e, ProbeFailure))
            yield from sorted(failures, key=lambda e: (e.container, e.probe, e.answer))

    def find_warnings(self, pods: Iterable[PodView]) -> Iterator[PodWarning]:
        """Yield the warnings about these pods, in a stable order."""
        for _, events in self._select_with_events(pods):
            warnings = (e for e in events.values() if isinstance(e, PodWarning))
            yield from sorted(warnings, key=lambda warning: warning.reason)

    def _select_with_events(
        self, pods: Iterable[PodView]
    ) -> Iterator[tuple[PodView, Mapping[Hashable, PodEvent]]]:
        """Yield the pods about which there are Events, which most never have, with these."""
        for pod in pods:
            events = self._by_pod.get(pod.uid)
            if events:
                yield pod, events


def _event_key(event: PodEvent) -> Hashable:
    if isinstance(event, ContainerKillEvent):
        return ContainerKillEvent, event.container, bool(event.probe)
    if isinstance(event, ProbeFailure):
        return ProbeFailure, event.container, event.probe, event.answer
    return PodWarning, event.reason
