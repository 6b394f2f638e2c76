"""How a decision is written down: started, noted only, proposed, or left to people."""

from dataclasses import replace
from typing import Final

from selfhealing.api.healing_status import (
    ActionOutcome,
    HealingAction,
    HealingStatus,
    Hold,
    QuarantineStatus,
    Remedy,
)
from selfhealing.api.scalars import TEXT_LIMIT
from selfhealing.cache.views import PodView
from selfhealing.health.pod_diagnosis import WARNINGS, IllnessType
from selfhealing.remediation import history, policy as modes
from selfhealing.remediation.strategies import Bedside, Proposal, in_template

SELF_HARM: Final = frozenset(
    {
        IllnessType.CRASH_LOOPING,
        IllnessType.LIVENESS_KILLED,
        IllnessType.OOM_KILLED,
        IllnessType.NOT_READY_TOO_LONG,
    }
)
"""Illnesses of pods that run: one of these pods is worth to be kept and looked at."""


def started(bedside: Bedside, found: Proposal) -> HealingStatus:
    """Start an action: it is carried out once this record is stored."""
    record = history.added(bedside.record, _action(bedside, found, ActionOutcome.STARTED))
    return _in_force(record, bedside, found)


def _in_force(record: HealingStatus, bedside: Bedside, found: Proposal) -> HealingStatus:
    """The record with what stands in place of the spec from now on."""
    # An app that was only warned of something is well, and goes on proving itself.
    fields: dict[str, object] = {} if found.illness.type in WARNINGS else {"well_since": None}
    if found.remedy is Remedy.ROLLBACK:
        fields["failed_template"] = bedside.case.version
        # More memory was for the version that goes.
        fields |= {"memory_limit": None, "memory_in_template": False}
    elif found.remedy is Remedy.RAISE_MEMORY:
        fields["memory_limit"] = found.target
        fields["memory_in_template"] = in_template(bedside, found.illness)
    elif found.remedy is Remedy.RELOCATE:
        fields["avoided_node"] = found.target
    elif found.remedy is Remedy.SCALING_FALLBACK:
        fields["fallback_replicas"] = int(found.target)
    return record.model_copy(update=fields)


def _action(bedside: Bedside, found: Proposal, outcome: ActionOutcome) -> HealingAction:
    return HealingAction(
        id=bedside.record.next_id,
        remedy=found.remedy,
        diagnosis=found.illness.type,
        target=found.target,
        uid=found.uid,
        outcome=outcome,
        at=bedside.now,
        message=found.message[:TEXT_LIMIT],
    )


def observed(bedside: Bedside, found: Proposal) -> HealingStatus:
    """Note what would have been done, once in a window."""
    if _noted(bedside, found, ActionOutcome.OBSERVED):
        return bedside.record
    return history.added(bedside.record, _action(bedside, found, ActionOutcome.OBSERVED))


def _noted(bedside: Bedside, found: Proposal, outcome: ActionOutcome) -> bool:
    """Whether the same has been noted of this version within the window.

    A proposal that fell before its time was up, because it was overtaken by events, is none that
    nobody wanted.
    """
    since, stands = bedside.record.template_since, bedside.policy.approval
    return any(
        (action.outcome, action.remedy, action.diagnosis)
        == (outcome, found.remedy, found.illness.type)
        and (since is None or action.at >= since)
        and (action.ended_at is None or action.ended_at >= action.at + stands)
        for action in history.lately(bedside.record, bedside.policy, bedside.now)
    )


def asked(bedside: Bedside, found: Proposal) -> tuple[HealingStatus, Hold | None]:
    """Propose an action, or start the one that was approved."""
    record, case = bedside.record, bedside.case
    waiting = history.proposed(record)
    if waiting is None:
        return _proposed(bedside, found), Hold.APPROVAL
    is_approved = case.approve == str(waiting.id)
    is_moot = bool(waiting.uid) and waiting.uid not in case.uids
    asked_for = (waiting.remedy, waiting.diagnosis, waiting.target, waiting.uid)
    is_other = asked_for != (found.remedy, found.illness.type, found.target, found.uid)
    if is_moot or (is_approved and is_other):
        # What was read and is approved of is not what would be done now.
        fields = {"outcome": ActionOutcome.EXPIRED, "ended_at": bedside.now}
        anew = replace(bedside, record=history.changed(record, waiting, **fields))
        return _proposed(anew, found), Hold.APPROVAL
    if not is_approved:
        return record, Hold.APPROVAL
    fields = {"outcome": ActionOutcome.STARTED, "at": bedside.now}
    return _in_force(history.changed(record, waiting, **fields), bedside, found), None


def _proposed(bedside: Bedside, found: Proposal) -> HealingStatus:
    """Propose an action, unless the same was proposed in vain within the window."""
    if _noted(bedside, found, ActionOutcome.EXPIRED):
        return bedside.record
    record = bedside.record
    if bedside.case.approve == str(record.next_id):
        # Somebody approved of this number before it was proposed: of what, nobody knows.
        record = record.model_copy(update={"next_id": record.next_id + 1})
    bedside = replace(bedside, record=record)
    return history.added(record, _action(bedside, found, ActionOutcome.PROPOSED))


def left(bedside: Bedside, why: str) -> HealingStatus:
    """Leave the app to people; one of its failing pods is kept while others serve."""
    record, now = bedside.record, bedside.now
    worst = bedside.case.illnesses[0]
    kept = _specimen(bedside)
    action = HealingAction(
        id=record.next_id,
        remedy=Remedy.QUARANTINE,
        diagnosis=worst.type,
        target=kept.name if kept else "",
        uid=kept.uid if kept else "",
        outcome=ActionOutcome.DONE,
        at=now,
        ended_at=now,
        message=f"{why}: {worst.message}"[:TEXT_LIMIT],
    )
    fields: dict[str, object] = {"quarantined": True}
    if kept:
        until = now + bedside.policy.keep
        fields["quarantine"] = QuarantineStatus(pod=kept.name, uid=kept.uid, until=until)
    return history.added(record, action).model_copy(update=fields)


def _specimen(bedside: Bedside) -> PodView | None:
    """The failing pod that is kept: only while others serve, and not where people are asked.

    One at a time: while a pod is kept from before, no other is.
    """
    case, policy = bedside.case, bedside.policy
    if not policy.isolate or not case.ready or policy.mode == modes.APPROVE:
        return None
    if bedside.record.quarantine is not None:
        return None
    failing = (
        pod
        for illness in case.illnesses
        if illness.type in SELF_HARM
        for pod in illness.pods
        if not pod.ready and pod.uid in case.uids
    )
    return next(failing, None)
