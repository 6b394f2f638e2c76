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
    Remedy,
)
from selfhealing.heal.policy import Policy

COUNTED: Final = frozenset(
    {
        ActionOutcome.STARTED,
        ActionOutcome.HELPED,
        ActionOutcome.NO_HELP,
        ActionOutcome.OVERTAKEN,
    }
)
"""What has been carried out, or is: it costs budget, whatever became of it."""

_LEAST_WORTH: Final = (
    ActionOutcome.OBSERVED,
    ActionOutcome.EXPIRED,
    ActionOutcome.DONE,
)
"""What leaves a full history first: nothing is counted by it."""


def lately(record: HealingStatus, policy: Policy, now: datetime) -> Iterator[HealingAction]:
    """The decisions of the window that count since somebody last resumed the app.

    One that seems to lie in the future counts: the clock was set back.
    """
    for action in record.history:
        if action.at <= now - policy.window:
            continue
        if record.budget_from is not None and action.at < record.budget_from:
            continue
        yield action


def budget_left(record: HealingStatus, policy: Policy, now: datetime) -> int:
    """How many actions may still be taken now."""
    spent = sum(action.outcome in COUNTED for action in lately(record, policy, now))
    return max(0, policy.budget - spent)


def rest(record: HealingStatus, policy: Policy, now: datetime) -> timedelta:
    """How long to rest after an action: twice as long for each of the last that did not help.

    At most the window: the budget limits what comes after.
    """
    vain = 0
    for action in lately(record, policy, now):  # the latest first
        if action.outcome is ActionOutcome.HELPED:
            break
        vain += action.outcome is ActionOutcome.NO_HELP
    longer: int = 2**vain
    return min(policy.cooldown * longer, policy.window)


def running(record: HealingStatus) -> HealingAction | None:
    """The action that has been started and of which nobody knows yet whether it helps."""
    return _first(record, ActionOutcome.STARTED)


def proposed(record: HealingStatus) -> HealingAction | None:
    """The action that waits for somebody's approval."""
    return _first(record, ActionOutcome.PROPOSED)


def _first(record: HealingStatus, outcome: ActionOutcome) -> HealingAction | None:
    return next((action for action in record.history if action.outcome is outcome), None)


def tried(
    record: HealingStatus, policy: Policy, now: datetime, remedy: Remedy, diagnosis: str
) -> list[HealingAction]:
    """The actions of this kind against this illness, for the version that the spec asks for."""
    since = record.template_since
    return [
        action
        for action in lately(record, policy, now)
        if action.outcome in COUNTED
        and action.remedy is remedy
        and action.diagnosis == diagnosis
        and (since is None or action.at >= since)
    ]


def added(record: HealingStatus, action: HealingAction) -> HealingStatus:
    """The record with one decision more; of a full history the least telling goes."""
    history = list(_trimmed([action, *record.history]))
    return record.model_copy(update={"history": history, "next_id": action.id + 1})


def _trimmed(history: list[HealingAction]) -> Iterable[HealingAction]:
    if len(history) <= MAX_HISTORY:
        return history
    worthless = [a for a in history[1:] if a.outcome in _LEAST_WORTH]
    gone = worthless[-1] if worthless else history[-1]
    return [action for action in history if action is not gone]


def changed(record: HealingStatus, action: HealingAction, **fields: object) -> HealingStatus:
    """The record with another state of one of its actions."""
    new = action.model_copy(update=fields)
    history = [new if each.id == action.id else each for each in record.history]
    return record.model_copy(update={"history": history})
