"""Explains diagnoses by what nodes report of themselves, such as node-problem-detector does.

Whoever may write the status of a node writes its conditions. So one explains something only if pods
that are affected are on the node, and it stands on no node where pods of the app are ready.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from selfhealing.api.text import join_first
from selfhealing.cache.views import PodView

NodeConditions = Mapping[str, tuple[str, ...]]
"""By node, the types of its conditions that name a problem; nodes that were not read are absent."""

NO_CONDITIONS: Final[NodeConditions] = {}

MAX_NAMED: Final = 2
"""Nodes, and conditions of a node, that a message names."""


def describe_bad_nodes(
    affected_pods: Iterable[PodView], ready_pods: Iterable[PodView], conditions: NodeConditions
) -> str:
    """Name the conditions of the nodes of affected pods that no node of a ready pod has.

    Returns:
        "node a reports KernelDeadlock"; empty if there are none.
    """
    common = {
        kind for node in {pod.node for pod in ready_pods} for kind in conditions.get(node, ())
    }
    described = [
        f"node {node} reports {join_first(kinds, MAX_NAMED)}"
        for node in sorted({pod.node for pod in affected_pods})
        if (kinds := [kind for kind in conditions.get(node, ()) if kind not in common])
    ]
    return join_first(described, MAX_NAMED) if described else ""


def compare_bad_node(
    affected_pods: Iterable[PodView], ready_pods: Iterable[PodView], conditions: NodeConditions
) -> str:
    """Say why the one node of all affected pods is the cause; empty if nothing shows that.

    A pod that is ready must be on another node, whose conditions are known, and none on this one.
    """
    affected_nodes = {pod.node for pod in affected_pods}
    ready_nodes = {pod.node for pod in ready_pods}
    is_apart = len(affected_nodes) == 1 and affected_nodes.isdisjoint(ready_nodes)
    if not is_apart or conditions.keys().isdisjoint(ready_nodes):
        return ""
    described = describe_bad_nodes(affected_pods, ready_pods, conditions)
    return f"{described}, and no node of a ready pod does" if described else ""
