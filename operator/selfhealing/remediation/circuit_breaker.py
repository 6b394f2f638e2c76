"""The circuit breakers: while many apps fall ill at once, they are not remediated.

Apps that fall ill together share a cause outside of them: a registry, a network, a node pool.
Remediations would add load to it, and stop pods that still serve requests. Apps that have been ill
for long say nothing about the present, and do not count.

Each namespace has a breaker. The breaker of the whole cluster needs several unhealthy namespaces,
so that one team cannot stop the remediation of the others' apps.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

STORM_WINDOW: Final = 120.0
"""Seconds; apps that fall ill within it fall ill together."""

STORM_LIMIT: Final = 600.0
"""Seconds after which an app that fell ill in a storm no longer counts. It bounds the storm: what
is still ill then is remediated after all, at the pace of actions. A namespace keeps the breaker of
the cluster open for no longer, however many apps fall ill in it one after the other."""

STORM_REST: Final = 3600.0
"""Seconds without an app that fell ill lately, after which a namespace that has kept the breaker of
the cluster open for STORM_LIMIT may do so again."""

MIN_UNHEALTHY: Final = 5
"""Apps that open a breaker at least: of a few apps a ratio says nothing."""

STORM_RATIO: Final = 0.1
"""The ratio of all apps that opens a breaker."""

STORM_SIZE: Final = 20
"""The number of apps that opens a breaker, however many there are."""

NAMESPACE_SHARE: Final = 5
"""The number of apps for which a namespace counts at most in the cluster."""

MIN_UNHEALTHY_ELSEWHERE: Final = 3
"""Apps that there must be beside the most unhealthy namespace."""

MAX_NAMESPACE_ACTIONS: Final = 5
"""Actions that may be in progress in one namespace at the same time."""

MAX_CLUSTER_ACTIONS: Final = 20
"""Actions that may be in progress in the cluster at the same time. One namespace reaches a quarter
of them, and one that has none in progress may start one beyond them: else four namespaces could
keep all others waiting. The pace of actions bounds how many of these begin."""

COUNTED_ACTION_SECONDS: Final = 1200.0
"""Seconds for which an action in progress counts for these limits. A rollback may take as long as
the app's own progress deadline, which may be a day: it must not keep others waiting. By default a
rollback is judged within 15 minutes."""

ACTION_BURST: Final = 5
"""Actions that may start at once in the cluster, if none has started lately."""

ACTION_INTERVAL: Final = 3.0
"""Seconds after which one more action may start in the cluster."""

NAMESPACE_ACTION_BURST: Final = 3
"""Actions that may start at once in one namespace."""

NAMESPACE_ACTION_INTERVAL: Final = 6.0
"""Seconds after which one more action may start in one namespace: it gets half of the pace."""

MAX_LOST_NODES_RATIO: Final = 0.45
"""The ratio of lost nodes of a zone above which the network is the likely cause. The node
controller of Kubernetes takes 0.55, cluster-autoscaler 0.45 (its FAQ)."""


class HealthCount(NamedTuple):
    """The number of apps of a namespace that fell ill lately and still are, and of all its apps."""

    unhealthy: int
    total: int


def is_namespace_storm(count: HealthCount) -> bool:
    """Whether too many apps of a namespace fell ill together.

    Of up to 50 apps 5 are too many, of 100 apps 10, and 20 are always too many. An app with an
    action in progress counts as ill.
    """
    return count.unhealthy >= MIN_UNHEALTHY and count.unhealthy >= _storm_size(
        count.total, STORM_SIZE
    )


def is_cluster_storm(counts: Iterable[HealthCount]) -> bool:
    """Whether too many apps fell ill together in several namespaces.

    It takes as many apps as in a namespace, of which each namespace contributes NAMESPACE_SHARE at
    most. The others than the most unhealthy namespace must also have too many without it: its apps
    may share a cause that the others do not have.

    Args:
        counts: the numbers of each namespace with apps.
    """
    shares = sorted((min(count.unhealthy, NAMESPACE_SHARE), count.total) for count in counts)
    unhealthy, total = (sum(numbers) for numbers in zip(*shares, strict=True)) if shares else (0, 0)
    worst_unhealthy, worst_total = shares[-1] if shares else (0, 0)
    return (
        unhealthy >= MIN_UNHEALTHY
        and unhealthy >= _storm_size(total, STORM_SIZE)
        and unhealthy - worst_unhealthy >= MIN_UNHEALTHY_ELSEWHERE
        and unhealthy - worst_unhealthy
        >= _storm_size(total - worst_total, STORM_SIZE - NAMESPACE_SHARE)
    )


def _storm_size(total: int, most: int) -> float:
    """Return how many of ``total`` apps are too many."""
    return min(STORM_RATIO * total, most)


def is_action_limit_reached(in_namespace: int, in_cluster: int) -> bool:
    """Whether so many actions are in progress that no other of a namespace may start."""
    return in_namespace > 0 and (
        in_namespace >= MAX_NAMESPACE_ACTIONS or in_cluster >= MAX_CLUSTER_ACTIONS
    )


def too_many_nodes_lost(lost: int, total: int) -> bool:
    """Whether so many nodes of a zone are lost that the network is the likely cause.

    One lost node is never too many; of five nodes 2 are allowed, of ten nodes 4.
    """
    return lost > max(1, MAX_LOST_NODES_RATIO * total)
