"""The circuit breaker: many unhealthy apps share a cause outside of them."""

import pytest

from selfhealing.remediation.circuit_breaker import is_storm, too_many_nodes_lost


@pytest.mark.parametrize(
    ("unhealthy", "total", "storm"),
    [
        (0, 0, False),
        (4, 4, False),
        (5, 5, True),
        (5, 11, True),
        (5, 12, False),
        (6, 12, True),
        (44, 100, False),
        (45, 100, True),
    ],
)
def test_a_storm_takes_a_number_and_a_ratio_of_apps(
    unhealthy: int, total: int, *, storm: bool
) -> None:
    """Of a few apps a ratio says nothing; of many apps some are always unhealthy."""
    assert storm is is_storm(unhealthy, total)


@pytest.mark.parametrize(
    ("silent", "nodes", "many"),
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
    silent: int, nodes: int, *, many: bool
) -> None:
    """Above the ratio the network is the likely cause."""
    assert many is too_many_nodes_lost(silent, nodes)
