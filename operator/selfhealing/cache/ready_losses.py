"""When pods stopped being ready although their containers kept running."""

from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from selfhealing.cache.views import PodView

MAX_READY_LOSSES: Final = 8
"""Times that are kept of one pod, the latest ones."""


class ReadyLosses:
    """The latest times at which each pod stopped being ready without a restart.

    Losses of readiness by a restart, a deletion or a lost node are left out: each is a diagnosis of
    its own.
    """

    def __init__(self) -> None:
        self._by_pod: dict[str, deque[datetime]] = {}

    def note_change(self, before: PodView, after: PodView) -> None:
        """Note a change of a pod; of the changes between two watch events, the last one counts."""
        is_node_lost = not after.ready and not after.ready_reason
        if (
            not before.ready
            or after.ready_since is None
            or after.ready_since == before.ready_since
            or after.deleting
            or is_node_lost
            or _has_restarted(before, after)
        ):
            return
        times = self._by_pod.setdefault(after.uid, deque(maxlen=MAX_READY_LOSSES))
        times.append(after.ready_since)

    def forget(self, pod_uid: str) -> None:
        """Drop the times of a pod."""
        self._by_pod.pop(pod_uid, None)

    def find(self, pods: Iterable[PodView]) -> dict[str, tuple[datetime, ...]]:
        """Return the times of these pods, by UID; those without any are left out."""
        return {pod.uid: tuple(self._by_pod[pod.uid]) for pod in pods if pod.uid in self._by_pod}


def _has_restarted(before: PodView, after: PodView) -> bool:
    """Whether a container has ended or was restarted between the two views."""
    return any(c.running_since is None for c in after.containers if not c.is_init) or {
        c.name: c.restarts for c in before.containers
    } != {c.name: c.restarts for c in after.containers}
