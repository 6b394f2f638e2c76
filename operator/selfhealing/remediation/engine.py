"""The one decision: what is done about an app now, inside the safety envelope.

``decide`` takes the record that the status holds, what is the case, the limits and the time, and
returns the record that is to be written. It carries nothing out: what a record says is Started is
carried out once it is stored (``heal.plan``). The order of the ladder:

1. A version that is new, or a resume by somebody, begins a new story.
2. What was started is judged: did it help within its window? Until then nothing else is done.
3. What lasts only while its illness does is taken back.
4. An app that is well rests, and a version that stays well becomes the one to go back to.
5. An app that is ill gets the first remedy that fits, if nothing holds it back: mode, situation,
   cooldown, budget, approval.
6. When the budget is spent, or what was tried has not helped, it is left to people.
"""

from datetime import datetime

from selfhealing.api.healing_status import (
    MAX_DIAGNOSES,
    ActionOutcome,
    DiagnosisStatus,
    HealingAction,
    HealingStatus,
    Hold,
    Remedy,
)
from selfhealing.api.scalars import TEXT_LIMIT
from selfhealing.health.deadlines import Alarm
from selfhealing.health.pod_diagnosis import SPARED, WARNINGS, IllnessType
from selfhealing.remediation import history, policy as modes, transitions
from selfhealing.remediation.context import Case
from selfhealing.remediation.policy import Policy
from selfhealing.remediation.strategies import Bedside, Proposal, choose, exhausted


def decide(record: HealingStatus, case: Case, policy: Policy, alarm: Alarm) -> HealingStatus:
    """Say what is to be remembered and, with that, what is to be done."""
    now = alarm.now
    record = history.in_time(_witnessed(record, case), now)
    record = _begun_anew(record, case, now)
    record = _released(record, case, alarm)
    if policy.mode == modes.OFF:
        record = _cleared(_overtaken(record, now))
        return _shown(record, case, policy, alarm, None)
    record = _judged(record, case, policy, alarm)
    record = _taken_back(record, case, policy, alarm)
    record = _proven(record, case, policy, alarm)
    hold: Hold | None = None
    if case.illnesses and not case.idle:
        record, hold = _treated(Bedside(record, case, policy, alarm))
    return _shown(record, case, policy, alarm, hold)


def fresh() -> HealingStatus:
    """The record of an app about which nothing is remembered."""
    return HealingStatus(mode=modes.OFF, budget_left=0)


def _witnessed(record: HealingStatus, case: Case) -> HealingStatus:
    """The record with the places of the evidence that was taken."""
    for action in record.history:
        place = case.situation.evidence.get(action.id)
        if place is not None and action.evidence is None:
            record = history.changed(record, action, evidence=place)
    return record


def _begun_anew(record: HealingStatus, case: Case, now: datetime) -> HealingStatus:
    if record.template != case.version:
        record = _cleared(_overtaken(record, now)).model_copy(
            update={"template": case.version, "template_since": now}
        )
    if case.resume and case.resume != record.resumed:
        anew = {"resumed": case.resume, "budget_from": now, "cooldown_until": None}
        record = _cleared(_overtaken(record, now)).model_copy(update={**anew, **_lasting(record)})
    return record


def _released(record: HealingStatus, case: Case, alarm: Alarm) -> HealingStatus:
    """The record without a pod that was set apart, when its time is over and it is deleted."""
    kept = record.quarantine
    if kept is not None and alarm.passed(kept.until) and not case.situation.specimen_left:
        record = record.model_copy(update={"quarantine": None})
    return record


def _cleared(record: HealingStatus) -> HealingStatus:
    """The record without anything that stands in place of the spec; a pod set apart stays so."""
    return record.model_copy(
        update={
            "quarantined": False,
            "failed_template": None,
            "memory_limit": None,
            "memory_in_template": False,
            "avoided_node": None,
            "fallback_replicas": None,
            "well_since": None,
        }
    )


def _lasting(record: HealingStatus) -> dict[str, object]:
    """What a resume does not take back: what this version was found to need.

    Of a version that was gone back to, it is not this one's.
    """
    if record.failed_template is not None:
        return {}
    return {
        "memory_limit": record.memory_limit,
        "memory_in_template": record.memory_in_template,
        "avoided_node": record.avoided_node,
    }


