"""What healing needs from outside the app, and what has to be there before a record is written.

The decisions are ``heal.decision``'s, the steps ``heal.plan``'s; ``runtime.hands`` carries them
out. The order is what makes it safe: an action is written as Started, then its evidence is taken,
then it is carried out; a version is kept, then the status says so, then the one before goes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from selfhealing.api.healing_status import BlockedReason, HealingStatus
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.apply.config_hash import desired_config_hash
from selfhealing.cache.parse import parse_resource_version as version_in
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey, ChildView, DeploymentView, PodView
from selfhealing.controller.action_executor import ActionExecutor
from selfhealing.controller.evidence_collector import EvidenceCollector
from selfhealing.controller.memory_metrics import MemoryMetrics
from selfhealing.controller.node_health import NodeHealth
from selfhealing.controller.revision_store import RevisionStore, UnreadableRevisionError
from selfhealing.controller.settings import Settings
from selfhealing.controller.unhealthy_apps import UnhealthyApps, count_changes
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.health.pod_problems import is_active, is_node_lost
from selfhealing.kube.client import Client
from selfhealing.kube.errors import UnavailableError
from selfhealing.kube.resources import CHILDREN, PODS, Resource
from selfhealing.remediation import history
from selfhealing.remediation.circuit_breaker import too_many_nodes_lost
from selfhealing.remediation.context import ExternalState
from selfhealing.remediation.engine import new_record
from selfhealing.remediation.policy import HealingMode, Policy, build_policy
from selfhealing.remediation.steps import (
    build_overrides,
    discard_stale_action,
    plan_cleanup_for_job,
    plan_steps,
)
from selfhealing.render.overrides import Overrides, template_revision
from selfhealing.render.pod import build_pod_template, is_job

Json = dict[str, Any]

EXTERNAL_POLL_INTERVAL: Final = 5.0
"""Seconds until something is looked at again that no watch tells of: a storm, lost nodes."""

EXTERNAL_BLOCKED_REASONS: Final = frozenset(
    {
        BlockedReason.STARTING_UP,
        BlockedReason.STORM,
        BlockedReason.NODES_LOST,
        BlockedReason.STALE_CACHE,
    }
)
"""Reasons to wait that end without any news of the app."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What one reconcile goes by: what stands in place of the spec, and the situation."""

    overrides: Overrides
    external: ExternalState


