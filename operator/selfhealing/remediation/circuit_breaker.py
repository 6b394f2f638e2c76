"""The breaker: when too many apps are ill at once, none is touched.

What makes many apps ill together is not in any of them: a registry, a network, a node pool. Healing
would add load to it, and take away what still serves.
"""

from typing import Final

MIN_UNHEALTHY: Final = 5
"""So many ill apps at least: with fewer, a share says nothing."""

MAX_UNHEALTHY_RATIO: Final = 0.45
"""The share of ill apps. cluster-autoscaler stops at 45 % unready nodes (its FAQ)."""


def is_storm(unhealthy: int, total: int) -> bool:
    """Whether ``ill`` of so many ``apps`` are too many; one that is being healed counts as ill.

    With 11 apps it takes 5 (45.45 %), with 12 it takes 6 (5 would be 41.7 %).
    """
    return unhealthy >= MIN_UNHEALTHY and unhealthy >= MAX_UNHEALTHY_RATIO * total


def too_many_nodes_lost(unreachable: int, total: int) -> bool:
    """Whether so many nodes are silent that it is more likely the network than the nodes.

    Of two nodes one may be lost, of three one, of five two: always fewer than half, or one of two.
    """
    return unreachable > max(1, MAX_UNHEALTHY_RATIO * total)