def _overtaken(record: HealingStatus, now: datetime) -> HealingStatus:
    for action in (history.running(record), history.proposed(record)):
        if action is not None:
            was_started = action.outcome is ActionOutcome.STARTED
            outcome = ActionOutcome.OVERTAKEN if was_started else ActionOutcome.EXPIRED
            record = history.changed(record, action, outcome=outcome, ended_at=now)
    return record


def _judged(record: HealingStatus, case: Case, policy: Policy, alarm: Alarm) -> HealingStatus:
    """What became of the action that was started."""
    action = history.running(record)
    if action is None:
        return record
    if action.remedy is Remedy.ROLLBACK and case.situation.good_lost:
        return _ended(record, action, ActionOutcome.NO_HELP, policy, alarm.now)
    if _has_helped(action, case):
        # Well at the last moment is well: it gets the time to prove it.
        if alarm.passed(_since(action, record, alarm.now) + policy.proof):
            return _ended(record, action, ActionOutcome.HELPED, policy, alarm.now)
        return record
    if alarm.passed(action.at + policy.verify):
        return _ended(record, action, ActionOutcome.NO_HELP, policy, alarm.now)
    return record


def _since(action: HealingAction, record: HealingStatus, now: datetime) -> datetime:
    """Since when an action helps: what the record does not know of has only now begun."""
    if action.remedy is Remedy.SCALING_FALLBACK:
        return action.at
    return max(action.at, record.well_since or now)


def _has_helped(action: HealingAction, case: Case) -> bool:
    if action.remedy is Remedy.SCALING_FALLBACK:
        return case.wanted >= int(action.target)
    if action.remedy is Remedy.RECYCLE and action.uid in case.uids:
        return False
    if action.diagnosis in WARNINGS and action.diagnosis in _ill(case):
        return False
    return case.well


def _ill(case: Case) -> set[str]:
    return {illness.type for illness in case.illnesses}


def _ended(
    record: HealingStatus,
    action: HealingAction,
    outcome: ActionOutcome,
    policy: Policy,
    now: datetime,
) -> HealingStatus:
    record = history.changed(record, action, outcome=outcome, ended_at=now)
    if action.remedy is Remedy.RELOCATE and outcome is ActionOutcome.NO_HELP:
        record = record.model_copy(update={"avoided_node": None})  # so it was not the node
    until = now + history.rest(record, policy, now)
    return record.model_copy(update={"cooldown_until": until})


def _taken_back(record: HealingStatus, case: Case, policy: Policy, alarm: Alarm) -> HealingStatus:
    """Take back what lasts only while there is a reason, and give up what waited for too long."""
    ill = _ill(case)
    is_blind = IllnessType.METRICS_UNAVAILABLE in ill
    if record.fallback_replicas and not (is_blind and policy.fallback_replicas):
        record = record.model_copy(update={"fallback_replicas": None})
    if case.situation.good_lost:
        record = record.model_copy(update={"failed_template": None, "good_template": None})
    if record.avoided_node is not None and IllnessType.UNSCHEDULABLE in ill:
        # A pod on a bad node is better than none.
        record = record.model_copy(update={"avoided_node": None})
    action = history.proposed(record)
    if action is not None:
        is_over = action.diagnosis not in ill or policy.mode != modes.APPROVE
        if is_over or alarm.passed(action.at + policy.approval):
            fields = {"outcome": ActionOutcome.EXPIRED, "ended_at": alarm.now}
            record = history.changed(record, action, **fields)
    return record


def _proven(record: HealingStatus, case: Case, policy: Policy, alarm: Alarm) -> HealingStatus:
    """Remember since when the app is well; a version that stays so is the one to go back to."""
    if not case.well:
        return record.model_copy(update={"well_since": None}) if record.well_since else record
    if record.well_since is None:
        record = record.model_copy(update={"well_since": alarm.now})
    record = _forgotten(record, policy, alarm)
    since = max(filter(None, (record.well_since, record.template_since)))
    is_new = record.failed_template is None and record.good_template != case.version
    if is_new and not case.situation.unkept and alarm.passed(since + policy.probation):
        record = record.model_copy(update={"good_template": case.version, "good_image": case.image})
    return record


