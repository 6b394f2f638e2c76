"""How healing shows: what it makes of the phase, and the Events that tell its story."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Final, Literal

from selfhealing.api import names
from selfhealing.api.healing_status import (
    ActionOutcome,
    HealingAction,
    HealingStatus,
    Hold,
    Remedy,
)
from selfhealing.api.status import Phase, RestartsStatus
from selfhealing.cache.views import AppKey
from selfhealing.health.pod_diagnosis import WARNINGS
from selfhealing.remediation import history as ledger
from selfhealing.remediation.policy import OFF
from selfhealing.status.event import Notice
from selfhealing.status.phase import ROLLED_BACK, Verdict
from selfhealing.status.sentences import clauses

_KEPT: Final = frozenset({Phase.PAUSED, Phase.INVALID, Phase.COMPLETED})
"""Phases that healing has no say in."""

_WORTH_TELLING: Final = frozenset({Hold.STORM, Hold.NODES_LOST, Hold.STALE_FACTS})
"""Reasons to wait that are outside the app: whoever looks at it alone cannot see them."""

_HOLDS: Final[dict[Hold, str]] = {
    Hold.STORM: "many apps are ill at once, so none is touched: look for what they share",
    Hold.NODES_LOST: "many nodes are silent at once, or they cannot be counted: none is given up",
    Hold.STALE_FACTS: "what is known of the app is behind: nothing is done until it is not",
}

_Type = Literal["Normal", "Warning"]

_OUTCOMES: Final[dict[ActionOutcome, tuple[_Type, str]]] = {
    ActionOutcome.HELPED: ("Normal", "helped"),
    ActionOutcome.NO_HELP: ("Warning", "did not help in time"),
    ActionOutcome.OVERTAKEN: ("Normal", "was overtaken by a change of the app"),
    ActionOutcome.EXPIRED: ("Normal", "is no longer proposed"),
}


def overlaid(key: AppKey, verdict: Verdict, record: HealingStatus | None) -> Verdict:
    """The verdict on an app, with what healing makes of it."""
    if record is None or verdict.phase in _KEPT:
        return verdict
    if record.failed_template is not None:
        message = clauses(
            f"runs version {record.good_template} ({record.good_image}), because "
            f"{record.failed_template} failed; it is tried again when the spec changes",
            verdict.message,
        )
        # What the spec asks for is not there, however well the other version is.
        verdict = Verdict(Phase.DEGRADED, ROLLED_BACK, message)
    if verdict.complete:
        message = clauses(verdict.message, _left_open(key, record))
        return replace(verdict, message=message)
    if record.quarantined:
        return replace(
            verdict, phase=Phase.QUARANTINED, message=clauses(_left(key, record), verdict.message)
        )
    action = ledger.running(record)
    # What is done because of a warning is done while the app is well.
    if action is not None and action.diagnosis not in WARNINGS:
        doing = f"healing: {action.message}"
        return replace(verdict, phase=Phase.HEALING, message=clauses(doing, verdict.message))
    return replace(verdict, message=clauses(verdict.message, _left_open(key, record)))


def _left_open(key: AppKey, record: HealingStatus) -> str:
    """What waits for people although nothing else tells of it."""
    if record.quarantined:
        return f"not healed until it was well for a whole window, or at once: {_resume(key)}"
    action = ledger.proposed(record)
    if action is None:
        return ""
    how = _annotate(key, f"{names.ANNOTATION_APPROVE}={action.id}")
    return f"{action.remedy} waits for approval: {how}"


def _resume(key: AppKey) -> str:
    return _annotate(key, f"{names.ANNOTATION_RESUME}=$(date +%s)")


def last_heal(counted: RestartsStatus, record: HealingStatus | None) -> datetime | None:
    """When something was last healed: a container restarted, or an action taken.

    What was only proposed or noted, and leaving an app to people, heals nothing.
    """
    last = counted.last.at if counted.last else None
    history = record.history if record else ()
    taken = (action.at for action in history if action.outcome in ledger.COUNTED)
    return max((moment for moment in (last, *taken) if moment is not None), default=None)


def _annotate(key: AppKey, annotation: str) -> str:
    return f"kubectl -n {key.namespace} annotate --overwrite sha {key.name} {annotation}"


def _left(key: AppKey, record: HealingStatus) -> str:
    kept = record.quarantine
    told = next((a.message for a in record.history if a.remedy is Remedy.QUARANTINE), "")
    pod = f"pod {kept.pod} is kept to be looked at until {kept.until:%H:%M:%S} UTC" if kept else ""
    return clauses(f"left to people, {told}", pod, f"heal again: {_resume(key)}")


def story(
    key: AppKey, before: HealingStatus | None, after: HealingStatus | None
) -> Iterator[Notice]:
    """The Events that lead from one record to the next."""
    return (notice.cut() for notice in _story(key, before, after))


def _story(
    key: AppKey, before: HealingStatus | None, after: HealingStatus | None
) -> Iterator[Notice]:
    if after is None:
        return
    known = {action.id: action for action in before.history} if before else {}
    ailed = {found.type for found in before.diagnoses} if before and before.mode != OFF else set()
    # With healing off the phase tells what ails the app: there is nothing to add.
    for found in after.diagnoses if after.mode != OFF else ():
        if found.type not in ailed:
            blame = f"cause: {found.cause}, confidence: {found.confidence}"
            yield Notice("Warning", found.type, f"{found.message} ({blame})")
    for action in reversed(after.history):
        was = known.get(action.id)
        if was is None or was.outcome is not action.outcome:
            yield _told(key, action)
    if after.hold in _WORTH_TELLING and (before is None or before.hold is not after.hold):
        yield Notice("Warning", f"Held{after.hold}", _HOLDS[after.hold])
    if before is not None:
        yield from _ends(before, after)


def _ends(before: HealingStatus, after: HealingStatus) -> Iterator[Notice]:
    if before.quarantined and not after.quarantined and after.mode != OFF:
        yield Notice("Normal", "HealingResumed", "the app is healed again, with a fresh start")
    if before.fallback_replicas is not None and after.fallback_replicas is None:
        message = "the autoscaler has metrics again: it alone decides on the number of pods"
        yield Notice("Normal", "ScalingFallbackEnded", message)
    if after.good_template not in {None, before.good_template}:
        message = f"version {after.good_template} ({after.good_image}) is one to go back to"
        yield Notice("Normal", "VersionProven", message)


def _told(key: AppKey, action: HealingAction) -> Notice:
    text = action.message
    if action.remedy is Remedy.QUARANTINE:
        return Notice("Warning", "Quarantined", f"left to people: {text}")
    if action.outcome is ActionOutcome.STARTED:
        return Notice("Warning", f"Healing{action.remedy}", text)
    if action.outcome is ActionOutcome.OBSERVED:
        return Notice("Normal", "WouldHeal", f"mode Observe, else {action.remedy}: {text}")
    if action.outcome is ActionOutcome.PROPOSED:
        how = _annotate(key, f"{names.ANNOTATION_APPROVE}={action.id}")
        return Notice("Warning", "ApprovalNeeded", f"{action.remedy}: {text}; approve: {how}")
    kind, what = _OUTCOMES[action.outcome]
    return Notice(kind, f"Healing{action.outcome}", f"{action.remedy} {what}: {text}")
