"""A simulated operator that heals the app of a `SimCluster`, and can be killed at any time.

After a restart it only has the resource. It does the steps of the reconciler in the same order:
execute the steps of the record, apply the Deployment, decide, write the record.
"""

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final, NamedTuple

import orjson

from selfhealing.api.healing_status import BlockedReason, HealingStatus
from selfhealing.api.spec import SelfHealingAppSpec, parse_spec
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import AppView
from selfhealing.health.assessment import assess_health
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.termination_causes import TerminationCauses
from selfhealing.remediation import history
from selfhealing.remediation.context import (
    ExternalState,
    HealthInput,
    RemediationContext,
    build_context,
)
from selfhealing.remediation.engine import decide, new_record
from selfhealing.remediation.policy import build_policy
from selfhealing.remediation.steps import Step, build_overrides, discard_stale_action, plan_steps
from selfhealing.render.overrides import template_revision
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
    record: Json | None = None

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
    return template_revision(builders.APP, _parse_spec(image, b"{}"))


class ReconcileTrace(NamedTuple):
    """The input and output of one reconcile, for the checks of the tests."""

    before: HealingStatus
    after: HealingStatus
    context: RemediationContext
    app: SimApp
    now: float


class SimOperator:
    """The operator's processes, one after another. CRASH_POINTS are where one can be killed."""

    CRASH_POINTS: Final = ("plan", "step", "apply", "write", "written")

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
            stale_snapshot: an older snapshot that the operator uses instead of the current one.
            crash_point: the point at which the operator is killed, and then restarted.
        """
        written = self._reconcile_once(stale_snapshot, crash_point)
        if crash_point:
            self.restart()
        return written

    def _reconcile_once(
        self, stale_snapshot: AppSnapshot | None, crash_point: str
    ) -> ReconcileTrace | None:
        app, cluster = replace(self.cached_app), self.cluster
        spec = app.spec()
        desired_revision = template_revision(builders.APP, spec)
        snapshot = replace(
            stale_snapshot or cluster.take_snapshot(make_app_view(app)), app=make_app_view(app)
        )
        before = read_record(app.record)
        if crash_point == "plan":
            return None
        stable_revision = before.stable_revision
        stable_template = (
            None
            if stable_revision in {None, desired_revision}
            else self.stored_templates.get(str(stable_revision))
        )
        now = builders.at(self.now)
        for step in plan_steps(
            discard_stale_action(before, desired_revision, build_policy(spec), now), snapshot, now
        ):
            self.steps.append((before, snapshot, step))
            cluster.execute(step)
            if crash_point == "step":
                return None
        active_overrides = build_overrides(before, {} if stable_template else None)
        base_template = (
            stable_template
            if stable_template and active_overrides.pod_template is not None
            else Template(app.image)
        )
        desired_template = Template(
            base_template.image, active_overrides.memory_limit or base_template.memory
        )
        was_applied = cluster.apply(desired_template, active_overrides.min_replicas)
        if was_applied or crash_point == "apply":
            return None  # the status is written when Kubernetes had time to answer
        snapshot = replace(
            stale_snapshot or cluster.take_snapshot(make_app_view(app)), app=make_app_view(app)
        )
        external = ExternalState(
            blocked_reason=self.blocked_reason,
            stable_revision_missing=stable_template is None
            and stable_revision not in {None, desired_revision},
            too_many_nodes_lost=self.too_many_nodes_lost,
        )
        context, after = self.decide_twice(snapshot, before, external)
        if dump_record(after) == app.record or crash_point == "write":
            return None
        if (
            not self._is_still_current(snapshot, before, after)
            or self.app.resource_version != app.resource_version
        ):
            self.cached_app = replace(self.app)
            return None
        if after.stable_revision not in {None, before.stable_revision}:
            memory = build_overrides(after, None).memory_limit
            self.stored_templates[str(after.stable_revision)] = Template(app.image, memory)
        self.app.record = dump_record(after)
        self.app.resource_version = cluster.next_resource_version()
        self.cached_app = replace(self.app)
        return ReconcileTrace(before, read_record(self.app.record), context, app, self.now)

    def decide_twice(
        self, snapshot: AppSnapshot, record: HealingStatus, external: ExternalState
    ) -> tuple[RemediationContext, HealingStatus]:
        """The decision; a second call with the same input must return the same."""
        spec = self.cached_app.spec()
        policy = build_policy(spec)

        def decide_once() -> tuple[RemediationContext, HealingStatus, float | None]:
            deadlines, causes = Deadlines(builders.at(self.now)), TerminationCauses()
            assessment = assess_health(snapshot, causes, deadlines)
            health_input = HealthInput(snapshot, spec, assessment, causes, record, is_in_sync=True)
            context = build_context(health_input, policy, external, deadlines)
            return context, decide(record, context, policy, deadlines), deadlines.requeue_after

        context, after, self.requeue_after = decide_once()

        assert (context, after, self.requeue_after) == decide_once()

        return context, after

    def _is_still_current(
        self, snapshot: AppSnapshot, before: HealingStatus, after: HealingStatus
    ) -> bool:
        """Whether the decision to start an action still holds for the current state."""
        action, known = history.find_running(after), history.find_running(before)
        if action is None or (known is not None and known.id == action.id):
            return True
        live = self.cluster.take_snapshot(snapshot.app)
        seen_versions = [pod.resource_version for pod in snapshot.pods if pod.uid == action.uid]
        live_versions = [pod.resource_version for pod in live.pods if pod.uid == action.uid]
        return seen_versions == live_versions and snapshot.deployment == live.deployment


def read_record(record: Json | None) -> HealingStatus:
    """Read the record from the resource."""
    if record is None:
        return new_record()
    return HealingStatus.model_validate(record, by_alias=True, by_name=False)


def dump_record(record: HealingStatus) -> Json:
    """Write the record as it is stored in the resource."""
    stored: Json = orjson.loads(
        orjson.dumps(record.model_dump(mode="json", by_alias=True, exclude_none=True))
    )
    return stored


def make_app_view(app: SimApp) -> AppView:
    """The resource as the cache holds it."""
    return AppView(
        key=KEY,
        uid=builders.APP_UID,
        resource_version=app.resource_version,
        generation=1,
        deleting=False,
        approve=app.approve,
        resume=app.resume,
        spec=b"",
        status=b"",
    )
