"""How a decision is written down: started, noted only, proposed, or left to people."""

from typing import Final

from selfhealing.api.healing_status import (
    ActionOutcome,
    HealingAction,
    HealingStatus,
    Hold,
    QuarantineStatus,
    Remedy,
)
from selfhealing.heal import ledger, policy as modes
from selfhealing.heal.remedies import Bedside, Proposal, in_template
from selfhealing.heal.symptoms import WARNINGS, IllnessType
from selfhealing.observe.views import PodView

TEXT_LIMIT: Final = 1024

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
    record = ledger.added(bedside.record, _action(bedside, found, ActionOutcome.STARTED))
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


def observed(bedside: Bedside, found: Proposal | None) -> HealingStatus:
    """Note what would have been done, once in a window."""
    if found is None or _noted(bedside, found, ActionOutcome.OBSERVED):
        return bedside.record
    return ledger.added(bedside.record, _action(bedside, found, ActionOutcome.OBSERVED))


def _noted(bedside: Bedside, found: Proposal, outcome: ActionOutcome) -> bool:
    """Whether the same has been noted of this version within the window."""
    since = bedside.record.template_since
    return any(
        (action.outcome, action.remedy, action.diagnosis)
        == (outcome, found.remedy, found.illness.type)
        and (since is None or action.at >= since)
        for action in ledger.lately(bedside.record, bedside.policy, bedside.now)
    )


def asked(bedside: Bedside, found: Proposal) -> tuple[HealingStatus, Hold | None]:
    """Propose an action, or start the one that was approved."""
    record, case = bedside.record, bedside.case
    waiting = ledger.proposed(record)
    if waiting is None:
        if _noted(bedside, found, ActionOutcome.EXPIRED):
            return record, Hold.APPROVAL
        action = _action(bedside, found, ActionOutcome.PROPOSED)
        return ledger.added(record, action), Hold.APPROVAL
    if case.approve != str(waiting.id):
        return record, Hold.APPROVAL
    if (waiting.remedy, waiting.diagnosis) != (found.remedy, found.illness.type):
        fields = {"outcome": ActionOutcome.EXPIRED, "ended_at": bedside.now}
        return ledger.changed(record, waiting, **fields), Hold.APPROVAL
    fields = {
        "outcome": ActionOutcome.STARTED,
        "at": bedside.now,
        "target": found.target,
        "uid": found.uid,
    }
    return _in_force(ledger.changed(record, waiting, **fields), bedside, found), None


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
    return ledger.added(record, action).model_copy(update=fields)


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
