"""The safety properties of healing, against a model of an app, its cluster and its operator."""

import os
from datetime import timedelta
from typing import Final

from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
)

from selfhealing.api.healing_status import (
    MAX_HISTORY,
    ActionOutcome,
    BlockedReason,
    HealingAction,
    HealingStatus,
    Remediation,
)
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.health.attribution import Confidence
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.health.rollout import summarize_rollout
from selfhealing.remediation.history import FREE_DIAGNOSES, costs_budget
from selfhealing.remediation.limit_steps import exceeds
from selfhealing.remediation.policy import HealingMode, build_policy
from selfhealing.remediation.steps import Delete, Evict, Isolate, Resize, Step
from tests.unit import builders
from tests.unit.examples import scale_examples
from tests.unit.remediation.cluster_events import IMAGES, ClusterEvents
from tests.unit.remediation.sim_cluster import FAULTS, NODES, SPEC_MEMORY_LIMIT
from tests.unit.remediation.sim_operator import (
    MAX_MEMORY,
    Json,
    ReconcileTrace,
    SimOperator,
    make_app_view,
    revision_of,
)

EXAMPLES: Final = int(os.environ.get("ENVELOPE_EXAMPLES") or scale_examples(30))
"""The number of examples; some thousand find rare faults."""

USER_BLOCKED_REASONS: Final = frozenset(
    {
        BlockedReason.NO_REMEDIATION,
        BlockedReason.ROLLOUT_PAUSED,
        BlockedReason.AWAITING_APPROVAL,
        BlockedReason.QUARANTINED,
    }
)
"""Blocked reasons that end only by an action of a person, or by a change of the cluster."""

PENDING_OUTCOMES: Final = frozenset({ActionOutcome.IN_PROGRESS, ActionOutcome.PROPOSED})

TIME_RESOLUTION_SECONDS: Final = 1
"""Times are stored in whole seconds."""


PAUSES: Final = st.sampled_from([31, 61, 301, 601])

MAX_RECONCILES: Final = 500
"""The record must be stable after this number of reconciles of an unchanged cluster."""

EXTRA_SECONDS: Final = 10_000


def is_rollout_paused(snapshot: AppSnapshot) -> bool:
    """Whether the operator saw that the Deployment is paused."""
    rollout = summarize_rollout(snapshot)
    return rollout is not None and rollout.is_paused


