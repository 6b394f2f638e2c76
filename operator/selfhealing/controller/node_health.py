"""Reads nodes, only when a pod is lost or ill, no node takes it, or memory has run out.

One unreachable node has most likely failed. When half of the nodes are unreachable, it is more
likely the network, and their pods still run. Nodes are not watched: they are large objects that
every kubelet updates every few minutes, and they are seldom needed.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from cachetools import LRUCache

from selfhealing.apply.rate_limit import TokenBucket
from selfhealing.cache.nodes import NodeView, node_view
from selfhealing.health.node_conditions import NO_CONDITIONS, NodeConditions
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ForbiddenError
from selfhealing.kube.resources import NODES
from selfhealing.remediation.node_loss import can_take_pods, node_interval

logger = logging.getLogger(__name__)

CACHE_TTL: Final = 10.0
"""Seconds for which the nodes, or a failure to list them, are cached."""
MAX_NODES: Final = 5000
"""Nodes of which it is remembered what they offer; Kubernetes supports no larger cluster. Of more
nodes nothing is known."""
CONDITIONS_TTL: Final = 30.0
"""Seconds for which the conditions of one node are cached."""
FORBIDDEN_CACHE_TTL: Final = 600.0
"""Seconds for which a forbidden list is cached: RBAC seldom changes."""
MAX_CACHED_CONDITIONS: Final = 1024
"""Nodes whose conditions are cached."""
MAX_NODES_OF_APP: Final = 5
"""Nodes of ill pods, and as many of healthy ones, whose conditions are read for one app."""


class NodeHealth:
    """Knows which lost nodes may be given up, and which nodes have a problem; with a cache."""

    def __init__(self, client: Client, clock: Callable[[], float], time_scale: float = 1.0) -> None:
        """``clock`` returns monotonic seconds; ``time_scale`` is the setting healing_scale."""
        self._client = client
        self._clock = clock
        self._time_scale = time_scale
        self._lock = asyncio.Lock()
        self._cached: tuple[NodeView, ...] | None = None
        self._expires_at = float("-inf")
        self._warned = False
        self._given_up: set[str] = set()
        self._buckets: dict[tuple[str, float], TokenBucket] = {}
        """By zone and interval, when the next node may be given up."""
        self._conditions: LRUCache[str, tuple[float, tuple[str, ...] | None]] = LRUCache(
            MAX_CACHED_CONDITIONS
        )
        self._conditions_forbidden_until = float("-inf")

    async def list_nodes(self) -> tuple[NodeView, ...] | None:
        """List the nodes, or return the cached ones.

        Returns:
            The nodes; None when there are more than MAX_NODES, when the list fails, or is
            forbidden, as for an operator that serves only some namespaces.
        """
        async with self._lock:  # concurrent callers share one list
            if self._clock() >= self._expires_at:
                self._cached, ttl = await self._read_nodes()
                self._expires_at = self._clock() + ttl
            return self._cached

    async def can_give_up(self, names: Iterable[str], template: Mapping[str, Any]) -> bool:
        """Whether the pods of an app on each of some lost nodes may be replaced elsewhere now.

        Args:
            names: the names of the nodes.
            template: the app's pod template.
        """
        nodes = await self.list_nodes()
        if nodes is None:
            return False
        self._given_up &= {node.name for node in nodes if node.is_lost}
        return all(
            can_take_pods(nodes, template, name) and self._has_turn(nodes, name) for name in names
        )

    async def give_up(self, name: str) -> bool:
        """Give up a lost node, if it is its turn; the pods of all apps on it may be replaced."""
        nodes = await self.list_nodes()
        if nodes is None or not self._has_turn(nodes, name):
            return False
        bucket = self._bucket(nodes, name)
        if bucket is not None and name not in self._given_up:
            bucket.take(self._clock())
            self._given_up.add(name)
        return True

    def _has_turn(self, nodes: tuple[NodeView, ...], name: str) -> bool:
        if node_interval(nodes, name) is None:
            return False
        bucket = self._bucket(nodes, name)
        return bucket is None or name in self._given_up or not bucket.retry_after(self._clock())

    def _bucket(self, nodes: tuple[NodeView, ...], name: str) -> TokenBucket | None:
        """Return the bucket of the node's zone; None where none is needed."""
        interval = node_interval(nodes, name)
        if not interval:
            return None
        now = self._clock()
        for key in [key for key, bucket in self._buckets.items() if bucket.is_full(now)]:
            del self._buckets[key]
        zone = next(node.zone for node in nodes if node.name == name)
        return self._buckets.setdefault(
            (zone, interval), TokenBucket(1, interval * self._time_scale)
        )

    async def find_bad_conditions(
        self, ill: Iterable[str], healthy: Iterable[str]
    ) -> NodeConditions:
        """Return the conditions that name a problem, by node; empty if no node of ``ill`` has one.

        A node that cannot be read is left out. One that has no such condition is not.

        Args:
            ill: the nodes of ill pods; of more than MAX_NODES_OF_APP the first ones are read.
            healthy: those of healthy pods, which are read to compare with; as many at most.
        """
        found = await self._find_conditions(ill)
        if not any(found.values()):
            return NO_CONDITIONS
        return {**await self._find_conditions(healthy), **found}

    async def _find_conditions(self, names: Iterable[str]) -> NodeConditions:
        found = {}
        for name in sorted(set(names))[:MAX_NODES_OF_APP]:
            expires_at, conditions = self._conditions.get(name, (float("-inf"), None))
            if self._clock() >= expires_at:
                conditions = await self._read_conditions(name)
                self._conditions[name] = self._clock() + CONDITIONS_TTL, conditions
            if conditions is not None:
                found[name] = conditions
        return found

    async def _read_conditions(self, name: str) -> tuple[str, ...] | None:
        """Read the conditions of a node that name a problem; None if that fails."""
        if self._clock() < self._conditions_forbidden_until:
            return None
        try:
            # The right to list is enough for this, and there is no other.
            async for raw in self._client.list_objects(NODES, None, fields=f"metadata.name={name}"):
                if raw["metadata"]["name"] == name:
                    return node_view(raw).bad_conditions
        except ForbiddenError:
            self._conditions_forbidden_until = self._clock() + FORBIDDEN_CACHE_TTL
        except ApiError as error:
            logger.info("could not read the conditions of node %s: %s", name, error)
        return None

    async def _read_nodes(self) -> tuple[tuple[NodeView, ...] | None, float]:
        """List the nodes; return them and the seconds for which they are cached."""
        nodes: list[NodeView] = []
        try:
            async for raw in self._client.list_objects(NODES, None):
                if len(nodes) <= MAX_NODES:
                    nodes.append(node_view(raw))
        except ForbiddenError as error:
            if not self._warned:
                logger.warning("nodes are not counted: %s", error)
            self._warned = True
            return None, FORBIDDEN_CACHE_TTL
        except ApiError as error:
            logger.warning("could not count the nodes, retry in %.0f s: %s", CACHE_TTL, error)
            return None, CACHE_TTL
        self._warned = False
        return tuple(nodes) if len(nodes) <= MAX_NODES else None, CACHE_TTL
