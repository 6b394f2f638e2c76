"""Decides what is done about an app now, within the limits of its policy.

``decide`` takes the stored record (status.healing), the context, the policy and the time, and
returns the record to be stored. It has no side effects: an action with the outcome InProgress is
executed once the record is stored (``remediation.steps``). The order of the steps:

1. A new request (an edit of the spec, a resume) supersedes the running action and ends the
   overrides (``remediation.revisions``).
2. The running action is judged (``remediation.verification``). Until its outcome is known no other
   action starts.
3. Overrides whose reason is gone end, and proposals that are too old expire.
4. A healthy revision becomes the stable one; a failed one is tried again when its time has come.
5. An unhealthy app gets the first remediation that fits, when it is due (``remediation.patience``),
   unless something blocks it: the mode, the state outside the app, the cooldown, the budget, or a
   missing approval.
6. If the budget is spent, or no further remediation fits, the app is quarantined.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from selfhealing.api.healing_status import (
    COMPARISON_LIMIT,
    MAX_DIAGNOSES,
    ActionOutcome,
    BlockedReason,
    DiagnosisStatus,
    HealingAction,
    HealingStatus,
    NextActionStatus,
    Remediation,
)
from selfhealing.api.scalars import TEXT_LIMIT
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.pod_diagnosis import NEVER_QUARANTINED
from selfhealing.remediation import foreign_edits, history, revisions, transitions
from selfhealing.remediation.context import RemediationContext
from selfhealing.remediation.limit_raise import find_failure, undo_raise
from selfhealing.remediation.override_ends import (
    NO_EXCLUSION,
    clear_overrides,
    expire_overrides,
    overrides_kept_on_resume,
)
from selfhealing.remediation.policy import HealingMode, Policy
from selfhealing.remediation.proposal import DecisionInput, ProposedAction
from selfhealing.remediation.raised_limits import find_raised_key
from selfhealing.remediation.strategies import UNLIMITED_REMEDIATIONS, choose_action, is_exhausted
from selfhealing.remediation.verification import is_timed_out, judge_action, serves_target


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
    record = revisions.restore_lost_record(record, context, policy, now)
    record = _follow_request(record, context, now)
    record = _release_quarantined_pod(record, context, deadlines)
    if policy.mode == HealingMode.OFF:
        record = clear_overrides(_supersede_pending(record, now))
        return _refresh_display(record, context, policy, deadlines, _NO_PLAN)
    record = _judge_running(record, context, policy, deadlines)
    record = expire_overrides(record, context, policy, deadlines)
    record = revisions.retry_failed_revision(record, context, deadlines)
    record = _track_health(record, context, policy, deadlines)
    record = foreign_edits.prove_edits(record, context.foreign_edits, policy, deadlines)
    plan = _NO_PLAN
    if context.diagnoses and not context.scaled_to_zero:
        record, plan = _remediate(DecisionInput(record, context, policy, deadlines))
    return _refresh_display(record, context, policy, deadlines, plan)


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


def _follow_request(
    record: HealingStatus, context: RemediationContext, now: datetime
) -> HealingStatus:
    """Follow what is asked for: another revision, or a resume."""
    if record.desired_revision != context.desired_revision:
        if revisions.is_bar_kept(record, context):
            record = record.model_copy(update={"failed_revision": context.desired_revision})
        elif revisions.is_same_request(record, context) and record.failed_revision is None:
            # The pods are replaced for another reason, and still need what the overrides give them.
            record = _supersede_pending(record, now).model_copy(update={"desired_since": now})
            if not history.was_node_the_cause(record):
                record = record.model_copy(update=NO_EXCLUSION)
        else:
            record = clear_overrides(_supersede_pending(record, now)).model_copy(
                update={"desired_since": now, "retries": 0}
            )
    if (record.desired_revision, record.desired_generation) != (
        context.desired_revision,
        context.generation,
    ):
        record = record.model_copy(
            update={
                "desired_revision": context.desired_revision,
                "desired_generation": context.generation,
            }
        )
    if context.resume and context.resume != record.observed_resume:
        reset_fields = {
            "observed_resume": context.resume,
            "budget_reset_time": now,
            "cooldown_until": None,
        }
        record = clear_overrides(_supersede_pending(record, now)).model_copy(
            update={**reset_fields, **overrides_kept_on_resume(record)}
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


def _supersede_pending(record: HealingStatus, now: datetime) -> HealingStatus:
    for action in (history.find_running(record), history.find_proposed(record)):
        if action is not None:
            was_running = action.outcome is ActionOutcome.IN_PROGRESS
            outcome = ActionOutcome.SUPERSEDED if was_running else ActionOutcome.EXPIRED
            record = history.update_action(record, action, outcome=outcome, ended_at=now)
    return record


def _judge_running(
    record: HealingStatus, context: RemediationContext, policy: Policy, deadlines: Deadlines
) -> HealingStatus:
    """Set the outcome of the running action, if it is known."""
    action = history.find_running(record)
    if action is None:
        return record
    key = find_raised_key(action)
    if key is not None:
        has_ended = is_timed_out(action, context, policy, deadlines)
        if why := find_failure(record, action, key, context, is_timed_out=has_ended):
            record, action = undo_raise(record, action, key, why)
            return _finish_action(record, action, ActionOutcome.FAILED, policy, deadlines.now)
    outcome = judge_action(record, action, context, policy, deadlines)
    if outcome is None:
        return record
    if outcome is ActionOutcome.FAILED:
        record = _return_from(record, action, context)
    return _finish_action(record, action, outcome, policy, deadlines.now)


def _return_from(
    record: HealingStatus, action: HealingAction, context: RemediationContext
) -> HealingStatus:
    """End what an action that failed has put in place of the spec, unless that costs capacity."""
    if action.remediation is Remediation.RELAX_LIVENESS:
        return record.model_copy(update={"relaxed_until": None})
    if action.remediation is Remediation.AVOID_NODE and not context.earlier_pods:
        # Beside an earlier version it waits for the next rollout: each may stop a pod of it.
        return record.model_copy(update=NO_EXCLUSION)
    is_rollback = action.remediation is Remediation.ROLLBACK
    if is_rollback and not record.failed_for_certain and not serves_target(action, context):
        return revisions.return_to_spec(record)
    return record


def _finish_action(
    record: HealingStatus,
    action: HealingAction,
    outcome: ActionOutcome,
    policy: Policy,
    now: datetime,
) -> HealingStatus:
    record = history.update_action(record, action, outcome=outcome, ended_at=now)
    until = now + history.compute_cooldown(record, policy, now)
    return record.model_copy(update={"cooldown_until": until})


def _track_health(
    record: HealingStatus, context: RemediationContext, policy: Policy, deadlines: Deadlines
) -> HealingStatus:
    """Record since when the app is healthy, and what that time proves."""
    record = _end_budget_quarantine(record, policy, deadlines)
    if not context.healthy:
        return record.model_copy(update={"healthy_since": None}) if record.healthy_since else record
    since = record.healthy_since or deadlines.now
    record = record.model_copy(update={"healthy_since": since})
    if not context.complete:
        return record  # pods that start do not end the time, but prove nothing either
    record = _forget_failures(record, since, policy, deadlines)
    return revisions.promote(record, context, policy, deadlines)


def _end_budget_quarantine(
    record: HealingStatus, policy: Policy, deadlines: Deadlines
) -> HealingStatus:
    """End a quarantine whose only reason is the spent budget, once there is budget again."""
    if not record.quarantined_by_budget or not history.budget_left(record, policy, deadlines.now):
        return record
    return record.model_copy(update={"quarantined": False, "quarantined_by_budget": False})


def _forget_failures(
    record: HealingStatus, since: datetime, policy: Policy, deadlines: Deadlines
) -> HealingStatus:
    """End the quarantine of an app that is healthy for the probation, and forget its failures.

    The cause that made the remediations fail, such as a missing database, is gone then. The
    failures are forgotten after a whole window; all actions that cost budget are older then.
    """
    if record.quarantined and deadlines.reached(since + policy.probation):
        record = record.model_copy(update={"quarantined": False, "quarantined_by_budget": False})
    has_failures = any(action.outcome is ActionOutcome.FAILED for action in record.history)
    if has_failures and deadlines.reached(since + policy.window):
        reset_time = max(since, record.budget_reset_time or since)
        record = record.model_copy(update={"budget_reset_time": reset_time})
    return record


@dataclass(frozen=True, slots=True)
class _Plan:
    """Why no action starts now, and which one starts next."""

    blocked_reason: BlockedReason | None = None
    next_action: ProposedAction | None = None


_NO_PLAN: Final = _Plan()


def _remediate(inputs: DecisionInput) -> tuple[HealingStatus, _Plan]:
    """Start the next action for an app with diagnoses, or return why none starts.

    A reason that lasts until a person acts has priority over one that passes by itself.
    """
    record = inputs.record
    if (blocked_reason := _lasting_blocked_reason(inputs)) is not None or history.find_running(
        record
    ) is not None:
        return record, _Plan(blocked_reason or _temporary_blocked_reason(inputs))
    proposal = choose_action(inputs)
    is_observing = inputs.policy.mode == HealingMode.OBSERVE
    is_exhausted_now = not is_observing and is_exhausted(inputs)
    if proposal is None and not is_exhausted_now:
        return record, _Plan(BlockedReason.NO_REMEDIATION)
    if (blocked_reason := _temporary_blocked_reason(inputs)) is not None:
        return record, _Plan(blocked_reason, proposal)
    if proposal is None or (is_exhausted_now and _is_never_quarantined(proposal)):
        record = transitions.quarantine_app(inputs, "no further remediation fits")
        return record, _Plan(BlockedReason.QUARANTINED)
    return _start_when_due(inputs, proposal)


def _start_when_due(inputs: DecisionInput, proposal: ProposedAction) -> tuple[HealingStatus, _Plan]:
    is_due = proposal.is_due(inputs.deadlines)
    if proposal.blocked_reason is BlockedReason.TARGET_UNUSABLE or (
        is_due and proposal.blocked_reason is not None
    ):
        return inputs.record, _Plan(proposal.blocked_reason, proposal)
    if not is_due:
        return inputs.record, _Plan(BlockedReason.NOT_DUE, proposal)
    if inputs.policy.mode == HealingMode.OBSERVE:
        return transitions.record_dry_run(inputs, proposal), _NO_PLAN
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
) -> tuple[HealingStatus, _Plan]:
    """Start or propose an action, if nodes, limit, budget and mode allow it."""
    record, external = inputs.record, inputs.context.external
    if proposal.remediation is Remediation.FAILOVER and external.too_many_nodes_lost:
        return record, _Plan(BlockedReason.NODES_LOST, proposal)
    if external.is_action_limit_reached and proposal.remediation not in UNLIMITED_REMEDIATIONS:
        return record, _Plan(BlockedReason.ACTION_LIMIT, proposal)
    is_free = proposal.diagnosis.type in history.FREE_DIAGNOSES
    if not is_free and not history.budget_left(record, inputs.policy, inputs.now):
        record = transitions.quarantine_app(inputs, "the budget of actions is spent")
        record = record.model_copy(update={"quarantined_by_budget": True})
        return record, _Plan(BlockedReason.QUARANTINED)
    if inputs.policy.mode == HealingMode.APPROVE:
        record, blocked_reason = transitions.propose_or_start(inputs, proposal)
        return record, _Plan(blocked_reason)
    return transitions.start_action(inputs, proposal), _NO_PLAN


def _refresh_display(
    record: HealingStatus,
    context: RemediationContext,
    policy: Policy,
    deadlines: Deadlines,
    plan: _Plan,
) -> HealingStatus:
    """Update the fields that only inform: mode, diagnoses, budget left, what is waited for.

    The cooldown ends, and the budget grows, without an event. ``deadlines`` is asked for both, so
    that the app is requeued then.
    """
    until = record.cooldown_until
    is_cooling_down = until is not None and not deadlines.reached(until)
    for action in history.find_recent(record, policy, deadlines.now):
        deadlines.reached(action.at + policy.window)
    return record.model_copy(
        update={
            "mode": policy.mode,
            "budget_left": history.budget_left(record, policy, deadlines.now),
            "blocked_reason": plan.blocked_reason,
            "next_action": _build_next_action(plan),
            "cooldown_until": until if is_cooling_down else None,
            "diagnoses": _build_diagnoses(context, deadlines.now),
        }
    )


def _build_diagnoses(context: RemediationContext, now: datetime) -> list[DiagnosisStatus]:
    # One entry for each type: the CRD declares the list as a map with the key type.
    by_type = {diagnosis.type: diagnosis for diagnosis in reversed(context.diagnoses)}
    return [
        DiagnosisStatus(
            type=diagnosis.type,
            cause=diagnosis.cause,
            confidence=diagnosis.confidence,
            pods=len(diagnosis.pods),
            container=diagnosis.container,
            message=diagnosis.message[:TEXT_LIMIT],
            comparison=diagnosis.comparison[:COMPARISON_LIMIT],
            since=context.first_seen(diagnosis, now),
        )
        for diagnosis in list(reversed(by_type.values()))[:MAX_DIAGNOSES]
    ]


def _build_next_action(plan: _Plan) -> NextActionStatus | None:
    proposal = plan.next_action
    if proposal is None:
        return None
    return NextActionStatus(
        remediation=proposal.remediation,
        diagnosis=proposal.diagnosis.type,
        not_before=proposal.not_before,
        message=proposal.message[:TEXT_LIMIT],
    )
