"""The order of the steps of one reconcile. The caller provides the I/O of each step.

The order makes remediation safe against a crash at any moment: an action is stored as InProgress,
then its evidence is collected, then it is carried out; a stable revision is saved, then the status
names it, then the one before is deleted. Whoever continues after a crash needs only the stored
status.

The functions here await nothing but the steps, so that a simulation can carry out the same order
without an event loop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from selfhealing.api.healing_status import BlockedReason, HealingStatus
from selfhealing.apply.result import SyncError, SyncErrorReason, SyncResult
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import AppKey, AppView
from selfhealing.controller.evaluate import Evaluation, evaluate
from selfhealing.health.experiments import NO_EXPERIMENTS, Experiments
from selfhealing.remediation.context import ExternalState
from selfhealing.remediation.findings import Finding, FindingReason
from selfhealing.remediation.foreign_edits import find_edit_to_remove
from selfhealing.remediation.policy import HealingMode
from selfhealing.remediation.reconcile_input import (
    AnyInput,
    InvalidSpecInput,
    ReconcileInput,
    is_active,
)
from selfhealing.remediation.record_changes import is_decisive_change
from selfhealing.remediation.revisions import find_saved_revision
from selfhealing.remediation.steps import (
    Step,
    StepResults,
    build_overrides,
    discard_stale_action,
    plan_cleanup_for_job,
    plan_steps,
)
from selfhealing.render.overrides import NO_OVERRIDES, Overrides
from selfhealing.render.pod import is_job

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StableTemplate:
    """The saved pod template of a stable revision.

    Attributes:
        template: the template; None when it no longer exists, or is rejected, or is not known.
        blocked_reason: why to wait when nobody can tell.
        rejection: why the saved template is not used; empty if it is.
        config_copies: the copies of ConfigMaps that its pods have to read, by the names of the
            ConfigMaps, because these have other contents now.
    """

    template: Json | None = None
    blocked_reason: BlockedReason | None = None
    rejection: str = ""
    config_copies: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RollbackPreview:
    """What a rollback would meet.

    Attributes:
        is_known: it was looked into; without that the other fields say nothing.
        experiments: what a dry run and the nodes say of the stable and of the desired template.
        obstacle: why a pod of the stable template would not start; empty if nothing is in its way.
    """

    is_known: bool = False
    experiments: Experiments = NO_EXPERIMENTS
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class CollectedEvidence:
    """What was saved of the evidence that a record lacks.

    Attributes:
        keys: the keys of the evidence in the ConfigMap, by the id of the action.
        obstacle: why it cannot be saved, if the ConfigMap belongs to another owner.
    """

    keys: Mapping[int, str] = field(default_factory=dict)
    obstacle: str = ""


class AppIO(Protocol):
    """The I/O of one reconcile on the app itself and on its children."""

    async def sync_children(
        self, snapshot: AppSnapshot, inputs: ReconcileInput, overrides: Overrides
    ) -> SyncResult:
        """Apply the children that differ from the desired state."""

    def take_snapshot(self, key: AppKey) -> AppSnapshot | None:
        """Return what is known of the app now, with what was just written."""

    def on_evaluated(
        self, snapshot: AppSnapshot, sync_result: SyncResult, evaluation: Evaluation
    ) -> None:
        """Take note of an evaluation before anything of it is written."""

    def can_write_status_now(self, key: AppKey, *, is_urgent: bool) -> bool:
        """Return whether enough time has passed since the last writes of the status."""

    def retry_later(self, key: AppKey) -> None:
        """Reconcile again after a back-off: the status could not be written."""

    async def write_status(self, snapshot: AppSnapshot, evaluation: Evaluation) -> bool:
        """Write the status; False when the app has changed meanwhile or is deleted."""


class RemediationIO(Protocol):
    """The I/O of one reconcile that remediation needs."""

    async def load_stable_template(self, app: AppView, inputs: ReconcileInput) -> StableTemplate:
        """Load the saved pod template of the stable revision."""

    async def collect_evidence(
        self,
        snapshot: AppSnapshot,
        inputs: ReconcileInput,
        stable_template: Json | None,
        now: datetime,
    ) -> CollectedEvidence:
        """Collect the evidence that the record lacks."""

    async def execute_steps(self, app: AppView, steps: Sequence[Step]) -> StepResults:
        """Carry out the steps."""

    async def observe_external_state(
        self, snapshot: AppSnapshot, inputs: ReconcileInput
    ) -> ExternalState:
        """Return what is known from outside the app."""

    async def preview_rollback(
        self, snapshot: AppSnapshot, inputs: ReconcileInput, stable_template: Json
    ) -> RollbackPreview:
        """Try without side effects what a rollback would meet, if one may be considered."""

    def update_breaker(
        self, key: AppKey, record: HealingStatus | None, *, has_pod_problem: bool
    ) -> None:
        """Count the app for the circuit breaker."""

    async def revalidate(
        self, snapshot: AppSnapshot, before: HealingStatus | None, after: HealingStatus | None
    ) -> bool:
        """Return whether the objects that an action of ``after`` was decided on are unchanged."""

    async def save_stable_revision(
        self, app: AppView, inputs: ReconcileInput, after: HealingStatus | None
    ) -> bool:
        """Save the pod template of a new stable revision; False when it cannot be saved."""

    async def on_status_stored(
        self, app: AppView, before: HealingStatus | None, after: HealingStatus | None
    ) -> None:
        """Count what is new in the record, and delete the stable revision before."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What remediation puts in place of the spec, and what is known from outside the app."""

    overrides: Overrides
    external: ExternalState


