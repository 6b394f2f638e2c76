"""Derives Events from changes of the children, restarts, and transitions of the status.

Each change gives one Event. A message contains no growing number, so that the recorder can count a
repetition in the first Event instead of writing another one.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from selfhealing.api.config_refs import ChangedConfig
from selfhealing.api.names import DEPLOYMENT
from selfhealing.api.status import Condition, ConditionStatus, Phase, SelfHealingAppStatus
from selfhealing.apply.child_diff import ChildAction
from selfhealing.apply.result import TRANSIENT, ChildChange
from selfhealing.health import messages
from selfhealing.health.pod_problems import NODE_LOST
from selfhealing.status.ownership import find_new_ownership_condition
from selfhealing.status.phase import PODS_COMING, PODS_MOVING, ROLLING_OUT
from selfhealing.status.restarts import Restart
from selfhealing.status.sections import join_words, pluralize

MAX_NOTE_BYTES: Final = 1024
"""The longest note that events.k8s.io/v1 takes, in bytes."""

MAX_SINGLE_EVENTS: Final = 5
"""Restarts that get an Event each; more restarts in one evaluation share one Event."""

MAX_NAMED_CONFIGS: Final = 3
"""Changed ConfigMaps and Secrets that an Event names."""

_CHILD_EVENTS: Final[dict[ChildAction | None, tuple[str, str]]] = {
    ChildAction.CREATE: ("Created", "created {}"),
    ChildAction.UPDATE: ("Updated", "updated {} to the current spec"),
    ChildAction.REVERT_DRIFT: ("DriftCorrected", "changed {}; reverted to the spec"),
    ChildAction.REPLACE: (
        "Replacing",
        "deletes {}, and recreates it for another run when its pods are gone",
    ),
    ChildAction.ADOPT: ("Adopted", "took over {}, which had no owner"),
    None: ("Deleted", "deleted {}: the spec no longer asks for it"),
}

_OVERRIDE_TEXTS: Final[dict[ChildAction | None, str]] = {
    ChildAction.UPDATE: "updated {} to the spec and the overrides of healing",
}

_BAD_PHASES: Final = frozenset({Phase.DEGRADED, Phase.INVALID})

_REMEDIATION_PHASES: Final = frozenset({Phase.HEALING, Phase.QUARANTINED})
"""Phases for which ``status.remediation`` creates the Events."""

_GOOD_PHASES: Final = frozenset({Phase.READY, Phase.COMPLETED, Phase.PAUSED})

_NODE_LOSS_REASONS: Final = frozenset({NODE_LOST, PODS_MOVING})
"""Reasons for not being Ready that a lost node causes."""

MISSING_REQUEST: Final = "MissingRequest"
"""The reason of an autoscaler whose target is a share of a request that the spec does not have."""

POD_SECURITY_ADMITTED: Final = "PodSecurityAdmitted"
"""The type of the condition that is there only while the Namespace would refuse the pods."""

_EXPECTED_SCALING_REASONS: Final = frozenset({"ScalingDisabled"})
"""Reasons for an inactive autoscaler that are configured on purpose."""


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes Event and log line: ``type``, a CamelCase ``reason`` and a sentence."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str

    def truncate(self) -> "Event":
        """Cut the message to MAX_NOTE_BYTES."""
        message = self.message.encode()[:MAX_NOTE_BYTES].decode(errors="ignore")
        return Event(self.type, self.reason, message)


def transition_events(
    before: SelfHealingAppStatus, after: SelfHealingAppStatus, restarts: tuple[Restart, ...]
) -> list[Event]:
    """The Events for the changes from the status ``before`` to the status ``after``."""
    events = [
        *_restart_events(restarts),
        *_reconciled_events(before, after),
        *_phase_events(before, after),
        *_scaled_events(before, after),
        *_scaling_active_events(before, after),
        *_ownership_events(before, after),
        *_pod_security_events(before, after),
    ]
    return [event.truncate() for event in events]


def child_events(
    changes: tuple[ChildChange, ...],
    *,
    has_overrides: bool = False,
    changed_configs: tuple[ChangedConfig, ...] = (),
) -> Iterator[Event]:
    """The Events for the changes of the children.

    Args:
        changes: what was created, updated, replaced, adopted or deleted.
        has_overrides: whether healing overrides the spec.
        changed_configs: the ConfigMaps and Secrets whose change is why the children are updated;
            empty if it is the spec that has changed.
    """
    for action, (reason, spec_text) in _CHILD_EVENTS.items():
        text = _OVERRIDE_TEXTS.get(action, spec_text) if has_overrides else spec_text
        own_changes = [
            change
            for change in changes
            if change.action is action
            and (change.is_stored or action is not ChildAction.REVERT_DRIFT)
        ]
        kinds = [change.kind for change in own_changes]
        if action is ChildAction.UPDATE and DEPLOYMENT in kinds and changed_configs:
            text = f"{_name_configs(changed_configs)} changed: updated {{}} to replace the pods"
        if kinds:
            message = text.format(join_words(kinds))
            if action is not ChildAction.REVERT_DRIFT:
                yield Event("Normal", reason, message)
                continue
            managers = dict.fromkeys(name for change in own_changes for name in change.managers)
            who = join_words(list(managers)) or "somebody"
            yield Event("Warning", reason, f"{who} {message}").truncate()


def _name_configs(configs: tuple[ChangedConfig, ...]) -> str:
    """Name the objects, and the keys of ConfigMaps: ``ConfigMap settings (mode)``."""
    return _join_some(sorted(_name_config(config) for config in configs))


def _name_config(config: ChangedConfig) -> str:
    keys = f" ({_join_some(config.keys)})" if config.keys else ""
    return f"{config.reference.kind} {config.reference.name}{keys}"


def _join_some(names: Sequence[str]) -> str:
    others = len(names) - MAX_NAMED_CONFIGS
    return join_words([*names[:MAX_NAMED_CONFIGS], *([f"{others} more"] if others > 0 else [])])


def _restart_events(restarts: tuple[Restart, ...]) -> Iterator[Event]:
    if len(restarts) > MAX_SINGLE_EVENTS:
        yield Event("Warning", "ContainersRestarted", _summarize_restarts(restarts))
        return
    for restart in restarts:
        code = restart.exit_code
        cause = (
            restart.reason
            if code is None
            else f"{restart.reason}, {messages.describe_exit_code(code)}"
        )
        subject = f"container {restart.container} of pod {restart.pod}"
        if restart.replaced_by_job:
            yield Event(
                "Warning", "PodReplaced", f"{subject} failed, another pod was made: {cause}"
            )
        else:
            yield Event("Warning", "ContainerRestarted", f"{subject} was restarted: {cause}")


def _summarize_restarts(restarts: tuple[Restart, ...]) -> str:
    reasons = Counter(restart.reason for restart in restarts)
    ranked = sorted(reasons, key=lambda reason: (-reasons[reason], reason))
    reason_counts = ", ".join(f"{reasons[reason]} {reason}" for reason in ranked)
    pods = len({restart.pod for restart in restarts})
    restarted = f"{pluralize(len(restarts), 'container')} of {pluralize(pods, 'pod')}"
    return f"{restarted} were restarted: {reason_counts}"


def _reconciled_events(
    before: SelfHealingAppStatus, after: SelfHealingAppStatus
) -> Iterator[Event]:
    old, new = _find_condition(before, "Reconciled"), _find_condition(after, "Reconciled")
    if new is None or new.reason in TRANSIENT or (old is not None and old.reason == new.reason):
        return
    if new.status is ConditionStatus.FALSE:
        if after.phase is not Phase.INVALID:  # _phase_events reports it
            yield Event("Warning", new.reason, new.message)
    elif old is not None and old.status is ConditionStatus.FALSE and old.reason not in TRANSIENT:
        yield Event("Normal", "Reconciled", new.message)


def _phase_events(before: SelfHealingAppStatus, after: SelfHealingAppStatus) -> Iterator[Event]:
    old, new = _find_condition(before, "Ready"), _find_condition(after, "Ready")
    if after.phase is None or new is None:
        return
    previous_reason = old.reason if old is not None else ""
    if after.phase in _BAD_PHASES:
        if after.phase is not before.phase or previous_reason != new.reason:
            reason = new.reason if after.phase is Phase.INVALID else str(after.phase)
            yield Event("Warning", reason, new.message)
    elif after.phase is before.phase or (
        # Scaling is frequent, and the autoscaler's Event reports it.
        after.phase is Phase.READY and previous_reason in PODS_COMING
    ):
        return
    elif after.phase in _GOOD_PHASES:
        yield Event(
            "Normal", str(after.phase), new.message + _describe_node_loss_recovery(old, new)
        )
    elif after.phase in _REMEDIATION_PHASES:
        return
    elif before.phase in _BAD_PHASES:
        yield Event("Normal", "Recovering", new.message)
    elif new.reason == ROLLING_OUT and before.phase in _GOOD_PHASES:
        yield Event("Normal", new.reason, new.message)


def _describe_node_loss_recovery(old: Condition | None, new: Condition) -> str:
    """How long the recovery from a lost node took; empty for any other transition.

    The start is the lastTransitionTime of the stored condition, so a restart of the operator does
    not matter.
    """
    if (
        old is None
        or old.reason not in _NODE_LOSS_REASONS
        or new.status is not ConditionStatus.TRUE
    ):
        return ""
    took = new.last_transition_time - old.last_transition_time
    return f" again, {messages.format_elapsed(took)} after the loss of a node was noticed"


def _scaled_events(before: SelfHealingAppStatus, after: SelfHealingAppStatus) -> Iterator[Event]:
    old, new = before.autoscaling, after.autoscaling
    if old is None or new is None or not old.desired or not new.desired:
        return
    if old.desired != new.desired:
        metrics = {"cpu": new.cpu, "memory": new.memory, **(new.metrics or {})}
        metric_values = ", ".join(f"{name} {value}" for name, value in metrics.items() if value)
        metrics_note = f" ({metric_values})" if metric_values else ""
        change = f"from {old.desired} to {pluralize(new.desired, 'pod')}"
        yield Event("Normal", "Scaled", f"the autoscaler changes {change}{metrics_note}")


def _scaling_active_events(
    before: SelfHealingAppStatus, after: SelfHealingAppStatus
) -> Iterator[Event]:
    old, new = _find_condition(before, "ScalingActive"), _find_condition(after, "ScalingActive")
    if (
        new is not None
        and new.reason == MISSING_REQUEST
        and (old is None or old.reason != MISSING_REQUEST)
    ):
        yield Event("Warning", MISSING_REQUEST, new.message)
        return
    if old is None or new is None or old.status == new.status:
        return
    if _EXPECTED_SCALING_REASONS & {old.reason, new.reason}:
        return
    # A new autoscaler has no metrics yet: only the change from True to False is a loss.
    if old.status is ConditionStatus.TRUE and new.status is ConditionStatus.FALSE:
        yield Event("Warning", "ScalingInactive", new.message)
    elif old.status is ConditionStatus.FALSE and new.status is ConditionStatus.TRUE:
        yield Event("Normal", "ScalingActive", new.message)


def _ownership_events(before: SelfHealingAppStatus, after: SelfHealingAppStatus) -> Iterator[Event]:
    new = find_new_ownership_condition(before, after)
    if new is not None:
        yield Event("Warning", new.reason, new.message)


def _pod_security_events(
    before: SelfHealingAppStatus, after: SelfHealingAppStatus
) -> Iterator[Event]:
    """One Event for each version of the spec, and for each change of what the Namespace refuses."""
    old, new = (_find_condition(status, POD_SECURITY_ADMITTED) for status in (before, after))
    if new is not None and (
        old is None
        or (old.message, old.observed_generation) != (new.message, new.observed_generation)
    ):
        yield Event("Warning", new.reason, new.message)


def _find_condition(status: SelfHealingAppStatus, kind: str) -> Condition | None:
    return next((c for c in status.conditions if c.type == kind), None)
