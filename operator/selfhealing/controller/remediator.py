"""The I/O of remediation: it collects external state for a decision, and carries out its effects.

The order of the calls is reconcile_order's.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from selfhealing.api.container_limits import LimitedResource, LimitKey
from selfhealing.api.healing_status import BlockedReason, HealingStatus, Remediation
from selfhealing.cache.parse import parse_resource_version
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey, AppView, ChildView, DeploymentView, PodView
from selfhealing.controller.action_executor import ActionExecutor
from selfhealing.controller.action_pacer import ActionPacer
from selfhealing.controller.config_copies import MAX_COPY_LISTS, ConfigCopies
from selfhealing.controller.evidence_collector import EvidenceCollector
from selfhealing.controller.evidence_privacy import EvidencePrivacy
from selfhealing.controller.evidence_store import MAX_EVIDENCES
from selfhealing.controller.experiments import (
    MAX_EXPERIMENTS,
    RESULT_TTL,
    RollbackExperiments,
    should_preview,
)
from selfhealing.controller.fair_slots import FairSlots
from selfhealing.controller.network_policies import NetworkPolicies
from selfhealing.controller.node_health import NodeHealth
from selfhealing.controller.raise_check import RaiseCheck
from selfhealing.controller.reconcile_order import (
    CollectedEvidence,
    RollbackPreview,
    StableTemplate,
)
from selfhealing.controller.revision_store import RevisionStore, UnreadableRevisionError
from selfhealing.controller.settings import Settings
from selfhealing.controller.unhealthy_apps import UnhealthyApps, count_changes
from selfhealing.controller.usage_metrics import UsageMetrics
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.health.pod_problems import is_active, is_node_lost
from selfhealing.kube.client import Client
from selfhealing.kube.errors import UnavailableError
from selfhealing.kube.resources import CHILDREN, PODS, Resource
from selfhealing.remediation import history
from selfhealing.remediation.context import ExternalState, SavedRevisionName
from selfhealing.remediation.limit_ceiling import clamp_limits
from selfhealing.remediation.policy import HealingMode
from selfhealing.remediation.raised_limits import find_raised_key
from selfhealing.remediation.reconcile_input import ReconcileInput
from selfhealing.remediation.revisions import find_saved_revision, named_revisions
from selfhealing.remediation.steps import Step, StepResults, build_overrides
from selfhealing.remediation.strategies import UNLIMITED_REMEDIATIONS
from selfhealing.remediation.template_check import SavedRevision, find_template_fault
from selfhealing.render.overrides import Overrides, get_config_hash, get_limits
from selfhealing.render.references import tracked_references

logger = logging.getLogger(__name__)

Json = dict[str, Any]

STARTING_TIME: Final = timedelta(seconds=20)
"""How long a pod that is not ready is taken for one that starts, so that a rollout does not read
the conditions of nodes."""


class Remediator:
    """Collects external state before a decision and carries out its side effects.

    It implements reconcile_order.RemediationIO. Its own state is a cache: a new process starts
    without it.

    Attributes:
        usage_metrics: what containers use; its ``run`` has to be started.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts that it works with
        self,
        client: Client,
        store: Store,
        queue: WorkQueue[AppKey],
        settings: Settings,
        clock: Callable[[], float],
        server_now: Callable[[], datetime],
    ) -> None:
        """``clock`` returns monotonic seconds, ``server_now`` the API server's time."""
        self._client = client
        self._queue = queue
        self._start_grace = settings.healing_quiet * settings.healing_scale
        self._clock = clock
        self._server_now = server_now
        self._grace_started_at = clock()
        self._executor = ActionExecutor(client, store, queue, clock)
        self._store = store
        self._revision_store = RevisionStore(client, clock)
        self._config_copies = ConfigCopies(
            client, FairSlots(MAX_COPY_LISTS, queue.add, clock), clock
        )
        self._evidence_collector = EvidenceCollector(
            client,
            EvidencePrivacy(client, settings.config_watch),
            FairSlots(MAX_EVIDENCES, queue.add, clock),
        )
        self._node_health = NodeHealth(client, clock, settings.healing_scale)
        self._experiments = RollbackExperiments(
            client,
            self._node_health,
            settings.config_watch,
            FairSlots(MAX_EXPERIMENTS, queue.add, clock),
            clock,
        )
        self._unhealthy_apps = UnhealthyApps(store, clock, server_now, settings.healing_scale)
        self._action_pacer = ActionPacer(clock, settings.healing_scale)
        self._network_policies = NetworkPolicies(client, clock)
        self._raise_check = RaiseCheck(client, queue, self._node_health, clock)
        self.usage_metrics = UsageMetrics(client, store, queue, settings.healing_scale, clock)
        self._pruned_apps: dict[AppKey, str] = {}
        """The UIDs of the apps whose saved revisions this process has pruned."""
        self._stale_views: dict[AppKey, tuple[str, int]] = {}
        """By app, the UID and the resource version of a cached object that is out of date."""

    def start_grace_period(self) -> None:
        """Start the grace period: from now on this process acts."""
        self._grace_started_at = self._clock()

    async def load_stable_template(self, app: AppView, inputs: ReconcileInput) -> StableTemplate:
        """Load and check the pod template of the stable revision of the record.

        Raises:
            UnavailableError: the API server is out of reach; or the stable revision is the one that
                runs and cannot be read, so that the desired state of the children is unknown.
        """
        record = inputs.record
        named = find_saved_revision(record, inputs.revision)
        stable_revision = named.revision if named else ""
        try:
            saved = await self._revision_store.load(app, stable_revision)
        except UnreadableRevisionError as error:
            if record.failed_revision is None:
                return StableTemplate(blocked_reason=BlockedReason.STALE_CACHE)
            message = (
                f"stable revision {stable_revision}, which is running, cannot be read: {error}"
            )
            raise UnavailableError(0, "", message) from error
        if saved is None:
            return StableTemplate()
        fault = find_template_fault(
            saved.template, stable_revision, inputs.pod_template, named.digest if named else ""
        )
        if fault:
            rejection = f"stable revision {stable_revision} is not used: {fault}"
            return StableTemplate(rejection=rejection)
        saved_limits = {
            LimitKey(container, LimitedResource.MEMORY): limit
            for container, limit in saved.memory_limits.items()
        }
        limits = clamp_limits(inputs.policy, get_limits(saved.template), saved_limits)
        memory_limits = {key.container: limit for key, limit in limits.items()}
        template = dict(saved.template)
        return StableTemplate(
            Overrides(memory_limits=memory_limits).apply_to(template),
            config_copies=await self._find_config_copies(app, inputs, template),
        )

    async def _find_config_copies(
        self, app: AppView, inputs: ReconcileInput, template: Json
    ) -> Mapping[str, str]:
        """Return the copies of ConfigMaps that the pods of a rollback read.

        There are none unless it was the configuration that failed: after the rollback of an image
        the pods go on reading the ConfigMaps, which people may change.
        """
        config_hash = get_config_hash(template)
        if inputs.record.failed_config in {None, config_hash} or not config_hash:
            return {}
        return await self._config_copies.find(app, config_hash)

    async def collect_evidence(
        self,
        snapshot: AppSnapshot,
        inputs: ReconcileInput,
        stable_template: Json | None,
        now: datetime,
    ) -> CollectedEvidence:
        """Collect the evidence that the record lacks, as EvidenceCollector.collect does."""
        return await self._evidence_collector.collect(snapshot, inputs, stable_template, now)

    async def execute_steps(self, app: AppView, steps: Sequence[Step]) -> StepResults:
        """Carry out the steps that are due, as ActionExecutor.execute does."""
        results = await self._executor.execute(app, steps)
        self._raise_check.note_refusals(app.key, results.refused_limits)
        return results

    async def observe_external_state(
        self, snapshot: AppSnapshot, inputs: ReconcileInput
    ) -> ExternalState:
        """Return what is known from outside the app; nodes are read only for lost or ill pods."""
        retry_after = self._revision_store.retry_after(snapshot.app, inputs.revision)
        if retry_after:
            self._queue.add(snapshot.app.key, retry_after)
        pods = [pod for pod in snapshot.pods if is_active(pod)]
        lost_nodes = {pod.node for pod in pods if is_node_lost(pod)}
        key, now = snapshot.app.key, self._server_now()
        is_healed = inputs.policy.mode != HealingMode.OFF
        unhealthy_pods = [pod for pod in pods if is_healed and pod.node and _is_unhealthy(pod, now)]
        self._unhealthy_apps.note_stored_status(key, inputs.previous_status.conditions)
        return ExternalState(
            blocked_reason=self._blocked_reason(snapshot),
            is_action_limit_reached=self._unhealthy_apps.is_action_limit_reached(key)
            or not self._action_pacer.can_start(key.namespace),
            too_many_nodes_lost=bool(lost_nodes)
            and not await self._node_health.can_give_up(lost_nodes, inputs.pod_template),
            node_conditions=await self._node_health.find_bad_conditions(
                (pod.node for pod in unhealthy_pods), (pod.node for pod in pods if pod.ready)
            ),
            network_policies=await self._network_policies.list_all(key.namespace)
            if unhealthy_pods
            else (),
            revision_not_saved=retry_after > 0,
            usage=self.usage_metrics.samples_for(snapshot),
            refused_limits=self._raise_check.refused_limits(snapshot.app.key),
            watched_for=timedelta(seconds=self._clock() - self._grace_started_at),
            saved_revisions=await self._find_lost_revisions(snapshot, inputs),
        )

    async def preview_rollback(
        self, snapshot: AppSnapshot, inputs: ReconcileInput, stable_template: Json
    ) -> RollbackPreview:
        """Try what a rollback would meet, as RollbackExperiments.preview does.

        No watch reports that an obstacle outside the app is gone: the app is reconciled again.
        """
        if not should_preview(snapshot, inputs):
            return RollbackPreview()
        preview = await self._experiments.preview(snapshot, inputs, stable_template)
        if preview.obstacle or not preview.is_known:
            self._queue.add(snapshot.app.key, RESULT_TTL)
        return preview

    async def _find_lost_revisions(
        self, snapshot: AppSnapshot, inputs: ReconcileInput
    ) -> tuple[SavedRevisionName, ...]:
        """Return the saved revisions of an app that runs, but has no record."""
        if inputs.previous_status.healing is not None or snapshot.deployment is None:
            return ()
        return await self._revision_store.list_names(snapshot.app)

    async def revalidate(
        self, snapshot: AppSnapshot, before: HealingStatus | None, after: HealingStatus | None
    ) -> bool:
        """Return whether the objects that an action of ``after`` was decided on are unchanged.

        The pod and the Deployment are read from the API server. If one has changed, nothing is
        started until the watch has brought it. Nor is anything started if other apps have reached
        the limit of actions since the decision, if it is not this app's or this node's turn, or if
        a higher limit would be refused.
        """
        action = history.find_running(after) if after else None
        running_before = history.find_running(before) if before else None
        if action is None or (running_before is not None and running_before.id == action.id):
            return True
        if (
            action.remediation not in UNLIMITED_REMEDIATIONS
            and self._unhealthy_apps.is_action_limit_reached(snapshot.app.key)
        ):
            return False
        views: list[tuple[Resource, PodView | DeploymentView]] = []
        views += [(PODS, pod) for pod in snapshot.pods if pod.uid == action.uid]
        if snapshot.deployment is not None:
            views.append((CHILDREN["Deployment"], snapshot.deployment))
        for resource, view in views:
            raw = await self._client.get_metadata(resource, snapshot.app.key.namespace, view.name)
            if raw is None or parse_resource_version(raw["metadata"]) != view.resource_version:
                self._stale_views[snapshot.app.key] = view.uid, view.resource_version
                logger.info("%s: nothing is started: the cache is stale", snapshot.app.key)
                return False
        raised = find_raised_key(action)
        if (
            after is not None
            and raised is not None
            and not await self._raise_check.is_acceptable(snapshot, after, action, raised)
        ):
            return False
        if action.remediation is Remediation.FAILOVER:
            return await self._node_health.give_up(action.target)
        return action.remediation in UNLIMITED_REMEDIATIONS or self._action_pacer.start(
            snapshot.app.key.namespace
        )

    async def save_stable_revision(
        self, app: AppView, inputs: ReconcileInput, after: HealingStatus | None
    ) -> bool:
        """Save the pod template of a new stable revision, before the status names it.

        Returns:
            False when it cannot be saved: the status must not name it, and no decision does until
            the back-off is over.
        """
        before = inputs.previous_status.healing
        if (
            after is None
            or after.stable_revision != inputs.revision
            or after.stable_revision == (before.stable_revision if before else None)
        ):
            return True
        # With the memory limits that the revision was found to need, without the excluded node:
        # that node may be healthy when the revision is rolled back to.
        memory_limits = build_overrides(after, None).memory_limits
        await self._config_copies.save(
            app,
            get_config_hash(inputs.pod_template),
            self._store.config_index.digests_for(app.key),
            tracked_references(inputs.spec),
        )
        saved = SavedRevision(inputs.pod_template, memory_limits)
        return await self._revision_store.save(app, inputs.revision, saved, after.stable_since)

    async def on_status_stored(
        self, app: AppView, before: HealingStatus | None, after: HealingStatus | None
    ) -> None:
        """Count what is new in the record, and delete the revisions that it no longer names.

        A process does so once for each app, too: the one before may have been killed before it did.
        """
        if after is None:
            return
        count_changes(before, after)
        named_before, named = named_revisions(before), named_revisions(after)
        if named_before - named or (named and self._pruned_apps.get(app.key) != app.uid):
            await self._revision_store.prune(app, named)
            self._pruned_apps[app.key] = app.uid

    def update_breaker(
        self, key: AppKey, record: HealingStatus | None, *, has_pod_problem: bool
    ) -> None:
        """Count the app for the circuit breaker; ``record`` is None when it is not healed now."""
        self._unhealthy_apps.update(key, record, has_pod_problem=has_pod_problem)
        is_blocked = record is not None and record.blocked_reason is BlockedReason.ACTION_LIMIT
        if is_blocked and not self._unhealthy_apps.is_namespace_limit_reached(key):
            self._action_pacer.note_waiting(key.namespace)

    def forget_app(self, key: AppKey) -> None:
        """Forget an app that is deleted."""
        self._unhealthy_apps.forget_app(key)
        self._executor.forget_app(key)
        self._raise_check.forget_app(key)
        self._stale_views.pop(key, None)
        self._pruned_apps.pop(key, None)
        self._evidence_collector.forget_app(key)
        self._experiments.forget_app(key)

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
        return BlockedReason.STORM if self._unhealthy_apps.is_storm(key.namespace) else None


def _is_unhealthy(pod: PodView, now: datetime) -> bool:
    """Whether a pod may have a problem that its node explains: it does not only start."""
    return not pod.ready and (
        any(container.restarts for container in pod.containers)
        or pod.created is None
        or now - pod.created >= STARTING_TIME
    )
