"""The breaker: so many at once that the cause is in none of them."""

import pytest

from selfhealing.remediation.circuit_breaker import is_storm, too_many_nodes_lost


@pytest.mark.parametrize(
    ("ill", "apps", "storm"),
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
def test_a_storm_takes_some_apps_and_a_share(ill: int, apps: int, *, storm: bool) -> None:
    """With few apps a share says nothing; with many, some are always ill."""
    assert storm is is_storm(ill, apps)


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
def test_one_lost_node_is_believed_and_a_share_is_not(
    silent: int, nodes: int, *, many: bool
) -> None:
    """From a share on it is more likely the network than the nodes."""
    assert many is too_many_nodes_lost(silent, nodes)
