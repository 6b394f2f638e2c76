"""A CPU limit that makes probes fail: told where all of it is used, and nowhere else."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st

from selfhealing.cache.parse import pod_view
from selfhealing.cache.views import PodView
from selfhealing.health.cpu_throttling import find_cpu_throttling, may_be_throttled
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.health.termination_causes import ContainerKey
from selfhealing.health.usage import UsageSample
from tests.unit import builders

KEY = ContainerKey("uid-of-web-abc-1", "app")


def make_pod(*, ready: bool = False, limit: str = "1Gi", **more: Any) -> PodView:  # noqa: ANN401 - as builders.pod
    """A pod of which each container has a CPU limit of one core."""
    state = builders.running(ready=ready)
    return pod_view(builders.pod("web-abc-1", state, memory_limit=limit, **more))


def samples_of(*cores: str | None) -> list[UsageSample]:
    """Measurements of the CPU."""
    return [
        UsageSample(builders.at(15 * number), 0, None if used is None else Decimal(used))
        for number, used in enumerate(cores)
    ]


AT_LIMIT = samples_of("0.99", "1", "0.95")


def test_it_is_told() -> None:
    """With the container and its limit."""
    (found,) = find_cpu_throttling([make_pod()], {KEY: AT_LIMIT})

    assert (DiagnosisType.CPU_THROTTLED, "app") == (found.type, found.container)
    assert (
        "web-abc-1: container app is not ready and uses all of its CPU limit of 1:"
        " a limit that is too low makes probes fail"
    ) == found.message


@pytest.mark.parametrize(
    "samples",
    [samples_of("1", "1"), samples_of("1", "0.94", "1"), samples_of("1", None, "1"), []],
    ids=["two", "a gap", "not measured", "none"],
)
def test_not_at_the_limit(samples: Sequence[UsageSample]) -> None:
    """Three successive measurements count."""
    assert () == find_cpu_throttling([make_pod()], {KEY: samples})


@pytest.mark.parametrize(
    "pod",
    [
        make_pod(ready=True),
        make_pod(limit=""),
        make_pod(deletionTimestamp=builders.iso(9)),
        pod_view(builders.pod("web-abc-1", builders.waiting("x"), memory_limit="1Gi")),
    ],
    ids=["ready", "no limit", "deleted", "does not run"],
)
def test_no_suspect(pod: PodView) -> None:
    """Usage at the limit is no fault of a container that serves."""
    assert () == find_cpu_throttling([pod], {KEY: AT_LIMIT})
    assert not may_be_throttled(pod)


def test_a_quantity_that_is_none() -> None:
    """Nothing is said of a limit that cannot be read."""
    raw = builders.pod("web-abc-1", builders.running(ready=False), memory_limit="1Gi")
    raw["spec"]["containers"][0]["resources"]["limits"]["cpu"] = "much"
    raw["status"]["containerStatuses"][0].pop("resources", None)

    assert () == find_cpu_throttling([pod_view(raw)], {KEY: AT_LIMIT})


@given(st.permutations(["app", "proxy"]))
def test_the_containers_of_a_pod(order: list[str]) -> None:
    """Each is judged by its own measurements."""
    states = [builders.running(ready=False, name=name) for name in order]
    pod = pod_view(builders.pod("web-abc-1", *states, memory_limit="1Gi"))
    (found,) = find_cpu_throttling([pod], {KEY._replace(container="proxy"): AT_LIMIT})

    assert "proxy" == found.container
    assert may_be_throttled(pod)
