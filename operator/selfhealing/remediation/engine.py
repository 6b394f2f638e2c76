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
    BlockedReason,
    DiagnosisStatus,
    HealingAction,
    HealingStatus,
    Remediation,
)
from selfhealing.api.scalars import TEXT_LIMIT
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.pod_diagnosis import NEVER_QUARANTINED, WARNINGS, DiagnosisType
from selfhealing.remediation import history, policy as modes, transitions
from selfhealing.remediation.context import RemediationContext
from selfhealing.remediation.policy import Policy
from selfhealing.remediation.strategies import (
    DecisionInput,
    ProposedAction,
    choose_action,
    is_exhausted,
)


def decide(
    record: HealingStatus, context: RemediationContext, policy: Policy, deadlines: Deadlines
) -> HealingStatus:
    """Say what is to be remembered and, with that, what is to be done."""
    now = deadlines.now
    record = history.rebase_clock(_record_evidence(record, context), now)
    record = _reset_on_new_revision_or_resume(record, context, now)
    record = _release_quarantined_pod(record, context, deadlines)
    if policy.mode == modes.OFF:
        record = _clear_overrides(_supersede_pending(record, now))
        return _refresh_display(record, context, policy, deadlines, None)
    record = _evaluate_running(record, context, policy, deadlines)
    record = _expire_overrides(record, context, policy, deadlines)
    record = _promote_to_stable(record, context, policy, deadlines)
    blocked_reason: BlockedReason | None = None
    if context.diagnoses and not context.scaled_to_zero:
        record, blocked_reason = _remediate(DecisionInput(record, context, policy, deadlines))
    return _refresh_display(record, context, policy, deadlines, blocked_reason)


def new_record() -> HealingStatus:
    """The record of an app about which nothing is remembered."""
    return HealingStatus(mode=modes.OFF, budget_left=0)


def _record_evidence(record: HealingStatus, context: RemediationContext) -> HealingStatus:
    """The record with the places of the evidence that was taken."""
    for action in record.history:
        evidence_key = context.external.evidence_keys.get(action.id)
        if evidence_key is not None and action.evidence is None:
            record = history.update_action(record, action, evidence=evidence_key)
    return record


def _reset_on_new_revision_or_resume(
    record: HealingStatus, context: RemediationContext, now: datetime
) -> HealingStatus:
    if record.desired_revision != context.desired_revision:
        record = _clear_overrides(_supersede_pending(record, now)).model_copy(
            update={"desired_revision": context.desired_revision, "desired_since": now}
        )
    if context.resume and context.resume != record.observed_resume:
        reset_fields = {
            "observed_resume": context.resume,
            "budget_reset_time": now,
            "cooldown_until": None,
        }
        record = _clear_overrides(_supersede_pending(record, now)).model_copy(
            update={**reset_fields, **_overrides_kept_on_resume(record)}
        )
    return record


def _release_quarantined_pod(
    record: HealingStatus, context: RemediationContext, deadlines: Deadlines
) -> HealingStatus:
    """The record without a pod that was set apart, when its time is over and it is deleted."""
    quarantine = record.quarantine
    if (
        quarantine is not None
        and deadlines.reached(quarantine.until)
        and not context.external.isolated_pod_delete_pending
    ):
        record = record.model_copy(update={"quarantine": None})
    return record


def _clear_overrides(record: HealingStatus) -> HealingStatus:
    """The record without anything that stands in place of the spec; a pod set apart stays so."""
    return record.model_copy(
        update={
            "quarantined": False,
            "failed_revision": None,
            "memory_limit": None,
            "memory_in_template": False,
            "excluded_node": None,
            "fallback_replicas": None,
            "healthy_since": None,
        }
    )


def _overrides_kept_on_resume(record: HealingStatus) -> dict[str, object]:
    """What a resume does not take back: what this version was found to need.

    Of a version that was gone back to, it is not this one's.
    """
    if record.failed_revision is not None:
        return {}
    return {
        "memory_limit": record.memory_limit,
        "memory_in_template": record.memory_in_template,
        "excluded_node": record.excluded_node,
    }


def _supersede_pending(record: HealingStatus, now: datetime) -> HealingStatus:
    for action in (history.find_running(record), history.find_proposed(record)):
        if action is not None:
            was_running = action.outcome is ActionOutcome.IN_PROGRESS
            outcome = ActionOutcome.SUPERSEDED if was_running else ActionOutcome.EXPIRED
            record = history.update_action(record, action, outcome=outcome, ended_at=now)
    return record


