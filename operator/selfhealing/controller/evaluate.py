"""The decision of one reconcile: health is assessed, a remediation decided, the status built.

Pure: the same arguments give the same evaluation, so it can be tested and repeated without a
cluster.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from selfhealing.api.healing_status import HealingStatus
from selfhealing.api.names import DEPLOYMENT, JOB
from selfhealing.api.status import JobStatus, SelfHealingAppStatus
from selfhealing.apply.result import NON_BLOCKING, SyncResult
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.health.assessment import assess_health
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.job_run import (
    JobRunSpec,
    build_job_status,
    job_run_from_status,
    parse_job_run_spec,
)
from selfhealing.remediation.context import (
    SELF_ENDING_BLOCKED_REASONS,
    ExternalState,
    HealthInput,
    build_context,
)
from selfhealing.remediation.engine import decide
from selfhealing.remediation.reconcile_input import AnyInput, ReconcileInput, is_active
from selfhealing.render.job import build_job
from selfhealing.render.pod import is_job
from selfhealing.status.build import StatusInput, build_status
from selfhealing.status.events import Event
from selfhealing.status.ownership import collect_findings
from selfhealing.status.restarts import Restart, collect_termination_causes


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is to be written about an app, and when to evaluate it again.

    Attributes:
        status: the whole status.
        patch: the JSON merge patch from the stored status; empty when nothing is to be written.
        events: the Events to record when the status is written.
        new_restarts: the restarts that this status counts for the first time.
        record: the record of healing; None for an app that is not healed now: it is a Job, paused,
            or its spec is invalid.
        has_pod_problem: a pod has a problem of its own, for however short a time.
        requeue_after: in how many seconds time alone may change the evaluation; None for never.
    """

    status: SelfHealingAppStatus
    patch: Mapping[str, Any]
    events: tuple[Event, ...]
    new_restarts: tuple[Restart, ...]
    record: HealingStatus | None
    has_pod_problem: bool
    requeue_after: float | None

    @property
    def is_blocked_from_outside(self) -> bool:
        """Whether remediation is blocked for a reason of which no watch event tells the end."""
        return self.record is not None and self.record.blocked_reason in SELF_ENDING_BLOCKED_REASONS


def evaluate(
    snapshot: AppSnapshot,
    inputs: AnyInput,
    sync_result: SyncResult,
    external: ExternalState,
    now: datetime,
) -> Evaluation:
    """Assess the health of an app, decide on a remediation and build the status.

    Args:
        snapshot: the app after the children were applied.
        inputs: the spec, what it renders to, and the stored status.
        sync_result: what was written to the children, and what kept them from being written.
        external: what is known from outside the app.
        now: the time of every rule that depends on it.
    """
    previous, deadlines = inputs.previous_status, Deadlines(now)
    causes = collect_termination_causes(previous.restarts, snapshot)
    job = _find_latest_run(snapshot, inputs)
    workload_kind = JOB if _runs_as_job(snapshot, inputs) else DEPLOYMENT
    assessment = assess_health(snapshot, causes, deadlines, workload_kind, job_run_from_status(job))
    record: HealingStatus | None = None
    if is_active(inputs) and not is_job(inputs.spec):
        is_in_sync = {error.reason for error in sync_result.errors} <= NON_BLOCKING
        health_input = HealthInput(snapshot, assessment, causes, is_in_sync)
        context = build_context(inputs, health_input, external, deadlines)
        record = decide(inputs.record, context, inputs.policy, deadlines)
    healing = record if is_active(inputs) else previous.healing
    found = (*inputs.findings, *external.findings)
    findings = collect_findings(snapshot, found, previous.conditions, deadlines)
    facts = StatusInput(snapshot, inputs, sync_result, assessment, causes, job, healing, findings)
    update = build_status(facts, now)
    return Evaluation(
        status=update.status,
        patch=update.patch,
        events=update.events,
        new_restarts=update.new_restarts,
        record=record,
        has_pod_problem=assessment.has_pod_problem,
        requeue_after=deadlines.requeue_after,
    )


def _runs_as_job(snapshot: AppSnapshot, inputs: AnyInput) -> bool:
    return is_job(inputs.spec) if inputs.spec else snapshot.job is not None


def _find_latest_run(snapshot: AppSnapshot, inputs: AnyInput) -> JobStatus | None:
    previous = inputs.previous_status.job
    if not isinstance(inputs, ReconcileInput):
        return previous
    # What the spec asks to be run matters only for a run whose Job is gone.
    is_job_gone = snapshot.job is None and previous is not None
    return build_job_status(snapshot, previous, _wanted_run(inputs) if is_job_gone else None)


def _wanted_run(inputs: ReconcileInput) -> JobRunSpec | None:
    job = build_job(inputs.owner, inputs.spec, inputs.pod_template)
    return parse_job_run_spec(job) if job is not None else None
