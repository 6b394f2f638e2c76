"""The envelope's arithmetic: how much of the budget is left, how long to rest, what was tried.

The history in the status is the ledger. Everything here takes the record and the time, and gives
numbers or a changed record; nothing decides what is good for an app.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from selfhealing.api.healing_status import (
    MAX_HISTORY,
    ActionOutcome,
    HealingAction,
    HealingStatus,
)
from selfhealing.remediation.policy import Policy

BUDGETED: Final = frozenset(
    {
        ActionOutcome.IN_PROGRESS,
        ActionOutcome.SUCCEEDED,
        ActionOutcome.FAILED,
        ActionOutcome.SUPERSEDED,
    }
)
"""What has been carried out, or is: it costs budget, whatever became of it."""

_EVICT_FIRST: Final = (
    ActionOutcome.OBSERVED,
    ActionOutcome.EXPIRED,
    ActionOutcome.COMPLETED,
)
"""What leaves a full history first: nothing is counted by it."""


def find_recent(record: HealingStatus, policy: Policy, now: datetime) -> Iterator[HealingAction]:
    """The decisions of the window that still count."""
    for action in record.history:
        if action.at <= now - policy.window:
            continue
        if not _is_before_reset(record, action):
            yield action


def budget_left(record: HealingStatus, policy: Policy, now: datetime) -> int:
    """How many actions may still be taken now."""
    spent = sum(action.outcome in BUDGETED for action in find_recent(record, policy, now))
    return max(0, policy.budget - spent)


def compute_cooldown(record: HealingStatus, policy: Policy, now: datetime) -> timedelta:
    """How long to rest after an action: twice as long for each of the last that did not help.

    At most the window: the budget limits what comes after.
    """
    failures = 0
    for action in find_recent(record, policy, now):  # the latest first
        if action.outcome is ActionOutcome.SUCCEEDED:
            break
        failures += action.outcome is ActionOutcome.FAILED
    factor: int = 2**failures
    return min(policy.cooldown * factor, policy.window)


def rebase_clock(record: HealingStatus, now: datetime) -> HealingStatus:
    """The record when the clock was set back: its moments are moved, so that none is to come.

    By one and the same span: what was before something else stays so. Else an action would be
    judged only, and a version blamed only, when the clock has caught up.
    """
    timestamps = [record.desired_since, record.healthy_since, record.budget_reset_time]
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


def find_running(record: HealingStatus) -> HealingAction | None:
    """The action that has been started and of which nobody knows yet whether it helps."""
    return _find_by_outcome(record, ActionOutcome.IN_PROGRESS)


def find_proposed(record: HealingStatus) -> HealingAction | None:
    """The action that waits for somebody's approval."""
    return _find_by_outcome(record, ActionOutcome.PROPOSED)


def _find_by_outcome(record: HealingStatus, outcome: ActionOutcome) -> HealingAction | None:
    return next((action for action in record.history if action.outcome is outcome), None)


def find_attempts(record: HealingStatus, policy: Policy, now: datetime) -> Iterator[HealingAction]:
    """What has been done for the version that the spec asks for.

    What did not help is remembered for longer than the window, until the app was well for a whole
    one or somebody resumed it: else a slow pace would let the same be tried in vain for ever.
    """
    since = record.desired_since
    recent_ids = {action.id for action in find_recent(record, policy, now)}
    for action in record.history:
        if action.outcome not in BUDGETED or (since is not None and action.at < since):
            continue
        has_failed = action.outcome is ActionOutcome.FAILED and not _is_before_reset(record, action)
        if has_failed or action.id in recent_ids:
            yield action


def _is_before_reset(record: HealingStatus, action: HealingAction) -> bool:
    return record.budget_reset_time is not None and action.at < record.budget_reset_time


def append_action(record: HealingStatus, action: HealingAction) -> HealingStatus:
    """The record with one decision more; of a full history the least telling goes."""
    history = list(_trim_history([action, *record.history]))
    return record.model_copy(update={"history": history, "next_id": action.id + 1})


def _trim_history(history: list[HealingAction]) -> Iterable[HealingAction]:
    if len(history) <= MAX_HISTORY:
        return history
    evictable = [a for a in history[1:] if a.outcome in _EVICT_FIRST]
    evicted = evictable[-1] if evictable else history[-1]
    return [action for action in history if action is not evicted]


def update_action(record: HealingStatus, action: HealingAction, **fields: object) -> HealingStatus:
    """The record with another state of one of its actions."""
    updated = action.model_copy(update=fields)
    history = [updated if entry.id == action.id else entry for entry in record.history]
    return record.model_copy(update={"history": history})
