"""Who is ill: what opens the breaker, and what /metrics shows."""

from collections.abc import Iterator
from typing import Any

import pytest

from selfhealing.api.healing_status import ActionOutcome, HealingStatus, Remediation
from selfhealing.api.status import Condition
from selfhealing.cache.parse import app_view
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.unhealthy_apps import UnhealthyApps, count_changes
from selfhealing.kube import metrics
from selfhealing.remediation.circuit_breaker import (
    COUNTED_ACTION_SECONDS,
    STORM_LIMIT,
    STORM_REST,
    STORM_WINDOW,
)
from tests.unit import builders
from tests.unit.controller.fake_api_server import build_action, build_diagnosis, build_record
from tests.unit.controller.fake_clock import FakeClock

KEYS = [AppKey("shop", f"app-{number}") for number in range(10)]
UNHEALTHY_RECORD = build_record(diagnoses=[build_diagnosis()])
HEALTHY_RECORD = build_record()


def metric_value(metric: Any, *labels: str) -> float:  # noqa: ANN401 - any of prometheus_client's
    """What a metric says."""
    child = metric.labels(*labels) if labels else metric
    current: float = child._value.get()  # noqa: SLF001 - there is no other way to ask
    return current


def apps_with_budget_series() -> set[str]:
    """The apps of these tests with a time series of their budget."""
    samples = next(iter(metrics.BUDGET_LEFT.collect())).samples
    return {s.labels["app"] for s in samples if s.labels["app_namespace"] == "shop"}


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the operator, and of the API server."""
    return FakeClock()


@pytest.fixture
def unhealthy_apps(clock: FakeClock) -> Iterator[UnhealthyApps]:
    """Ten apps, of which nobody knows anything yet; the metrics are the whole process's."""
    metrics.BUDGET_LEFT.clear()  # other tests leave theirs
    store = Store()
    for key in KEYS:
        manifest = app_view(
            builders.app(namespace=key.namespace, name=key.name, uid=f"uid-of-{key.name}")
        )
        store.upsert_app(manifest)
    unhealthy_apps = UnhealthyApps(store, clock, lambda: builders.at(clock.now))
    yield unhealthy_apps
    for key in KEYS:
        unhealthy_apps.forget_app(key)


