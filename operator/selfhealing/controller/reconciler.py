"""Takes keys from the work queue and reconciles the apps; the I/O of a reconcile."""

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any, Final

import orjson

from selfhealing.api.errors import FieldError, InvalidSpecError
from selfhealing.api.spec import SelfHealingAppSpec, parse_spec
from selfhealing.apply.child_diff import ChildAction
from selfhealing.apply.config_debounce import ConfigDebounce
from selfhealing.apply.rate_limit import CorrectionLimiter, StatusLimiter
from selfhealing.apply.result import (
    NON_BLOCKING,
    USER_ACTION_REQUIRED,
    SyncErrorReason,
    SyncResult,
)
from selfhealing.cache.parse import app_view, compact_json
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.store import Store
from selfhealing.cache.views import MAX_SPEC_BYTES, AppKey, AppView
from selfhealing.controller.child_errors import contested_error
from selfhealing.controller.child_sync import ChildSync
from selfhealing.controller.config_changes import ConfigChanges, Configuration
from selfhealing.controller.config_reader import ConfigReader
from selfhealing.controller.evaluate import Evaluation
from selfhealing.controller.fair_slots import NoSlotError
from selfhealing.controller.namespace_labels import NamespaceLabels
from selfhealing.controller.phase_counts import PhaseCounts
from selfhealing.controller.reconcile_order import run_reconcile
from selfhealing.controller.recorder import EventRecorder
from selfhealing.controller.remediator import Remediator
from selfhealing.controller.settings import Settings
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube import metrics
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, AppDeletedError, ConflictError, NotFoundError
from selfhealing.kube.resources import APPS
from selfhealing.remediation.reconcile_input import (
    AnyInput,
    ReconcileInput,
    build_invalid_spec_input,
    build_reconcile_input,
)
from selfhealing.render.overrides import Overrides
from selfhealing.render.references import has_too_many_references, tracked_references
from selfhealing.status.events import POD_SECURITY_ADMITTED, Event, child_events

logger = logging.getLogger(__name__)

EXTERNAL_POLL_INTERVAL: Final = 5.0
"""Seconds until an app is reconciled again whose remediation is blocked from outside."""

USER_ACTION_POLL_INTERVAL: Final = 30.0
"""Seconds between two reconciles of an app with an error that a person has to correct, and that no
watch reports."""

CREATION_MARGIN: Final = timedelta(seconds=2)
"""An app that was created this shortly after the process began to lead may be older: the times are
exact to a second."""

UNCHANGED: Final = "unchanged"
CHANGED: Final = "changed"
FAILED: Final = "failed"


