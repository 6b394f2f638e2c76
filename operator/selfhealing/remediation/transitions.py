"""Records a decision: an action starts, is a dry run, is proposed, or quarantines the app."""

from dataclasses import replace
from typing import Final

from selfhealing.api.container_limits import LimitKey
from selfhealing.api.healing_status import (
    COMPARISON_LIMIT,
    ActionOutcome,
    BlockedReason,
    HealingAction,
    HealingStatus,
    QuarantineStatus,
    Remediation,
)
from selfhealing.api.scalars import TEXT_LIMIT
from selfhealing.cache.views import PodView
from selfhealing.health.pod_diagnosis import WARNINGS, DiagnosisType
from selfhealing.remediation import history
from selfhealing.remediation.limit_raise import set_limit
from selfhealing.remediation.limit_strategy import needs_new_pods
from selfhealing.remediation.override_ends import NO_EXCLUSION
from selfhealing.remediation.policy import HealingMode
from selfhealing.remediation.proposal import DecisionInput, ProposedAction
from selfhealing.remediation.raised_limits import NO_RAISED_LIMITS, RAISES, resource_of
from selfhealing.remediation.revisions import roll_back

ISOLATABLE: Final = frozenset(
    {
        DiagnosisType.CRASH_LOOPING,
        DiagnosisType.LIVENESS_KILLED,
        DiagnosisType.OOM_KILLED,
        DiagnosisType.NOT_READY_TOO_LONG,
    }
)
"""Diagnoses of pods that run: one of the pods can be isolated for inspection."""


def start_action(inputs: DecisionInput, proposal: ProposedAction) -> HealingStatus:
    """Start an action; it is executed once the returned record is stored."""
    record = history.append_action(
        inputs.record, _build_action(inputs, proposal, ActionOutcome.IN_PROGRESS)
    )
    return _apply_override(record, inputs, proposal)


def _apply_override(
    record: HealingStatus, inputs: DecisionInput, proposal: ProposedAction
) -> HealingStatus:
    """Set the overrides of the spec that the action needs."""
    # An app with a warning is healthy: its probation goes on.
    fields: dict[str, object] = (
        {} if proposal.diagnosis.type in WARNINGS else {"healthy_since": None}
    )
    if proposal.remediation is Remediation.ROLLBACK:
        record = roll_back(record, inputs.context, inputs.policy, inputs.now, proposal.target)
        # They were for the revision that is replaced.
        fields |= {**NO_RAISED_LIMITS, **NO_EXCLUSION, "relaxed_until": None}
    elif proposal.remediation in RAISES.values():
        in_template = needs_new_pods(inputs, proposal.diagnosis)
        key = LimitKey(proposal.container, resource_of(proposal.diagnosis))
        record = set_limit(record, key, proposal.target, in_template=in_template)
    elif proposal.remediation is Remediation.RELAX_LIVENESS:
        fields["relaxed_until"] = inputs.now + inputs.policy.relaxed_for
    elif proposal.remediation is Remediation.AVOID_NODE:
        fields["excluded_node"] = proposal.target
        fields["excluded_until"] = inputs.now + inputs.policy.retry_after
    elif proposal.remediation is Remediation.SCALING_FALLBACK:
        fields["fallback_replicas"] = int(proposal.target)
    return record.model_copy(update=fields)


def _build_action(
    inputs: DecisionInput, proposal: ProposedAction, outcome: ActionOutcome
) -> HealingAction:
    diagnosis = proposal.diagnosis
    return HealingAction(
        id=inputs.record.next_id,
        remediation=proposal.remediation,
        diagnosis=diagnosis.type,
        cause=diagnosis.cause,
        confidence=diagnosis.confidence,
        comparison=diagnosis.comparison[:COMPARISON_LIMIT],
        target=proposal.target,
        uid=proposal.uid,
        container=proposal.container,
        outcome=outcome,
        at=inputs.now,
        message=proposal.message[:TEXT_LIMIT],
    )


def record_dry_run(inputs: DecisionInput, proposal: ProposedAction) -> HealingStatus:
    """Record the action that would start in the mode Auto, once in a window."""
    if _is_already_recorded(inputs, proposal, ActionOutcome.OBSERVED):
        return inputs.record
    return history.append_action(
        inputs.record, _build_action(inputs, proposal, ActionOutcome.OBSERVED)
    )