class TestStorm:
    """Too many at once."""

    def test_few_are_ill(self, unhealthy_apps: UnhealthyApps) -> None:
        """Four at once may be four faults."""
        for key in KEYS[:4]:
            unhealthy_apps.update(key, UNHEALTHY_RECORD)

        assert not unhealthy_apps.is_storm("shop")
        assert 0 == metric_value(metrics.NAMESPACE_BREAKERS_OPEN)

    @pytest.mark.parametrize("kind", ["NodeLost", "MetricsUnavailable", "MemoryClimbing"])
    def test_many_have_what_one_cause_brings(
        self, unhealthy_apps: UnhealthyApps, kind: str
    ) -> None:
        """It is what healing is for; another illness beside it counts."""
        for key in KEYS:
            unhealthy_apps.update(key, build_record(diagnoses=[build_diagnosis(kind)]))

        assert not unhealthy_apps.is_storm("shop")

        for key in KEYS[:5]:
            unhealthy_apps.update(
                key, build_record(diagnoses=[build_diagnosis(kind), build_diagnosis()])
            )

        assert unhealthy_apps.is_storm("shop")

    def test_many_are_ill(self, unhealthy_apps: UnhealthyApps) -> None:
        """Five at once have something in common; when one is well again, it is over."""
        for key in KEYS[:5]:
            unhealthy_apps.update(key, UNHEALTHY_RECORD)

        assert unhealthy_apps.is_storm("shop")
        assert 1 == metric_value(metrics.NAMESPACE_BREAKERS_OPEN)

        unhealthy_apps.update(KEYS[0], HEALTHY_RECORD)

        assert not unhealthy_apps.is_storm("shop")
        assert 0 == metric_value(metrics.NAMESPACE_BREAKERS_OPEN)

    def test_many_begin_to_ail(self, unhealthy_apps: UnhealthyApps) -> None:
        """It counts before it is an illness, so that the first of them is not treated either."""
        for key in KEYS[:5]:
            unhealthy_apps.update(key, HEALTHY_RECORD, has_pod_problem=True)

        assert unhealthy_apps.is_storm("shop")

        unhealthy_apps.update(KEYS[0], HEALTHY_RECORD)

        assert not unhealthy_apps.is_storm("shop")

    def test_one_app_counts_once(self, unhealthy_apps: UnhealthyApps) -> None:
        """However often it is looked at."""
        for _ in range(9):
            unhealthy_apps.update(KEYS[0], UNHEALTHY_RECORD)

        assert not unhealthy_apps.is_storm("shop")

    def test_one_that_is_being_healed_is_ill(self, unhealthy_apps: UnhealthyApps) -> None:
        """Though nothing ails it at the moment: nobody knows yet whether it lasts."""
        for key in KEYS[:5]:
            unhealthy_apps.update(key, build_record(build_action()))

        assert unhealthy_apps.is_storm("shop")

    @pytest.mark.parametrize("ailing", [False, True])
    @pytest.mark.parametrize(
        "resting",
        [None, build_record(diagnoses=[build_diagnosis()], quarantined=True)],
        ids=["paused or a Job", "left to people"],
    )
    def test_one_that_healing_leaves_alone(
        self, unhealthy_apps: UnhealthyApps, resting: HealingStatus | None, *, ailing: bool
    ) -> None:
        """It may be ill for weeks, and would keep the others from being healed."""
        for key in KEYS[:5]:
            unhealthy_apps.update(key, UNHEALTHY_RECORD)
        for key in KEYS[:5]:
            unhealthy_apps.update(key, resting, has_pod_problem=ailing)

        assert not unhealthy_apps.is_storm("shop")

    def test_a_warning_is_no_illness(self, unhealthy_apps: UnhealthyApps) -> None:
        """Nor is it while something is done about it: the app is well all the time."""
        warned = build_diagnosis("MemoryClimbing", "Unknown")
        raising = build_action(Remediation.RAISE_MEMORY, diagnosis="MemoryClimbing")
        for key in KEYS:
            unhealthy_apps.update(key, build_record(raising, diagnoses=[warned]))

        assert not unhealthy_apps.is_storm("shop")

        for key in KEYS[:5]:
            unhealthy_apps.update(key, build_record(raising, diagnoses=[build_diagnosis(), warned]))

        assert unhealthy_apps.is_storm("shop")

    def test_one_that_is_switched_off(self, unhealthy_apps: UnhealthyApps) -> None:
        """Nothing is done about it anyway."""
        for key in KEYS:
            unhealthy_apps.update(key, UNHEALTHY_RECORD.model_copy(update={"mode": "Off"}))

        assert not unhealthy_apps.is_storm("shop")

    def test_those_that_are_ill_for_long(
        self, unhealthy_apps: UnhealthyApps, clock: FakeClock
    ) -> None:
        """They fell ill one after the other, and say nothing about the present."""
        for key in KEYS:
            unhealthy_apps.update(key, HEALTHY_RECORD)
        for key in KEYS:
            unhealthy_apps.update(key, UNHEALTHY_RECORD)
            clock.now += STORM_WINDOW / 4

            assert not unhealthy_apps.is_storm("shop")

    def test_a_storm_ends_by_itself(self, unhealthy_apps: UnhealthyApps, clock: FakeClock) -> None:
        """It outlives the window while its apps are ill, but not for ever."""
        for key in KEYS:
            unhealthy_apps.update(key, HEALTHY_RECORD)
        for key in KEYS[:5]:
            unhealthy_apps.update(key, UNHEALTHY_RECORD)
        clock.now += STORM_LIMIT - 1
        unhealthy_apps.update(KEYS[0], UNHEALTHY_RECORD)

        assert unhealthy_apps.is_storm("shop")

        clock.now += 1

        assert not unhealthy_apps.is_storm("shop")
        assert 0 == metric_value(metrics.NAMESPACE_BREAKERS_OPEN)

        for key in KEYS[:5]:
            unhealthy_apps.update(key, UNHEALTHY_RECORD)

        assert not unhealthy_apps.is_storm("shop")

    def test_apps_that_flap_fell_ill_once(
        self, unhealthy_apps: UnhealthyApps, clock: FakeClock
    ) -> None:
        """Else a few of them would be a storm for ever."""
        for key in KEYS:
            unhealthy_apps.update(key, HEALTHY_RECORD)
        for key in KEYS[:5]:
            unhealthy_apps.update(key, UNHEALTHY_RECORD)
        clock.now += STORM_LIMIT
        for _ in range(100):
            for record in (HEALTHY_RECORD, UNHEALTHY_RECORD):
                clock.now += 3.5
                for key in KEYS[:5]:
                    unhealthy_apps.update(key, record)

                assert not unhealthy_apps.is_storm("shop")

        for key in KEYS[:5]:
            unhealthy_apps.update(key, HEALTHY_RECORD)
        clock.now += STORM_WINDOW
        for key in KEYS[:5]:
            unhealthy_apps.update(key, UNHEALTHY_RECORD)

        assert unhealthy_apps.is_storm("shop")

    @pytest.mark.parametrize(("age", "storm"), [(-60, True), (300, True), (601, False)])
    def test_what_was_ill_before_this_process(
        self, unhealthy_apps: UnhealthyApps, clock: FakeClock, age: float, *, storm: bool
    ) -> None:
        """A storm outlives the operator; the stored status says since when an app is not ready."""
        since = builders.at(clock.now - age)
        condition = Condition(
            type="Ready", status="False", reason="Degraded", last_transition_time=since
        )
        other = condition.model_copy(update={"type": "Reconciled"})
        for key in KEYS[:5]:
            unhealthy_apps.note_stored_status(key, [other, condition])
            unhealthy_apps.update(key, UNHEALTHY_RECORD)
            unhealthy_apps.note_stored_status(key, [condition])

        assert storm is unhealthy_apps.is_storm("shop")

    def test_one_that_is_gone(self, unhealthy_apps: UnhealthyApps) -> None:
        """The metric knows at once."""
        for key in KEYS[:5]:
            unhealthy_apps.update(key, UNHEALTHY_RECORD)
        unhealthy_apps.forget_app(KEYS[0])

        assert 0 == metric_value(metrics.NAMESPACE_BREAKERS_OPEN)

    def test_those_that_are_made_again_and_again(
        self, unhealthy_apps: UnhealthyApps, clock: FakeClock
    ) -> None:
        """They fell ill once: a storm ends although its apps are replaced."""
        for key in KEYS[:5]:
            unhealthy_apps.update(key, UNHEALTHY_RECORD)
        assert unhealthy_apps.is_storm("shop")

        for _ in range(3):
            clock.now += STORM_LIMIT - 30
            for key in KEYS[:5]:
                unhealthy_apps.forget_app(key)
            clock.now += 40
            for key in KEYS[:5]:
                unhealthy_apps.update(key, UNHEALTHY_RECORD)
            assert not unhealthy_apps.is_storm("shop")

        for key in KEYS[:5]:
            unhealthy_apps.update(key, HEALTHY_RECORD)
        clock.now += STORM_WINDOW
        for key in KEYS[:5]:
            unhealthy_apps.update(key, UNHEALTHY_RECORD)

        assert unhealthy_apps.is_storm("shop")

    def test_nothing_is_kept_of_apps_that_are_gone(
        self, unhealthy_apps: UnhealthyApps, clock: FakeClock
    ) -> None:
        """For longer than they could come back."""
        gone = [AppKey("shop", f"gone-{number}") for number in range(50)]
        for key in gone:
            unhealthy_apps.update(key, UNHEALTHY_RECORD)
            unhealthy_apps.forget_app(key)
        clock.now += STORM_WINDOW
        unhealthy_apps.update(KEYS[0], UNHEALTHY_RECORD)

        assert {KEYS[0]} == unhealthy_apps._seen == unhealthy_apps._unhealthy.keys()  # noqa: SLF001 - what is kept


