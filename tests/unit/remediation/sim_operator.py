"""A simulated operator that heals the app of a `SimCluster`, and can be killed at any time.

After a restart it only has the resource. The order of its steps and the evaluation are those of the
real operator; only the I/O of the steps is simulated.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import orjson

from selfhealing.api.healing_status import BlockedReason, HealingStatus
from selfhealing.api.spec import SelfHealingAppSpec, parse_spec
from selfhealing.api.status import SelfHealingAppStatus, read_status
from selfhealing.apply.result import SyncResult
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import AppKey, AppView
from selfhealing.controller import reconcile_order
from selfhealing.controller.evaluate import Evaluation, evaluate
from selfhealing.controller.reconcile_order import (
    CollectedEvidence,
    RollbackPreview,
    StableTemplate,
    run_reconcile,
)
from selfhealing.remediation import history
from selfhealing.remediation.context import ExternalState
from selfhealing.remediation.history import new_record
from selfhealing.remediation.reconcile_input import AnyInput, ReconcileInput, build_reconcile_input
from selfhealing.remediation.revisions import find_saved_revision
from selfhealing.remediation.steps import Step, StepResults, build_overrides
from selfhealing.render.overrides import Overrides, template_revision
from selfhealing.render.pod import build_pod_template
from tests.unit import builders
from tests.unit.remediation.sim_cluster import SPEC_MEMORY_LIMIT, SimCluster, Template
from tests.unit.snapshots import KEY

MAX_MEMORY: Final = "300Mi"
FALLBACK_REPLICAS: Final = 5

Json = dict[str, Any]


@dataclass
class SimApp:
    """The resource: the spec and annotations of a person, and the status of the operator."""

    image: str = "v1"
    healing: Json = field(default_factory=dict)
    approve: str = ""
    resume: str = ""
    resource_version: int = 1
    generation: int = 1
    status: Json = field(default_factory=dict)

    @property
    def record(self) -> HealingStatus:
        """What the status remembers about healing."""
        return read_status(self.status).healing or new_record()

    def spec(self) -> SelfHealingAppSpec:
        """The parsed spec."""
        return _parse_spec(self.image, orjson.dumps(self.healing))


@cache
def _parse_spec(image: str, healing: bytes) -> SelfHealingAppSpec:
    defaults = {"memory": {"max": MAX_MEMORY}, "scalingFallback": {"replicas": FALLBACK_REPLICAS}}
    return parse_spec(
        {
            "image": image,
            "port": 5000,
            "resources": {"limits": {"memory": SPEC_MEMORY_LIMIT}},
            "healing": {**defaults, **orjson.loads(healing)},
        }
    )


@cache
def revision_of(image: str) -> str:
    """The revision that a spec with this image asks for."""
    return template_revision(build_pod_template(builders.APP, _parse_spec(image, b"{}")))


class ReconcileTrace(NamedTuple):
    """The input and output of a reconcile that wrote the status, for the checks of the tests."""

    before: HealingStatus
    after: HealingStatus
    snapshot: AppSnapshot
    external: ExternalState
    app: SimApp
    now: float


class SimCrashError(Exception):
    """The operator was killed."""


class SimOperator:
    """The operator's processes, one after another, on a `SimCluster`."""

    CRASH_POINTS: Final = ("plan", "step", "apply", "save", "write", "written")
    """Where a process can be killed."""

    def __init__(self, cluster: SimCluster, app: SimApp) -> None:
        self.cluster = cluster
        self.app = app
        self.stored_templates: dict[str, Template] = {}
        self.steps: list[tuple[HealingStatus, AppSnapshot, Step]] = []
        self.clock_skew = 0.0
        self.blocked_reason: BlockedReason | None = None
        self.too_many_nodes_lost = False
        self.requeue_after: float | None = None
        self.restart()

    @property
    def now(self) -> float:
        """The time of the operator's clock."""
        return self.cluster.clock + self.clock_skew

    def restart(self) -> None:
        """Start a new process, which lists all objects."""
        self.cached_app = replace(self.app)

    def reconcile(
        self, stale_snapshot: AppSnapshot | None = None, crash_point: str = ""
    ) -> ReconcileTrace | None:
        """Reconcile once; returns the trace if the record was written.

        Args:
            stale_snapshot: older children and pods, which the cache still holds.
            crash_point: the moment at which it is killed, and started again.
        """
        run = _SimReconcile(self, stale_snapshot, crash_point)
        with suppress(SimCrashError):
            run.run()
        if crash_point:
            self.restart()
        return run.trace


