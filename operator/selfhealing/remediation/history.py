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
    """The decisions of the window that still count."""
    for action in record.history:
        if action.at <= now - policy.window:
            continue
        if not _forgiven(record, action):
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


def in_time(record: HealingStatus, now: datetime) -> HealingStatus:
    """The record when the clock was set back: its moments are moved, so that none is to come.

    By one and the same span: what was before something else stays so. Else an action would be
    judged only, and a version blamed only, when the clock has caught up.
    """
    stamps = [record.template_since, record.well_since, record.budget_from]
    stamps += [moment for action in record.history for moment in (action.at, action.ended_at)]
    ahead = max((moment - now for moment in stamps if moment is not None), default=timedelta())
    if ahead <= timedelta():
        return record
    kept = record.quarantine
    return record.model_copy(
        update={
            "template_since": _earlier(record.template_since, ahead),
            "well_since": _earlier(record.well_since, ahead),
            "budget_from": _earlier(record.budget_from, ahead),
            "cooldown_until": _earlier(record.cooldown_until, ahead),
            "quarantine": kept and kept.model_copy(update={"until": kept.until - ahead}),
            "history": [
                action.model_copy(
                    update={"at": action.at - ahead, "ended_at": _earlier(action.ended_at, ahead)}
                )
                for action in record.history
            ],
        }
    )


def _earlier(moment: datetime | None, span: timedelta) -> datetime | None:
    return None if moment is None else moment - span


def running(record: HealingStatus) -> HealingAction | None:
    """The action that has been started and of which nobody knows yet whether it helps."""
    return _first(record, ActionOutcome.STARTED)


def proposed(record: HealingStatus) -> HealingAction | None:
    """The action that waits for somebody's approval."""
    return _first(record, ActionOutcome.PROPOSED)


def _first(record: HealingStatus, outcome: ActionOutcome) -> HealingAction | None:
    return next((action for action in record.history if action.outcome is outcome), None)


def tried(record: HealingStatus, policy: Policy, now: datetime) -> Iterator[HealingAction]:
    """What has been done for the version that the spec asks for.

    What did not help is remembered for longer than the window, until the app was well for a whole
    one or somebody resumed it: else a slow pace would let the same be tried in vain for ever.
    """
    since = record.template_since
    recent = {action.id for action in lately(record, policy, now)}
    for action in record.history:
        if action.outcome not in COUNTED or (since is not None and action.at < since):
            continue
        in_vain = action.outcome is ActionOutcome.NO_HELP and not _forgiven(record, action)
        if in_vain or action.id in recent:
            yield action


def _forgiven(record: HealingStatus, action: HealingAction) -> bool:
    return record.budget_from is not None and action.at < record.budget_from


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