class TestStormsOfTheCluster:
    """A few namespaces do not keep all others from being remediated."""

    TEAMS = tuple(f"team-{number}" for number in range(4))

    @pytest.fixture(autouse=True)
    def _others(self, unhealthy_apps: UnhealthyApps) -> Iterator[None]:
        self.apps: list[AppKey] = []
        yield
        self.delete_all(unhealthy_apps)

    def create_all(self, unhealthy_apps: UnhealthyApps, generation: int) -> None:
        """Create five apps in each namespace, with names that were never there."""
        for team in self.TEAMS:
            for number in range(5):
                key = AppKey(team, f"app-{generation}-{number}")
                raw = builders.app(namespace=team, name=key.name, uid=f"uid-{key}")
                unhealthy_apps._store.upsert_app(app_view(raw))  # noqa: SLF001 - what it compares with
                unhealthy_apps.update(key, HEALTHY_RECORD)
                self.apps.append(key)

    def delete_all(self, unhealthy_apps: UnhealthyApps) -> None:
        """Delete them."""
        for key in self.apps:
            unhealthy_apps._store.delete_app(key, f"uid-{key}", 2)  # noqa: SLF001
            unhealthy_apps.forget_app(key)
        self.apps.clear()

    def test_apps_that_are_made_again_under_other_names(
        self, unhealthy_apps: UnhealthyApps, clock: FakeClock
    ) -> None:
        """In two hours their namespaces keep the breaker open for ten minutes."""
        step, open_for = 60.0, 0.0
        for generation in range(24):
            self.create_all(unhealthy_apps, generation)
            for _ in range(5):
                for key in self.apps:
                    unhealthy_apps.update(key, UNHEALTHY_RECORD)
                open_for += step * unhealthy_apps.is_storm("shop")
                clock.now += step
            self.delete_all(unhealthy_apps)

        assert open_for == STORM_LIMIT

        clock.now += STORM_REST
        unhealthy_apps.update(KEYS[0], HEALTHY_RECORD)
        self.create_all(unhealthy_apps, 99)
        for key in self.apps:
            unhealthy_apps.update(key, UNHEALTHY_RECORD)

        assert unhealthy_apps.is_storm("shop")

    def test_time_alone_ends_it(self, unhealthy_apps: UnhealthyApps, clock: FakeClock) -> None:
        """Also where an app has fallen ill a moment ago."""
        self.create_all(unhealthy_apps, 0)
        for key in self.apps:
            unhealthy_apps.update(key, UNHEALTHY_RECORD)
        clock.now += STORM_LIMIT - 1
        self.create_all(unhealthy_apps, 1)
        for key in self.apps:
            unhealthy_apps.update(key, UNHEALTHY_RECORD)
        assert unhealthy_apps.is_storm("shop")

        clock.now += 1

        assert not unhealthy_apps.is_storm("shop")
        assert unhealthy_apps.is_storm("team-0")  # its own

    def test_who_makes_the_storm_is_told(
        self, unhealthy_apps: UnhealthyApps, caplog: pytest.LogCaptureFixture
    ) -> None:
        """In the log and the metrics, until it is over."""
        metrics.STORM_APPS.clear()  # other tests leave theirs

        def series(breaker: str) -> dict[str, float]:
            samples = next(iter(metrics.STORM_APPS.collect())).samples
            return {
                s.labels["app_namespace"]: s.value
                for s in samples
                if s.labels["breaker"] == breaker
            }

        self.create_all(unhealthy_apps, 0)
        for key in self.apps:
            unhealthy_apps.update(key, UNHEALTHY_RECORD)

        assert dict.fromkeys(self.TEAMS, 5) == series("cluster") == series("namespace")
        (begin,) = caplog.messages
        assert begin == (
            "a storm of the cluster begins: 8 apps of 2 namespaces fell ill together: "
            "team-0 (5), team-1 (3)"
        )

        self.delete_all(unhealthy_apps)

        assert {} == series("cluster") == series("namespace")
        assert all(f"{team} (5)" in caplog.messages[1] for team in self.TEAMS)