def _forgotten(record: HealingStatus, policy: Policy, alarm: Alarm) -> HealingStatus:
    """An app that was well for a whole window begins a new story.

    What was in vain is forgotten, and an app that was left to people is healed again: what it
    needed, such as a database, is back. Nothing that was done before is in the window any more, so
    this costs no budget.
    """
    well = record.well_since
    vain = any(action.outcome is ActionOutcome.NO_HELP for action in record.history)
    if well is None or not (vain or record.quarantined) or not alarm.passed(well + policy.window):
        return record
    begun = max(well, record.budget_from or well)
    return record.model_copy(update={"budget_from": begun, "quarantined": False})


def _treated(bedside: Bedside) -> tuple[HealingStatus, Hold | None]:
    """Do the next thing for an app that is ill, or say why not.

    What lasts is said before what passes: that people hold it, and that nothing fits.
    """
    record = bedside.record
    if (hold := _held(bedside)) is not None or history.running(record) is not None:
        return record, hold or _deferred(bedside)
    found = choose(bedside)
    observes = bedside.policy.mode == modes.OBSERVE
    in_vain = (found is None or _is_spared(found)) and not observes and exhausted(bedside)
    if found is None and not in_vain:
        return record, Hold.NO_REMEDY
    if (hold := _deferred(bedside)) is not None:
        return record, hold
    if found is None or in_vain:
        return transitions.left(bedside, "what was tried has not helped"), Hold.QUARANTINED
    if observes:
        return transitions.observed(bedside, found), None
    return _taken(bedside, found)


def _is_spared(found: Proposal) -> bool:
    """Whether a remedy is for an app that serves all the same: it may as well be left undone."""
    return found.illness.type in SPARED


def _held(bedside: Bedside) -> Hold | None:
    """What keeps anything from being done until people end it."""
    if bedside.record.quarantined:
        return Hold.QUARANTINED
    return Hold.ROLLOUT_PAUSED if bedside.case.held else None


def _deferred(bedside: Bedside) -> Hold | None:
    """What keeps anything from being done now, and passes."""
    until = bedside.record.cooldown_until
    if bedside.case.situation.hold is not None:
        return bedside.case.situation.hold
    if until is not None and not bedside.alarm.passed(until):
        return Hold.COOLDOWN
    return None


def _taken(bedside: Bedside, found: Proposal) -> tuple[HealingStatus, Hold | None]:
    """Take a remedy, as far as the envelope lets it."""
    if found.remedy is Remedy.FAILOVER and bedside.case.situation.nodes_lost:
        return bedside.record, Hold.NODES_LOST
    if not history.budget_left(bedside.record, bedside.policy, bedside.now):
        if _is_spared(found):
            return bedside.record, Hold.NO_REMEDY
        return transitions.left(bedside, "the budget of actions is spent"), Hold.QUARANTINED
    if bedside.policy.mode == modes.APPROVE:
        return transitions.asked(bedside, found)
    return transitions.started(bedside, found), None


def _shown(
    record: HealingStatus, case: Case, policy: Policy, alarm: Alarm, hold: Hold | None
) -> HealingStatus:
    """The record with what is only shown: what ails the app now, and what may still be done.

    The rest ends and the budget grows back by time alone: the alarm is to ring for that.
    """
    until = record.cooldown_until
    cooling = until is not None and not alarm.passed(until)
    for action in history.lately(record, policy, alarm.now):
        alarm.passed(action.at + policy.window)
    # One entry a type: the list is a map by type in the resource.
    ill = {illness.type: illness for illness in reversed(case.illnesses)}
    return record.model_copy(
        update={
            "mode": policy.mode,
            "budget_left": history.budget_left(record, policy, alarm.now),
            "hold": hold,
            "cooldown_until": until if cooling else None,
            "diagnoses": [
                DiagnosisStatus(
                    type=illness.type,
                    cause=illness.cause,
                    confidence=illness.confidence,
                    pods=len(illness.pods),
                    message=illness.message[:TEXT_LIMIT],
                )
                for illness in list(reversed(ill.values()))[:MAX_DIAGNOSES]
            ],
        }
    )
