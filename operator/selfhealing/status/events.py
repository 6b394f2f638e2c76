"""What is worth a Kubernetes Event: changes, restarts and transitions, each told once.

A message holds no figure that grows, so that the recorder can count a repeat on the first Event
instead of writing another.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final, Literal

from selfhealing.api.status import Condition, ConditionStatus, Phase, SelfHealingAppStatus
from selfhealing.apply.child_diff import Need
from selfhealing.apply.result import PASSING, Change
from selfhealing.health import messages
from selfhealing.health.pod_problems import NODE
from selfhealing.status.event import Notice
from selfhealing.status.phase import MOVING
from selfhealing.status.restarts import Restart
from selfhealing.status.sentences import amount, join

TOLD_SINGLY: Final = 5
"""Restarts in one report that get an Event each; more are told together."""

_CHANGES: Final[dict[Need | None, tuple[str, str]]] = {
    Need.CREATE: ("Created", "created {}"),
    Need.UPDATE: ("Updated", "updated {} to the current spec"),
    Need.CORRECT: ("DriftCorrected", "somebody changed {}; put back what the spec says"),
    Need.REPLACE: (
        "Replacing",
        "deletes {}, to make it anew for another run when its pods are gone",
    ),
    Need.ADOPT: ("Adopted", "took over {}, as its annotation asks"),
    None: ("Deleted", "deleted {}: the spec no longer asks for it"),
}

_BY_HEALING: Final[dict[Need | None, str]] = {
    Need.UPDATE: "updated {} to the spec and to what healing puts in its place",
}

_BAD_PHASES: Final = frozenset({Phase.DEGRADED, Phase.INVALID})

_OF_HEALING: Final = frozenset({Phase.HEALING, Phase.QUARANTINED})
"""Phases that healing itself tells of."""

_GOOD_PHASES: Final = frozenset({Phase.READY, Phase.COMPLETED, Phase.PAUSED})

_UNEVENTFUL: Final = frozenset({"PodsStarting", "PodsSettling"})
"""Reasons why an app is not Ready for a while that are no news when it is Ready again: pods come
and go as it is scaled."""

_LOST: Final = frozenset({NODE, MOVING})
"""Reasons why an app is not Ready that are due to a node."""

_EVERYDAY: Final = frozenset({"ScalingDisabled"})
"""Reasons why an autoscaler does nothing that are as people want it."""


def transitions(
    before: SelfHealingAppStatus, after: SelfHealingAppStatus, restarts: tuple[Restart, ...]
) -> list[Notice]:
    """The Events that lead from the status ``before`` to the status ``after``."""
    found = [
        *_restarts(restarts),
        *_reconciled(before, after),
        *_phase(before, after),
        *_scaled(before, after),
        *_scaling(before, after),
    ]
    return [notice.cut() for notice in found]


def deeds(changes: tuple[Change, ...], *, healing: bool = False) -> Iterator[Notice]:
    """The Events for what was written to the children.

    ``healing``: something stands in place of the spec.
    """
    for need, (reason, by_spec) in _CHANGES.items():
        text = _BY_HEALING.get(need, by_spec) if healing else by_spec
        kinds = [change.kind for change in changes if change.need is need]
        if kinds:
            kind: Literal["Normal", "Warning"] = "Warning" if need is Need.CORRECT else "Normal"
            yield Notice(kind, reason, text.format(join(kinds)))


def _restarts(restarts: tuple[Restart, ...]) -> Iterator[Notice]:
    if len(restarts) > TOLD_SINGLY:
        yield Notice("Warning", "ContainersRestarted", _many(restarts))
        return
    for restart in restarts:
        code = restart.exit_code
        why = restart.reason if code is None else f"{restart.reason}, {messages.exit_words(code)}"
        whose = f"container {restart.container} of pod {restart.pod}"
        if restart.by_job:
            yield Notice("Warning", "PodReplaced", f"{whose} failed, another pod was made: {why}")
        else:
            yield Notice("Warning", "ContainerRestarted", f"{whose} was restarted: {why}")


def _many(restarts: tuple[Restart, ...]) -> str:
    reasons = Counter(restart.reason for restart in restarts)
    ranked = sorted(reasons, key=lambda reason: (-reasons[reason], reason))
    told = ", ".join(f"{reasons[reason]} {reason}" for reason in ranked)
    pods = len({restart.pod for restart in restarts})
    return f"{amount(len(restarts), 'container')} of {amount(pods, 'pod')} were restarted: {told}"


def _reconciled(before: SelfHealingAppStatus, after: SelfHealingAppStatus) -> Iterator[Notice]:
    old, new = _of(before, "Reconciled"), _of(after, "Reconciled")
    if new is None or new.reason in PASSING or (old is not None and old.reason == new.reason):
        return
    if new.status is ConditionStatus.FALSE:
        if after.phase is not Phase.INVALID:  # told by the phase
            yield Notice("Warning", new.reason, new.message)
    elif old is not None and old.status is ConditionStatus.FALSE and old.reason not in PASSING:
        yield Notice("Normal", "Reconciled", new.message)


def _phase(before: SelfHealingAppStatus, after: SelfHealingAppStatus) -> Iterator[Notice]:
    old, new = _of(before, "Ready"), _of(after, "Ready")
    if after.phase is None or new is None:
        return
    was = old.reason if old is not None else ""
    if after.phase in _BAD_PHASES:
        if after.phase is not before.phase or was != new.reason:
            reason = new.reason if after.phase is Phase.INVALID else str(after.phase)
            yield Notice("Warning", reason, new.message)
    elif after.phase is before.phase or (after.phase is Phase.READY and was in _UNEVENTFUL):
        return
    elif after.phase in _GOOD_PHASES:
        yield Notice("Normal", str(after.phase), new.message + _since_a_node_was_lost(old, new))
    elif after.phase in _OF_HEALING:
        return
    elif before.phase in _BAD_PHASES:
        yield Notice("Normal", "Recovering", new.message)
    elif new.reason == "RollingOut" and before.phase in _GOOD_PHASES:
        yield Notice("Normal", new.reason, new.message)


def _since_a_node_was_lost(old: Condition | None, new: Condition) -> str:
    """How long it took until an app had overcome the loss of a node; empty for all else.

    The stored condition knows since when: also an operator that was started meanwhile can tell.
    """
    if old is None or old.reason not in _LOST or new.status is not ConditionStatus.TRUE:
        return ""
    took = new.last_transition_time - old.last_transition_time
    return f" again, {messages.span(took)} after the loss of a node was noticed"


def _scaled(before: SelfHealingAppStatus, after: SelfHealingAppStatus) -> Iterator[Notice]:
    old, new = before.autoscaling, after.autoscaling
    if old is None or new is None or not old.desired or not new.desired:
        return
    if old.desired != new.desired:
        metrics = {"cpu": new.cpu, "memory": new.memory, **(new.metrics or {})}
        seen = ", ".join(f"{name} {value}" for name, value in metrics.items() if value)
        why = f" ({seen})" if seen else ""
        message = f"the autoscaler changes from {old.desired} to {amount(new.desired, 'pod')}{why}"
        yield Notice("Normal", "Scaled", message)


def _scaling(before: SelfHealingAppStatus, after: SelfHealingAppStatus) -> Iterator[Notice]:
    old, new = _of(before, "ScalingActive"), _of(after, "ScalingActive")
    if old is None or new is None or old.status == new.status:
        return
    if _EVERYDAY & {old.reason, new.reason}:
        return
    # An autoscaler that is new has no figures yet: only one that had them has lost them.
    if old.status is ConditionStatus.TRUE and new.status is ConditionStatus.FALSE:
        yield Notice("Warning", "ScalingInactive", new.message)
    elif old.status is ConditionStatus.FALSE and new.status is ConditionStatus.TRUE:
        yield Notice("Normal", "ScalingActive", new.message)


def _of(status: SelfHealingAppStatus, kind: str) -> Condition | None:
    return next((c for c in status.conditions if c.type == kind), None)