async def run_reconcile(
    app_io: AppIO,
    remediation_io: RemediationIO,
    snapshot: AppSnapshot,
    inputs: AnyInput,
    now: datetime,
) -> tuple[SyncResult, bool]:
    """Reconcile one app.

    Returns:
        What was written to the children, and whether the status was written.
    """
    sync_result, external = _initial_result(inputs), ExternalState()
    if is_active(inputs):
        preparation = await prepare_remediation(remediation_io, snapshot, inputs, now)
        external = preparation.external
        sync_result = await app_io.sync_children(snapshot, inputs, preparation.overrides)
    snapshot = _refresh(app_io, snapshot)
    evaluation = evaluate(snapshot, inputs, sync_result, external, now)
    remediation_io.update_breaker(
        snapshot.app.key, evaluation.record, has_pod_problem=evaluation.has_pod_problem
    )
    app_io.on_evaluated(snapshot, sync_result, evaluation)
    is_written = await _store_evaluation(app_io, remediation_io, snapshot, inputs, evaluation)
    return sync_result, is_written


async def prepare_remediation(
    io: RemediationIO, snapshot: AppSnapshot, inputs: ReconcileInput, now: datetime
) -> Preparation:
    """Carry out what the stored record asks for, and gather what the next decision needs."""
    app, record = snapshot.app, inputs.record
    if is_job(inputs.spec):
        results = await io.execute_steps(app, plan_cleanup_for_job(record))
        return Preparation(NO_OVERRIDES, ExternalState(findings=_foreign_pod_findings(results)))
    stable = StableTemplate()
    if _has_other_stable_revision(inputs):
        stable = await io.load_stable_template(app, inputs)
    evidence = await io.collect_evidence(snapshot, inputs, stable.template, now)
    due_record = discard_stale_action(record, inputs.revision, inputs.policy, now)
    results = await io.execute_steps(app, plan_steps(due_record, snapshot, now))
    observed = await io.observe_external_state(snapshot, inputs)
    preview = RollbackPreview()
    if stable.template is not None and record.failed_revision is None:
        preview = await io.preview_rollback(snapshot, inputs, stable.template)
    external = replace(
        observed,
        stable_template=stable.template,
        experiments=preview.experiments,
        experiments_done=preview.is_known,
        rollback_obstacle=preview.obstacle,
        blocked_reason=stable.blocked_reason or observed.blocked_reason,
        stable_revision_missing=stable.template is None
        and stable.blocked_reason is None
        and _has_other_stable_revision(inputs),
        isolated_pod_delete_pending=record.quarantine is not None
        and record.quarantine.uid in results.pending_uids,
        evidence_keys=evidence.keys,
        foreign_uids=frozenset(results.foreign_pods),
        findings=(
            *_foreign_pod_findings(results),
            *_findings(FindingReason.REVISION_REJECTED, stable.rejection),
            *_findings(FindingReason.FOREIGN_EVIDENCE, evidence.obstacle),
        ),
    )
    overrides = replace(
        build_overrides(record, stable.template),
        config_copies=stable.config_copies,
        removed_edit=find_edit_to_remove(due_record),
    )
    return Preparation(overrides, external)


def _foreign_pod_findings(results: StepResults) -> tuple[Finding, ...]:
    pods = ", ".join(sorted(results.foreign_pods.values()))
    message = f"status.healing names pods that are not the app's: {pods}" if pods else ""
    return _findings(FindingReason.RECORD_REJECTED, message)


def _findings(reason: FindingReason, message: str) -> tuple[Finding, ...]:
    return (Finding(reason, message),) if message else ()


async def _store_evaluation(
    app_io: AppIO,
    remediation_io: RemediationIO,
    snapshot: AppSnapshot,
    inputs: AnyInput,
    evaluation: Evaluation,
) -> bool:
    """Write the status, if what its record says is so; returns whether it was written."""
    app = snapshot.app
    before, after = inputs.previous_status.healing, evaluation.status.healing
    is_urgent = "observedGeneration" in evaluation.patch or is_decisive_change(before, after)
    if not evaluation.patch or not app_io.can_write_status_now(app.key, is_urgent=is_urgent):
        return False
    if not await remediation_io.revalidate(snapshot, before, after) or (
        isinstance(inputs, ReconcileInput)
        and not await remediation_io.save_stable_revision(app, inputs, after)
    ):
        app_io.retry_later(app.key)
        return False
    if not await app_io.write_status(snapshot, evaluation):
        return False
    await remediation_io.on_status_stored(app, before, after)
    return True


def _initial_result(inputs: AnyInput) -> SyncResult:
    if isinstance(inputs, InvalidSpecInput):
        return SyncResult(errors=(SyncError(SyncErrorReason.INVALID_SPEC, inputs.message),))
    return SyncResult()


def _refresh(io: AppIO, snapshot: AppSnapshot) -> AppSnapshot:
    """Return what is known now, of the app and the configuration that were reconciled.

    The children that were just written are in it. The app stays the one whose spec was read: if it
    has changed since, the write of the status is a conflict, and nothing is started by a spec that
    is out of date.
    """
    latest = io.take_snapshot(snapshot.app.key) or snapshot
    return replace(
        latest,
        app=snapshot.app,
        config_digests=snapshot.config_digests,
        unwatched_kinds=snapshot.unwatched_kinds,
        has_too_many_references=snapshot.has_too_many_references,
    )


def _has_other_stable_revision(inputs: ReconcileInput) -> bool:
    """Whether the template of a revision that is not the desired one is needed.

    That of the revision before a stable one is needed only when something is wrong.
    """
    record = inputs.record
    is_needed = record.stable_revision != inputs.revision or bool(record.diagnoses)
    return (
        is_needed
        and find_saved_revision(record, inputs.revision) is not None
        and inputs.policy.mode != HealingMode.OFF
    )