class TestNamespaces:
    """What happens in one namespace stays there."""

    OTHERS = tuple(AppKey(f"team-{number}", "app") for number in range(4))

    @pytest.fixture(autouse=True)
    def _others(self, unhealthy_apps: UnhealthyApps) -> Iterator[None]:
        for key in self.OTHERS:
            raw = builders.app(namespace=key.namespace, name=key.name, uid=f"uid-{key.namespace}")
            unhealthy_apps._store.upsert_app(app_view(raw))  # noqa: SLF001 - the store that it compares with
        yield
        for key in self.OTHERS:
            unhealthy_apps.forget_app(key)

    def test_a_storm_of_one_namespace(self, unhealthy_apps: UnhealthyApps) -> None:
        """The apps of the others are remediated."""
        for key in KEYS:
            unhealthy_apps.update(key, UNHEALTHY_RECORD)

        assert unhealthy_apps.is_storm("shop")
        assert not unhealthy_apps.is_storm("team-0")
        assert 0 == metric_value(metrics.BREAKER_OPEN)
        assert 1 == metric_value(metrics.NAMESPACE_BREAKERS_OPEN)

    def test_a_storm_everywhere(self, unhealthy_apps: UnhealthyApps) -> None:
        """No app is remediated, not even in a namespace without an unhealthy app."""
        for key in (*KEYS, *self.OTHERS[:3]):
            unhealthy_apps.update(key, UNHEALTHY_RECORD)

        assert unhealthy_apps.is_storm("team-3")
        assert 1 == metric_value(metrics.BREAKER_OPEN)

        unhealthy_apps.update(self.OTHERS[0], HEALTHY_RECORD)

        assert not unhealthy_apps.is_storm("team-3")
        assert 0 == metric_value(metrics.BREAKER_OPEN)

    @pytest.mark.parametrize("kind", ["QuotaExceeded", "Unschedulable"])
    def test_what_cannot_be_remediated(self, unhealthy_apps: UnhealthyApps, kind: str) -> None:
        """Apps whose pods are refused stay so for weeks, and stop nobody."""
        for key in KEYS:
            unhealthy_apps.update(
                key, build_record(diagnoses=[build_diagnosis(kind, "Environment")])
            )

        assert not unhealthy_apps.is_storm("shop")


