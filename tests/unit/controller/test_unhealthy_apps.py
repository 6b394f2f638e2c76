"""Who is ill: what opens the breaker, and what /metrics shows."""

from collections.abc import Iterator
from typing import Any

import pytest

from selfhealing.api.healing_status import ActionOutcome, HealingStatus, Remedy
from selfhealing.cache.parse import app_view
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.unhealthy_apps import Ward, count
from selfhealing.kube import metrics
from tests.unit import builders
from tests.unit.controller.fake_api_server import action, illness, record

KEYS = [AppKey("ward", f"app-{number}") for number in range(10)]
ILL = record(diagnoses=[illness()])
WELL = record()


def value(metric: Any, *labels: str) -> float:  # noqa: ANN401 - any of prometheus_client's
    """What a metric says."""
    child = metric.labels(*labels) if labels else metric
    found: float = child._value.get()  # noqa: SLF001 - there is no other way to ask
    return found


def budgets() -> set[str]:
    """The apps of these tests with a time series of their budget."""
    samples = next(iter(metrics.BUDGET_LEFT.collect())).samples
    return {s.labels["app"] for s in samples if s.labels["namespace"] == "ward"}


@pytest.fixture
def ward() -> Iterator[Ward]:
    """Ten apps, of which nobody knows anything yet; the metrics are the whole process's."""
    store = Store()
    for key in KEYS:
        thing = app_view(
            builders.app(namespace=key.namespace, name=key.name, uid=f"uid-of-{key.name}")
        )
        store.put_app(thing)
    ward = Ward(store)
    yield ward
    for key in KEYS:
        ward.forget(key)


class TestStorm:
    """Too many at once."""

    def test_few_are_ill(self, ward: Ward) -> None:
        """Four of ten may be four faults."""
        for key in KEYS[:4]:
            ward.note(key, ILL)

        assert not ward.storm
        assert 0 == value(metrics.BREAKER)

    @pytest.mark.parametrize("kind", ["NodeLost", "MetricsUnavailable", "MemoryClimbing"])
    def test_many_have_what_one_cause_brings(self, ward: Ward, kind: str) -> None:
        """It is what healing is for; another illness beside it counts."""
        for key in KEYS:
            ward.note(key, record(diagnoses=[illness(kind)]))

        assert not ward.storm

        for key in KEYS[:5]:
            ward.note(key, record(diagnoses=[illness(kind), illness()]))

        assert ward.storm

    def test_many_are_ill(self, ward: Ward) -> None:
        """Five of ten have something in common; when one is well again, it is over."""
        for key in KEYS[:5]:
            ward.note(key, ILL)

        assert ward.storm
        assert 1 == value(metrics.BREAKER)

        ward.note(KEYS[0], WELL)

        assert not ward.storm
        assert 0 == value(metrics.BREAKER)

    def test_many_begin_to_ail(self, ward: Ward) -> None:
        """It counts before it is an illness, so that the first of them is not treated either."""
        for key in KEYS[:5]:
            ward.note(key, WELL, ailing=True)

        assert ward.storm

        ward.note(KEYS[0], WELL)

        assert not ward.storm

    def test_one_app_counts_once(self, ward: Ward) -> None:
        """However often it is looked at."""
        for _ in range(9):
            ward.note(KEYS[0], ILL)

        assert not ward.storm

    def test_one_that_is_being_healed_is_ill(self, ward: Ward) -> None:
        """Though nothing ails it at the moment: nobody knows yet whether it lasts."""
        for key in KEYS[:5]:
            ward.note(key, record(action()))

        assert ward.storm

    @pytest.mark.parametrize("ailing", [False, True])
    @pytest.mark.parametrize(
        "resting",
        [None, record(diagnoses=[illness()], quarantined=True)],
        ids=["paused or a Job", "left to people"],
    )
    def test_one_that_healing_leaves_alone(
        self, ward: Ward, resting: HealingStatus | None, *, ailing: bool
    ) -> None:
        """It may be ill for weeks, and would keep the others from being healed."""
        for key in KEYS[:5]:
            ward.note(key, ILL)
        for key in KEYS[:5]:
            ward.note(key, resting, ailing=ailing)

        assert not ward.storm

    def test_a_warning_is_no_illness(self, ward: Ward) -> None:
        """Nor is it while something is done about it: the app is well all the time."""
        warned = illness("MemoryClimbing", "Unknown")
        raising = action(Remedy.RAISE_MEMORY, diagnosis="MemoryClimbing")
        for key in KEYS:
            ward.note(key, record(raising, diagnoses=[warned]))

        assert not ward.storm

        for key in KEYS[:5]:
            ward.note(key, record(raising, diagnoses=[illness(), warned]))

        assert ward.storm

    def test_one_that_is_gone(self, ward: Ward) -> None:
        """The metric knows at once."""
        for key in KEYS[:5]:
            ward.note(key, ILL)
        ward.forget(KEYS[0])

        assert 0 == value(metrics.BREAKER)


class TestBudget:
    """A time series only for apps that have spent something."""

    def test_nothing_spent(self, ward: Ward) -> None:
        """Thousands of apps that are well make no time series."""
        ward.note(KEYS[0], WELL)
        ward.note(KEYS[1], record(action(outcome=ActionOutcome.OBSERVED)))

        assert set() == budgets()

    def test_spent(self, ward: Ward) -> None:
        """It shows what is left, also of what was spent before this process began."""
        ward.note(KEYS[0], record(action(outcome=ActionOutcome.HELPED), budget_left=2))

        assert {"app-0"} == budgets()
        assert 2 == value(metrics.BUDGET_LEFT, *KEYS[0])

        ward.note(KEYS[0], WELL)

        assert set() == budgets()

    def test_gone(self, ward: Ward) -> None:
        """Its time series goes with it, whether there was one or not."""
        ward.note(KEYS[0], record(action()))
        ward.forget(KEYS[0])
        ward.forget(KEYS[1])

        assert set() == budgets()


class TestCounters:
    """What is new in a record."""

    def test_actions(self) -> None:
        """Each time that something becomes of one."""
        labels = Remedy.FAILOVER, ActionOutcome.STARTED
        ended = Remedy.FAILOVER, ActionOutcome.HELPED
        before, ends = value(metrics.ACTIONS, *labels), value(metrics.ACTIONS, *ended)
        begun = record(action(Remedy.FAILOVER))
        over = record(action(Remedy.FAILOVER, outcome=ActionOutcome.HELPED))
        count(None, begun)
        count(begun, begun)
        count(begun, over)

        assert before + 1 == value(metrics.ACTIONS, *labels)
        assert ends + 1 == value(metrics.ACTIONS, *ended)

    def test_illnesses(self) -> None:
        """When they come, not for as long as they stay."""
        labels = "QuotaExceeded", "Environment"
        before = value(metrics.DIAGNOSES, *labels)
        ill = record(diagnoses=[illness(*labels)])
        count(None, ill)
        count(ill, ill)
        count(ill, WELL)
        count(WELL, ill)

        assert before + 2 == value(metrics.DIAGNOSES, *labels)
