"""Compares the children of apps with the desired state, and corrects the differences in order."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from cachetools import LRUCache

from selfhealing.api import names
from selfhealing.api.names import SERVICE_ACCOUNT, WORKLOAD_KINDS
from selfhealing.apply.adoption import has_other_selector, must_wait
from selfhealing.apply.child_diff import (
    ChildAction,
    PruneTarget,
    diff_child,
    find_blocking_workload,
    find_prune_targets,
    has_already_run,
    is_manifest_needed,
    scale_target_kind,
)
from selfhealing.apply.field_owners import find_drift_paths
from selfhealing.apply.foreign_fields import EditSelection, select_edits
from selfhealing.apply.kept_fields import keep_live_fields
from selfhealing.apply.result import NON_BLOCKING, ChildChange, SyncError, SyncResult
from selfhealing.cache.child_views import bound_manifest, hash_manifest
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppView, ChildView, DeploymentView
from selfhealing.controller.child_errors import (
    adoption_pending_error,
    name_conflict_error,
    not_installed_error,
    stored_differently_error,
    sync_error,
    terminating_error,
)
from selfhealing.controller.child_writer import ChildWriter
from selfhealing.controller.contestants import name_contestants
from selfhealing.controller.fair_slots import FairSlots
from selfhealing.controller.optional_kinds import OptionalKinds
from selfhealing.controller.spec_reset import reset_obsolete_fields, reset_template
from selfhealing.kube.client import Client
from selfhealing.kube.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    ResponseTooLargeError,
    UnavailableError,
    is_webhook_failure,
)
from selfhealing.kube.resources import CHILDREN
from selfhealing.remediation.reconcile_input import ReconcileInput
from selfhealing.render import Overrides, build_children
from selfhealing.render.overrides import NO_OVERRIDES
from selfhealing.render.pod import is_job

Json = dict[str, Any]

_TOLD_ERRORS: Final = (
    InvalidError,
    ForbiddenError,
    ConflictError,
    NotFoundError,
    ResponseTooLargeError,
)
"""Answers about one child that the status shows; the others are synced all the same."""
MAX_LARGE_READS: Final = 1
"""Large children that are read at the same time."""

_MAX_REMEMBERED: Final = 4096
"""Children whose last comparison is remembered; any other child is compared again."""


@dataclass(slots=True)
class _Progress:
    """The input of one sync and its result so far."""

    snapshot: AppSnapshot
    inputs: ReconcileInput
    overrides: Overrides
    changes: list[ChildChange] = field(default_factory=list)
    errors: list[SyncError] = field(default_factory=list)
    unusable_kinds: set[str] = field(default_factory=set)
    """Kinds of children that were not applied, and that others would need."""

    @property
    def app(self) -> AppView:
        """The app whose children are synced."""
        return self.snapshot.app

    @property
    def min_replicas(self) -> int:
        """The fewest pods that the autoscaler may choose; 0 without an autoscaler."""
        autoscaling = self.inputs.spec.autoscaling
        return autoscaling.min_replicas if autoscaling else 0

    @property
    def edit_selection(self) -> EditSelection:
        """Which foreign edits of the pod template are removed."""
        return EditSelection(self.inputs.spec.drift == "Correct", self.overrides.removed_edit)


class ChildSync:
    """Applies the children of apps."""

    def __init__(
        self, client: Client, store: Store, optional_kinds: OptionalKinds, slots: FairSlots
    ) -> None:
        """A large child is read while one of ``slots`` is held, because parsing takes memory."""
        self._client = client
        self._optional_kinds = optional_kinds
        self._store = store
        self._writer = ChildWriter(client, store)
        self._unremovable: LRUCache[str, bytes] = LRUCache(_MAX_REMEMBERED)
        """By UID, the digests of Deployments from which foreign fields could not be removed."""
        self._compared: LRUCache[str, tuple[bytes, str, EditSelection]] = LRUCache(_MAX_REMEMBERED)
        """By UID, children that are too large to be kept and are as desired: the digest of the
        manifest, the applied hash and the edits that were to be removed."""
        self._slots = slots

    async def sync_children(
        self, snapshot: AppSnapshot, inputs: ReconcileInput, overrides: Overrides
    ) -> SyncResult:
        """Apply the children of an app that differ from the desired state, and prune the others.

        The answers are put into the store at once, so that nothing is written again because the
        watch has not brought it yet.

        Raises:
            UnavailableError: the API server is out of reach.
            AppDeletedError: the app was deleted meanwhile.
        """
        desired = build_children(
            inputs.owner, inputs.spec, overrides, inputs.pod_template, snapshot.pods
        )
        progress = _Progress(snapshot, inputs, overrides)
        # Pruning comes first: an autoscaler must not act on replicas that the spec sets again.
        for prune in find_prune_targets(snapshot, desired):
            await _collect_error(prune.kind, progress, self._prune_child(prune, progress))
        # The Deployment comes before its autoscaler, which would report an error without it.
        for child in desired:
            if scale_target_kind(child) in progress.unusable_kinds:
                continue  # it would scale the pods of another owner
            if child["kind"] in WORKLOAD_KINDS and SERVICE_ACCOUNT in progress.unusable_kinds:
                # Its pods would run as the account of another owner, or could not be created.
                progress.unusable_kinds.add(child["kind"])
                continue
            if self._optional_kinds.is_missing(child["kind"]):
                progress.errors.append(not_installed_error(child["kind"]))
                continue
            errors_before = len(progress.errors)
            await _collect_error(child["kind"], progress, self._sync_child(child, progress))
            new_errors = progress.errors[errors_before:]
            if child["kind"] == SERVICE_ACCOUNT and any(
                error.reason not in NON_BLOCKING for error in new_errors
            ):
                progress.unusable_kinds.add(SERVICE_ACCOUNT)
        has_overrides = overrides != NO_OVERRIDES
        return SyncResult(
            tuple(progress.changes), tuple(progress.errors), has_overrides=has_overrides
        )

    async def _prune_child(self, prune: PruneTarget, progress: _Progress) -> None:
        await self._writer.delete_child(progress.app, prune)
        progress.changes.append(ChildChange(prune.kind, None))

    async def _sync_child(self, desired: Json, progress: _Progress) -> None:
        kind = desired["kind"]
        snapshot, key = progress.snapshot, progress.app.key
        live = snapshot.children.get(kind)
        if has_already_run(progress.inputs.previous_status.job, live, desired):
            return
        latest = self._latest_children(snapshot)
        if (blocking_kind := find_blocking_workload(snapshot.app.uid, latest, desired)) is not None:
            progress.errors.append(terminating_error(blocking_kind, snapshot))
            return
        if live is None and await self._create_child(desired, progress):
            return
        if live is None:
            live = await self._writer.read_live(snapshot.app, kind)
        elif live.manifest_digest and is_manifest_needed(snapshot.app.uid, live):
            if self._compared.get(live.uid) == self._comparison(live, desired, progress):
                return
            with self._slots.hold(key):
                live = await self._writer.read_live(snapshot.app, kind)
        desired = keep_live_fields(live, desired)
        managers: tuple[str, ...] = ()
        if isinstance(live, DeploymentView):
            live, managers = await self._remove_foreign_fields(live, desired, progress)
        mutated_manifest = self._writer.mutated_digest(live.uid) if live is not None else b""
        child_action = diff_child(snapshot.app.uid, live, desired, mutated_manifest)
        if managers:
            progress.changes.append(
                ChildChange(kind, ChildAction.REVERT_DRIFT, managers, is_correction=True)
            )
        if child_action is not ChildAction.NOOP:
            await self._correct_child(child_action, live, desired, progress)
        elif live is not None:
            self._note_unchanged(live, desired, progress)

    def _latest_children(self, snapshot: AppSnapshot) -> Mapping[str, ChildView]:
        """Return the children without those that this sync has deleted."""
        latest = self._store.children_of(snapshot.app.key)
        return snapshot.children if latest is None else latest

    async def _create_child(self, desired: Json, progress: _Progress) -> bool:
        """Create a child of a new app; return False when it has to be read first."""
        created = await self._writer.create_child(progress.app, desired, progress.min_replicas)
        if created is None:
            return False
        self._note_mutation(created, desired, progress)
        progress.changes.append(ChildChange(created.kind, ChildAction.CREATE))
        return True

    def _note_unchanged(self, live: ChildView, desired: Json, progress: _Progress) -> None:
        """Remember that a child needs no change; add an error if it was stored differently."""
        self._note_mutation(live, desired, progress)
        if (bounded := bound_manifest(live)).manifest_digest:
            self._compared[live.uid] = self._comparison(bounded, desired, progress)

    def _note_mutation(self, live: ChildView, desired: Json, progress: _Progress) -> None:
        """Add an error if the API server has stored a child differently from what was applied."""
        if not self._writer.mutated_digest(live.uid):
            return
        paths = list(find_drift_paths(orjson.loads(live.manifest_json), desired))
        if paths:
            progress.errors.append(stored_differently_error(live.kind, paths))

    def _comparison(
        self, live: ChildView, desired: Json, progress: _Progress
    ) -> tuple[bytes, str, EditSelection]:
        """Return the values that tell whether a large child must be compared again."""
        applied_hash: str = desired["metadata"]["annotations"][names.ANNOTATION_APPLIED_HASH]
        return live.manifest_digest, applied_hash, progress.edit_selection

    async def _correct_child(
        self, child_action: ChildAction, live: ChildView | None, desired: Json, progress: _Progress
    ) -> None:
        """Carry out the action that the comparison of a child with its manifest has given."""
        kind, snapshot, key = desired["kind"], progress.snapshot, progress.app.key
        if child_action is ChildAction.CONFLICT and live is not None:
            progress.unusable_kinds.add(kind)
            error = name_conflict_error(key, live, is_fixed=has_other_selector(live, desired))
            progress.errors.append(error)
        elif (
            child_action is ChildAction.ADOPT
            and live is not None
            and self._must_wait(live, desired, progress)
        ):
            progress.errors.append(adoption_pending_error(kind, key))
        elif child_action is ChildAction.WAIT:
            progress.errors.append(terminating_error(kind, snapshot))
        elif child_action is ChildAction.REPLACE and live is not None:
            is_correction = self._is_correction(child_action, desired, progress)
            await self._writer.delete_child(snapshot.app, PruneTarget(kind, live.name, live.uid))
            progress.changes.append(ChildChange(kind, child_action, is_correction=is_correction))
            progress.errors.append(terminating_error(kind, snapshot))
        else:
            if live is None or live.owner_uid != snapshot.app.uid:
                await self._writer.ensure_app_exists(snapshot.app)
            is_correction = self._is_correction(child_action, desired, progress)
            managers: tuple[str, ...] = ()
            if live is not None:
                live, managers = await self._read_owners(child_action, live, desired, progress)
            stored = await self._writer.apply_child(
                snapshot.app, live, desired, progress.min_replicas
            )
            self._note_mutation(stored, desired, progress)
            if not any(change.kind == kind and change.managers for change in progress.changes):
                progress.changes.append(
                    ChildChange(
                        kind,
                        child_action,
                        managers,
                        is_correction=is_correction,
                        is_stored=not self._writer.mutated_digest(stored.uid),
                    )
                )

    def _is_correction(self, child_action: ChildAction, desired: Json, progress: _Progress) -> bool:
        """Whether somebody else has changed what the operator wrote: its own changes never count.

        A manifest that is written for the second time has been replaced meanwhile, for example by
        an operator of another version.
        """
        is_repeated = self._writer.was_last_written(progress.app, desired)
        return child_action is ChildAction.REVERT_DRIFT or (
            child_action in {ChildAction.UPDATE, ChildAction.REPLACE} and is_repeated
        )

    async def _read_owners(
        self, child_action: ChildAction, live: ChildView, desired: Json, progress: _Progress
    ) -> tuple[ChildView, tuple[str, ...]]:
        """Read which field managers own a child that is to be applied.

        What is no longer asked for, and would stay because another manager owns it, is removed. A
        large child is not read once more.

        Returns:
            The child, and for a correction who had changed it.
        """
        is_drift = child_action is ChildAction.REVERT_DRIFT
        is_large = bool(bound_manifest(live).manifest_digest)
        if is_large or not (is_drift or live.has_other_managers):
            return live, ()
        key, kind = progress.app.key, desired["kind"]
        raw = await self._client.get(CHILDREN[kind], key.namespace, key.name)
        if raw is None or raw["metadata"]["uid"] != live.uid:
            return live, ()
        if is_drift:
            return live, tuple(await name_contestants(self._client, progress.app, raw, desired))
        return await reset_obsolete_fields(self._client, key, raw, desired) or live, ()

    def _must_wait(self, live: ChildView, desired: Json, progress: _Progress) -> bool:
        """Whether the adoption of a child waits for the pods of the app's Deployment."""
        if is_job(progress.inputs.spec):
            return False
        # What this sync has written to the Deployment counts.
        latest = self._store.snapshot(progress.app.key) or progress.snapshot
        return must_wait(live, desired, latest.deployment, progress.unusable_kinds)

    async def _remove_foreign_fields(
        self, live: DeploymentView, desired: Json, progress: _Progress
    ) -> tuple[DeploymentView, tuple[str, ...]]:
        """Remove the foreign fields that are not tolerated from the pod template.

        Returns:
            The Deployment, and the field managers whose fields were removed.
        """
        app = progress.app
        if live.deleting or live.owner_uid != app.uid:
            return live, ()
        edits = select_edits(live, desired, progress.edit_selection)
        if not edits or self._unremovable.get(live.uid) == hash_manifest(live):
            return live, ()
        result = await reset_template(self._client, app.key, live, desired, edits)
        if result is None or result.manifest_json == live.manifest_json:
            # Defaults that another manager has written out, or a template that needs them.
            self._unremovable[live.uid] = hash_manifest(live)
            return live, ()
        self._unremovable.pop(live.uid, None)
        self._store.upsert_child(app.key, result)
        return result, tuple(dict.fromkeys(edit.manager for edit in edits))


async def _collect_error(kind: str, progress: _Progress, step: Awaitable[None]) -> None:
    """Await ``step``; an answer that refuses it becomes an error that the status shows."""
    try:
        await step
    except _TOLD_ERRORS as error:
        progress.errors.append(sync_error(kind, error))
    except UnavailableError as error:
        if not is_webhook_failure(error):
            raise
        progress.errors.append(sync_error(kind, error))