class TestActionLimit:
    """No namespace uses up the actions of the others."""

    def test_of_a_namespace(self, unhealthy_apps: UnhealthyApps) -> None:
        """At five actions of others the next app waits; its own action does not count."""
        for key in KEYS[:5]:
            unhealthy_apps.update(key, build_record(build_action()))

        assert unhealthy_apps.is_action_limit_reached(KEYS[5])
        assert not unhealthy_apps.is_action_limit_reached(KEYS[0])
        assert not unhealthy_apps.is_action_limit_reached(AppKey("team-0", "app"))

        unhealthy_apps.update(KEYS[0], build_record(build_action(outcome=ActionOutcome.SUCCEEDED)))

        assert not unhealthy_apps.is_action_limit_reached(KEYS[5])

    def test_of_the_cluster(self, unhealthy_apps: UnhealthyApps) -> None:
        """Four namespaces at their limits reach that of the cluster; others may start one."""
        keys = [AppKey(f"team-{number % 4}", f"app-{number}") for number in range(20)]
        for key in keys:
            unhealthy_apps.update(key, build_record(build_action()))

        assert not unhealthy_apps.is_action_limit_reached(KEYS[0])

        unhealthy_apps.update(KEYS[0], build_record(build_action()))

        assert unhealthy_apps.is_action_limit_reached(KEYS[1])

        for key in keys:
            unhealthy_apps.forget_app(key)

        assert not unhealthy_apps.is_action_limit_reached(KEYS[1])

    def test_an_action_without_an_end(
        self, unhealthy_apps: UnhealthyApps, clock: FakeClock
    ) -> None:
        """After twenty minutes it keeps nobody waiting any more."""
        begun = build_record(build_action(at=clock.now))
        for key in KEYS[:5]:
            unhealthy_apps.update(key, begun)
        clock.now += COUNTED_ACTION_SECONDS - 1
        for key in KEYS[:5]:
            unhealthy_apps.update(key, begun)
        assert unhealthy_apps.is_action_limit_reached(KEYS[5])

        clock.now += 1  # nobody looks at these apps

        assert not unhealthy_apps.is_action_limit_reached(KEYS[5])

        for key in KEYS[:5]:
            unhealthy_apps.update(key, begun)

        assert not unhealthy_apps.is_action_limit_reached(KEYS[5])

    @pytest.mark.parametrize(
        ("started", "counts"), [(-100, COUNTED_ACTION_SECONDS - 100), (9e6, COUNTED_ACTION_SECONDS)]
    )
    def test_the_time_of_an_action_may_be_forged(
        self, unhealthy_apps: UnhealthyApps, clock: FakeClock, started: float, counts: float
    ) -> None:
        """One of the future counts as one that starts now, by the operator's own clock."""
        record = build_record(build_action(at=clock.now + started))
        for key in KEYS[:5]:
            unhealthy_apps.update(key, record)
        clock.now += counts - 1
        for key in KEYS[:5]:
            unhealthy_apps.update(key, record)
        assert unhealthy_apps.is_action_limit_reached(KEYS[5])

        clock.now += 1

        assert not unhealthy_apps.is_action_limit_reached(KEYS[5])

    def test_failover_does_not_wait(self, unhealthy_apps: UnhealthyApps) -> None:
        """A lost node has pods of many apps."""
        for key in KEYS:
            unhealthy_apps.update(key, build_record(build_action(Remediation.FAILOVER)))

        assert not unhealthy_apps.is_action_limit_reached(KEYS[0])


