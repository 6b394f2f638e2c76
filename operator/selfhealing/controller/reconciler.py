"""One reconcile: a key in, facts from the store, the pure rooms, writes of what differs."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Final

import orjson

from selfhealing.api.errors import InvalidSpecError
from selfhealing.api.healing_status import HealingStatus
from selfhealing.api.spec import SelfHealingAppSpec, parse_spec
from selfhealing.api.status import read_healing_status
from selfhealing.apply.child_diff import ChildAction
from selfhealing.apply.rate_limit import MAX_CORRECTIONS, WINDOW_SECONDS, CorrectionLimiter
from selfhealing.apply.result import (
    NON_BLOCKING,
    USER_ACTION_REQUIRED,
    SyncError,
    SyncErrorReason,
    SyncResult,
)
from selfhealing.cache.parse import app_view
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.child_sync import ChildSync
from selfhealing.controller.evaluate import Evaluation, evaluate
from selfhealing.controller.recorder import EventRecorder
from selfhealing.controller.remediator import Remediator
from selfhealing.controller.settings import Settings
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube import metrics
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, AppDeletedError, ConflictError, NotFoundError
from selfhealing.kube.resources import APPS, CONFIG_SOURCES
from selfhealing.remediation.context import ExternalState
from selfhealing.render.references import tracked_references
from selfhealing.status.events import Event, child_events

logger = logging.getLogger(__name__)

USER_ACTION_POLL_INTERVAL: Final = 30.0
"""Seconds between two looks at an obstacle that only people can remove and that no watch shows."""

CONTESTED_ERROR: Final = SyncError(
    SyncErrorReason.CONTESTED,
    f"something else keeps changing the children (put right {MAX_CORRECTIONS} times in {WINDOW_SECONDS:.0f} s): look "
    "in their metadata.managedFields for who it is; it is tried again at that pace",
)

UNCHANGED: Final = "unchanged"
CHANGED: Final = "changed"
FAILED: Final = "failed"


class Reconciler:
    """Brings apps to what their specs say, and says how they are."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts that it works with
        self,
        client: Client,
        store: Store,
        queue: WorkQueue[AppKey],
        recorder: EventRecorder,
        child_sync: ChildSync,
        remediator: Remediator,
        settings: Settings,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._store = store
        self._queue = queue
        self._recorder = recorder
        self._child_sync = child_sync
        self._remediator = remediator
        self._status_interval = settings.status_interval
        self._watched_config_kinds = {
            source.kind for source in CONFIG_SOURCES[settings.config_watch]
        }
        self._clock = clock
        self._last_written: dict[AppKey, float] = {}
        self._phases: dict[AppKey, str] = {}
        self._generations: dict[AppKey, int] = {}
        self._correction_limiter: CorrectionLimiter[AppKey] = CorrectionLimiter()
        self._apps_by_phase: Counter[str] = Counter()

    async def run_worker(self) -> None:
        """Take keys from the queue and reconcile them, for ever."""
        while True:
            key = await self._queue.get()
            started = perf_counter()
            try:
                result = await self._reconcile(key)
            except ApiError as error:
                result = FAILED
                delay = self._queue.add_rate_limited(key)
                logger.warning(
                    "%s: %s; again in %.1f s", key, error, delay, extra={"app": str(key)}
                )
            except Exception:
                result = FAILED
                delay = self._queue.add_rate_limited(key)
                logger.exception(
                    "%s: a fault of the operator; again in %.1f s",
                    key,
                    delay,
                    extra={"app": str(key)},
                )
            finally:
                self._queue.done(key)
            metrics.RECONCILES.labels(result).inc()
            metrics.RECONCILE_SECONDS.observe(perf_counter() - started)

    async def _reconcile(self, key: AppKey) -> str:
        snapshot = self._store.snapshot(key)
        if snapshot is None or snapshot.app.deleting:
            self._forget_app(key)
            return UNCHANGED
        now = datetime.now(UTC)
        snapshot, spec, sync_result = self._load_spec(snapshot)
        external = ExternalState()
        try:
            if spec is not None and not spec.paused:
                sync_result, external = await self._sync_children(snapshot, spec, now)
        except AppDeletedError as error:  # the watch, or the next list of everything, will say so
            logger.debug("%s: %s", key, error)
            self._queue.add_rate_limited(key)
            return UNCHANGED
        # What was written is in the store already: look again before speaking about it.
        # The app itself stays the one whose spec was read: if it has changed since, the write of
        # the status is a conflict, and nothing is started by a spec that is no longer wanted.
        # So does what its pods are configured by, which is in what was written.
        snapshot = replace(
            self._store.snapshot(key) or snapshot,
            app=snapshot.app,
            config_digests=snapshot.config_digests,
        )
        self._record_events(
            snapshot, child_events(sync_result.changes, has_overrides=sync_result.has_overrides)
        )
        if any(
            change.action in {ChildAction.CREATE, ChildAction.UPDATE}
            for change in sync_result.changes
        ):
            self._last_written[key] = self._clock()  # Kubernetes will have news of them in a moment
        evaluation = evaluate(snapshot, spec, sync_result, now, external)
        is_written = await self._write_status(snapshot, spec, evaluation)
        self._requeue(key, sync_result)
        return CHANGED if is_written or sync_result.changes else UNCHANGED

    def _load_spec(
        self, snapshot: AppSnapshot
    ) -> tuple[AppSnapshot, SelfHealingAppSpec | None, SyncResult]:
        """Read the spec, and look at the state of what it refers to."""
        key = snapshot.app.key
        try:
            spec = parse_spec(orjson.loads(snapshot.app.spec))
        except InvalidSpecError as error:
            sync_error = SyncError(SyncErrorReason.INVALID_SPEC, str(error))
            return snapshot, None, SyncResult(errors=(sync_error,))
        references = frozenset(
            reference
            for reference in tracked_references(spec)
            if reference.kind in self._watched_config_kinds
        )
        self._store.config_index.set_references(key, references)
        return (
            replace(snapshot, config_digests=self._store.config_index.digests_for(key)),
            spec,
            SyncResult(),
        )

    async def _sync_children(
        self, snapshot: AppSnapshot, spec: SelfHealingAppSpec, now: datetime
    ) -> tuple[SyncResult, ExternalState]:
        key = snapshot.app.key
        if self._generations.get(key) != snapshot.app.generation:
            self._generations[key] = snapshot.app.generation
            self._correction_limiter.reset(key)
        preparation = await self._remediator.prepare(snapshot, spec, _healing_record(snapshot), now)
        retry_after = self._correction_limiter.retry_after(key, self._clock())
        if retry_after:
            self._queue.add(key, retry_after)
            return SyncResult(errors=(CONTESTED_ERROR,)), preparation.external
        sync_result = await self._child_sync.sync_children(snapshot, spec, preparation.overrides)
        if any(
            change.action in {ChildAction.UPDATE, ChildAction.REVERT_DRIFT, ChildAction.REPLACE}
            for change in sync_result.changes
        ):
            self._correction_limiter.record(key, self._clock())
        return sync_result, preparation.external

    async def _write_status(
        self, snapshot: AppSnapshot, spec: SelfHealingAppSpec | None, evaluation: Evaluation
    ) -> bool:
        key = snapshot.app.key
        before, after = _healing_record(snapshot), evaluation.status.healing
        self._update_phase_count(key, str(evaluation.status.phase))
        is_active = spec is not None and not spec.paused
        poll_after = self._remediator.update_breaker(
            key, after if is_active else None, has_pod_problem=evaluation.has_pod_problem
        )
        for delay in (evaluation.requeue_after, poll_after):
            if delay is not None:
                self._queue.add(key, delay)
        if not evaluation.patch:
            self._store.release_counted(key, snapshot.deleted_pods)
            return False
        wait = (
            self._last_written.get(key, -self._status_interval)
            + self._status_interval
            - self._clock()
        )
        if wait > 0:
            self._queue.add(key, wait)
            return False
        if not await self._can_write_status(snapshot, spec, before, after):
            self._queue.add_rate_limited(key)
            return False
        patch = {
            "metadata": {"resourceVersion": str(snapshot.app.resource_version)},
            "status": evaluation.patch,
        }
        try:
            raw = await self._client.merge_patch(APPS, key.namespace, key.name, patch, "status")
        except NotFoundError:  # deleted meanwhile; the watch will say so
            return False
        except ConflictError:
            # The resource has changed since it was seen: the ledger of restarts must be read anew.
            logger.debug("%s: the resource changed meanwhile", key)
            self._queue.add_rate_limited(key)
            return False
        self._last_written[key] = self._clock()
        self._store.upsert_app(app_view(raw))
        self._store.release_counted(key, snapshot.deleted_pods)
        for restart in evaluation.new_restarts:
            metrics.CONTAINER_RESTARTS.labels(restart.reason).inc(restart.count)
        self._record_events(snapshot, evaluation.events)
        await self._remediator.on_status_stored(snapshot, before, after)
        if "healing" in evaluation.patch:
            # What is to be carried out now stands in the store: the watch will bring no news of it.
            self._queue.add(key)
        return True

    async def _can_write_status(
        self,
        snapshot: AppSnapshot,
        spec: SelfHealingAppSpec | None,
        before: HealingStatus | None,
        after: HealingStatus | None,
    ) -> bool:
        """Whether what a record says is so: that its action is due, that its version is kept."""
        if not await self._remediator.revalidate(snapshot, before, after):
            logger.info("%s: not healed by what is known: it has changed since", snapshot.app.key)
            return False
        return spec is None or await self._remediator.save_stable_revision(
            snapshot, spec, before, after
        )

    def _record_events(self, snapshot: AppSnapshot, events: Iterable[Event]) -> None:
        for event in events:
            logger.log(
                logging.WARNING if event.type == "Warning" else logging.INFO,
                "%s: %s: %s",
                snapshot.app.key,
                event.reason,
                event.message,
                extra={"app": str(snapshot.app.key), "reason": event.reason},
            )
            self._recorder.record_event(snapshot.app, event)

    def _requeue(self, key: AppKey, sync_result: SyncResult) -> None:
        reasons = {error.reason for error in sync_result.errors}
        if reasons - USER_ACTION_REQUIRED - NON_BLOCKING - {SyncErrorReason.CONTESTED}:
            self._queue.add_rate_limited(key)
            return
        self._queue.forget(key)
        if reasons & USER_ACTION_REQUIRED:
            self._queue.add(key, USER_ACTION_POLL_INTERVAL)

    def _update_phase_count(self, key: AppKey, phase: str) -> None:
        old = self._phases.get(key)
        if old != phase:
            self._phases[key] = phase
            self._apps_by_phase[phase] += 1
            metrics.APPS_BY_PHASE.labels(phase).set(self._apps_by_phase[phase])
            self._decrement_phase_count(old)

    def _decrement_phase_count(self, phase: str | None) -> None:
        if phase is not None:
            self._apps_by_phase[phase] -= 1
            metrics.APPS_BY_PHASE.labels(phase).set(self._apps_by_phase[phase])

    def _forget_app(self, key: AppKey) -> None:
        self._decrement_phase_count(self._phases.pop(key, None))
        self._last_written.pop(key, None)
        self._generations.pop(key, None)
        self._correction_limiter.reset(key)
        self._remediator.forget_app(key)
        self._queue.forget(key)


def _healing_record(snapshot: AppSnapshot) -> HealingStatus | None:
    """What is remembered about healing an app."""
    return read_healing_status(orjson.loads(snapshot.app.status))
