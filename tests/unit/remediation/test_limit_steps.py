"""The next limit of a container that lacks something."""

import pytest
from hypothesis import given, strategies as st

from selfhealing.api.container_limits import LimitedResource
from selfhealing.api.quantity import parse_quantity
from selfhealing.remediation.limit_steps import MIB, double, exceeds, next_limit

MEMORY, CPU = LimitedResource.MEMORY, LimitedResource.CPU


@pytest.mark.parametrize(
    ("now", "most", "limit"),
    [
        ("100Mi", "1Gi", "200Mi"),
        ("1Gi", "4Gi", "1228Mi"),
        ("1Gi", "1100Mi", "1100Mi"),
        ("1000M", "2Gi", "1144Mi"),
        ("1Gi", "1025Mi", "1025Mi"),
        (str(1024 * MIB), "1073741825", "1073741825"),
        ("300Mi", "300Mi", None),
        ("400Mi", "300Mi", None),
        ("", "300Mi", None),
        ("0", "300Mi", None),
        ("100Mi", "", None),
    ],
)
def test_the_larger_of_a_fifth_and_100_mebibytes(now: str, most: str, limit: str | None) -> None:
    """Up to the maximum, which is used as written if it is no whole number of MiB."""
    assert limit == next_limit(MEMORY, now, most)


@pytest.mark.parametrize(
    ("now", "most", "limit"),
    [
        ("1", "2", "1500m"),
        ("1500m", "2", "2000m"),
        ("100m", "1", "200m"),
        ("333m", "2", "499m"),
        ("1", "1250m", "1250m"),
        ("2", "2", None),
        ("", "2", None),
        ("0", "2", None),
    ],
)
def test_half_of_the_cpu(now: str, most: str, limit: str | None) -> None:
    """At least a tenth of a core, in whole millicores."""
    assert limit == next_limit(CPU, now, most)


@pytest.mark.parametrize(
    ("resource", "limit", "twice"),
    [
        (MEMORY, "100Mi", "200Mi"),
        (MEMORY, "1500", "3000"),
        (CPU, "500m", "1000m"),
        (CPU, "1.5", "3000m"),
        (CPU, "", ""),
        (CPU, "-1", ""),
    ],
)
def test_twice_a_limit(resource: LimitedResource, limit: str, twice: str) -> None:
    """As a quantity."""
    assert twice == double(resource, limit)


@given(st.sampled_from(LimitedResource), st.integers(1, 2**40), st.integers(1, 2**40))
def test_it_grows_and_ends(resource: LimitedResource, now: int, most: int) -> None:
    """Each limit is higher than the one before, and never above the maximum."""
    limit = next_limit(resource, str(now), str(most))

    assert (limit is None) is (now >= most)
    assert limit is None or now < (parse_quantity(limit) or 0) <= most


@pytest.mark.parametrize(
    ("one", "other", "more"),
    [("1Gi", "1000Mi", True), ("1Gi", "1024Mi", False), ("1Gi", "", False), ("", "1Gi", False)],
)
def test_an_absent_limit_exceeds_nothing(one: str, other: str, *, more: bool) -> None:
    """Without a limit there is nothing to raise."""
    assert more is exceeds(one, other)
