"""Scenarios of healing from end to end, in a simulated cluster with one operator.

Each one was found by the safety properties, or is a question of an engineer on call.
"""

import pytest

from selfhealing.api.healing_status import ActionOutcome, BlockedReason, HealingStatus, Remediation
from tests.unit.remediation.factories import raised_to
from tests.unit.remediation.sim_cluster import SimCluster
from tests.unit.remediation.sim_operator import SimApp, SimOperator, revision_of


class Scenario:
    """An app whose revision is stable, unless ``proven`` is False."""

    def __init__(self, *, proven: bool = True, **healing: object) -> None:
        self.cluster = SimCluster()
        self.app = SimApp(healing=dict(healing))
        self.operator = SimOperator(self.cluster, self.app)
        self.cluster.run_controllers()
        if proven:
            self.advance(20, 700)

    def advance(self, *pauses: int) -> HealingStatus:
        """Let the operator reconcile after each pause until nothing changes."""
        self.operator.restart()
        for pause in pauses:
            self.cluster.clock += pause
            self.cluster.run_controllers()
            for _ in range(5):
                self.operator.reconcile()
                self.cluster.run_controllers()
        return self.record

    @property
    def record(self) -> HealingStatus:
        """The stored record."""
        return self.app.record

    @property
    def actions(self) -> list[tuple[Remediation, ActionOutcome]]:
        """Remediations and outcomes of the history, the oldest first, without tries of nodes."""
        return [
            (action.remediation, action.outcome)
            for action in reversed(self.record.history)
            if action.remediation is not Remediation.AVOID_NODE
        ]

    def deploy(self, image: str, fault: str = "") -> None:
        """Change the image in the spec."""
        self.cluster.image_faults[image] = fault
        self.app.image = image
        self.app.generation += 1
        self.app.resource_version = self.cluster.next_resource_version()
        self.operator.restart()

    def first_pod(self) -> str:
        """The UID of a pod."""
        return min(self.cluster.pods)


@pytest.mark.parametrize("fault", ["crash", "pull", "config", "hang"])
def test_a_bad_revision_is_rolled_back(fault: str) -> None:
    """The stable revision serves all the time, and the failed one is not tried again."""
    scenario = Scenario()
    scenario.deploy("v2", fault)

    record = scenario.advance(1, 61, 301, 400, 301, 400, 60)

    assert [(Remediation.ROLLBACK, ActionOutcome.SUCCEEDED)] == scenario.actions
    assert revision_of("v2") == record.failed_revision
    assert "v1" == scenario.cluster.template.image
    assert not record.quarantined


def test_a_bad_revision_is_found_after_a_downtime_of_the_operator() -> None:
    """It was killed after the change of the Deployment and before the write of the record."""
    scenario = Scenario()
    scenario.deploy("v2", "crash")
    scenario.operator.reconcile(crash_point="apply")
    scenario.cluster.run_controllers()

    scenario.advance(60, 61, 31, 601, 31, 60)

    assert [(Remediation.ROLLBACK, ActionOutcome.SUCCEEDED)] == scenario.actions


def test_a_successful_rollback_does_not_lead_to_a_quarantine_later() -> None:
    """All pods of the stable revision fail: no remediation fits, but there is no quarantine."""
    scenario = Scenario()
    scenario.deploy("v2", "crash")
    scenario.advance(1, 31, 61, 31, 601, 60)
    scenario.cluster.image_faults["v1"] = "crash"

    record = scenario.advance(300, 60)

    assert BlockedReason.NO_REMEDIATION is record.blocked_reason
    assert not record.quarantined


def test_a_scaling_fallback_in_force_is_no_failure() -> None:
    """The metrics are still missing, but the app has enough pods: no quarantine."""
    scenario = Scenario()
    scenario.cluster.metrics_lost_since = scenario.cluster.clock

    record = scenario.advance(301, 40, 61, 600)

    assert [(Remediation.SCALING_FALLBACK, ActionOutcome.SUCCEEDED)] == scenario.actions
    assert 5 == record.fallback_replicas
    assert not record.quarantined


def test_a_scaling_fallback_ends_with_its_reason() -> None:
    """The autoscaler has metrics again."""
    scenario = Scenario()
    scenario.cluster.metrics_lost_since = scenario.cluster.clock
    scenario.advance(301, 40)
    scenario.cluster.metrics_lost_since = None

    record = scenario.advance(60)

    assert None is record.fallback_replicas
    assert 3 == scenario.cluster.wanted


def test_a_second_lost_node_gets_a_failover_too() -> None:
    """A successful failover does not stop healing when another node is lost."""
    scenario = Scenario()
    first = scenario.cluster.pods[scenario.first_pod()].node
    scenario.cluster.node_faults[first] = "lost"
    scenario.advance(1, 61, 60)
    scenario.cluster.node_faults.clear()
    scenario.advance(60, 60)
    second = next(pod.node for pod in scenario.cluster.pods.values() if pod.node != first)
    scenario.cluster.node_faults[second] = "lost"

    record = scenario.advance(1)

    assert not record.quarantined

    scenario.advance(61, 60, 60)

    assert [(Remediation.FAILOVER, ActionOutcome.SUCCEEDED)] * 2 == scenario.actions


def test_a_failing_pod_is_replaced() -> None:
    """One pod crashes, the others of its revision are healthy."""
    scenario = Scenario()
    scenario.cluster.pods[scenario.first_pod()].own_fault = "crash"

    scenario.advance(1, 31, 20, 40)

    assert [(Remediation.REPLACE_POD, ActionOutcome.SUCCEEDED)] == scenario.actions


