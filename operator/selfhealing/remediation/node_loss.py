"""Which lost nodes may be given up, and how fast.

The rules are those of the node controller of Kubernetes (pkg/controller/nodelifecycle): a few lost
nodes are given up one after the other, in each zone; a zone that is lost for the most part is more
likely cut off, and its pods still run; and if all zones are lost, the fault is elsewhere. Beyond
those rules, a node is given up only where another one can take its pods.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from selfhealing.cache.nodes import NodeView
from selfhealing.health.node_fit import could_fit
from selfhealing.remediation.circuit_breaker import too_many_nodes_lost

Json = Mapping[str, Any]

NODE_INTERVAL: Final = 10.0
"""Seconds between two nodes of a zone: --node-eviction-rate is 0.1 nodes a second."""

SLOW_NODE_INTERVAL: Final = 100.0
"""The same in a large zone of which too many nodes are lost: --secondary-node-eviction-rate is 0.01
nodes a second."""

LARGE_ZONE: Final = 50
"""Nodes. In a smaller zone of which too many are lost none is given up
(--large-cluster-size-threshold)."""


def node_interval(nodes: Sequence[NodeView], name: str) -> float | None:
    """Return the seconds between two nodes that are given up in the zone of a lost node.

    Nodes that a person has declared out of service are not counted: their loss is explained.

    Args:
        nodes: all nodes.
        name: the name of the node.

    Returns:
        The seconds; None if the node must not be given up. A node that no longer exists is given
        up at once.
    """
    node = next((node for node in nodes if node.name == name), None)
    if node is None or node.is_out_of_service:
        return 0.0
    counted = [other for other in nodes if not other.is_out_of_service]
    if not node.is_lost or all(other.is_lost for other in counted):
        return None
    in_zone = [other.is_lost for other in counted if other.zone == node.zone]
    if all(in_zone) or not too_many_nodes_lost(sum(in_zone), len(in_zone)):
        return NODE_INTERVAL
    return SLOW_NODE_INTERVAL if len(in_zone) > LARGE_ZONE else None


def can_take_pods(nodes: Iterable[NodeView], template: Json, lost: str) -> bool:
    """Whether a node other than the lost one could take a pod.

    Args:
        nodes: all nodes.
        template: the pod template.
        lost: the name of the lost node.
    """
    others = (n for n in nodes if n.name != lost and not n.is_lost and not n.is_cordoned)
    return could_fit(template, others)
