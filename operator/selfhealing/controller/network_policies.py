"""Reads the NetworkPolicies of the namespace of an ill app; they are watched of apps only."""

import logging
from collections.abc import Callable
from typing import Final

from cachetools import TTLCache

from selfhealing.health.network_policies import NetworkPolicyFacts, parse_network_policy
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError
from selfhealing.kube.resources import CHILDREN

logger = logging.getLogger(__name__)

CACHE_TTL: Final = 60.0
"""Seconds for which the policies of a namespace, or a failure to list them, are kept."""

CACHE_SIZE: Final = 100
"""Namespaces whose policies are kept; the least recently added one is dropped first."""

MAX_POLICIES: Final = 100
"""Policies of a namespace that are looked at; of more, nothing is said of the others."""


class NetworkPolicies:
    """The NetworkPolicies of namespaces, with a cache."""

    def __init__(self, client: Client, clock: Callable[[], float]) -> None:
        """``clock`` returns monotonic seconds."""
        self._client = client
        self._policies: TTLCache[str, tuple[NetworkPolicyFacts, ...]] = TTLCache(
            CACHE_SIZE, CACHE_TTL, timer=clock
        )

    async def list_all(self, namespace: str) -> tuple[NetworkPolicyFacts, ...]:
        """Return the policies of a namespace; none when they cannot be listed."""
        try:
            return self._policies[namespace]
        except KeyError:
            found = self._policies[namespace] = await self._read(namespace)
            return found

    async def _read(self, namespace: str) -> tuple[NetworkPolicyFacts, ...]:
        found: list[NetworkPolicyFacts] = []
        try:
            async for raw in self._client.list_objects(CHILDREN["NetworkPolicy"], namespace):
                policy = parse_network_policy(raw)
                if policy is not None:
                    found.append(policy)
                if len(found) >= MAX_POLICIES:
                    break
        except ApiError as error:
            logger.warning("the NetworkPolicies of %s are unknown: %s", namespace, error)
        return tuple(found)
