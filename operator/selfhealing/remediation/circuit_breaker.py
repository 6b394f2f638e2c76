"""The circuit breakers: while too many apps are unhealthy at once, they are not remediated.

Many unhealthy apps share a cause outside of them: a registry, a network, a node pool. Remediations
would add load to it, and stop pods that still serve requests.

Each namespace has a breaker. The breaker of the whole cluster needs several unhealthy namespaces,
so that one team cannot stop the remediation of the others' apps.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

MIN_UNHEALTHY: Final = 5
"""Unhealthy apps that open a breaker at least: of a few apps a ratio says nothing."""

MAX_UNHEALTHY_RATIO: Final = 0.45
"""The ratio of unhealthy apps that opens a breaker, and of unreachable nodes above which there is
no failover. cluster-autoscaler stops at 45 % unready nodes (its FAQ)."""

NAMESPACE_WEIGHT: Final = 10
"""The number of apps that a namespace counts for at most: a larger one does not outweigh others."""

MIN_UNHEALTHY_ELSEWHERE: Final = 2
"""Unhealthy apps that there must be beside the most unhealthy namespace."""

MAX_NAMESPACE_ACTIONS: Final = 5
"""Actions that may be in progress in one namespace at the same time."""

MAX_CLUSTER_ACTIONS: Final = 20
"""Actions that may be in progress in the cluster at the same time. One namespace reaches a quarter
of them."""


class HealthCount(NamedTuple):
    """The number of unhealthy apps of a namespace, and of all its apps."""

    unhealthy: int
    total: int


def is_namespace_storm(count: HealthCount) -> bool:
    """Whether too many apps of a namespace are unhealthy.

    An app with an action in progress counts as unhealthy. Of 11 apps 5 are too many (45.45 %), of
    12 apps 6 (5 would be 41.7 %).
    """
    return count.unhealthy >= MIN_UNHEALTHY and count.unhealthy >= MAX_UNHEALTHY_RATIO * count.total


def is_cluster_storm(counts: Iterable[HealthCount]) -> bool:
    """Whether too many apps are unhealthy in several namespaces.

    The most unhealthy namespace does not count for the ratio: its apps may share a cause that the
    others do not have. Of the others, one with more than NAMESPACE_WEIGHT apps counts as if it had
    so many, in its own ratio.

    Args:
        counts: the numbers of each namespace with apps.
    """
    all_counts = list(counts)
    weights = [min(1.0, NAMESPACE_WEIGHT / max(1, count.total)) for count in all_counts]
    weighted = sorted(
        (count.unhealthy * weight, count.total * weight)
        for count, weight in zip(all_counts, weights, strict=True)
    )
    others = weighted[:-1]
    unhealthy_elsewhere = sum(unhealthy for unhealthy, _ in others)
    return (
        sum(unhealthy for unhealthy, _ in weighted) >= MIN_UNHEALTHY
        and unhealthy_elsewhere >= MIN_UNHEALTHY_ELSEWHERE
        and unhealthy_elsewhere >= MAX_UNHEALTHY_RATIO * sum(total for _, total in others)
    )


def is_action_limit_reached(in_namespace: int, in_cluster: int) -> bool:
    """Whether so many actions are in progress that no other may start."""
    return in_namespace >= MAX_NAMESPACE_ACTIONS or in_cluster >= MAX_CLUSTER_ACTIONS


def too_many_nodes_lost(unreachable: int, total: int) -> bool:
    """Whether so many nodes are unreachable that the network is the likely cause.

    One unreachable node is never too many; of five nodes 2 are allowed, of ten nodes 4.
    """
    return unreachable > max(1, MAX_UNHEALTHY_RATIO * total)
