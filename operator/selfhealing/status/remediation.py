"""Adds remediation to the phase and the message of an app, and derives its Events."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Final, Literal

from selfhealing.api import names
from selfhealing.api.healing_status import (
    ActionOutcome,
    BlockedReason,
    HealingAction,
    HealingStatus,
    Remediation,
)
from selfhealing.api.status import Phase, RestartsStatus
from selfhealing.cache.views import AppKey
from selfhealing.health.attribution import Cause
from selfhealing.health.pod_diagnosis import WARNINGS
from selfhealing.remediation import history
from selfhealing.remediation.policy import HealingMode
from selfhealing.remediation.strategies import ESCALATION
from selfhealing.status.events import Event
from selfhealing.status.phase import ROLLED_BACK, PhaseSummary
from selfhealing.status.sections import join_clauses

_UNAFFECTED_PHASES: Final = frozenset({Phase.PAUSED, Phase.INVALID, Phase.COMPLETED})
"""Phases that remediation does not change."""

_REVISION_CAUSES: Final = frozenset({Cause.NEW_VERSION, Cause.UNKNOWN})
"""Causes of diagnoses of which the revision may be the cause."""

_EXTERNAL_BLOCKED_REASONS: Final = frozenset(
    {
        BlockedReason.STORM,
        BlockedReason.ACTION_LIMIT,
        BlockedReason.NODES_LOST,
        BlockedReason.STALE_CACHE,
    }
)
"""Blocked reasons that get an Event, because their cause is outside the app."""

_BLOCKED_MESSAGES: Final[dict[BlockedReason, str]] = {
    BlockedReason.STORM: (
        "many apps fell ill within two minutes; no action starts until they are well, or until "
        "their namespaces have kept it up for ten minutes: look for a shared cause"
    ),
    BlockedReason.ACTION_LIMIT: (
        "many actions are in progress in other apps, or were started a moment ago; this app follows"
    ),
    BlockedReason.NODES_LOST: (
        "no failover now: many nodes are lost or cannot be listed, or no other node can take the "
        "pods, or another lost node was given up a moment ago"
    ),
    BlockedReason.STALE_CACHE: (
        "the operator's cache of the app is stale; no action until it is up to date"
    ),
}

_EventType = Literal["Normal", "Warning"]

_OUTCOME_EVENTS: Final[dict[ActionOutcome, tuple[_EventType, str]]] = {
    ActionOutcome.SUCCEEDED: ("Normal", "succeeded"),
    ActionOutcome.FAILED: ("Warning", "did not succeed"),
    ActionOutcome.REFUSED: ("Warning", "could not be carried out"),
    ActionOutcome.SUPERSEDED: ("Normal", "was superseded by a change of the app"),
    ActionOutcome.EXPIRED: ("Normal", "expired"),
}


def with_remediation(
    key: AppKey, summary: PhaseSummary, record: HealingStatus | None
) -> PhaseSummary:
    """Add the remediation of the app to its phase, reason and message."""
    if record is None or summary.phase in _UNAFFECTED_PHASES:
        return summary
    if record.failed_revision is not None:
        message = join_clauses(
            f"runs revision {record.stable_revision} ({record.stable_image}), because "
            f"{record.failed_revision} failed; it is tried again {_describe_next_try(record)}",
            summary.message,
        )
        # The desired revision does not run, however healthy the stable revision is.
        summary = PhaseSummary(Phase.DEGRADED, ROLLED_BACK, message)
    summary = replace(summary, message=join_clauses(summary.message, _describe_no_way_back(record)))
    if summary.complete:
        message = join_clauses(summary.message, _describe_pending_user_action(key, record))
        return replace(summary, message=message)
    if record.quarantined:
        return replace(
            summary,
            phase=Phase.QUARANTINED,
            message=join_clauses(_describe_quarantine(key, record), summary.message),
        )
    action = history.find_running(record)
    # An action for a warning does not change the phase: the app is healthy.
    if action is not None and action.diagnosis not in WARNINGS:
        activity = f"healing: {action.message}"
        return replace(
            summary, phase=Phase.HEALING, message=join_clauses(activity, summary.message)
        )
    return replace(
        summary,
        message=join_clauses(
            summary.message,
            _describe_pending_user_action(key, record),
            _describe_next_action(record),
        ),
    )


def _describe_next_try(record: HealingStatus) -> str:
    if record.retry_at is None:
        return "when the spec changes"
    return f"at {record.retry_at:%Y-%m-%d %H:%M} UTC, or when the spec changes"


def _describe_next_action(record: HealingStatus) -> str:
    """What is done next, and when; empty if that is not known."""
    upcoming = record.next_action
    if upcoming is None:
        return ""
    if record.blocked_reason is BlockedReason.TARGET_UNUSABLE:
        return f"no {upcoming.remediation}: {upcoming.message}"
    if record.blocked_reason is BlockedReason.NOT_DUE and upcoming.not_before is not None:
        due = f"{upcoming.not_before:%H:%M:%S}"
        return f"{upcoming.remediation} at {due} UTC if that lasts, sooner if fewer pods are ready"
    return ""


def _describe_no_way_back(record: HealingStatus) -> str:
    """That no revision has ever been stable, if a rollback is what would help; else empty."""
    is_without_remedy = record.blocked_reason in {
        BlockedReason.NO_REMEDIATION,
        BlockedReason.QUARANTINED,
    }
    would_roll_back = any(
        each.cause in _REVISION_CAUSES
        and any(
            diagnosis_type == each.type and Remediation.ROLLBACK in remediations
            for diagnosis_type, remediations in ESCALATION.items()
        )
        for each in record.diagnoses
    )
    if record.stable_revision is None and is_without_remedy and would_roll_back:
        return "there is no earlier version to go back to"
    return ""


def _describe_pending_user_action(key: AppKey, record: HealingStatus) -> str:
    """What a person can do; empty if nothing waits for a person."""
    if record.quarantined:
        return (
            f"no remediation until healthy for the probation; to resume now: {_resume_command(key)}"
        )
    action = history.find_proposed(record)
    if action is None:
        return ""
    command = _annotate_command(key, f"{names.ANNOTATION_APPROVE}={action.id}")
    return f"{action.remediation} waits for approval: {command}"


def _resume_command(key: AppKey) -> str:
    return _annotate_command(key, f"{names.ANNOTATION_RESUME}=$(date +%s)")


def find_last_heal_time(restarts: RestartsStatus, record: HealingStatus | None) -> datetime | None:
    """When the app was last healed: by the restart of a container, or by an action.

    Proposals, dry runs and quarantines do not count.
    """
    last_restart = restarts.last.at if restarts.last else None
    actions = record.history if record else ()
    action_times = (action.at for action in actions if action.outcome in history.BUDGETED)
    return max(
        (moment for moment in (last_restart, *action_times) if moment is not None), default=None
    )


def _annotate_command(key: AppKey, annotation: str) -> str:
    return f"kubectl -n {key.namespace} annotate --overwrite sha {key.name} {annotation}"


def _describe_quarantine(key: AppKey, record: HealingStatus) -> str:
    quarantine = record.quarantine
    reason = next(
        (
            action.message
            for action in record.history
            if action.remediation is Remediation.QUARANTINE
        ),
        "",
    )
    pod = (
        f"pod {quarantine.pod} is isolated for inspection until {quarantine.until:%H:%M:%S} UTC"
        if quarantine
        else ""
    )
    return join_clauses(f"quarantined: {reason}", pod, f"to resume: {_resume_command(key)}")


def remediation_events(
    key: AppKey, before: HealingStatus | None, after: HealingStatus | None
) -> Iterator[Event]:
    """The Events for the changes from the record ``before`` to the record ``after``."""
    return (event.truncate() for event in _transition_events(key, before, after))


def _transition_events(
    key: AppKey, before: HealingStatus | None, after: HealingStatus | None
) -> Iterator[Event]:
    if after is None:
        return
    previous_actions = {action.id: action for action in before.history} if before else {}
    previous_types = (
        {diagnosis.type for diagnosis in before.diagnoses}
        if before and before.mode != HealingMode.OFF
        else set()
    )
    # In the mode Off the Events of the phase report the problems already.
    for diagnosis in after.diagnoses if after.mode != HealingMode.OFF else ():
        if diagnosis.type not in previous_types:
            attribution = f"cause: {diagnosis.cause}, confidence: {diagnosis.confidence}"
            yield Event("Warning", diagnosis.type, f"{diagnosis.message} ({attribution})")
    for action in reversed(after.history):
        previous = previous_actions.get(action.id)
        if previous is None or previous.outcome is not action.outcome:
            yield _action_event(key, action)
    if after.blocked_reason in _EXTERNAL_BLOCKED_REASONS and (
        before is None or before.blocked_reason is not after.blocked_reason
    ):
        yield Event(
            "Warning",
            f"HealingBlocked{after.blocked_reason}",
            _BLOCKED_MESSAGES[after.blocked_reason],
        )
    if before is not None:
        yield from _end_events(before, after)


def _end_events(before: HealingStatus, after: HealingStatus) -> Iterator[Event]:
    if before.quarantined and not after.quarantined and after.mode != HealingMode.OFF:
        yield Event("Normal", "HealingResumed", "the quarantine has ended, healing has resumed")
    if before.fallback_replicas is not None and after.fallback_replicas is None:
        message = "the autoscaler has metrics again: it alone decides on the number of pods"
        yield Event("Normal", "ScalingFallbackEnded", message)
    if after.stable_revision not in {None, before.stable_revision}:
        message = f"revision {after.stable_revision} ({after.stable_image}) is the stable revision"
        yield Event("Normal", "RevisionStable", message)


def _action_event(key: AppKey, action: HealingAction) -> Event:
    text = action.message
    if action.remediation is Remediation.QUARANTINE:
        return Event("Warning", "Quarantined", f"quarantined: {text}")
    if action.outcome is ActionOutcome.IN_PROGRESS:
        return Event("Warning", f"Healing{action.remediation}", text)
    if action.outcome is ActionOutcome.OBSERVED:
        return Event(
            "Normal", "RemediationSkipped", f"mode Observe, else {action.remediation}: {text}"
        )
    if action.outcome is ActionOutcome.PROPOSED:
        command = _annotate_command(key, f"{names.ANNOTATION_APPROVE}={action.id}")
        return Event(
            "Warning", "ApprovalNeeded", f"{action.remediation}: {text}; approve: {command}"
        )
    kind, outcome_text = _OUTCOME_EVENTS[action.outcome]
    if (action.remediation, action.outcome) == (
        Remediation.REMOVE_FOREIGN_FIELDS,
        ActionOutcome.FAILED,
    ):
        outcome_text += f" (kubectl rollout undo deployment/{key.name} gives the fields back)"
    return Event(
        kind, f"Remediation{action.outcome}", f"{action.remediation} {outcome_text}: {text}"
    )
