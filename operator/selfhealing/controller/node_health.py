"""Lists the nodes, only when the node of a pod is lost or no node takes a pod.

One unreachable node has most likely failed. When half of the nodes are unreachable, it is more
likely the network, and their pods still run. Nodes are not watched: they are large objects that
every kubelet updates every few minutes, and they are seldom needed.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from selfhealing.cache.nodes import NodeView, node_view
from selfhealing.cache.parse import is_node_unreachable
from selfhealing.cache.views import NodeCount
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ForbiddenError
from selfhealing.kube.resources import NODES

logger = logging.getLogger(__name__)

CACHE_TTL: Final = 10.0
"""Seconds for which a list, or a failure to list, is cached."""
MAX_NODES: Final = 5000
"""Nodes of which it is remembered what they offer; Kubernetes supports no larger cluster. Of more
nodes only the number is known."""
FORBIDDEN_CACHE_TTL: Final = 600.0
"""Seconds for which a forbidden list is cached: RBAC seldom changes."""


class NodeHealth:
    """Lists nodes, with a cache."""

    def __init__(self, client: Client, clock: Callable[[], float]) -> None:
        """``clock`` returns monotonic seconds."""
        self._client = client
        self._clock = clock
        self._lock = asyncio.Lock()
        self._cached: NodeCount | None = None
        self._nodes: tuple[NodeView, ...] = ()
        self._expires_at = float("-inf")
        self._warned = False

    async def count_nodes(self) -> NodeCount | None:
        """Count the nodes, or return the cached count.

        Returns:
            The count; None when the list fails, or is forbidden, as for an operator that serves
            only some namespaces.
        """
        async with self._lock:  # concurrent callers share one list
            await self._refresh()
            return self._cached

    async def list_nodes(self) -> tuple[NodeView, ...]:
        """Return what the nodes offer; empty when nobody can tell, as for ``count_nodes``."""
        async with self._lock:
            await self._refresh()
            return self._nodes

    async def _refresh(self) -> None:
        if self._clock() >= self._expires_at:
            self._nodes = ()
            self._cached, ttl = await self._list_nodes()
            self._expires_at = self._clock() + ttl

    async def _list_nodes(self) -> tuple[NodeCount | None, float]:
        """List the nodes; return the count and the seconds for which it is cached."""
        total, unreachable = 0, set()
        nodes = []
        try:
            async for node in self._client.list_objects(NODES, None):
                total += 1
                if is_node_unreachable(node):
                    unreachable.add(node["metadata"]["name"])
                if total <= MAX_NODES:
                    nodes.append(node_view(node))
        except ForbiddenError as error:
            if not self._warned:
                logger.warning("nodes are not counted: %s", error)
            self._warned = True
            return None, FORBIDDEN_CACHE_TTL
        except ApiError as error:
            logger.warning("could not count the nodes, retry in %.0f s: %s", CACHE_TTL, error)
            return None, CACHE_TTL
        self._warned = False
        self._nodes = tuple(nodes) if total <= MAX_NODES else ()
        return NodeCount(total, frozenset(unreachable)), CACHE_TTL
