"""Memory usage that approaches the limit: a warning in time, and none if it is steady or falls."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.memory_trend import (
    find_memory_warnings,
    find_trending_containers,
    is_trending_to_limit,
)
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.health.termination_causes import ContainerKey
from selfhealing.health.usage import UsageSample
from selfhealing.remediation.policy import MEMORY_HORIZON, MIN_MEMORY_HORIZON, scale_memory_horizon
from tests.unit import builders
from tests.unit.snapshots import build_snapshot

Json = dict[str, Any]

MIB = 1 << 20
LIMIT = 100 * MIB


def samples_of(*mebibytes: float, interval: float = 15) -> list[UsageSample]:
    """Measurements at a fixed interval."""
    return [
        UsageSample(builders.at(number * interval), int(used * MIB))
        for number, used in enumerate(mebibytes)
    ]


RISING = samples_of(70, 75, 80, 86)


class TestTrend:
    """The rule for one container."""

    @pytest.mark.parametrize(
        ("samples", "expected"),
        [
            ((70, 75, 80, 86), True),
            ((60, 65, 70, 75), False),
            ((85.6, 85.8, 86, 86.2), False),
            ((70, 80, 90, 89), False),
            ((90, 90, 90, 90), False),
            ((96, 96, 96), True),
            ((98, 97, 96), False),
            ((86, 99), False),
            ((), False),
        ],
    )
    def test_the_worked_examples(self, samples: Sequence[float], *, expected: bool) -> None:
        """The examples of the module's docstring, with a limit of 100 MiB."""
        assert expected == is_trending_to_limit(samples_of(*samples), LIMIT, MEMORY_HORIZON)

    @pytest.mark.parametrize(
        ("samples", "expected"),
        [
            ((75, 80, 85), True),
            ((74, 79, 84.9), False),
            ((95, 95, 95), True),
            ((95, 94.9, 95), False),
            ((99, 95, 96), False),
            ((20, 20, 20, 20, 80, 85), True),
            ((20, 80, 86, 86, 86, 86), False),
            ((70, 78, 77, 86), True),
        ],
        ids=[
            "at 85 %",
            "below 85 %",
            "at 95 %",
            "once below 95 %",
            "fuller before",
            "only the last four count",
            "has come to rest",
            "with a dent",
        ],
    )
    def test_the_bounds(self, samples: Sequence[float], *, expected: bool) -> None:
        """Values just above and just below each bound."""
        assert expected == is_trending_to_limit(samples_of(*samples), LIMIT, MEMORY_HORIZON)

    def test_a_sample_without_memory(self) -> None:
        """It does not count."""
        unmeasured = UsageSample(builders.at(50))

        assert is_trending_to_limit([*RISING, unmeasured], LIMIT, MEMORY_HORIZON)
        assert not is_trending_to_limit([*RISING[:2], unmeasured], LIMIT, MEMORY_HORIZON)

    @pytest.mark.parametrize(("seconds", "expected"), [(40, True), (39, False)])
    def test_the_horizon(self, seconds: float, *, expected: bool) -> None:
        """5 MiB in 15 s from 86.67 MiB on: the limit of 100 MiB is 40 s away."""
        samples = [UsageSample(builders.at(15 * n), 72 * MIB + 5 * MIB * n) for n in range(4)]
        limit = (72 + 15) * MIB + 40 * MIB // 3

        assert expected == is_trending_to_limit(samples, limit, timedelta(seconds=seconds))

    @pytest.mark.parametrize(("pace", "expected"), [(7, False), (8, True)])
    def test_a_short_rise(self, pace: float, *, expected: bool) -> None:
        """A rise of less than 15 s may be a single request."""
        assert expected == is_trending_to_limit(
            samples_of(80, 85, 90, interval=pace), LIMIT, MEMORY_HORIZON
        )


