"""Why a container ended: the kubelet's own reason, or the probe for which it was killed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from selfhealing.cache.views import KillView, Termination

PROBE_REASONS: Final[Mapping[str, str]] = {
    "liveness": "LivenessProbe",
    "startup": "StartupProbe",
}
"""The kubelet's probe to the reason in the status."""

UNKNOWN: Final = "Unknown"
"""The reason of restarts that happened between two looks: a pod remembers only the last one."""

OOM: Final = "OOMKilled"

SIGKILL: Final = 137
"""Exit code of a container that was killed: by the kernel, or by a kubelet that had waited."""

KILLED: Final = frozenset({SIGKILL, 143})
"""Exit codes of a container that the kubelet stopped: SIGKILL and SIGTERM."""

CLOCK_SLACK: Final = timedelta(seconds=1)
"""Times are whole seconds: a kill and the end that it caused may seem swapped by one."""


class ContainerKey(NamedTuple):
    """A container of a pod, by the pod's uid: a pod of the same name may be another one."""

    uid: str
    container: str


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was found out earlier about the end of a container at ``finished_at``."""

    finished_at: datetime | None
    reason: str


class Causes:
    """Knows why containers ended, from the kubelet's Events and from what was found out before.

    An Event lives for an hour; what it told must outlast it. And a kubelet lets 25 Events of a pod
    through, then one in five minutes: so a container that a probe has killed before, and that was
    stopped by a signal again, was killed by that probe again. In the same way one that ran out of
    memory before, and was killed again without a word of a probe, ran out of memory again:
    containerd may learn of that only after the container's end (containerd issue 12372), and then
    its reason is Error.
    """

    def __init__(
        self,
        kills: Iterable[KillView] = (),
        remembered: Mapping[ContainerKey, Remembered] | None = None,
    ) -> None:
        self._kills = {ContainerKey(kill.pod_uid, kill.container): kill for kill in kills}
        self._remembered = dict(remembered or {})

    def of(self, key: ContainerKey, end: Termination | None) -> str:
        """Why the container ``key`` came to the ``end`` that its pod shows."""
        kill, known = self._kills.get(key), self._remembered.get(key)
        if end is None or end.finished_at is None or known is None or known.finished_at is None:
            return reason_of(end, kill)
        if known.finished_at == end.finished_at:
            # What a probe's Event told outlasts it. Anything else the end itself tells: it may be
            # another one, within the same second.
            found = reason_of(end, kill)
            if known.reason in PROBE_REASONS.values() and found == end.reason != OOM:
                return known.reason
        else:
            # A container is started again within the second in which it was killed.
            is_used = kill is not None and kill.at <= known.finished_at + CLOCK_SLACK
            is_used = is_used and known.finished_at < end.finished_at
            found = reason_of(end, None if is_used else kill)
        return known.reason if found == "Error" and _again(end, known.reason) else found


def _again(end: Termination, before: str) -> bool:
    if before == OOM:
        return end.exit_code == SIGKILL
    return end.exit_code in KILLED and before in PROBE_REASONS.values()


def reason_of(end: Termination | None, kill: KillView | None) -> str:
    """Why a container ended: a failed probe, or the kubelet's own reason.

    The pod's status shows a probe's kill only as exit code 137 or 143; the kubelet's Event tells
    it apart. Memory exhaustion is told by the kernel and wins.
    """
    if end is None:
        return UNKNOWN
    if end.reason == OOM or kill is None:
        return end.reason
    if end.started_at is None or end.finished_at is None:
        return end.reason
    if end.started_at <= kill.at <= end.finished_at + CLOCK_SLACK:
        return PROBE_REASONS[kill.probe]
    return end.reason
