"""The JSON for the page of the dashboard: what ``-o json`` prints, badges and buttons."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from selfhealing.api.healing_status import ActionOutcome, HealingStatus
from selfhealing.plugin.view.actions import (
    Operation,
    OperationRefusedError,
    find_proposal,
    plan_change,
)
from selfhealing.plugin.view.explain import explain_app
from selfhealing.plugin.view.json_output import to_json
from selfhealing.plugin.view.language import Language
from selfhealing.plugin.view.level import Level
from selfhealing.plugin.view.model import AppModel

MAX_APPS: Final = 500
"""Apps of the overview; those that need a person are first."""

OFFERED: Final = (Operation.APPROVE, Operation.RESUME, Operation.PAUSE, Operation.UNPAUSE)
"""The operations that the page has a button for. RETRY is RESUME for an app that is rolled back."""

Json = dict[str, Any]


class Flag(NamedTuple):
    """Something about an app that is shown as a badge.

    Attributes:
        name: which badge; the page has its text in each language.
        level: how good or bad it is.
        word: a word of the API in its text; may be empty.
    """

    name: str
    level: Level
    word: str = ""


class OfferedOperation(NamedTuple):
    """An operation that would change something.

    Attributes:
        operation: what is done.
        subject: for APPROVE, the remediation; else empty.
        action_id: for APPROVE, the action that is approved.
    """

    operation: Operation
    subject: str = ""
    action_id: int | None = None


def build_overview(apps: Sequence[AppModel]) -> Json:
    """Return the JSON of the overview: at most MAX_APPS apps, in the given order."""
    return {
        "items": [_summarize_app(app) for app in apps[:MAX_APPS]],
        "total": len(apps),
        "gaps": list(dict.fromkeys(gap for app in apps for gap in app.gaps)),
    }


def build_details(app: AppModel, language: Language) -> Json:
    """Return the JSON of one app with all that is known of it, explained in a language."""
    return {
        **_summarize_app(app),
        "app": to_json(app),
        "explanation": to_json(explain_app(app, language)),
        "operations": to_json(list_operations(app)),
    }


def list_flags(app: AppModel) -> list[Flag]:
    """List the badges of an app, the most important first."""
    return [*_healing_flags(app.healing), *_state_flags(app)]


def list_operations(app: AppModel) -> list[OfferedOperation]:
    """List the operations that would change something now."""
    return list(_operations(app))


def _summarize_app(app: AppModel) -> Json:
    ready = app.find_condition("Ready")
    restarts = app.status.restarts
    return {
        "key": to_json(app.key),
        "level": str(app.level),
        "phase": app.phase,
        "reason": ready.reason if ready is not None else "",
        "ready": app.status.ready or "",
        "restarts": restarts.total if restarts is not None else 0,
        "image": app.status.image or "",
        "message": app.status.message or "",
        "flags": to_json(list_flags(app)),
        "readAt": to_json(app.read_at),
    }


def _healing_flags(record: HealingStatus | None) -> Iterator[Flag]:
    if record is None:
        return
    if record.quarantined:
        yield Flag("quarantined", Level.FAILED)
    if record.diagnoses:
        yield Flag("diagnosis", Level.FAILED, record.diagnoses[0].type)
    outcomes = {action.outcome: action for action in reversed(record.history)}
    if running := outcomes.get(ActionOutcome.IN_PROGRESS):
        yield Flag("healing", Level.BUSY, str(running.remediation))
    elif proposed := outcomes.get(ActionOutcome.PROPOSED):
        yield Flag("approval", Level.WARNING, str(proposed.remediation))
    elif record.next_action is not None:
        yield Flag("next", Level.BUSY, str(record.next_action.remediation))
    elif record.diagnoses and record.blocked_reason is not None and not record.quarantined:
        yield Flag("blocked", Level.WARNING, str(record.blocked_reason))
    if record.failed_revision is not None:
        yield Flag("rolledBack", Level.WARNING)


def _state_flags(app: AppModel) -> Iterator[Flag]:
    if app.deleting:
        yield Flag("deleting", Level.BUSY)
    if not app.current:
        yield Flag("outdated", Level.WARNING)
    if app.paused:
        yield Flag("paused", Level.WARNING)


def _operations(app: AppModel) -> Iterator[OfferedOperation]:
    for operation in OFFERED:
        try:
            change = plan_change(app, operation)
        except OperationRefusedError:
            continue
        if operation is Operation.APPROVE and (proposal := find_proposal(app)) is not None:
            yield OfferedOperation(operation, str(proposal.remediation), proposal.id)
        elif change.patch:
            yield OfferedOperation(operation)
