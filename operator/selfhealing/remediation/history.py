"""Reads and updates the history of actions: budget left, cooldown, attempts.

status.healing.history is the only storage. The functions take the record and the time, and return
numbers or a changed record; the decisions are in ``remediation.engine``.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from selfhealing.api.healing_status import (
    MAX_HISTORY,
    ActionOutcome,
    HealingAction,
    HealingStatus,
    Remediation,
)
from selfhealing.health.pod_diagnosis import WARNINGS, DiagnosisType
from selfhealing.remediation.policy import HealingMode, Policy

BUDGETED: Final = frozenset(
    {
        ActionOutcome.IN_PROGRESS,
        ActionOutcome.SUCCEEDED,
        ActionOutcome.FAILED,
        ActionOutcome.SUPERSEDED,
    }
)
"""Outcomes of actions that were executed or are in progress: each costs budget."""

EXECUTED: Final = frozenset({ActionOutcome.SUCCEEDED, ActionOutcome.FAILED})
"""Outcomes of actions whose effect was seen."""

ENDED_BADLY: Final = frozenset({ActionOutcome.FAILED, ActionOutcome.REFUSED})
"""Outcomes after which an action is not repeated for the same diagnosis."""

FREE_DIAGNOSES: Final = WARNINGS | {
    DiagnosisType.NODE_LOST,
    DiagnosisType.METRICS_UNAVAILABLE,
}
"""Diagnoses whose actions cost no budget."""

_EVICT_FIRST: Final = (
    ActionOutcome.OBSERVED,
    ActionOutcome.EXPIRED,
    ActionOutcome.COMPLETED,
    ActionOutcome.REFUSED,
)
"""Outcomes that leave a full history first, because they do not count."""


def new_record() -> HealingStatus:
    """The record of an app without a stored record."""
    return HealingStatus(mode=HealingMode.OFF, budget_left=0)


def find_recent(record: HealingStatus, policy: Policy, now: datetime) -> Iterator[HealingAction]:
    """The actions within the window that still count, the newest first."""
    for action in record.history:
        if action.at <= now - policy.window:
            continue
        if not _is_before_reset(record, action):
            yield action


def costs_budget(action: HealingAction) -> bool:
    """Whether an action counts against the budget.

    What many apps have by one cause, a lost node or missing metrics, costs nothing, nor do
    warnings: it must not use up the actions that a bad release needs. A try of other nodes that
    did not help costs nothing either: it shows that the node is not the cause.
    """
    was_only_tried = (
        action.remediation is Remediation.AVOID_NODE and action.outcome is ActionOutcome.FAILED
    )
    is_free = action.diagnosis in FREE_DIAGNOSES or was_only_tried
    return action.outcome in BUDGETED and not is_free


def count_spent(record: HealingStatus, policy: Policy, now: datetime) -> int:
    """How many actions of the window count against the budget."""
    return sum(costs_budget(action) for action in find_recent(record, policy, now))


def budget_left(record: HealingStatus, policy: Policy, now: datetime) -> int:
    """How many actions may still start now."""
    return max(0, policy.budget - count_spent(record, policy, now))


def compute_cooldown(record: HealingStatus, policy: Policy, now: datetime) -> timedelta:
    """How long no action may start after the last one; it doubles with each failure in a row.

    It is at most the window, after which the budget is free again.
    """
    failures = 0
    for action in find_recent(record, policy, now):  # the latest first
        if action.outcome is ActionOutcome.SUCCEEDED:
            break
        failures += action.outcome in ENDED_BADLY
    factor: int = 2**failures
    return min(policy.cooldown * factor, policy.window)


def rebase_clock(record: HealingStatus, now: datetime) -> HealingStatus:
    """Shift all times of the record if the clock was set back, so that none is in the future.

    All times move by the same span, so their order stays. Without the shift an action would be
    evaluated, and a revision get a cause attributed, only when the clock has caught up.
    """
    timestamps = [record.desired_since, record.healthy_since, record.budget_reset_time]
    timestamps += [record.stable_since, *(diagnosis.since for diagnosis in record.diagnoses)]
    timestamps += [moment for action in record.history for moment in (action.at, action.ended_at)]
    ahead = max((moment - now for moment in timestamps if moment is not None), default=timedelta())
    if ahead <= timedelta():
        return record
    quarantine = record.quarantine
    return record.model_copy(
        update={
            "desired_since": _shift_back(record.desired_since, ahead),
            "healthy_since": _shift_back(record.healthy_since, ahead),
            "budget_reset_time": _shift_back(record.budget_reset_time, ahead),
            "stable_since": _shift_back(record.stable_since, ahead),
            "retry_at": _shift_back(record.retry_at, ahead),
            "diagnoses": [
                diagnosis.model_copy(update={"since": _shift_back(diagnosis.since, ahead)})
                for diagnosis in record.diagnoses
            ],
            "cooldown_until": _shift_back(record.cooldown_until, ahead),
            "quarantine": quarantine
            and quarantine.model_copy(update={"until": quarantine.until - ahead}),
            "history": [
                action.model_copy(
                    update={
                        "at": action.at - ahead,
                        "ended_at": _shift_back(action.ended_at, ahead),
                    }
                )
                for action in record.history
            ],
        }
    )


def _shift_back(moment: datetime | None, span: timedelta) -> datetime | None:
    return None if moment is None else moment - span


def find_predecessor_deadline(record: HealingStatus, policy: Policy) -> datetime | None:
    """Until when the stable revision may be rolled back to the one before it; None if unknown."""
    since = record.stable_since
    return None if since is None else since + policy.predecessor_ttl


def find_running(record: HealingStatus) -> HealingAction | None:
    """The action with the outcome InProgress; None if there is none."""
    return _find_by_outcome(record, ActionOutcome.IN_PROGRESS)


def find_proposed(record: HealingStatus) -> HealingAction | None:
    """The action that waits for approval; None if there is none."""
    return _find_by_outcome(record, ActionOutcome.PROPOSED)


def was_node_the_cause(record: HealingStatus) -> bool:
    """Whether the pods became healthy when they last were recreated on other nodes."""
    tries = (a.outcome for a in record.history if a.remediation is Remediation.AVOID_NODE)
    return next(tries, None) is ActionOutcome.SUCCEEDED


def _find_by_outcome(record: HealingStatus, outcome: ActionOutcome) -> HealingAction | None:
    return next((action for action in record.history if action.outcome is outcome), None)


def find_attempts(record: HealingStatus, policy: Policy, now: datetime) -> Iterator[HealingAction]:
    """The actions that were started for the desired revision.

    Failed and refused actions count for longer than the window: until the app was healthy for a
    whole window, or a person resumed healing. Otherwise a remediation that fails slowly would be
    retried forever.
    """
    since = record.desired_since
    recent_ids = {action.id for action in find_recent(record, policy, now)}
    for action in record.history:
        is_ended_badly = action.outcome in ENDED_BADLY
        if not (action.outcome in BUDGETED or is_ended_badly) or (
            since is not None and action.at < since
        ):
            continue
        if (is_ended_badly and not _is_before_reset(record, action)) or action.id in recent_ids:
            yield action


def _is_before_reset(record: HealingStatus, action: HealingAction) -> bool:
    return record.budget_reset_time is not None and action.at < record.budget_reset_time


def append_action(record: HealingStatus, action: HealingAction) -> HealingStatus:
    """Add an action to the history; a full history loses its least important action."""
    actions = list(_trim_history([action, *record.history]))
    return record.model_copy(update={"history": actions, "next_id": action.id + 1})


def _trim_history(actions: list[HealingAction]) -> Iterable[HealingAction]:
    if len(actions) <= MAX_HISTORY:
        return actions
    evictable = [action for action in actions[1:] if action.outcome in _EVICT_FIRST]
    evicted = evictable[-1] if evictable else actions[-1]
    return [action for action in actions if action is not evicted]


def update_action(record: HealingStatus, action: HealingAction, **fields: object) -> HealingStatus:
    """Change fields of one action in the history."""
    updated = action.model_copy(update=fields)
    actions = [updated if entry.id == action.id else entry for entry in record.history]
    return record.model_copy(update={"history": actions})