class Remediator:
    """Healing's memory between reconciles, and its eyes for what no watch shows.

    Nothing that it remembers is needed: a new process begins without it.

    Attributes:
        usage: what the pods use; it has to be run.
    """

    def __init__(
        self,
        client: Client,
        store: Store,
        queue: WorkQueue[AppKey],
        settings: Settings,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._queue = queue
        self._time_scale = settings.healing_scale
        self._start_grace = settings.healing_quiet * settings.healing_scale
        self._clock = clock
        self._grace_started_at = clock()
        self._executor = ActionExecutor(client, store, queue, clock)
        self._revision_store = RevisionStore(client, clock)
        self._evidence_collector = EvidenceCollector(client)
        self._node_health = NodeHealth(client, clock)
        self._unhealthy_apps = UnhealthyApps(store)
        self.memory_metrics = MemoryMetrics(client, store, queue, self._time_scale, clock)
        self._stale_views: dict[AppKey, tuple[str, int]] = {}
        """By app, the uid and the version of what was known of an object that has changed."""

    def start_grace_period(self) -> None:
        """Begin the quiet time: this process is the one that acts from now on."""
        self._grace_started_at = self._clock()

    async def prepare(
        self,
        snapshot: AppSnapshot,
        spec: SelfHealingAppSpec,
        record: HealingStatus | None,
        now: datetime,
    ) -> Preparation:
        """Carry out what the ``record`` asks for, and gather what the next decision needs.

        Raises:
            UnavailableError: the API server is out of reach; or what stands in place of the spec
                cannot be read, so that nothing can be said of what should be there.
        """
        record = record or new_record()
        if is_job(spec):
            await self._executor.execute(snapshot.app, plan_cleanup_for_job(record))
            return Preparation(Overrides(), ExternalState(time_scale=self._time_scale))
        healing_policy = build_policy(spec, self._time_scale)
        desired_revision = template_revision(
            snapshot.app.key.name, spec, desired_config_hash(snapshot, spec)
        )
        stable_template, blocked_reason = await self._load_stable_template(
            snapshot, record, desired_revision, healing_policy
        )
        evidence_keys = await self._evidence_collector.collect(
            snapshot, spec, record, stable_template, now
        )
        steps = plan_steps(
            discard_stale_action(record, desired_revision, healing_policy, now), snapshot, now
        )
        pending_uids = await self._executor.execute(snapshot.app, steps)
        retry_after = self._revision_store.retry_after(snapshot.app, desired_revision)
        if retry_after:
            self._queue.add(snapshot.app.key, retry_after)
        has_lost_pod = any(is_active(pod) and is_node_lost(pod) for pod in snapshot.pods)
        external = ExternalState(
            time_scale=self._time_scale,
            blocked_reason=blocked_reason or self._blocked_reason(snapshot),
            stable_revision_missing=blocked_reason is None
            and stable_template is None
            and _can_roll_back(record, desired_revision, healing_policy),
            too_many_nodes_lost=has_lost_pod and await self._has_too_many_lost_nodes(),
            revision_not_saved=retry_after > 0,
            isolated_pod_delete_pending=record.quarantine is not None
            and record.quarantine.uid in pending_uids,
            evidence_keys=evidence_keys,
            memory_usage=self.memory_metrics.samples_for(snapshot),
        )
        return Preparation(build_overrides(record, stable_template), external)

    async def revalidate(
        self, snapshot: AppSnapshot, before: HealingStatus | None, after: HealingStatus | None
    ) -> bool:
        """Whether an action that is to be started now was decided by what is still so.

        If not, nothing is started until the watch has brought what has changed.
        """
        action = history.find_running(after) if after else None
        running_before = history.find_running(before) if before else None
        if action is None or (running_before is not None and running_before.id == action.id):
            return True
        views: list[tuple[Resource, PodView | DeploymentView]] = []
        views += [(PODS, pod) for pod in snapshot.pods if pod.uid == action.uid]
        if snapshot.deployment is not None:
            views.append((CHILDREN["Deployment"], snapshot.deployment))
        for resource, view in views:
            raw = await self._client.get(resource, snapshot.app.key.namespace, view.name)
            if raw is None or version_in(raw["metadata"]) != view.resource_version:
                self._stale_views[snapshot.app.key] = view.uid, view.resource_version
                return False
        return True

    async def save_stable_revision(
        self,
        snapshot: AppSnapshot,
        spec: SelfHealingAppSpec,
        before: HealingStatus | None,
        after: HealingStatus | None,
    ) -> bool:
        """Keep the template of a version that has proved itself, before the status says so.

        Returns:
            False when it cannot be kept; then the status must not say so, and no decision will,
            until it is tried again.
        """
        stable_revision = after.stable_revision if after else None
        if (
            after is None
            or stable_revision is None
            or stable_revision == (before.stable_revision if before else None)
        ):
            return True
        template = build_pod_template(
            snapshot.app.key.name, spec, desired_config_hash(snapshot, spec)
        )
        # With the memory that made it work, but not with what keeps it away from a node of today.
        stable_overrides = replace(build_overrides(after, None), excluded_node="")
        return await self._revision_store.save(
            snapshot.app, stable_revision, stable_overrides.apply_to(template)
        )

    async def on_status_stored(
        self, snapshot: AppSnapshot, before: HealingStatus | None, after: HealingStatus | None
    ) -> None:
        """Take in that a record was stored: what it says is new is counted, what is old goes."""
        if after is None:
            return
        count_changes(before, after)
        previous_revision = before.stable_revision if before else None
        if previous_revision is not None and after.stable_revision not in {None, previous_revision}:
            await self._revision_store.delete(snapshot.app, previous_revision)

    def update_breaker(
        self, key: AppKey, record: HealingStatus | None, *, has_pod_problem: bool
    ) -> float | None:
        """Take in how an app is; returns in how many seconds to look again, if nothing happens.

        The ``record`` is None where healing has nothing to do with it: a Job, or one at rest.
        ``ailing`` as in ``status.report.Report``.
        """
        self._unhealthy_apps.update(key, record, has_pod_problem=has_pod_problem)
        return (
            EXTERNAL_POLL_INTERVAL
            if record is not None and record.blocked_reason in EXTERNAL_BLOCKED_REASONS
            else None
        )

    def forget_app(self, key: AppKey) -> None:
        """The app is gone."""
        self._unhealthy_apps.forget_app(key)
        self._executor.forget_app(key)
        self._stale_views.pop(key, None)
        self._evidence_collector.forget_app(key)

    def _blocked_reason(self, snapshot: AppSnapshot) -> BlockedReason | None:
        key = snapshot.app.key
        stale = self._stale_views.get(key)
        if stale is not None:
            views: tuple[PodView | ChildView, ...] = (*snapshot.pods, *snapshot.children.values())
            if stale in {(view.uid, view.resource_version) for view in views}:
                return BlockedReason.STALE_CACHE
            del self._stale_views[key]
        if self._clock() < self._grace_started_at + self._start_grace:
            return BlockedReason.STARTING_UP
        return BlockedReason.STORM if self._unhealthy_apps.is_storm else None

    async def _load_stable_template(
        self,
        snapshot: AppSnapshot,
        record: HealingStatus,
        desired_revision: str,
        healing_policy: Policy,
    ) -> tuple[Json | None, BlockedReason | None]:
        """The template to go back to, if there is one; with a hold where nobody can tell."""
        stable_revision = record.stable_revision
        if stable_revision is None or not _can_roll_back(record, desired_revision, healing_policy):
            return None, None
        try:
            return await self._revision_store.load(snapshot.app, stable_revision), None
        except UnreadableRevisionError as error:
            if record.failed_revision is None:
                return None, BlockedReason.STALE_CACHE
            message = f"version {stable_revision}, which runs, cannot be read: {error}"
            raise UnavailableError(0, "", message) from error

    async def _has_too_many_lost_nodes(self) -> bool:
        node_count = await self._node_health.count_nodes()
        return node_count is None or too_many_nodes_lost(
            len(node_count.unreachable), node_count.total
        )


def _can_roll_back(record: HealingStatus, desired_revision: str, healing_policy: Policy) -> bool:
    """Whether there is another version than the one that is ``asked`` for, to go back to."""
    return (
        record.stable_revision not in {None, desired_revision}
        and healing_policy.mode != HealingMode.OFF
    )