class Reconciler:
    """Applies the children of apps and writes their status; implements reconcile_order.AppIO."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts that it works with
        self,
        client: Client,
        store: Store,
        queue: WorkQueue[AppKey],
        recorder: EventRecorder,
        child_sync: ChildSync,
        remediator: Remediator,
        config_reader: ConfigReader,
        settings: Settings,
        clock: Callable[[], float],
        server_now: Callable[[], datetime],
    ) -> None:
        """``clock`` returns monotonic seconds, ``server_now`` the API server's time."""
        self._client = client
        self._store = store
        self._queue = queue
        self._recorder = recorder
        self._child_sync = child_sync
        self._remediator = remediator
        self._status_interval = settings.status_interval
        self._time_scale = settings.healing_scale
        self._config_reader = config_reader
        self._clock = clock
        self._server_now = server_now
        self._namespace_labels = NamespaceLabels(client, clock)
        self._last_written: dict[AppKey, float] = {}
        self._written_records: dict[AppKey, tuple[str, bytes]] = {}
        """By app, its UID and status.healing as JSON, as the API server has stored what this
        process wrote last."""
        self._attempted_writes: dict[AppKey, str] = {}
        """By app, its UID when this process first tried to write its status."""
        self._leading_since: datetime | None = None
        self._phase_counts = PhaseCounts()
        self._generations: dict[AppKey, int] = {}
        self._config_changes = ConfigChanges()
        self._config_debounce = ConfigDebounce()
        self._correction_limiter: CorrectionLimiter[AppKey] = CorrectionLimiter()
        self._status_limiter: StatusLimiter[AppKey] = StatusLimiter(settings.healing_scale)

    def start_leading(self) -> None:
        """Note that from now on this process acts, and no other."""
        self._leading_since = self._server_now()
        self._remediator.start_grace_period()

    async def run_worker(self) -> None:
        """Reconcile the keys of the queue, for ever."""
        while True:
            key = await self._queue.get()
            started = perf_counter()
            try:
                result = await self._reconcile(key)
            except ApiError as error:
                result = FAILED
                delay = self._queue.add_rate_limited(key)
                logger.warning(
                    "%s: %s; retry in %.1f s", key, error, delay, extra={"app": str(key)}
                )
            except Exception:
                result = FAILED
                delay = self._queue.add_rate_limited(key)
                logger.exception(
                    "%s: internal error; retry in %.1f s",
                    key,
                    delay,
                    extra={"app": str(key)},
                )
            finally:
                self._queue.done(key)
            metrics.RECONCILES.labels(result).inc()
            metrics.RECONCILE_SECONDS.observe(perf_counter() - started)

    async def _reconcile(self, key: AppKey) -> str:
        if key.namespace in self._store.refused_namespaces:
            return UNCHANGED  # what is known of the app may be old; it is enqueued again
        # Read before the snapshot is taken, so that the snapshot is not older than it needs to be.
        namespace_labels = await self._namespace_labels.get(key.namespace)
        snapshot = self._store.snapshot(key)
        if snapshot is None or snapshot.app.deleting:
            self._forget_app(key)
            return UNCHANGED
        now = self._server_now()
        built = self._build_input(snapshot, now, namespace_labels)
        if built is None:
            return UNCHANGED  # the reader enqueues the app
        snapshot, inputs = built
        try:
            sync_result, is_written = await run_reconcile(
                self, self._remediator, snapshot, inputs, now
            )
        except AppDeletedError as error:  # the watch or the next relist brings the deletion
            logger.debug("%s: %s", key, error)
            self._queue.add_rate_limited(key)
            return UNCHANGED
        except NoSlotError:  # the app is enqueued when it is its turn
            return UNCHANGED
        self._requeue(key, sync_result)
        return CHANGED if is_written or sync_result.changes else UNCHANGED

    def _build_input(
        self, snapshot: AppSnapshot, now: datetime, namespace_labels: Mapping[str, str] | None
    ) -> tuple[AppSnapshot, AnyInput] | None:
        """Read the spec and the status; track the ConfigMaps and Secrets that the spec reads.

        Returns:
            The input; None until these objects have been read: without their digests the pods would
            be replaced.
        """
        key = snapshot.app.key
        uid, written = self._written_records.get(key, ("", b""))
        written_record = orjson.loads(written) if uid == snapshot.app.uid else None
        is_new = self._is_new(snapshot.app)
        try:
            spec = _parse_stored_spec(snapshot.app)
        except InvalidSpecError as error:
            return snapshot, build_invalid_spec_input(
                snapshot.app, str(error), written_record, is_new=is_new
            )
        references = tracked_references(spec)
        if not self._config_reader.follow(key, references):
            return None
        config_digests, wait = self._config_debounce.settle(
            key, self._store.config_index.digests_for(key), self._clock()
        )
        if wait:
            self._queue.add(key, wait)
        snapshot = replace(
            snapshot,
            config_digests=config_digests,
            unwatched_kinds=self._config_reader.find_unwatched_kinds(references),
            has_too_many_references=not references and has_too_many_references(spec),
        )
        return snapshot, build_reconcile_input(
            snapshot,
            spec,
            now,
            self._time_scale,
            namespace_labels=namespace_labels,
            written_record=written_record,
            is_new=is_new,
        )

    def _is_new(self, app: AppView) -> bool:
        """Whether an app was created while this process led, and has no status of it yet."""
        return (
            self._attempted_writes.get(app.key) != app.uid
            and self._leading_since is not None
            and app.created is not None
            and app.created > self._leading_since + CREATION_MARGIN
        )

    # The steps of one reconcile: controller.reconcile_order.AppIO.

    async def sync_children(
        self, snapshot: AppSnapshot, inputs: ReconcileInput, overrides: Overrides
    ) -> SyncResult:
        """Apply the children that differ, unless something else keeps changing them back."""
        key = snapshot.app.key
        if self._generations.get(key) != snapshot.app.generation:
            self._generations[key] = snapshot.app.generation
            self._correction_limiter.reset(key)
        retry_after = self._correction_limiter.retry_after(key, self._clock())
        if retry_after:
            self._queue.add(key, retry_after)
            opponents = self._correction_limiter.opponents(key)
            return SyncResult(errors=(contested_error(opponents),))
        sync_result = await self._child_sync.sync_children(snapshot, inputs, overrides)
        corrections = [change for change in sync_result.changes if change.is_correction]
        if corrections:
            managers = (manager for change in corrections for manager in change.managers)
            opponents = tuple(dict.fromkeys(managers))
            self._correction_limiter.record(key, self._clock(), opponents)
        return sync_result

    def take_snapshot(self, key: AppKey) -> AppSnapshot | None:
        """Return what the store holds of the app, with the answers to the writes."""
        return self._store.snapshot(key)

    def on_evaluated(
        self, snapshot: AppSnapshot, sync_result: SyncResult, evaluation: Evaluation
    ) -> None:
        """Record the Events of the children, count the phase and ask for the next reconcile."""
        key = snapshot.app.key
        keys = self._store.config_index.key_digests_for(key)
        configuration = Configuration(snapshot.app.generation, snapshot.config_digests, keys)
        self._record_events(
            snapshot,
            child_events(
                sync_result.changes,
                has_overrides=sync_result.has_overrides,
                changed_configs=self._config_changes.find(key, configuration),
            ),
        )
        if {error.reason for error in sync_result.errors} <= NON_BLOCKING:
            self._config_changes.note_synced(key, configuration)
        actions = {change.action for change in sync_result.changes}
        if actions & {ChildAction.CREATE, ChildAction.UPDATE}:
            self._last_written[key] = self._clock()  # the controllers report on them in a moment
        self._phase_counts.update(key, evaluation.status.phase)
        if evaluation.requeue_after is not None:
            self._queue.add(key, evaluation.requeue_after)
        if evaluation.is_blocked_from_outside:
            self._queue.add(key, EXTERNAL_POLL_INTERVAL)
        if POD_SECURITY_ADMITTED in {each.type for each in evaluation.status.conditions}:
            self._queue.add(key, USER_ACTION_POLL_INTERVAL)  # the Namespace is not watched
        if not evaluation.patch:
            self._store.release_counted(key, snapshot.deleted_pods)

    def can_write_status_now(self, key: AppKey, *, is_urgent: bool) -> bool:
        """Return whether the status interval is over; if not, reconcile again when it is.

        Of an app that flaps, what is not urgent waits for longer.
        """
        now = self._clock()
        last_written = self._last_written.get(key, -self._status_interval)
        wait = last_written + self._status_interval - now
        if not is_urgent:
            wait = max(wait, self._status_limiter.retry_after(key, now))
        if wait > 0:
            self._queue.add(key, wait)
        return wait <= 0

    def retry_later(self, key: AppKey) -> None:
        """Reconcile the app again after its back-off."""
        self._queue.add_rate_limited(key)

    async def write_status(self, snapshot: AppSnapshot, evaluation: Evaluation) -> bool:
        """Write the status of the app that was evaluated; False when it has changed meanwhile."""
        key = snapshot.app.key
        self._attempted_writes[key] = snapshot.app.uid
        try:
            raw = await self._patch_status(snapshot.app, evaluation.patch)
        except NotFoundError:  # deleted meanwhile: the watch brings the deletion
            return False
        except ConflictError:
            # The restarts that the status counts must be read again before they are counted.
            logger.debug("%s: the resource has changed", key)
            self._queue.add_rate_limited(key)
            return False
        except ApiError:  # it may have been written all the same
            self._written_records.pop(key, None)
            raise
        self._note_record(key, raw)
        self._last_written[key] = self._clock()
        self._status_limiter.record(key, self._clock())
        self._store.upsert_app(app_view(raw))
        self._store.release_counted(key, snapshot.deleted_pods)
        for restart in evaluation.new_restarts:
            metrics.CONTAINER_RESTARTS.labels(restart.reason).inc(restart.count)
        self._record_events(snapshot, evaluation.events)
        if "healing" in evaluation.patch:
            # The answer is in the store already: no watch event asks for its steps.
            self._queue.add(key)
        return True

    async def _patch_status(self, app: AppView, patch: Mapping[str, Any]) -> Mapping[str, Any]:
        """Merge a patch into the status; one that is too large to be known is cleared before."""
        version = str(app.resource_version)
        for status in (None, patch) if app.oversized_status else (patch,):
            body = {"metadata": {"resourceVersion": version}, "status": status}
            raw = await self._client.merge_patch(
                APPS, app.key.namespace, app.key.name, body, "status"
            )
            version = raw["metadata"]["resourceVersion"]
        return raw

    def _note_record(self, key: AppKey, raw: Mapping[str, Any]) -> None:
        """Remember the record as it was stored: another one is not the operator's."""
        record = (raw.get("status") or {}).get("healing")
        if record is None:
            self._written_records.pop(key, None)
        else:
            self._written_records[key] = raw["metadata"]["uid"], compact_json(record)

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

    def _forget_app(self, key: AppKey) -> None:
        self._phase_counts.forget_app(key)
        self._last_written.pop(key, None)
        self._status_limiter.reset(key)
        self._written_records.pop(key, None)
        self._attempted_writes.pop(key, None)
        self._generations.pop(key, None)
        self._config_changes.forget(key)
        self._config_debounce.forget(key)
        self._correction_limiter.reset(key)
        self._remediator.forget_app(key)
        self._queue.forget(key)


def _parse_stored_spec(app: AppView) -> SelfHealingAppSpec:
    """Parse the spec of an app.

    Raises:
        InvalidSpecError: it is invalid, or so large that the cache does not hold it.
    """
    if app.oversized_spec:
        size, limit = math.ceil(app.oversized_spec / 1024), MAX_SPEC_BYTES // 1024
        advice = f"write at most {limit} KiB, and put large values into a ConfigMap"
        raise InvalidSpecError(FieldError("spec", f"has {size} KiB as JSON: {advice}"))
    return parse_spec(orjson.loads(app.spec))