def _evaluate_running(
    record: HealingStatus, context: RemediationContext, policy: Policy, deadlines: Deadlines
) -> HealingStatus:
    """What became of the action that was started."""
    action = history.find_running(record)
    if action is None:
        return record
    if action.remediation is Remediation.ROLLBACK and context.external.stable_revision_missing:
        return _finish_action(record, action, ActionOutcome.FAILED, policy, deadlines.now)
    if _has_succeeded(action, context):
        # Well at the last moment is well: it gets the time to prove it.
        if deadlines.reached(
            _succeeding_since(action, record, deadlines.now) + policy.min_healthy_time
        ):
            return _finish_action(record, action, ActionOutcome.SUCCEEDED, policy, deadlines.now)
        return record
    if deadlines.reached(action.at + policy.verification_timeout):
        return _finish_action(record, action, ActionOutcome.FAILED, policy, deadlines.now)
    return record


def _succeeding_since(action: HealingAction, record: HealingStatus, now: datetime) -> datetime:
    """Since when an action helps: what the record does not know of has only now begun."""
    if action.remediation is Remediation.SCALING_FALLBACK:
        return action.at
    return max(action.at, record.healthy_since or now)


def _has_succeeded(action: HealingAction, context: RemediationContext) -> bool:
    if action.remediation is Remediation.SCALING_FALLBACK:
        return context.wanted >= int(action.target)
    if action.remediation is Remediation.REPLACE_POD and action.uid in context.pod_uids:
        return False
    if action.diagnosis in WARNINGS and action.diagnosis in _diagnosis_types(context):
        return False
    return context.healthy


def _diagnosis_types(context: RemediationContext) -> set[str]:
    return {diagnosis.type for diagnosis in context.diagnoses}


def _finish_action(
    record: HealingStatus,
    action: HealingAction,
    outcome: ActionOutcome,
    policy: Policy,
    now: datetime,
) -> HealingStatus:
    record = history.update_action(record, action, outcome=outcome, ended_at=now)
    if action.remediation is Remediation.AVOID_NODE and outcome is ActionOutcome.FAILED:
        record = record.model_copy(update={"excluded_node": None})  # so it was not the node
    until = now + history.compute_cooldown(record, policy, now)
    return record.model_copy(update={"cooldown_until": until})


def _expire_overrides(
    record: HealingStatus, context: RemediationContext, policy: Policy, deadlines: Deadlines
) -> HealingStatus:
    """Take back what lasts only while there is a reason, and give up what waited for too long."""
    diagnosis_types = _diagnosis_types(context)
    has_no_metrics = DiagnosisType.METRICS_UNAVAILABLE in diagnosis_types
    if record.fallback_replicas and not (has_no_metrics and policy.fallback_replicas):
        record = record.model_copy(update={"fallback_replicas": None})
    if context.external.stable_revision_missing:
        record = record.model_copy(update={"failed_revision": None, "stable_revision": None})
    if record.excluded_node is not None and DiagnosisType.UNSCHEDULABLE in diagnosis_types:
        # A pod on a bad node is better than none.
        record = record.model_copy(update={"excluded_node": None})
    action = history.find_proposed(record)
    if action is not None:
        is_over = action.diagnosis not in diagnosis_types or policy.mode != modes.APPROVE
        if is_over or deadlines.reached(action.at + policy.approval_ttl):
            expired_fields = {"outcome": ActionOutcome.EXPIRED, "ended_at": deadlines.now}
            record = history.update_action(record, action, **expired_fields)
    return record


def _promote_to_stable(
    record: HealingStatus, context: RemediationContext, policy: Policy, deadlines: Deadlines
) -> HealingStatus:
    """Remember since when the app is well; a version that stays so is the one to go back to."""
    if not context.healthy:
        return record.model_copy(update={"healthy_since": None}) if record.healthy_since else record
    if record.healthy_since is None:
        record = record.model_copy(update={"healthy_since": deadlines.now})
    record = _reset_after_healthy_window(record, policy, deadlines)
    since = max(filter(None, (record.healthy_since, record.desired_since)))
    is_new = record.failed_revision is None and record.stable_revision != context.desired_revision
    if (
        is_new
        and not context.external.revision_not_saved
        and deadlines.reached(since + policy.probation)
    ):
        record = record.model_copy(
            update={"stable_revision": context.desired_revision, "stable_image": context.image}
        )
    return record


def _reset_after_healthy_window(
    record: HealingStatus, policy: Policy, deadlines: Deadlines
) -> HealingStatus:
    """An app that was well for a whole window begins a new story.

    What was in vain is forgotten, and an app that was left to people is healed again: what it
    needed, such as a database, is back. Nothing that was done before is in the window any more, so
    this costs no budget.
    """
    healthy_since = record.healthy_since
    has_failures = any(action.outcome is ActionOutcome.FAILED for action in record.history)
    if (
        healthy_since is None
        or not (has_failures or record.quarantined)
        or not deadlines.reached(healthy_since + policy.window)
    ):
        return record
    reset_time = max(healthy_since, record.budget_reset_time or healthy_since)
    return record.model_copy(update={"budget_reset_time": reset_time, "quarantined": False})


