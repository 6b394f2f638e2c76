"""Decides what is done about an app now, within the limits of its policy.

``decide`` takes the stored record (status.healing), the context, the policy and the time, and
returns the record to be stored. It has no side effects: an action with the outcome InProgress is
executed once the record is stored (``remediation.steps``). The order of the steps:

1. A new revision, or a resume, supersedes the running action and clears the overrides.
2. The running action is evaluated: it succeeds or fails within the verification timeout. Until
   then no other action starts.
3. Overrides whose reason is gone are cleared, and proposals that are too old expire.
4. A revision that stays healthy for the probation becomes the stable revision.
5. An unhealthy app gets the first remediation that fits, unless something blocks it: the mode, the
   state outside the app, the cooldown, the budget, or a missing approval.
6. If the budget is spent, or no further remediation fits, the app is quarantined.
"""

from datetime import datetime

from selfhealing.api.healing_status import (
    COMPARISON_LIMIT,
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
from selfhealing.remediation import history, transitions
from selfhealing.remediation.context import RemediationContext
from selfhealing.remediation.policy import HealingMode, Policy
from selfhealing.remediation.strategies import (
    UNLIMITED_REMEDIATIONS,
    DecisionInput,
    ProposedAction,
    choose_action,
    is_exhausted,
)


def decide(
    record: HealingStatus, context: RemediationContext, policy: Policy, deadlines: Deadlines
) -> HealingStatus:
    """Return the record to be stored, which also says what is to be executed.

    Args:
        record: the stored record.
        context: the diagnoses and the state of the app.
        policy: the limits of spec.healing.
        deadlines: the time of this decision; collects when the next one is due.
    """
    now = deadlines.now
    record = history.rebase_clock(_record_evidence(record, context), now)
    record = _drop_foreign_pods(record, context, now)
    record = _reset_on_new_revision_or_resume(record, context, now)
    record = _release_quarantined_pod(record, context, deadlines)
    if policy.mode == HealingMode.OFF:
        record = _clear_overrides(_supersede_pending(record, now))
        return _refresh_display(record, context, policy, deadlines, None)
    record = _evaluate_running(record, context, policy, deadlines)
    record = _expire_overrides(record, context, policy, deadlines)
    record = _promote_to_stable(record, context, policy, deadlines)
    blocked_reason: BlockedReason | None = None
    if context.diagnoses and not context.scaled_to_zero:
        record, blocked_reason = _remediate(DecisionInput(record, context, policy, deadlines))
    return _refresh_display(record, context, policy, deadlines, blocked_reason)


def _drop_foreign_pods(
    record: HealingStatus, context: RemediationContext, now: datetime
) -> HealingStatus:
    """Forget the pods of the record that are not the app's, and supersede an action on one."""
    foreign_uids = context.external.foreign_uids
    if record.quarantine is not None and record.quarantine.uid in foreign_uids:
        record = record.model_copy(update={"quarantine": None})
    action = history.find_running(record)
    if action is not None and action.uid in foreign_uids:
        fields = {"outcome": ActionOutcome.SUPERSEDED, "ended_at": now}
        record = history.update_action(record, action, **fields)
    return record


def _record_evidence(record: HealingStatus, context: RemediationContext) -> HealingStatus:
    """Add to each action the key of the evidence that was stored for it."""
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
    """Remove the isolated pod from the record once its TTL is over and the pod is deleted."""
    quarantine = record.quarantine
    if (
        quarantine is not None
        and deadlines.reached(quarantine.until)
        and not context.external.isolated_pod_delete_pending
    ):
        record = record.model_copy(update={"quarantine": None})
    return record


def _clear_overrides(record: HealingStatus) -> HealingStatus:
    """Remove all overrides of the spec and the quarantine of the app; an isolated pod stays."""
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
    """The overrides kept on a resume: the memory limit and the excluded node.

    After a rollback there are none: they belong to the stable revision, and the resume tries the
    desired revision again.
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
    """Set the outcome of the running action, if it has succeeded, failed or timed out."""
    action = history.find_running(record)
    if action is None:
        return record
    if action.remediation is Remediation.ROLLBACK and context.external.stable_revision_missing:
        return _finish_action(record, action, ActionOutcome.FAILED, policy, deadlines.now)
    if _has_succeeded(action, context):
        # An app that becomes healthy just before the timeout still gets min_healthy_time.
        if deadlines.reached(
            _succeeding_since(action, record, deadlines.now) + policy.min_healthy_time
        ):
            return _finish_action(record, action, ActionOutcome.SUCCEEDED, policy, deadlines.now)
        return record
    if deadlines.reached(action.at + policy.verification_timeout):
        return _finish_action(record, action, ActionOutcome.FAILED, policy, deadlines.now)
    return record


def _succeeding_since(action: HealingAction, record: HealingStatus, now: datetime) -> datetime:
    """Since when the app is healthy after the action; now if the record has no healthy_since."""
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
        record = record.model_copy(update={"excluded_node": None})  # the node is not the cause
    until = now + history.compute_cooldown(record, policy, now)
    return record.model_copy(update={"cooldown_until": until})


def _expire_overrides(
    record: HealingStatus, context: RemediationContext, policy: Policy, deadlines: Deadlines
) -> HealingStatus:
    """Clear the overrides whose reason is gone, and expire a proposal that is moot or too old."""
    diagnosis_types = _diagnosis_types(context)
    has_no_metrics = DiagnosisType.METRICS_UNAVAILABLE in diagnosis_types
    if record.fallback_replicas and not (has_no_metrics and policy.fallback_replicas):
        record = record.model_copy(update={"fallback_replicas": None})
    if context.external.stable_revision_missing:
        record = record.model_copy(update={"failed_revision": None, "stable_revision": None})
    if record.excluded_node is not None and DiagnosisType.UNSCHEDULABLE in diagnosis_types:
        # A pod on the excluded node is better than a pod that finds no node.
        record = record.model_copy(update={"excluded_node": None})
    action = history.find_proposed(record)
    if action is not None:
        is_over = action.diagnosis not in diagnosis_types or policy.mode != HealingMode.APPROVE
        if is_over or deadlines.reached(action.at + policy.approval_ttl):
            expired_fields = {"outcome": ActionOutcome.EXPIRED, "ended_at": deadlines.now}
            record = history.update_action(record, action, **expired_fields)
    return record


def _promote_to_stable(
    record: HealingStatus, context: RemediationContext, policy: Policy, deadlines: Deadlines
) -> HealingStatus:
    """Record since when the app is healthy; a revision healthy for the probation is stable."""
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
    """Forget the failures, and end the quarantine, of an app that was healthy for a whole window.

    The cause that made the remediations fail, such as a missing database, is gone then. The budget
    is not affected: all earlier actions are older than the window.
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
    """Start the next action for an app with diagnoses, or return why none starts.

    A reason that lasts until a person acts has priority over one that passes by itself.
    """
    record = inputs.record
    if (blocked_reason := _lasting_blocked_reason(inputs)) is not None or history.find_running(
        record
    ) is not None:
        return record, blocked_reason or _temporary_blocked_reason(inputs)
    proposal = choose_action(inputs)
    is_observing = inputs.policy.mode == HealingMode.OBSERVE
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
            inputs, "no further remediation fits"
        ), BlockedReason.QUARANTINED
    if is_observing:
        return transitions.record_dry_run(inputs, proposal), None
    return _start_within_budget(inputs, proposal)


