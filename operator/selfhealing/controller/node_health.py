"""How many nodes are silent: asked for when the node of a pod is lost, and only then.

One silent node has most likely died; half of them at once are more likely cut off, with all their
pods still at work. There is no watch on nodes: every kubelet would have something to say every few
minutes, in the largest objects of the cluster, for a question that is seldom asked.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from selfhealing.cache.parse import is_node_unreachable
from selfhealing.cache.views import NodeCount
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ForbiddenError
from selfhealing.kube.resources import NODES

logger = logging.getLogger(__name__)

CACHE_TTL: Final = 10.0
"""Seconds for which a count, or the lack of one, is good."""
FORBIDDEN_CACHE_TTL: Final = 600.0
"""Seconds until it is tried again where it was forbidden: rights seldom change."""


class NodeHealth:
    """Counts the nodes for whoever asks."""

    def __init__(self, client: Client, clock: Callable[[], float]) -> None:
        """Count by ``client``; ``clock`` gives steady seconds."""
        self._client = client
        self._clock = clock
        self._lock = asyncio.Lock()
        self._cached: NodeCount | None = None
        self._expires_at = float("-inf")
        self._warned = False

    async def count_nodes(self) -> NodeCount | None:
        """Count the nodes, or say what was counted in the last PACE seconds.

        Returns:
            The count; None when it cannot be known now, or the operator has no right to it, as
            where it serves named namespaces only.
        """
        async with self._lock:  # who comes meanwhile gets the same count
            if self._clock() >= self._expires_at:
                self._cached, ttl = await self._list_nodes()
                self._expires_at = self._clock() + ttl
            return self._cached

    async def _list_nodes(self) -> tuple[NodeCount | None, float]:
        """Ask the API server; returns the count and for how long it is good."""
        total, unreachable = 0, set()
        try:
            async for node in self._client.list_objects(NODES, None):
                total += 1
                if is_node_unreachable(node):
                    unreachable.add(node["metadata"]["name"])
        except ForbiddenError as error:
            if not self._warned:
                logger.warning("nodes are not counted: %s", error)
            self._warned = True
            return None, FORBIDDEN_CACHE_TTL
        except ApiError as error:
            logger.warning("could not count the nodes, again in %.0f s: %s", CACHE_TTL, error)
            return None, CACHE_TTL
        self._warned = False
        return NodeCount(total, frozenset(unreachable)), CACHE_TTL
