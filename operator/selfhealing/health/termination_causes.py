"""Why a container ended: the kubelet's own reason, or the probe for which it was killed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from selfhealing.cache.views import ContainerKillEvent, Termination

PROBE_REASONS: Final[Mapping[str, str]] = {
    "liveness": "LivenessProbe",
    "startup": "StartupProbe",
}
"""The kubelet's probe to the reason in the status."""

UNKNOWN: Final = "Unknown"
"""The reason of restarts that happened between two looks: a pod remembers only the last one."""

OOM_KILLED: Final = "OOMKilled"

SIGKILL: Final = 137
"""Exit code of a container that was killed: by the kernel, or by a kubelet that had waited."""

SIGNAL_EXIT_CODES: Final = frozenset({SIGKILL, 143})
"""Exit codes of a container that the kubelet stopped: SIGKILL and SIGTERM."""

TIMESTAMP_RESOLUTION: Final = timedelta(seconds=1)
"""Times are whole seconds: a kill and the end that it caused may seem swapped by one."""


class ContainerKey(NamedTuple):
    """A container of a pod, by the pod's uid: a pod of the same name may be another one."""

    uid: str
    container: str


@dataclass(frozen=True, slots=True)
class RecordedTermination:
    """What was found out earlier about the end of a container at ``finished_at``."""

    finished_at: datetime | None
    reason: str


class TerminationCauses:
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
        kills: Iterable[ContainerKillEvent] = (),
        recorded: Mapping[ContainerKey, RecordedTermination] | None = None,
    ) -> None:
        self._kills = {ContainerKey(kill.pod_uid, kill.container): kill for kill in kills}
        self._recorded = dict(recorded or {})

    def reason_for(self, key: ContainerKey, termination: Termination | None) -> str:
        """Why the container ``key`` came to the ``end`` that its pod shows."""
        kill, recorded = self._kills.get(key), self._recorded.get(key)
        if (
            termination is None
            or termination.finished_at is None
            or recorded is None
            or recorded.finished_at is None
        ):
            return termination_reason(termination, kill)
        if recorded.finished_at == termination.finished_at:
            # What a probe's Event told outlasts it. Anything else the end itself tells: it may be
            # another one, within the same second.
            reason = termination_reason(termination, kill)
            if (
                recorded.reason in PROBE_REASONS.values()
                and reason == termination.reason != OOM_KILLED
            ):
                return recorded.reason
        else:
            # A container is started again within the second in which it was killed.
            is_kill_used = (
                kill is not None and kill.at <= recorded.finished_at + TIMESTAMP_RESOLUTION
            )
            is_kill_used = is_kill_used and recorded.finished_at < termination.finished_at
            reason = termination_reason(termination, None if is_kill_used else kill)
        return (
            recorded.reason
            if reason == "Error" and _is_same_cause(termination, recorded.reason)
            else reason
        )


def _is_same_cause(termination: Termination, previous_reason: str) -> bool:
    if previous_reason == OOM_KILLED:
        return termination.exit_code == SIGKILL
    return termination.exit_code in SIGNAL_EXIT_CODES and previous_reason in PROBE_REASONS.values()


def termination_reason(termination: Termination | None, kill: ContainerKillEvent | None) -> str:
    """Why a container ended: a failed probe, or the kubelet's own reason.

    The pod's status shows a probe's kill only as exit code 137 or 143; the kubelet's Event tells
    it apart. Memory exhaustion is told by the kernel and wins.
    """
    if termination is None:
        return UNKNOWN
    if termination.reason == OOM_KILLED or kill is None:
        return termination.reason
    if termination.started_at is None or termination.finished_at is None:
        return termination.reason
    if termination.started_at <= kill.at <= termination.finished_at + TIMESTAMP_RESOLUTION:
        return PROBE_REASONS[kill.probe]
    return termination.reason