class TestBudget:
    """A time series only for apps that have spent something."""

    def test_nothing_spent(self, unhealthy_apps: UnhealthyApps) -> None:
        """Thousands of apps that are well make no time series."""
        unhealthy_apps.update(KEYS[0], HEALTHY_RECORD)
        unhealthy_apps.update(KEYS[1], build_record(build_action(outcome=ActionOutcome.OBSERVED)))

        assert set() == apps_with_budget_series()

    def test_spent(self, unhealthy_apps: UnhealthyApps) -> None:
        """It shows what is left, also of what was spent before this process began."""
        unhealthy_apps.update(
            KEYS[0], build_record(build_action(outcome=ActionOutcome.SUCCEEDED), budget_left=2)
        )

        assert {"app-0"} == apps_with_budget_series()
        assert 2 == metric_value(metrics.BUDGET_LEFT, *KEYS[0])

        unhealthy_apps.update(KEYS[0], HEALTHY_RECORD)

        assert set() == apps_with_budget_series()

    def test_gone(self, unhealthy_apps: UnhealthyApps) -> None:
        """Its time series goes with it, whether there was one or not."""
        unhealthy_apps.update(KEYS[0], build_record(build_action()))
        unhealthy_apps.forget_app(KEYS[0])
        unhealthy_apps.forget_app(KEYS[1])

        assert set() == apps_with_budget_series()


class TestCounters:
    """What is new in a record."""

    def test_actions(self) -> None:
        """Each time that something becomes of one."""
        labels = Remediation.FAILOVER, ActionOutcome.IN_PROGRESS
        ended = Remediation.FAILOVER, ActionOutcome.SUCCEEDED
        before, ends = metric_value(metrics.ACTIONS, *labels), metric_value(metrics.ACTIONS, *ended)
        begun = build_record(build_action(Remediation.FAILOVER))
        over = build_record(build_action(Remediation.FAILOVER, outcome=ActionOutcome.SUCCEEDED))
        count_changes(None, begun)
        count_changes(begun, begun)
        count_changes(begun, over)

        assert before + 1 == metric_value(metrics.ACTIONS, *labels)
        assert ends + 1 == metric_value(metrics.ACTIONS, *ended)

    def test_illnesses(self) -> None:
        """When they come, not for as long as they stay."""
        labels = "QuotaExceeded", "Environment"
        before = metric_value(metrics.DIAGNOSES, *labels)
        ill = build_record(diagnoses=[build_diagnosis(*labels)])
        count_changes(None, ill)
        count_changes(ill, ill)
        count_changes(ill, HEALTHY_RECORD)
        count_changes(HEALTHY_RECORD, ill)

        assert before + 2 == metric_value(metrics.DIAGNOSES, *labels)
