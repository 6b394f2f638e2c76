"""What a person can do with an app: the patches, and what they will do in a sentence.

The operator understands two annotations and one field of the spec (docs/healing.md). Each patch
holds only for the version of the app that was looked at, so nothing is approved or paused that the
person has not seen.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from selfhealing.api import names
from selfhealing.api.healing_status import ActionOutcome, HealingAction, HealingStatus
from selfhealing.plugin.errors import PluginError
from selfhealing.plugin.view.model import AppModel

Json = dict[str, Any]


class Operation(StrEnum):
    """What a person can do with an app."""

    APPROVE = "approve"
    RESUME = "resume"
    RETRY = "retry"
    PAUSE = "pause"
    UNPAUSE = "unpause"


class OperationRefusedError(PluginError):
    """There is nothing to approve, retry or resume; the message says what to do instead."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of an app.

    Attributes:
        patch: a JSON merge patch (RFC 7396); empty if nothing has to be changed.
        effect: what it does, as a sentence.
    """

    patch: Json
    effect: str


def plan_change(app: AppModel, operation: Operation, action_id: int | None = None) -> Change:
    """Plan what an operation changes.

    Args:
        app: the app.
        operation: what is to be done.
        action_id: for APPROVE, the only proposal that may be approved; None for any.

    Raises:
        OperationRefusedError: it would have no effect.
    """
    if operation in {Operation.PAUSE, Operation.UNPAUSE}:
        return _plan_pause(app, pause=operation is Operation.PAUSE)
    if operation is Operation.APPROVE:
        action = _require_proposal(app, action_id)
        effect = (
            f"approved {action.remediation} (id {action.id}) for {action.diagnosis}; "
            "the operator carries it out if nothing has changed meanwhile"
        )
        return Change(_annotate(app, names.ANNOTATION_APPROVE, str(action.id)), effect)
    record = _require_healing(app)
    if operation is Operation.RETRY and record.failed_revision is None:
        raise OperationRefusedError(
            f"{app.key.name} is not rolled back, so there is no revision to try again; "
            "to end a quarantine or a cooldown: kubectl selfheal resume"
        )
    value = _new_resume_value(app.read_at, record)
    return Change(
        _annotate(app, names.ANNOTATION_RESUME, value), _describe_resume(record, operation)
    )


def find_proposal(app: AppModel) -> HealingAction | None:
    """Return the action that waits for approval; None if there is none."""
    history = app.healing.history if app.healing is not None else ()
    return next((each for each in history if each.outcome is ActionOutcome.PROPOSED), None)


def _require_proposal(app: AppModel, action_id: int | None) -> HealingAction:
    proposal = find_proposal(app)
    if proposal is None:
        mode = app.healing.mode if app.healing is not None else "Off"
        raise OperationRefusedError(
            f"nothing of {app.key.name} waits for approval (healing mode {mode}); "
            "what is done and why: kubectl selfheal explain"
        )
    if action_id is not None and proposal.id != action_id:
        raise OperationRefusedError(
            f"the action {action_id} does not wait for approval any more; now it is "
            f"{proposal.remediation} (id {proposal.id}) for {proposal.diagnosis}"
        )
    return proposal


def _require_healing(app: AppModel) -> HealingStatus:
    if app.healing is None:
        raise OperationRefusedError(
            f"{app.key.name} has no healing: it is a Job, or the operator has not looked at it yet"
        )
    return app.healing


def _new_resume_value(now: datetime, record: HealingStatus) -> str:
    """Return a value that the operator has not acted on: seconds since 1970, as in the docs."""
    value = int(now.timestamp())
    return str(value + 1 if str(value) == record.observed_resume else value)


def _describe_resume(record: HealingStatus, operation: Operation) -> str:
    parts = []
    if record.failed_revision is not None:
        parts.append("the revision that was rolled back is tried again")
    if record.quarantined:
        parts.append("the quarantine ends")
    parts += ["the budget is whole again", "the cooldown ends"]
    word = "retry" if operation is Operation.RETRY else "resumed"
    return f"{word}: {', '.join(parts)}"


def _plan_pause(app: AppModel, *, pause: bool) -> Change:
    if app.paused == pause:
        state = "paused already" if pause else "not paused"
        return Change({}, f"{app.key.name} is {state}; nothing was changed")
    if pause:
        effect = (
            "paused: the operator changes nothing of it and heals nothing until "
            "kubectl selfheal unpause; if Git or Helm owns the spec, pause it there"
        )
        return Change(_patch(app, spec={"paused": True}), effect)
    return Change(_patch(app, spec={"paused": None}), "unpaused: the operator goes on")


def _annotate(app: AppModel, annotation: str, value: str) -> Json:
    return _patch(app, metadata={"annotations": {annotation: value}})


def _patch(app: AppModel, metadata: Json | None = None, spec: Json | None = None) -> Json:
    """Return a patch that the API server refuses if the app has changed since it was read."""
    version = {"resourceVersion": app.resource_version}
    return {"metadata": {**version, **(metadata or {})}, **({"spec": spec} if spec else {})}
