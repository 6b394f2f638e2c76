"""Stories of healing from end to end, each told by a simulated cluster and one operator.

What the model of the envelope found wrong, or a person on call would ask, stands here as a plain
test.
"""

import pytest

from selfhealing.api.healing_status import ActionOutcome, HealingStatus, Hold, Remedy
from tests.unit.remediation.sim_cluster import Cluster
from tests.unit.remediation.sim_operator import App, Operator, read, version_of


class Story:
    """An app that has run well for long enough to be gone back to, unless it is told otherwise."""

    def __init__(self, *, proven: bool = True, **healing: object) -> None:
        self.cluster = Cluster()
        self.app = App(healing=dict(healing))
        self.operator = Operator(self.cluster, self.app)
        self.cluster.settle()
        if proven:
            self.goes_on(20, 700)

    def goes_on(self, *pauses: int) -> HealingStatus:
        """Let the operator look after each pause, as often as it has something to do."""
        self.operator.restart()
        for pause in pauses:
            self.cluster.clock += pause
            self.cluster.settle()
            for _ in range(5):
                self.operator.look()
                self.cluster.settle()
        return self.record

    @property
    def record(self) -> HealingStatus:
        """What is remembered."""
        return read(self.app.record)

    @property
    def deeds(self) -> list[tuple[Remedy, ActionOutcome]]:
        """What was done and what became of it, the first first."""
        return [(a.remedy, a.outcome) for a in reversed(self.record.history)]

    def asks_for(self, image: str, fault: str = "") -> None:
        """Ask for another version."""
        self.cluster.versions[image] = fault
        self.app.image = image
        self.app.rv = self.cluster.news()
        self.operator.restart()

    def first_pod(self) -> str:
        """The UID of a pod."""
        return min(self.cluster.pods)


@pytest.mark.parametrize("fault", ["crash", "pull", "config", "hang"])
def test_a_bad_version_is_gone_back_from(fault: str) -> None:
    """The good version serves all the while, and the spec's own is not tried again."""
    story = Story()
    story.asks_for("v2", fault)

    record = story.goes_on(1, 61, 301, 400, 60)

    assert [(Remedy.ROLLBACK, ActionOutcome.HELPED)] == story.deeds
    assert version_of("v2") == record.failed_template
    assert "v1" == story.cluster.template.image
    assert not record.quarantined


def test_a_bad_version_is_known_by_an_operator_that_was_away_when_it_came() -> None:
    """It was killed between the change of the Deployment and its record, and came back late."""
    story = Story()
    story.asks_for("v2", "crash")
    story.operator.look(dies="apply")
    story.cluster.settle()

    story.goes_on(60, 20, 60)

    assert [(Remedy.ROLLBACK, ActionOutcome.HELPED)] == story.deeds


def test_a_rollback_that_helped_does_not_condemn_what_comes_later() -> None:
    """All pods of the good version fall ill: nothing fits, but people are not to be called back."""
    story = Story()
    story.asks_for("v2", "crash")
    story.goes_on(1, 31, 20, 60)
    story.cluster.versions["v1"] = "crash"

    record = story.goes_on(300, 60)

    assert Hold.NO_REMEDY is record.hold
    assert not record.quarantined


def test_a_fallback_that_stands_is_no_failure() -> None:
    """The metrics are still away, and the app has enough pods: it is not left to people."""
    story = Story()
    story.cluster.blind_since = story.cluster.clock

    record = story.goes_on(301, 40, 61, 600)

    assert [(Remedy.SCALING_FALLBACK, ActionOutcome.HELPED)] == story.deeds
    assert 5 == record.fallback_replicas
    assert not record.quarantined


def test_a_fallback_ends_with_its_reason() -> None:
    """The metrics are back: the autoscaler decides again."""
    story = Story()
    story.cluster.blind_since = story.cluster.clock
    story.goes_on(301, 40)
    story.cluster.blind_since = None

    record = story.goes_on(60)

    assert None is record.fallback_replicas
    assert 3 == story.cluster.wanted


def test_the_second_node_that_is_lost_is_waited_for_as_the_first() -> None:
    """A failover that helped does not end healing when another node falls silent."""
    story = Story()
    first = story.cluster.pods[story.first_pod()].node
    story.cluster.nodes[first] = "lost"
    story.goes_on(1, 61, 60)
    story.cluster.nodes.clear()
    story.goes_on(60, 60)
    second = next(pod.node for pod in story.cluster.pods.values() if pod.node != first)
    story.cluster.nodes[second] = "lost"

    record = story.goes_on(1)

    assert not record.quarantined

    story.goes_on(61, 60, 60)

    assert [(Remedy.FAILOVER, ActionOutcome.HELPED)] * 2 == story.deeds


