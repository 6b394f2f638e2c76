"""Finds why a container terminated: the kubelet's reason, or the probe for which it was killed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from selfhealing.cache.event_views import ContainerKillEvent
from selfhealing.cache.views import Termination

PROBE_REASONS: Final[Mapping[str, str]] = {
    "liveness": "LivenessProbe",
    "startup": "StartupProbe",
}
"""The reason in the status for each kind of probe that has a container killed."""

UNKNOWN: Final = "Unknown"
"""The reason of restarts that were not seen one by one: a pod keeps only its last termination.

It keeps none if the kubelet removes dead containers, as it does once a minute, while the next one
is created and not started yet (pkg/kubelet/kuberuntime/kuberuntime_gc.go of Kubernetes 1.36).
"""

OOM_KILLED: Final = "OOMKilled"

SIGKILL: Final = 137
"""Exit code of a container that the kernel killed, or the kubelet after the grace period."""

SIGNAL_EXIT_CODES: Final = frozenset({SIGKILL, 143})
"""Exit codes of a container that the kubelet stopped: SIGKILL and SIGTERM."""

TIMESTAMP_RESOLUTION: Final = timedelta(seconds=1)
"""Times are whole seconds, so a kill may seem up to one second later than the termination."""


class ContainerKey(NamedTuple):
    """Identifies a container by the UID of its pod: another pod may get the same name later."""

    uid: str
    container: str


@dataclass(frozen=True, slots=True)
class RecordedTermination:
    """The reason that the status has stored for the termination at ``finished_at``."""

    finished_at: datetime | None
    reason: str


class TerminationCauses:
    """Tells why containers terminated, from the kubelet's Events and from the stored reasons.

    The stored reasons are needed for three cases:

    * An Event is deleted after an hour, and the reason must outlast it.
    * The kubelet sends 25 Events of a pod, then one in five minutes. So if a signal stops a
      container that a probe killed before, and there is no Event, the cause is that probe again.
    * containerd may notice an out-of-memory kill only after it has reported the termination, with
      the reason Error (containerd issue 12372). So if a container that ran out of memory before is
      killed with SIGKILL, and there is no Event of a probe, the cause is out of memory again.
    """

    def __init__(
        self,
        kills: Iterable[ContainerKillEvent] = (),
        recorded: Mapping[ContainerKey, RecordedTermination] | None = None,
    ) -> None:
        self._kills = {ContainerKey(kill.pod_uid, kill.container): kill for kill in kills}
        self._recorded = dict(recorded or {})

    def reason_for(self, key: ContainerKey, termination: Termination | None) -> str:
        """Why the container ``key`` terminated; ``termination`` is the one in its pod's status."""
        kill, recorded = self._kills.get(key), self._recorded.get(key)
        if (
            termination is None
            or termination.finished_at is None
            or recorded is None
            or recorded.finished_at is None
        ):
            return termination_reason(termination, kill)
        if recorded.finished_at == termination.finished_at:
            # Only a probe's kill is taken from the stored reason. The termination gives any other
            # reason by itself; it may be a second one within the same second.
            reason = termination_reason(termination, kill)
            if (
                recorded.reason in PROBE_REASONS.values()
                and reason == termination.reason != OOM_KILLED
            ):
                return recorded.reason
        else:
            # The next run may start within the second of the kill, so the kill would match both.
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

    def reason_without_termination(self, key: ContainerKey, started_at: datetime | None) -> str:
        """Why a container was restarted once if its pod's status does not have the termination.

        Args:
            key: the container.
            started_at: the start of the run after the restart.
        """
        kill, recorded = self._kills.get(key), self._recorded.get(key)
        if kill is None or started_at is None or kill.at > started_at + TIMESTAMP_RESOLUTION:
            return UNKNOWN
        if recorded is not None and (
            recorded.finished_at is None or kill.at <= recorded.finished_at + TIMESTAMP_RESOLUTION
        ):
            return UNKNOWN  # it is the kill of a restart before
        return PROBE_REASONS[kill.probe]


def _is_same_cause(termination: Termination, previous_reason: str) -> bool:
    if previous_reason == OOM_KILLED:
        return termination.exit_code == SIGKILL
    return termination.exit_code in SIGNAL_EXIT_CODES and previous_reason in PROBE_REASONS.values()


def termination_reason(termination: Termination | None, kill: ContainerKillEvent | None) -> str:
    """Why a container terminated: a failed probe, or the kubelet's own reason.

    In the pod's status a kill by a probe is only an exit code (137 or 143); the kubelet's Event
    names the probe. The reason OOMKilled comes from the kernel and has priority.
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