USES = st.lists(st.integers(0, LIMIT * 3 // 2), min_size=0, max_size=10)
PACES = st.integers(1, 120)
HORIZONS = st.integers(1, 600).map(lambda seconds: timedelta(seconds=seconds))


def samples_at_interval(used_bytes: Sequence[int], interval: int) -> list[UsageSample]:
    """Measurements of the given numbers of bytes."""
    return [
        UsageSample(builders.at(number * interval), used) for number, used in enumerate(used_bytes)
    ]


class TestAnyUsage:
    """Properties of the rule for any measurements."""

    @given(used=st.integers(0, LIMIT * 95 // 100 - 1), count=st.integers(0, 10), wide=HORIZONS)
    def test_steady(self, used: int, count: int, wide: timedelta) -> None:
        """Constant usage below 95 % gives no warning."""
        assert not is_trending_to_limit(samples_at_interval([used] * count, 15), LIMIT, wide)

    @given(uses=USES.map(lambda uses: sorted(set(uses), reverse=True)), pace=PACES, wide=HORIZONS)
    def test_falling(self, uses: Sequence[int], pace: int, wide: timedelta) -> None:
        """Falling usage gives no warning."""
        assert not is_trending_to_limit(samples_at_interval(uses, pace), LIMIT, wide)

    @given(uses=USES, pace=PACES, wide=HORIZONS, factor=st.integers(1, 10**6))
    def test_units(self, uses: Sequence[int], pace: int, wide: timedelta, factor: int) -> None:
        """The result does not depend on the unit."""
        scaled = [used * factor for used in uses]

        assert is_trending_to_limit(
            samples_at_interval(uses, pace), LIMIT, wide
        ) == is_trending_to_limit(samples_at_interval(scaled, pace), LIMIT * factor, wide)

    @given(uses=USES, pace=PACES, wide=HORIZONS, more=st.integers(0, LIMIT))
    def test_a_higher_limit(
        self, uses: Sequence[int], pace: int, wide: timedelta, more: int
    ) -> None:
        """A higher limit never causes a warning."""
        samples = samples_at_interval(uses, pace)

        assert is_trending_to_limit(samples, LIMIT, wide) or not is_trending_to_limit(
            samples, LIMIT + more, wide
        )

    @given(uses=USES, pace=PACES, wide=HORIZONS)
    def test_below_the_trend_percent(self, uses: Sequence[int], pace: int, wide: timedelta) -> None:
        """Below 85 % there is no warning."""
        below = [*uses, LIMIT * 85 // 100 - 1]

        assert not is_trending_to_limit(samples_at_interval(below, pace), LIMIT, wide)


def pod(name: str = "web-abc-1", limit: str = "100Mi", **more: Any) -> Json:  # noqa: ANN401 - raw.pod's
    """A pod with a memory limit."""
    return builders.pod(name, builders.running(), memory_limit=limit, **more)


def key(number: int, container: str = "app") -> ContainerKey:
    """A container of a pod."""
    return ContainerKey(f"uid-of-web-abc-{number}", container)


class TestPods:
    """The pods of an app that get a warning."""

    def test_one_of_two(self) -> None:
        """Each pod has its own measurements; a pod without measurements gets no warning."""
        snapshot = build_snapshot(builders.deployment(2), pod(), pod("web-abc-2"), pod("web-abc-3"))
        usage = {key(1): samples_of(50, 50, 50), key(2): RISING}
        found = find_trending_containers(snapshot, usage, MEMORY_HORIZON)

        assert {"app": ["web-abc-2"]} == {
            name: [each.name for each in pods] for name, pods in found.items()
        }

    def test_a_sidecar(self) -> None:
        """Each container has a limit, and measurements, of its own."""
        both = builders.pod(
            "web-abc-1", builders.running(), builders.running(name="proxy"), memory_limit="100Mi"
        )
        snapshot = build_snapshot(builders.deployment(), both)
        (warning,) = find_memory_warnings(snapshot, {key(1, "proxy"): RISING}, MEMORY_HORIZON)

        assert "proxy" == warning.container
        assert "web-abc-1: the proxy container's memory usage climbs to the limit of 100Mi" == (
            warning.message
        )

    @pytest.mark.parametrize(
        ("changed", "expected"),
        [
            (pod(limit="200Mi"), False),
            (pod(limit="200Mi", applied_memory_limit="100Mi"), True),
            (pod(limit="200Mi", applied_memory_limit="200Mi"), False),
            (pod(limit=""), False),
            (pod("web-old-1"), False),
            (pod(deletionTimestamp=builders.iso(90)), False),
            (
                builders.pod("web-abc-1", builders.running(), memory_limit="100Mi", phase="Failed"),
                False,
            ),
        ],
        ids=["more", "not set yet", "set", "no limit", "former version", "on its way", "over"],
    )
    def test_the_limit_in_force(self, changed: Json, *, expected: bool) -> None:
        """The limit applied by the kubelet counts; old pods get no warning."""
        snapshot = build_snapshot(builders.deployment(), changed)
        usage = {ContainerKey(changed["metadata"]["uid"], "app"): RISING}

        assert expected == bool(find_trending_containers(snapshot, usage, MEMORY_HORIZON))

    def test_the_warning(self) -> None:
        """The message stays the same while the usage rises; the cause is unknown."""
        snapshot = build_snapshot(builders.deployment(2), pod(), pod("web-abc-2"))
        usage = {key(1): RISING, key(2): RISING}
        (warning,) = find_memory_warnings(snapshot, usage, MEMORY_HORIZON)

        assert "web-abc-1 and 1 more: its memory usage climbs to the limit of 100Mi" == (
            warning.message
        )
        assert (DiagnosisType.MEMORY_CLIMBING, Cause.UNKNOWN, Confidence.LOW) == (
            warning.type,
            warning.cause,
            warning.confidence,
        )
        assert 2 == len(warning.pods)
        assert () == find_memory_warnings(snapshot, {}, MEMORY_HORIZON)

    def test_the_scale(self) -> None:
        """The horizon has a lower bound, because the age of a measurement is not scaled."""
        assert MEMORY_HORIZON == scale_memory_horizon(1)
        assert MEMORY_HORIZON * 2 == scale_memory_horizon(2)
        assert MIN_MEMORY_HORIZON == scale_memory_horizon(0.01)
