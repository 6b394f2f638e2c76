"""The circuit breaker: while too many apps are unhealthy at once, no app is remediated.

Many unhealthy apps share a cause outside of them: a registry, a network, a node pool. Remediations
would add load to it, and stop pods that still serve requests.
"""

from typing import Final

MIN_UNHEALTHY: Final = 5
"""Unhealthy apps that open the breaker at least: of a few apps a ratio says nothing."""

MAX_UNHEALTHY_RATIO: Final = 0.45
"""The ratio of unhealthy apps that opens the breaker, and of unreachable nodes above which there is
no failover. cluster-autoscaler stops at 45 % unready nodes (its FAQ)."""


def is_storm(unhealthy: int, total: int) -> bool:
    """Whether too many apps are unhealthy; an app with an action in progress counts as unhealthy.

    Of 11 apps 5 are too many (45.45 %), of 12 apps 6 (5 would be 41.7 %).
    """
    return unhealthy >= MIN_UNHEALTHY and unhealthy >= MAX_UNHEALTHY_RATIO * total


def too_many_nodes_lost(unreachable: int, total: int) -> bool:
    """Whether so many nodes are unreachable that the network is the likely cause.

    One unreachable node is never too many; of five nodes 2 are allowed, of ten nodes 4.
    """
    return unreachable > max(1, MAX_UNHEALTHY_RATIO * total)
