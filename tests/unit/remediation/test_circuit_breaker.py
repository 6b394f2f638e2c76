"""The circuit breaker: many unhealthy apps share a cause outside of them."""

import pytest
from hypothesis import given, strategies as st

from selfhealing.remediation.circuit_breaker import (
    MAX_CLUSTER_ACTIONS,
    MAX_NAMESPACE_ACTIONS,
    NAMESPACE_SHARE,
    HealthCount,
    is_action_limit_reached,
    is_cluster_storm,
    is_namespace_storm,
    too_many_nodes_lost,
)


@pytest.mark.parametrize(
    ("unhealthy", "total", "storm"),
    [
        (0, 0, False),
        (4, 4, False),
        (5, 5, True),
        (5, 50, True),
        (5, 51, False),
        (9, 100, False),
        (10, 100, True),
        (19, 1000, False),
        (20, 1000, True),
    ],
)
def test_a_storm_takes_a_number_and_a_ratio_of_apps(
    unhealthy: int, total: int, *, storm: bool
) -> None:
    """Of a few apps a ratio says nothing; twenty at once are never chance."""
    assert storm is is_namespace_storm(HealthCount(unhealthy, total))


@pytest.mark.parametrize(
    ("counts", "storm"),
    [
        pytest.param([], False, id="no apps"),
        pytest.param([(80, 80)], False, id="one namespace has a breaker of its own"),
        pytest.param([(80, 80), (0, 5), (0, 5)], False, id="one team among healthy ones"),
        pytest.param([(80, 80), (1, 5), (1, 5)], False, id="and two unlucky apps elsewhere"),
        pytest.param([(4, 4), (4, 4)], True, id="two small teams, both unhealthy"),
        pytest.param([(1, 2)] * 5, True, id="one of two apps in five namespaces"),
        pytest.param([(1, 2)] * 4, False, id="four apps are few"),
        pytest.param([(1, 10)] * 10, True, id="a tenth of the apps everywhere"),
        pytest.param([(1, 11)] * 10, False, id="less than a tenth"),
        pytest.param([(1, 50)] * 20, True, id="twenty apps, however many there are"),
        pytest.param([(1, 50)] * 19, False, id="nineteen of very many"),
        pytest.param([(5, 5), *[(1, 25)] * 3], False, id="few beside the most unhealthy team"),
        pytest.param([(300, 300)] + [(0, 2)] * 6, False, id="one large unhealthy team"),
        pytest.param([(300, 300), (50, 50)] + [(0, 5)] * 40, False, id="two of a team among many"),
    ],
)
def test_a_storm_of_the_cluster_takes_several_namespaces(
    counts: list[tuple[int, int]], *, storm: bool
) -> None:
    """The most unhealthy namespace says nothing about the others."""
    assert storm is is_cluster_storm(HealthCount(*count) for count in counts)


@given(
    total=st.integers(0, 10_000),
    ratio=st.floats(0, 1),
    others=st.lists(st.integers(1, 50), max_size=10),
)
def test_one_namespace_never_stops_the_others(total: int, ratio: float, others: list[int]) -> None:
    """However many unhealthy apps it has: with at most one unhealthy app elsewhere, no storm."""
    counts = [HealthCount(0, other) for other in others]
    counts[:1] = [HealthCount(1, count.total) for count in counts[:1]]

    assert not is_cluster_storm([HealthCount(int(total * ratio), total), *counts])


@given(counts=st.lists(st.integers(0, 10), min_size=1, max_size=5))
def test_when_everything_is_unhealthy_it_is_a_storm(counts: list[int]) -> None:
    """Every app of every namespace, and enough of them beside the largest."""
    found = is_cluster_storm(HealthCount(count, count) for count in counts)
    shares = sorted(min(NAMESPACE_SHARE, count) for count in counts)

    assert found is (sum(shares) >= 5 and sum(shares[:-1]) >= 3)


def test_the_limit_of_actions_leaves_room_for_other_namespaces() -> None:
    """One namespace reaches its own limit before it has used up that of the cluster."""
    assert not is_action_limit_reached(MAX_NAMESPACE_ACTIONS - 1, MAX_CLUSTER_ACTIONS - 1)
    assert is_action_limit_reached(MAX_NAMESPACE_ACTIONS, MAX_NAMESPACE_ACTIONS)
    assert is_action_limit_reached(1, MAX_CLUSTER_ACTIONS)
    assert 4 * MAX_NAMESPACE_ACTIONS <= MAX_CLUSTER_ACTIONS


def test_a_namespace_without_an_action_may_always_start_one() -> None:
    """However many are in progress elsewhere, and however long these take."""
    assert not is_action_limit_reached(0, 10 * MAX_CLUSTER_ACTIONS)


@pytest.mark.parametrize(
    ("lost", "nodes", "many"),
    [
        (0, 1, False),
        (1, 1, False),
        (1, 2, False),
        (2, 2, True),
        (1, 3, False),
        (2, 3, True),
        (2, 5, False),
        (3, 5, True),
        (45, 100, False),
        (46, 100, True),
    ],
)
def test_one_lost_node_is_allowed_and_a_high_ratio_is_not(
    lost: int, nodes: int, *, many: bool
) -> None:
    """Above the ratio the network is the likely cause."""
    assert many is too_many_nodes_lost(lost, nodes)