class _SimReconcile:
    """One reconcile: the I/O of the real order, as AppIO and RemediationIO."""

    def __init__(
        self, operator: SimOperator, stale_snapshot: AppSnapshot | None, crash_point: str
    ) -> None:
        self._operator = operator
        self._cluster = operator.cluster
        self._app = replace(operator.cached_app)
        self._stale_snapshot = stale_snapshot
        self._crash_point = crash_point
        self._was_applied = False
        self._external = ExternalState()
        snapshot = self._observe()
        self._snapshot = snapshot
        self._inputs = build_reconcile_input(snapshot, self._app.spec(), builders.at(operator.now))
        self.trace: ReconcileTrace | None = None

    def run(self) -> None:
        """Carry out the order, in which nothing ever waits."""
        now = builders.at(self._operator.now)
        order = run_reconcile(self, self, self._snapshot, self._inputs, now)
        with (
            patch.object(reconcile_order, "evaluate", self._evaluate_twice),
            suppress(StopIteration),
        ):
            order.send(None)
            raise AssertionError("a step waits for something")

    def _evaluate_twice(
        self,
        snapshot: AppSnapshot,
        inputs: AnyInput,
        sync_result: SyncResult,
        external: ExternalState,
        now: datetime,
    ) -> Evaluation:
        """Evaluate; what is to be written comes of the same facts again."""
        evaluation = evaluate(snapshot, inputs, sync_result, external, now)
        if evaluation.patch:
            assert evaluation == evaluate(snapshot, inputs, sync_result, external, now)

        self._external = external
        return evaluation

    def _observe(self) -> AppSnapshot:
        view = make_app_view(self._app)
        return replace(self._stale_snapshot or self._cluster.take_snapshot(view), app=view)

    def _crash_at(self, crash_point: str) -> None:
        if self._crash_point == crash_point:
            raise SimCrashError

    # RemediationIO, in the order of the calls.

    async def load_stable_template(self, _: AppView, inputs: ReconcileInput) -> StableTemplate:
        """Load what was saved."""
        named = find_saved_revision(inputs.record, inputs.revision)
        template = self._operator.stored_templates.get(named.revision if named else "")
        if template is None:
            return StableTemplate()
        rendered = build_pod_template(builders.APP, _parse_spec(template.image, b"{}"))
        return StableTemplate({**rendered, "template": template})

    async def collect_evidence(
        self, _: AppSnapshot, __: ReconcileInput, ___: Json | None, ____: datetime
    ) -> CollectedEvidence:
        """Collect none."""
        self._crash_at("plan")
        return CollectedEvidence()

    async def execute_steps(self, _: AppView, steps: Sequence[Step]) -> StepResults:
        """Carry out every step at once."""
        for step in steps:
            self._operator.steps.append((self._inputs.record, self._snapshot, step))
            self._cluster.execute(step)
            self._crash_at("step")
        return StepResults()

    async def observe_external_state(self, _: AppSnapshot, __: ReconcileInput) -> ExternalState:
        """Look around."""
        return ExternalState(
            blocked_reason=self._operator.blocked_reason,
            too_many_nodes_lost=self._operator.too_many_nodes_lost,
        )

    async def preview_rollback(
        self, _: AppSnapshot, __: ReconcileInput, ___: Json
    ) -> RollbackPreview:
        """Nothing is in the way of a rollback."""
        return RollbackPreview(is_known=True)

    def update_breaker(
        self, key: AppKey, record: HealingStatus | None, *, has_pod_problem: bool
    ) -> None:
        """There is one app only."""

    async def revalidate(
        self, snapshot: AppSnapshot, before: HealingStatus | None, after: HealingStatus | None
    ) -> bool:
        """Return whether what is to be started was decided on objects that still are."""
        action = history.find_running(after) if after else None
        known = history.find_running(before) if before else None
        if action is None or (known is not None and known.id == action.id):
            return True
        live = self._cluster.take_snapshot(snapshot.app)
        seen_versions = [pod.resource_version for pod in snapshot.pods if pod.uid == action.uid]
        live_versions = [pod.resource_version for pod in live.pods if pod.uid == action.uid]
        return seen_versions == live_versions and snapshot.deployment == live.deployment

    async def save_stable_revision(
        self, _: AppView, inputs: ReconcileInput, after: HealingStatus | None
    ) -> bool:
        """Save the template of a new stable revision."""
        before = inputs.record
        is_new = after is not None and after.stable_revision != before.stable_revision
        if after is not None and is_new and after.stable_revision == inputs.revision:
            self._crash_at("save")
            memory = build_overrides(after, None).memory_limits.get("app", "")
            template = Template(self._app.image, memory)
            self._operator.stored_templates[str(after.stable_revision)] = template
        return True

    async def on_status_stored(
        self, _: AppView, __: HealingStatus | None, ___: HealingStatus | None
    ) -> None:
        """Keep what was saved: a crash may leave it anyway."""
        self._crash_at("written")

    # AppIO.

    async def sync_children(
        self, _: AppSnapshot, __: ReconcileInput, overrides: Overrides
    ) -> SyncResult:
        """Apply the Deployment and the autoscaler."""
        base = Template(self._app.image)
        if overrides.pod_template is not None:
            base = overrides.pod_template["template"]
        template = Template(base.image, overrides.memory_limits.get("app") or base.memory)
        self._was_applied = self._cluster.apply(template, overrides.min_replicas)
        self._crash_at("apply")
        return SyncResult()

    def take_snapshot(self, _: AppKey) -> AppSnapshot | None:
        """Look at the cluster again."""
        return self._observe()

    def on_evaluated(self, _: AppSnapshot, __: SyncResult, evaluation: Evaluation) -> None:
        """Remember when to evaluate again."""
        self._operator.requeue_after = evaluation.requeue_after

    def can_write_status_now(self, _: AppKey, *, is_urgent: bool) -> bool:  # noqa: ARG002
        """The status is written when Kubernetes had time to answer."""
        return not self._was_applied

    def retry_later(self, _: AppKey) -> None:
        """Hear what has changed."""
        self._operator.restart()

    async def write_status(self, snapshot: AppSnapshot, evaluation: Evaluation) -> bool:
        """Write, unless the resource has changed meanwhile."""
        self._crash_at("write")
        app = self._operator.app
        if app.resource_version != self._app.resource_version:
            self._operator.restart()
            return False
        app.status = dump_status(evaluation.status)
        app.resource_version = self._cluster.next_resource_version()
        self._operator.restart()
        self.trace = ReconcileTrace(
            self._inputs.record,
            app.record,
            snapshot,
            self._external,
            self._app,
            self._operator.now,
        )
        return True


def dump_status(status: SelfHealingAppStatus) -> Json:
    """The status as it stands in the resource."""
    stored: Json = orjson.loads(orjson.dumps(status.to_json()))
    return stored


def make_app_view(app: SimApp) -> AppView:
    """The resource as the cache holds it."""
    return AppView(
        key=KEY,
        uid=builders.APP_UID,
        resource_version=app.resource_version,
        generation=app.generation,
        deleting=False,
        approve=app.approve,
        resume=app.resume,
        spec=b"",
        status=orjson.dumps(app.status),
    )