def test_a_sick_pod_is_replaced() -> None:
    """One pod crashes, others of the same version are well."""
    story = Story()
    story.cluster.pods[story.first_pod()].own = "crash"

    story.goes_on(1, 20, 40)

    assert [(Remedy.RECYCLE, ActionOutcome.HELPED)] == story.deeds


def test_a_pod_that_recovers_before_it_is_evicted_stays() -> None:
    """The operator was killed after the decision; meanwhile the others fell ill."""
    story = Story()
    uid = story.first_pod()
    story.cluster.pods[uid].own = "hang"
    story.cluster.guarded = False
    story.cluster.settle()
    story.cluster.clock += 301
    story.operator.look()
    for pod in story.cluster.pods.values():
        pod.own = "" if pod.uid == uid else "hang"
    story.cluster.settle()

    story.goes_on(1)

    assert (Remedy.RECYCLE, ActionOutcome.STARTED) in story.deeds
    assert uid in story.cluster.pods


def test_memory_is_raised_in_the_pods_first() -> None:
    """What is killed for want of memory gets more, up to what it needs."""
    story = Story()
    story.cluster.needs = "150Mi"

    record = story.goes_on(1, 40)

    assert [(Remedy.RAISE_MEMORY, ActionOutcome.HELPED)] == story.deeds
    assert "200Mi" == record.memory_limit
    assert not record.memory_in_template


@pytest.mark.parametrize("window", ["10m", "1h"])
def test_pods_that_do_not_take_more_memory_are_made_anew(window: str) -> None:
    """Kubernetes issue 138760: however long the rest, the attempt in vain is not forgotten."""
    story = Story(budget=2, window=window, cooldown="5m")
    story.cluster.needs = "150Mi"
    for pod in story.cluster.pods.values():
        pod.deaf = True

    record = story.goes_on(1, *[30] * 60)

    assert [
        (Remedy.RAISE_MEMORY, ActionOutcome.NO_HELP),
        (Remedy.RAISE_MEMORY, ActionOutcome.HELPED),
    ] == story.deeds
    assert record.memory_in_template


def test_what_needs_more_than_the_most_is_left_to_people() -> None:
    """Raising ends at the maximum; then nothing more is done."""
    story = Story(budget=5)
    story.cluster.needs = "1Gi"

    record = story.goes_on(1, *[301] * 20)

    assert record.quarantined
    assert "300Mi" == record.memory_limit
    assert (Remedy.QUARANTINE, ActionOutcome.DONE) == story.deeds[-1]


def test_the_budget_is_the_end() -> None:
    """One more ill pod than the budget allows: the app is left to people, and they hear why."""
    story = Story(budget=1)
    story.cluster.pods[story.first_pod()].own = "crash"
    story.goes_on(1, 20, 40)
    story.cluster.pods[story.first_pod()].own = "crash"

    record = story.goes_on(100)

    assert record.quarantined
    assert "the budget of actions is spent" in record.history[0].message


def test_somebody_resumes() -> None:
    """The budget is whole again, and the app is healed again."""
    story = Story(budget=1)
    story.cluster.pods[story.first_pod()].own = "crash"
    story.goes_on(1, 20, 40)
    story.cluster.pods[story.first_pod()].own = "crash"
    story.goes_on(100)
    story.app.resume = "1"
    story.app.rv = story.cluster.news()

    story.goes_on(1, 20, 40)
    story.cluster.pods[story.first_pod()].own = "crash"

    record = story.goes_on(1)

    assert not record.quarantined
    assert (Remedy.RECYCLE, ActionOutcome.STARTED) == story.deeds[-1]


def test_a_clock_that_is_set_back_delays_nothing() -> None:
    """What was started at a time that is still to come is judged all the same."""
    story = Story()
    story.asks_for("v2", "crash")
    story.goes_on(1, 31)
    story.operator.skew = -86_400.0

    story.goes_on(20, 60)

    assert [(Remedy.ROLLBACK, ActionOutcome.HELPED)] == story.deeds


def test_off_takes_everything_back() -> None:
    """The spec alone counts, and what was under way is over."""
    story = Story()
    story.asks_for("v2", "crash")
    story.goes_on(1, 31)
    story.app.healing = {"mode": "Off"}
    story.app.rv = story.cluster.news()

    record = story.goes_on(1)

    assert [(Remedy.ROLLBACK, ActionOutcome.OVERTAKEN)] == story.deeds
    assert None is record.failed_template
    assert "v2" == story.cluster.template.image