def _remediate(inputs: DecisionInput) -> tuple[HealingStatus, BlockedReason | None]:
    """Do the next thing for an app that is ill, or say why not.

    What lasts is said before what passes: that people hold it, and that nothing fits.
    """
    record = inputs.record
    if (blocked_reason := _lasting_blocked_reason(inputs)) is not None or history.find_running(
        record
    ) is not None:
        return record, blocked_reason or _temporary_blocked_reason(inputs)
    proposal = choose_action(inputs)
    is_observing = inputs.policy.mode == modes.OBSERVE
    is_out_of_options = (
        (proposal is None or _is_never_quarantined(proposal))
        and not is_observing
        and is_exhausted(inputs)
    )
    if proposal is None and not is_out_of_options:
        return record, BlockedReason.NO_REMEDIATION
    if (blocked_reason := _temporary_blocked_reason(inputs)) is not None:
        return record, blocked_reason
    if proposal is None or is_out_of_options:
        return transitions.quarantine_app(
            inputs, "what was tried has not helped"
        ), BlockedReason.QUARANTINED
    if is_observing:
        return transitions.record_dry_run(inputs, proposal), None
    return _start_within_budget(inputs, proposal)


def _is_never_quarantined(proposal: ProposedAction) -> bool:
    """Whether a remedy is for an app that serves all the same: it may as well be left undone."""
    return proposal.diagnosis.type in NEVER_QUARANTINED


def _lasting_blocked_reason(inputs: DecisionInput) -> BlockedReason | None:
    """What keeps anything from being done until people end it."""
    if inputs.record.quarantined:
        return BlockedReason.QUARANTINED
    return BlockedReason.ROLLOUT_PAUSED if inputs.context.rollout_paused else None


def _temporary_blocked_reason(inputs: DecisionInput) -> BlockedReason | None:
    """What keeps anything from being done now, and passes."""
    until = inputs.record.cooldown_until
    if inputs.context.external.blocked_reason is not None:
        return inputs.context.external.blocked_reason
    if until is not None and not inputs.deadlines.reached(until):
        return BlockedReason.COOLDOWN
    return None


def _start_within_budget(
    inputs: DecisionInput, proposal: ProposedAction
) -> tuple[HealingStatus, BlockedReason | None]:
    """Take a remedy, as far as the envelope lets it."""
    if proposal.remediation is Remediation.FAILOVER and inputs.context.external.too_many_nodes_lost:
        return inputs.record, BlockedReason.NODES_LOST
    if not history.budget_left(inputs.record, inputs.policy, inputs.now):
        if _is_never_quarantined(proposal):
            return inputs.record, BlockedReason.NO_REMEDIATION
        return transitions.quarantine_app(
            inputs, "the budget of actions is spent"
        ), BlockedReason.QUARANTINED
    if inputs.policy.mode == modes.APPROVE:
        return transitions.propose_or_start(inputs, proposal)
    return transitions.start_action(inputs, proposal), None


def _refresh_display(
    record: HealingStatus,
    context: RemediationContext,
    policy: Policy,
    deadlines: Deadlines,
    blocked_reason: BlockedReason | None,
) -> HealingStatus:
    """The record with what is only shown: what ails the app now, and what may still be done.

    The rest ends and the budget grows back by time alone: the alarm is to ring for that.
    """
    until = record.cooldown_until
    is_cooling_down = until is not None and not deadlines.reached(until)
    for action in history.find_recent(record, policy, deadlines.now):
        deadlines.reached(action.at + policy.window)
    # One entry a type: the list is a map by type in the resource.
    by_type = {diagnosis.type: diagnosis for diagnosis in reversed(context.diagnoses)}
    return record.model_copy(
        update={
            "mode": policy.mode,
            "budget_left": history.budget_left(record, policy, deadlines.now),
            "blocked_reason": blocked_reason,
            "cooldown_until": until if is_cooling_down else None,
            "diagnoses": [
                DiagnosisStatus(
                    type=diagnosis.type,
                    cause=diagnosis.cause,
                    confidence=diagnosis.confidence,
                    pods=len(diagnosis.pods),
                    message=diagnosis.message[:TEXT_LIMIT],
                )
                for diagnosis in list(reversed(by_type.values()))[:MAX_DIAGNOSES]
            ],
        }
    )