def _is_never_quarantined(proposal: ProposedAction) -> bool:
    """Whether the action is for a diagnosis that alone never quarantines the app."""
    return proposal.diagnosis.type in NEVER_QUARANTINED


def _lasting_blocked_reason(inputs: DecisionInput) -> BlockedReason | None:
    """Why no action may start until a person changes something."""
    if inputs.record.quarantined:
        return BlockedReason.QUARANTINED
    return BlockedReason.ROLLOUT_PAUSED if inputs.context.rollout_paused else None


def _temporary_blocked_reason(inputs: DecisionInput) -> BlockedReason | None:
    """Why no action may start now; the reason passes by itself."""
    until = inputs.record.cooldown_until
    if inputs.context.external.blocked_reason is not None:
        return inputs.context.external.blocked_reason
    if until is not None and not inputs.deadlines.reached(until):
        return BlockedReason.COOLDOWN
    return None


def _start_within_budget(
    inputs: DecisionInput, proposal: ProposedAction
) -> tuple[HealingStatus, BlockedReason | None]:
    """Start or propose an action, if nodes, limit, budget and mode allow it."""
    if proposal.remediation is Remediation.FAILOVER and inputs.context.external.too_many_nodes_lost:
        return inputs.record, BlockedReason.NODES_LOST
    if (
        inputs.context.external.is_action_limit_reached
        and proposal.remediation not in UNLIMITED_REMEDIATIONS
    ):
        return inputs.record, BlockedReason.ACTION_LIMIT
    if not history.budget_left(inputs.record, inputs.policy, inputs.now):
        if _is_never_quarantined(proposal):
            return inputs.record, BlockedReason.NO_REMEDIATION
        return transitions.quarantine_app(
            inputs, "the budget of actions is spent"
        ), BlockedReason.QUARANTINED
    if inputs.policy.mode == HealingMode.APPROVE:
        return transitions.propose_or_start(inputs, proposal)
    return transitions.start_action(inputs, proposal), None


def _refresh_display(
    record: HealingStatus,
    context: RemediationContext,
    policy: Policy,
    deadlines: Deadlines,
    blocked_reason: BlockedReason | None,
) -> HealingStatus:
    """Update the fields that only inform: mode, diagnoses, budget left, blocked reason, cooldown.

    The cooldown ends, and the budget grows, without an event. ``deadlines`` is asked for both, so
    that the app is requeued then.
    """
    until = record.cooldown_until
    is_cooling_down = until is not None and not deadlines.reached(until)
    for action in history.find_recent(record, policy, deadlines.now):
        deadlines.reached(action.at + policy.window)
    # One entry for each type: the CRD declares the list as a map with the key type.
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
                    container=diagnosis.container,
                    message=diagnosis.message[:TEXT_LIMIT],
                    comparison=diagnosis.comparison[:COMPARISON_LIMIT],
                )
                for diagnosis in list(reversed(by_type.values()))[:MAX_DIAGNOSES]
            ],
        }
    )
