"""Says whether the revision that runs is still on trial, and what it changed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from selfhealing.api.healing_status import HealingStatus, Remediation
from selfhealing.health.attribution import Probation
from selfhealing.health.experiments import Experiments
from selfhealing.health.template_change import TemplateChange, compare_templates
from selfhealing.remediation import history
from selfhealing.remediation.reconcile_input import ReconcileInput


def build_probation(  # noqa: PLR0913 - what a trial is told by
    inputs: ReconcileInput,
    stable_template: Mapping[str, Any] | None,
    experiments: Experiments,
    now: datetime,
    *,
    is_running: bool,
    is_in_sync: bool,
) -> Probation:
    """Whether the desired revision runs, and has not been healthy for long enough to be stable.

    Until the Deployment controller has observed a change, the current pods belong to the previous
    revision. If the Deployment is in sync, all pods of its current template belong to the desired
    revision, even if they are older than desiredSince: the operator may have been down before it
    could store that time.

    Args:
        inputs: what is asked for, and the record.
        stable_template: the saved template of the stable revision; None if it is not known.
        experiments: what a dry run and the nodes say of both templates.
        now: the time.
        is_running: the Deployment names the template of the desired revision.
        is_in_sync: the reconcile has applied the Deployment without an error.
    """
    record = inputs.record
    since = record.desired_since if record.desired_revision == inputs.revision else now
    is_unproven = inputs.revision not in {record.stable_revision, record.failed_revision}
    is_young = _is_young(inputs, now)
    is_failed = inputs.revision == record.failed_revision
    is_compared = is_unproven or is_young or is_failed
    change = _compare_with_stable(inputs, stable_template) if is_compared else None
    return Probation(
        is_open=is_unproven and is_running,
        is_awaited=(is_unproven or is_failed) and not is_running,
        requested_since=None if is_in_sync else since,
        has_stable_revision=record.stable_revision is not None,
        is_young=is_young,
        was_node_left=_was_node_left(record),
        # Where the configuration was what failed, the stable revision reads copies of its own.
        has_other_config=change is not None
        and change.configuration_changed
        and is_failed
        and record.failed_config is None,
        change=None if is_failed else change,
        experiments=experiments,
    )


def _is_young(inputs: ReconcileInput, now: datetime) -> bool:
    """Whether the desired revision is stable, and may still be rolled back to the one before it."""
    record = inputs.record
    until = history.find_predecessor_deadline(record, inputs.policy)
    return (
        record.stable_revision == inputs.revision
        and record.previous_stable_revision is not None
        and until is not None
        and now < until
    )


def _was_node_left(record: HealingStatus) -> bool:
    """Whether the pods of the desired revision were recreated on other nodes."""
    since = record.desired_since
    return any(
        action.remediation is Remediation.AVOID_NODE
        and action.outcome in history.EXECUTED
        and (since is None or action.at >= since)
        for action in record.history
    )


def _compare_with_stable(
    inputs: ReconcileInput, stable_template: Mapping[str, Any] | None
) -> TemplateChange | None:
    """Return what the desired revision changed; None if the stable template is not known."""
    if stable_template is None and inputs.record.stable_revision is not None:
        return None
    try:
        return compare_templates(stable_template, inputs.pod_template)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None  # a field of the wrong type: the API server takes no such template