class SafetyProperties(ClusterEvents):
    """Events in any order; the properties are checked for each record and each step."""

    def __init__(self) -> None:
        super().__init__()
        self.operator = SimOperator(self.cluster, self.app)
        self.past: list[AppSnapshot] = []
        self.elapsed = 0.0
        self.last_now = 0.0
        self.start_times: dict[int, float] = {}
        self.rejected_image = ""
        self.is_spec_applied = False
        self.rollbacks = 0
        self.next_id = 1

    @initialize(
        healing=st.fixed_dictionaries(
            {
                "mode": st.sampled_from(
                    [
                        HealingMode.AUTO,
                        HealingMode.AUTO,
                        HealingMode.AUTO,
                        HealingMode.APPROVE,
                        HealingMode.OBSERVE,
                    ]
                ),
                "budget": st.integers(1, 5),
                "window": st.sampled_from(["10m", "1h", "2h"]),
                "cooldown": st.sampled_from(["0s", "1m", "5m"]),
            }
        ),
        fraction=st.sampled_from([0.0, 0.6]),
        needs=st.sampled_from(["50Mi", "50Mi", "50Mi", "150Mi", "250Mi"]),
        proven=st.booleans(),
    )
    def begin(self, healing: Json, fraction: float, needs: str, *, proven: bool) -> None:
        """Create an app that has been healthy for a while, or has just started."""
        self.app.healing = healing
        self.operator.clock_skew = self.last_now = fraction
        self.operator.restart()
        self.run_cluster(0)
        for pause in (20, 700, 0) if proven else ():
            self.run_cluster(pause)
            self.reconcile()
        self.cluster.needed_memory = needs

    @rule(jump=st.sampled_from([-5000, -700, -61, -5, 5, 61, 700, 5000]))
    def the_clock_jumps(self, jump: int) -> None:
        """The clock of the operator's node is set."""
        self.operator.clock_skew += jump

    @rule(
        blocked_reason=st.sampled_from(
            [None, None, BlockedReason.STORM, BlockedReason.STARTING_UP, BlockedReason.STALE_CACHE]
        ),
        many=st.booleans(),
    )
    def external_state_changes(self, blocked_reason: BlockedReason | None, *, many: bool) -> None:
        """A storm begins or ends; many nodes become unreachable, or return."""
        self.operator.blocked_reason, self.operator.too_many_nodes_lost = blocked_reason, many

    @rule(times=st.integers(1, 3), hears=st.booleans())
    def operator_reconciles(self, times: int, *, hears: bool) -> None:
        """The operator reconciles, with or without the latest changes of the resource."""
        if hears:
            self.operator.restart()
        for _ in range(times):
            self.reconcile()

    @rule(pauses=st.lists(st.sampled_from([1, 10, 31, 61, 130, 301, 601]), min_size=1, max_size=12))
    def operator_runs_on(self, pauses: list[int]) -> None:
        """Time passes, with a few reconciles after each pause."""
        self.operator.restart()
        for pause in pauses:
            self.run_cluster(pause)
            for _ in range(3):
                self.reconcile()

    @rule(image=st.sampled_from(IMAGES), fault=st.sampled_from(["", *FAULTS]), pause=PAUSES)
    def a_version_is_rolled_out(self, image: str, fault: str, pause: int) -> None:
        """The spec asks for another revision, and the operator reacts."""
        self.spec_asks_for(image, fault)
        self.operator_runs_on([0, 10, pause, 10])

    @rule(data=st.data(), fault=st.sampled_from(FAULTS), pause=PAUSES)
    def a_pod_falls_ill(self, data: st.DataObject, fault: str, pause: int) -> None:
        """One pod gets a fault, and the operator reacts."""
        if self.cluster.pods:
            self.a_pod_changes(data, fault)
        self.operator_runs_on([pause, 10])

    @rule(node=st.sampled_from(NODES[:-1]), pause=PAUSES)
    def a_node_is_lost(self, node: str, pause: int) -> None:
        """A node becomes unreachable, and the operator reacts."""
        self.a_node_changes(node, "lost")
        self.operator_runs_on([pause, 10, 10])

    @rule(dies=st.sampled_from(SimOperator.CRASH_POINTS))
    def operator_dies(self, dies: str) -> None:
        """The operator is killed during a reconcile."""
        self.reconcile(crash_point=dies)
        self.past.clear()

    @precondition(lambda self: self.past)
    @rule(data=st.data())
    def operator_reads_stale_cache(self, data: st.DataObject) -> None:
        """The operator's cache is behind."""
        self.reconcile(stale_snapshot=data.draw(st.sampled_from(self.past)))

    def reconcile(
        self, stale_snapshot: AppSnapshot | None = None, crash_point: str = ""
    ) -> ReconcileTrace | None:
        """Reconcile once, and check the properties."""
        now = self.operator.now
        self.elapsed += max(0.0, now - self.last_now)
        self.last_now = now
        generation = self.cluster.generation
        if self.operator.cached_app.healing["mode"] == HealingMode.OFF:
            self.is_spec_applied = True
        trace = self.operator.reconcile(stale_snapshot, crash_point)
        if self.cluster.generation != generation:
            self.past.clear()  # the cache has the operator's own write at once
        elif stale_snapshot is None:
            self.past.append(self.cluster.take_snapshot(make_app_view(self.app)))
        while self.operator.steps:
            self.check_step(*self.operator.steps.pop())
        self.check_running()
        if trace is not None:
            self.check_record(trace)
        self.cluster.run_controllers()
        return trace

    # The properties.

    def check_step(self, record: HealingStatus, snapshot: AppSnapshot, step: Step) -> None:
        """A step never stops a pod that serves."""
        pods = {pod.uid: pod for pod in snapshot.pods}
        ready = sum(pod.ready for pod in snapshot.pods if not pod.deleting)

        assert HealingMode.OFF != record.mode or isinstance(step, Isolate | Delete)

        if isinstance(step, Evict):
            assert not step.pod.ready

        if isinstance(step, Isolate):
            assert not step.pod.ready
            assert ready

        if isinstance(step, Delete) and step.uid in pods:
            assert not pods[step.uid].ready

        if isinstance(step, Resize):
            (container,) = step.pod.containers
            (limit,) = step.limits.values()
            assert exceeds(limit, container.limits.memory)
            assert not exceeds(limit, MAX_MEMORY)

    def check_running(self) -> None:
        """A failed revision does not run while the record has it as failed.

        Unless a person has switched healing off: then the spec is applied before the record is
        written, and what was applied stays until the next apply.
        """
        if self.cluster.template.image != self.rejected_image:
            self.is_spec_applied = False
        if (
            self.rejected_image == self.app.image
            and self.operator.cached_app.record.failed_revision
            and not self.is_spec_applied
        ):
            assert self.rejected_image != self.cluster.template.image

    def check_record(self, trace: ReconcileTrace) -> None:
        """The written record respects the limits."""
        before, after = trace.before, trace.after
        ids = [action.id for action in after.history]

        assert MAX_HISTORY >= len(ids)
        assert sorted(set(ids), reverse=True) == ids
        assert self.next_id <= after.next_id
        assert all(after.next_id > i for i in ids)

        self.next_id = after.next_id
        outcomes = [action.outcome for action in after.history]

        assert 1 >= outcomes.count(ActionOutcome.IN_PROGRESS)
        assert 1 >= outcomes.count(ActionOutcome.PROPOSED)
        assert not [
            a
            for a in after.history
            if a.outcome in PENDING_OUTCOMES and self.is_for_older_revision(a, after)
        ]

        is_resumed = before.observed_resume != after.observed_resume
        is_reset = is_resumed or before.desired_revision != after.desired_revision
        if is_resumed:
            self.start_times.clear()
        previous_outcomes = {action.id: action.outcome for action in before.history}
        for action in after.history:
            if not costs_budget(action):  # nothing was done, or only another node tried
                self.start_times.pop(action.id, None)
            is_started = action.outcome is ActionOutcome.IN_PROGRESS
            if is_started and previous_outcomes.get(action.id) is not ActionOutcome.IN_PROGRESS:
                self.check_start(
                    trace,
                    action,
                    previous_outcomes.get(action.id),
                    is_reset=is_reset,
                    is_resumed=is_resumed,
                )
        self.check_history(trace)
        self.check_memory(trace, is_reset=is_reset)
        is_tried_again = before.retries < after.retries
        if (
            is_reset
            or is_tried_again
            or self.is_rollback_in_vain(after)
            or after.mode == HealingMode.OFF
            or trace.external.stable_revision_missing
        ):
            self.rejected_image = ""
        if is_reset or is_tried_again or after.mode == HealingMode.OFF:
            self.rollbacks = 0
        starts = {a.id for a in after.history if a.outcome is ActionOutcome.IN_PROGRESS}
        if any(
            a.id in starts - previous_outcomes.keys() and a.remediation is Remediation.ROLLBACK
            for a in after.history
        ):
            self.rollbacks += 1
        if after.failed_revision:
            assert revision_of(trace.app.image) == after.failed_revision

            self.rejected_image = trace.app.image

        assert 1 >= self.rollbacks

        if self.rejected_image and not after.failed_revision:
            raise AssertionError(f"{self.rejected_image} runs again")

    def is_rollback_in_vain(self, after: HealingStatus) -> bool:
        """Whether the last rollback was no better than the revision of the spec."""
        rollbacks = (a for a in after.history if a.remediation is Remediation.ROLLBACK)
        last = next(rollbacks, None)
        return last is not None and last.outcome is ActionOutcome.FAILED

    def is_for_older_revision(self, action: HealingAction, after: HealingStatus) -> bool:
        """Whether an action was decided for an earlier revision."""
        return after.desired_since is not None and action.at < after.desired_since

    def check_start(
        self,
        trace: ReconcileTrace,
        action: HealingAction,
        previous_outcome: ActionOutcome | None,
        *,
        is_reset: bool,
        is_resumed: bool,
    ) -> None:
        """An action starts only if nothing blocks it."""
        before = trace.before
        mode = trace.app.healing["mode"]

        assert mode == HealingMode.AUTO or (
            mode == HealingMode.APPROVE and previous_outcome is ActionOutcome.PROPOSED
        )
        assert mode == HealingMode.AUTO or str(action.id) == trace.app.approve
        assert None is trace.external.blocked_reason
        assert not is_rollout_paused(trace.snapshot)
        assert is_reset or not before.quarantined or before.quarantined_by_budget
        if before.cooldown_until is not None and not is_resumed:
            assert before.cooldown_until <= builders.at(trace.now) or self.is_skewed(trace)
        for pod in trace.snapshot.pods:
            assert pod.uid != action.uid or not pod.ready

        if action.diagnosis not in FREE_DIAGNOSES:
            self.start_times[action.id] = self.elapsed
        policy = build_policy(trace.app.spec())
        recent = self.find_recent(policy.window)

        assert policy.budget >= len(recent), (
            recent,
            self.start_times,
            self.elapsed,
            trace.now,
            trace.after,
        )

    def is_skewed(self, trace: ReconcileTrace) -> bool:
        """Whether the clock was set back during the cooldown."""
        assert trace.before.cooldown_until is not None

        return (
            trace.before.cooldown_until
            > builders.at(trace.now) + build_policy(trace.app.spec()).window
        )

    def find_recent(self, window: timedelta) -> set[int]:
        """The actions that started within the window, by the clock of the record."""
        start = self.elapsed - window.total_seconds() + TIME_RESOLUTION_SECONDS
        return {i for i, at in self.start_times.items() if at > start}

    def check_history(self, trace: ReconcileTrace) -> None:
        """No action of the window is missing in the history."""
        counted = {a.id for a in trace.after.history if costs_budget(a)}

        assert self.find_recent(build_policy(trace.app.spec()).window) <= counted

    def check_memory(self, trace: ReconcileTrace, *, is_reset: bool) -> None:
        """The memory limit is between the spec's and the maximum.

        It never decreases for a revision, unless a raise has failed and is undone.
        """
        before, after = trace.before, trace.after
        (limit_before,) = [each.limit for each in before.memory_limits] or [""]
        (limit_after,) = [each.limit for each in after.memory_limits] or [""]
        if limit_after:
            assert exceeds(limit_after, SPEC_MEMORY_LIMIT)
            assert not exceeds(limit_after, MAX_MEMORY)
        rolled_back = after.failed_revision != before.failed_revision
        is_undone = any("; undone: " in action.message for action in after.history)
        if limit_before and not (
            is_reset or rolled_back or is_undone or after.mode == HealingMode.OFF
        ):
            assert limit_after
            assert not exceeds(limit_before, limit_after)
            assert after.memory_in_template or not before.memory_in_template

    def check_bad_revision_replaced(self, record: HealingStatus) -> None:
        """A faulty revision is replaced if there is a stable revision without that fault.

        An exception is DependencyDown: all its pods became not ready at once. If the stable
        revision has become faulty, too, the cause is not the new revision. And if no pod of an
        earlier version is left, as its node was lost, pods that hang may wait for a dependency.
        """
        is_not_known = any(
            diagnosis.type == DiagnosisType.NOT_READY_TOO_LONG
            and diagnosis.confidence == Confidence.LOW
            and diagnosis.comparison.startswith("no pod of an earlier version runs beside it")
            for diagnosis in record.diagnoses
        )
        has_shared_cause = DiagnosisType.DEPENDENCY_DOWN in {
            diagnosis.type for diagnosis in record.diagnoses
        }
        stable_template = self.operator.stored_templates.get(str(record.stable_revision))
        is_bad = bool(self.cluster.image_faults.get(self.app.image))
        if (
            record.blocked_reason is not BlockedReason.NO_REMEDIATION
            or not is_bad
            or stable_template is None
            or self.cluster.image_faults.get(stable_template.image)
            or has_shared_cause
            or is_not_known
        ):
            return

        assert stable_template.image == self.app.image or record.failed_revision, record

    # The steady state.

    def teardown(self) -> None:
        """If the cluster stops changing, the record stops changing, too, with a reason."""
        if not self.app.healing:
            return
        self.operator.restart()
        policy = build_policy(self.app.spec())
        end_time = self.operator.now + 3 * policy.window.total_seconds() + EXTRA_SECONDS
        for _ in range(MAX_RECONCILES):
            writes, seen = self.app.resource_version, self.cluster.resource_version
            self.reconcile()
            if (writes, seen) != (self.app.resource_version, self.cluster.resource_version):
                self.run_cluster(5)
            elif self.cluster.seconds_to_next_change:
                self.run_cluster(self.cluster.seconds_to_next_change)
            elif self.operator.requeue_after is not None:
                self.run_cluster(int(self.operator.requeue_after) + 1)
            else:
                self.check_steady_state()
                return
            is_repeating = policy.mode in {HealingMode.OBSERVE, HealingMode.APPROVE}
            if (is_repeating or self.app.record.retries) and self.operator.now > end_time:
                return  # a dry run or a proposal is repeated in each window, a try each day
        raise AssertionError(f"the record does not become stable: {self.app.record}")

    def check_steady_state(self) -> None:
        """In a steady state the app is healthy, or the record says why no action starts."""
        record = self.app.record
        snapshot = self.cluster.take_snapshot(make_app_view(self.app))
        ready = sum(pod.ready for pod in snapshot.pods if not pod.deleting)

        assert record.mode == self.app.healing["mode"]

        if record.mode in {HealingMode.AUTO, HealingMode.APPROVE} and record.diagnoses:
            assert record.blocked_reason in USER_BLOCKED_REASONS | {
                self.operator.blocked_reason,
                BlockedReason.NODES_LOST,
            }, record
            assert not any(a.outcome is ActionOutcome.IN_PROGRESS for a in record.history), record
        self.check_bad_revision_replaced(record)
        for pause in (1, 100, 10_000):
            self.run_cluster(pause)

            assert None is self.reconcile(), (record, self.app.record)

        assert ready or record.diagnoses or self.cluster.is_paused


SafetyProperties.TestCase.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=40, deadline=None, print_blob=True
)
TestSafetyProperties = SafetyProperties.TestCase
