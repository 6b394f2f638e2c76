"""Reads the labels of a Namespace, which hold a team's switches for all of its apps.

Namespaces are not watched: an operator that serves only some of them may read just these. Labels
seldom change, so an answer is kept for CACHE_TTL.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Final

from cachetools import TTLCache

from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError
from selfhealing.kube.resources import NAMESPACES

logger = logging.getLogger(__name__)

CACHE_TTL: Final = 60.0
"""Seconds for which the labels of a Namespace, or a failure to read them, are kept."""
CACHE_SIZE: Final = 1000
"""The most Namespaces whose labels are kept; the least recently added one is dropped first."""


class NamespaceLabels:
    """The labels of Namespaces, with a cache."""

    def __init__(self, client: Client, clock: Callable[[], float]) -> None:
        """``clock`` returns monotonic seconds."""
        self._client = client
        self._labels: TTLCache[str, Mapping[str, str] | None] = TTLCache(
            CACHE_SIZE, CACHE_TTL, timer=clock
        )

    async def get(self, namespace: str) -> Mapping[str, str] | None:
        """Return the labels of a Namespace; None when they cannot be read."""
        try:
            return self._labels[namespace]
        except KeyError:
            labels = self._labels[namespace] = await self._read(namespace)
            return labels

    async def _read(self, namespace: str) -> Mapping[str, str] | None:
        try:
            raw = await self._client.get(NAMESPACES, namespace, namespace)
        except ApiError as error:
            logger.warning("the labels of the namespace %s are unknown: %s", namespace, error)
            return None
        if raw is None:
            return None
        labels: Mapping[str, str] = raw["metadata"].get("labels") or {}
        return labels