def test_a_pod_that_recovers_before_it_is_evicted_stays() -> None:
    """The operator was killed after the decision, and then the other pods failed."""
    scenario = Scenario()
    uid = scenario.first_pod()
    scenario.cluster.pods[uid].own_fault = "hang"
    scenario.cluster.has_disruption_budget = False
    scenario.cluster.run_controllers()
    for pause in (301, 31):
        scenario.cluster.clock += pause
        scenario.operator.reconcile()
    for pod in scenario.cluster.pods.values():
        pod.own_fault = "" if pod.uid == uid else "hang"
    scenario.cluster.run_controllers()

    scenario.advance(1)

    assert (Remediation.REPLACE_POD, ActionOutcome.IN_PROGRESS) in scenario.actions
    assert uid in scenario.cluster.pods


def test_memory_is_raised_in_running_pods_first() -> None:
    """The limit is raised until the app has what it needs."""
    scenario = Scenario()
    scenario.cluster.needed_memory = "150Mi"

    record = scenario.advance(1, 40)

    assert [(Remediation.RAISE_MEMORY, ActionOutcome.SUCCEEDED)] == scenario.actions
    assert raised_to("200Mi") == record.memory_limits
    assert not record.memory_in_template


@pytest.mark.parametrize("window", ["10m", "1h"])
def test_pods_that_do_not_apply_a_new_limit_are_recreated(window: str) -> None:
    """Kubernetes issue 138760: the failed attempt counts, however long the cooldown is."""
    scenario = Scenario(budget=2, window=window, cooldown="5m")
    scenario.cluster.needed_memory = "150Mi"
    for pod in scenario.cluster.pods.values():
        pod.ignores_resize = True

    record = scenario.advance(1, *[30] * 60)

    assert [
        (Remediation.RAISE_MEMORY, ActionOutcome.FAILED),
        (Remediation.RAISE_MEMORY, ActionOutcome.SUCCEEDED),
    ] == scenario.actions
    assert record.memory_in_template


def test_an_app_that_needs_more_than_the_maximum_is_quarantined() -> None:
    """After the maximum no action starts."""
    scenario = Scenario(budget=5)
    scenario.cluster.needed_memory = "1Gi"

    record = scenario.advance(1, *[301] * 20)

    assert record.quarantined
    assert raised_to("300Mi") == record.memory_limits
    assert (Remediation.QUARANTINE, ActionOutcome.COMPLETED) == scenario.actions[-1]


def test_a_spent_budget_leads_to_a_quarantine() -> None:
    """One more failing pod than the budget allows; the message gives the reason."""
    scenario = Scenario(budget=1)
    scenario.cluster.pods[scenario.first_pod()].own_fault = "crash"
    scenario.advance(1, 31, 20, 40)
    scenario.cluster.pods[scenario.first_pod()].own_fault = "crash"

    record = scenario.advance(100, 31)

    assert record.quarantined
    assert "the budget of actions is spent" in record.history[0].message


def test_somebody_resumes() -> None:
    """The budget is reset, and healing goes on."""
    scenario = Scenario(budget=1)
    scenario.cluster.pods[scenario.first_pod()].own_fault = "crash"
    scenario.advance(1, 31, 20, 40)
    scenario.cluster.pods[scenario.first_pod()].own_fault = "crash"
    scenario.advance(100, 31)
    scenario.app.resume = "1"
    scenario.app.resource_version = scenario.cluster.next_resource_version()

    scenario.advance(1, 31, 20, 40)
    scenario.cluster.pods[scenario.first_pod()].own_fault = "crash"

    record = scenario.advance(1, 31)

    assert not record.quarantined
    assert (Remediation.REPLACE_POD, ActionOutcome.IN_PROGRESS) == scenario.actions[-1]


def test_a_clock_that_is_set_back_delays_nothing() -> None:
    """An action whose start is in the future is evaluated all the same."""
    scenario = Scenario()
    scenario.deploy("v2", "crash")
    scenario.advance(1, 31, 61, 31, 601)
    scenario.operator.clock_skew = -86_400.0

    scenario.advance(20, 60)

    assert [(Remediation.ROLLBACK, ActionOutcome.SUCCEEDED)] == scenario.actions


def test_off_ends_all_overrides() -> None:
    """Only the spec counts, and the running action is superseded."""
    scenario = Scenario()
    scenario.deploy("v2", "crash")
    scenario.advance(1, 31, 61, 31, 601)
    scenario.app.healing = {"mode": "Off"}
    scenario.app.resource_version = scenario.cluster.next_resource_version()

    record = scenario.advance(1)

    assert [(Remediation.ROLLBACK, ActionOutcome.SUPERSEDED)] == scenario.actions
    assert None is record.failed_revision
    assert "v2" == scenario.cluster.template.image


def test_the_spec_is_applied_at_once_when_healing_is_switched_off() -> None:
    """A rollback ends with the mode Off, also if the operator is killed before it writes that."""
    scenario = Scenario(mode="Auto")
    scenario.deploy("v2", "crash")
    scenario.advance(1, 31, 61, 31, 601)
    rolled_back_to = scenario.cluster.template.image
    scenario.app.healing = {"mode": "Off"}
    scenario.operator.restart()

    scenario.operator.reconcile(crash_point="apply")

    assert ("v1", "v2") == (rolled_back_to, scenario.cluster.template.image)
    assert scenario.record.failed_revision
    assert None is scenario.advance(10).failed_revision