def _is_already_recorded(
    inputs: DecisionInput, proposal: ProposedAction, outcome: ActionOutcome
) -> bool:
    """Whether the same action of this revision was recorded with this outcome within the window.

    A proposal that was superseded before its approval TTL does not count as declined.
    """
    desired_since, approval_ttl = inputs.record.desired_since, inputs.policy.approval_ttl
    return any(
        (action.outcome, action.remediation, action.diagnosis)
        == (outcome, proposal.remediation, proposal.diagnosis.type)
        and (desired_since is None or action.at >= desired_since)
        and (action.ended_at is None or action.ended_at >= action.at + approval_ttl)
        for action in history.find_recent(inputs.record, inputs.policy, inputs.now)
    )


def propose_or_start(
    inputs: DecisionInput, proposal: ProposedAction
) -> tuple[HealingStatus, BlockedReason | None]:
    """Propose an action, or start the one that was approved."""
    record, context = inputs.record, inputs.context
    waiting = history.find_proposed(record)
    if waiting is None:
        return _propose(inputs, proposal), BlockedReason.AWAITING_APPROVAL
    is_approved = context.approve == str(waiting.id)
    is_moot = bool(waiting.uid) and waiting.uid not in context.pod_uids
    waiting_key = (
        waiting.remediation,
        waiting.diagnosis,
        waiting.target,
        waiting.uid,
        waiting.container,
    )
    is_different = waiting_key != (
        proposal.remediation,
        proposal.diagnosis.type,
        proposal.target,
        proposal.uid,
        proposal.container,
    )
    if is_moot or (is_approved and is_different):
        # The approval is for an action that is not the one that would start now.
        fields = {"outcome": ActionOutcome.EXPIRED, "ended_at": inputs.now}
        renewed_inputs = replace(inputs, record=history.update_action(record, waiting, **fields))
        return _propose(renewed_inputs, proposal), BlockedReason.AWAITING_APPROVAL
    if not is_approved:
        return record, BlockedReason.AWAITING_APPROVAL
    fields = {"outcome": ActionOutcome.IN_PROGRESS, "at": inputs.now}
    return _apply_override(history.update_action(record, waiting, **fields), inputs, proposal), None


def _propose(inputs: DecisionInput, proposal: ProposedAction) -> HealingStatus:
    """Propose an action, unless the same proposal expired without approval within the window."""
    if _is_already_recorded(inputs, proposal, ActionOutcome.EXPIRED):
        return inputs.record
    record = inputs.record
    if inputs.context.approve == str(record.next_id):
        # The annotation names this id already, so it cannot be an approval of this proposal.
        record = record.model_copy(update={"next_id": record.next_id + 1})
    inputs = replace(inputs, record=record)
    return history.append_action(record, _build_action(inputs, proposal, ActionOutcome.PROPOSED))


def quarantine_app(inputs: DecisionInput, reason: str) -> HealingStatus:
    """Quarantine the app; one failing pod is isolated for inspection if other pods are ready."""
    record, now = inputs.record, inputs.now
    worst = inputs.context.diagnoses[0]
    isolated_pod = _select_pod_to_isolate(inputs)
    proposal = ProposedAction(
        remediation=Remediation.QUARANTINE,
        diagnosis=worst,
        target=isolated_pod.name if isolated_pod else "",
        uid=isolated_pod.uid if isolated_pod else "",
        message=f"{reason}: {worst.message}",
    )
    action = _build_action(inputs, proposal, ActionOutcome.COMPLETED)
    fields: dict[str, object] = {"quarantined": True}
    if isolated_pod:
        until = now + inputs.policy.quarantine_ttl
        fields["quarantine"] = QuarantineStatus(
            pod=isolated_pod.name, uid=isolated_pod.uid, until=until
        )
    ended = action.model_copy(update={"ended_at": now})
    return history.append_action(record, ended).model_copy(update=fields)


def _select_pod_to_isolate(inputs: DecisionInput) -> PodView | None:
    """The failing pod to isolate; None if no other pod is ready, or in the mode Approve.

    Only one pod of an app is isolated at a time.
    """
    context, policy = inputs.context, inputs.policy
    if not policy.isolate or not context.ready or policy.mode == HealingMode.APPROVE:
        return None
    if inputs.record.quarantine is not None:
        return None
    failing = (
        pod
        for diagnosis in context.diagnoses
        if diagnosis.type in ISOLATABLE
        for pod in diagnosis.pods
        if not pod.ready and pod.uid in context.pod_uids
    )
    return next(failing, None)
