"""Ends what a record puts in place of the spec, when its reason is gone or its time is over."""

from typing import Final

from selfhealing.api.healing_status import ActionOutcome, HealingStatus
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.remediation import history, revisions
from selfhealing.remediation.context import RemediationContext
from selfhealing.remediation.policy import HealingMode, Policy
from selfhealing.remediation.raised_limits import NO_RAISED_LIMITS

NO_EXCLUSION: Final = {"excluded_node": None, "excluded_until": None}
"""The fields of a record by which no node is excluded."""


def clear_overrides(record: HealingStatus) -> HealingStatus:
    """Remove all overrides of the spec and the quarantine of the app; an isolated pod stays."""
    return revisions.return_to_spec(record).model_copy(
        update={
            **NO_EXCLUSION,
            "quarantined": False,
            "quarantined_by_budget": False,
            **NO_RAISED_LIMITS,
            "relaxed_until": None,
            "fallback_replicas": None,
            "healthy_since": None,
        }
    )


def overrides_kept_on_resume(record: HealingStatus) -> dict[str, object]:
    """The overrides kept on a resume: the raised limits, the excluded node, the relaxed probe.

    After a rollback there are none: they belong to the stable revision, and the resume tries the
    desired revision again.
    """
    if record.failed_revision is not None:
        return {}
    return {
        "memory_limits": record.memory_limits,
        "memory_in_template": record.memory_in_template,
        "cpu_limits": record.cpu_limits,
        "relaxed_until": record.relaxed_until,
        "excluded_node": record.excluded_node,
        "excluded_until": record.excluded_until,
    }


def expire_overrides(
    record: HealingStatus, context: RemediationContext, policy: Policy, deadlines: Deadlines
) -> HealingStatus:
    """Clear the overrides whose reason is gone, and expire a proposal that is moot or too old."""
    diagnosis_types = context.diagnosis_types
    has_no_metrics = DiagnosisType.METRICS_UNAVAILABLE in diagnosis_types
    if record.fallback_replicas and not (has_no_metrics and policy.fallback_replicas):
        record = record.model_copy(update={"fallback_replicas": None})
    if context.external.stable_revision_missing:
        record = revisions.forget_missing_revision(record, context)
    if record.relaxed_until is not None and deadlines.reached(record.relaxed_until):
        record = record.model_copy(update={"relaxed_until": None})
    record = _end_exclusion(record, context, deadlines)
    action = history.find_proposed(record)
    if action is not None:
        is_over = action.diagnosis not in diagnosis_types or policy.mode != HealingMode.APPROVE
        if is_over or deadlines.reached(action.at + policy.approval_ttl):
            expired_fields = {"outcome": ActionOutcome.EXPIRED, "ended_at": deadlines.now}
            record = history.update_action(record, action, **expired_fields)
    return record


def _end_exclusion(
    record: HealingStatus, context: RemediationContext, deadlines: Deadlines
) -> HealingStatus:
    """Let new pods be scheduled on an excluded node again.

    The exclusion ends when a pod finds no other node, and after a time: only pods on the node can
    show whether it is healthy again. By time it ends only while the rollout stops no pod of an
    earlier template.
    """
    until = record.excluded_until
    is_over = until is not None and deadlines.reached(until) and context.is_rollout_harmless
    if record.excluded_node is None or not (
        is_over or DiagnosisType.UNSCHEDULABLE in context.diagnosis_types
    ):
        return record
    return record.model_copy(update=NO_EXCLUSION)
