"""Builds the pods of an app with the reasons of their restarts."""

from collections.abc import Iterable

from selfhealing.api.status import PodStatus, SelfHealingAppStatus
from selfhealing.cache.event_views import ContainerKillEvent
from selfhealing.cache.parse_events import pod_event
from selfhealing.cache.views import ContainerView, PodView, Termination
from selfhealing.health.termination_causes import (
    ContainerKey,
    RecordedTermination,
    TerminationCauses,
)
from selfhealing.plugin.view.level import Level
from selfhealing.plugin.view.model import ContainerModel, PodModel, RestartModel
from selfhealing.plugin.view.objects import Json


class PodBuilder:
    """Builds pods from their views, the operator's status and the kubelet's Events."""

    def __init__(self, status: SelfHealingAppStatus, events: Iterable[Json]) -> None:
        """``status`` and ``events`` are those of the app, cleaned."""
        self._reported = {pod.name: pod for pod in status.pods}
        recorded = {
            ContainerKey(entry.uid, entry.container): RecordedTermination(
                entry.finished_at, entry.reason
            )
            for entry in (status.restarts.counted if status.restarts else ())
            if entry.reason
        }
        kills = (event for raw in events if isinstance(event := pod_event(raw), ContainerKillEvent))
        self._causes = TerminationCauses((kill for kill in kills if kill.probe), recorded)

    def build(self, view: PodView, *, isolated: bool = False) -> PodModel:
        """Build a pod; ``isolated`` if it was taken out of the app for inspection."""
        containers = tuple(self._build_container(view, each) for each in view.containers)
        reported = self._reported.get(view.name)
        reason, message = _describe(view, reported)
        return PodModel(
            name=view.name,
            uid=view.uid,
            node=view.node,
            phase=view.phase,
            ready=view.ready,
            created=view.created,
            restarts=sum(c.restarts for c in containers if not (c.is_init and view.initialized)),
            reason=reason,
            message=message,
            level=_level(view, reason),
            containers=containers,
            last_restart=max(
                (c.last_restart for c in containers if c.last_restart and c.last_restart.at),
                key=lambda restart: str(restart.at),
                default=None,
            ),
            isolated=isolated,
        )

    def _build_container(self, pod: PodView, view: ContainerView) -> ContainerModel:
        last = view.last_termination
        return ContainerModel(
            name=view.name,
            image=view.image,
            state=_state(view),
            reason=view.waiting_reason or (view.terminated.reason if view.terminated else ""),
            ready=view.ready,
            restarts=view.restarts,
            is_init=view.is_init,
            last_restart=None if last is None else self._build_restart(pod, view, last),
        )

    def _build_restart(
        self, pod: PodView, view: ContainerView, termination: Termination
    ) -> RestartModel:
        return RestartModel(
            container=view.name,
            reason=self._causes.reason_for(ContainerKey(pod.uid, view.name), termination),
            exit_code=termination.exit_code,
            at=termination.finished_at,
        )


def _state(view: ContainerView) -> str:
    if view.running_since is not None:
        return "running"
    if view.terminated is not None:
        return "terminated"
    return "waiting" if view.waiting_reason else "unknown"


def _describe(view: PodView, reported: PodStatus | None) -> tuple[str, str]:
    """Return the problem or state of a pod, as the operator has reported it if it still holds.

    The status may be older than the pod: a pod that is ready has no problem.
    """
    message = (reported.message or "") if reported is not None else ""
    if view.deleting:
        return "Terminating", message
    if view.ready:
        return "", ""
    if reported is not None and reported.reason:
        return reported.reason, message
    return _describe_unreported(view)


def _describe_unreported(view: PodView) -> tuple[str, str]:
    waiting = next((c for c in view.containers if c.waiting_reason), None)
    if waiting is not None:
        return waiting.waiting_reason, waiting.waiting_message
    if view.unschedulable:
        return "Unschedulable", view.unschedulable
    words = {"Running": "NotReady", "Succeeded": "Completed"}
    return view.reason or words.get(view.phase, view.phase), view.message


_PASSING_REASONS = frozenset(
    {"Starting", "NotReady", "Pending", "ContainerCreating", "PodInitializing", "Terminating"}
)
"""Reasons that every pod has for a while."""


def _level(view: PodView, reason: str) -> Level:
    if view.ready or view.phase == "Succeeded":
        return Level.OK if not view.deleting else Level.BUSY
    if reason == "NotReady":
        return Level.WARNING
    return Level.BUSY if reason in _PASSING_REASONS else Level.FAILED
