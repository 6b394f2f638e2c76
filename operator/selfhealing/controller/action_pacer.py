"""Paces the actions of all apps, so that a fault that many apps share is not met by a flood."""

from collections.abc import Callable

from selfhealing.apply.rate_limit import TokenBucket
from selfhealing.remediation.circuit_breaker import (
    ACTION_BURST,
    ACTION_INTERVAL,
    NAMESPACE_ACTION_BURST,
    NAMESPACE_ACTION_INTERVAL,
)


class ActionPacer:
    """A token bucket for the cluster, and one for each namespace that acted lately."""

    def __init__(self, clock: Callable[[], float], time_scale: float) -> None:
        """``clock`` returns monotonic seconds; ``time_scale`` is the setting healing_scale."""
        self._clock = clock
        self._time_scale = time_scale
        self._cluster = TokenBucket(ACTION_BURST, ACTION_INTERVAL * time_scale)
        self._namespaces: dict[str, TokenBucket] = {}

    def can_start(self, namespace: str) -> bool:
        """Whether an action may start in a namespace now."""
        now = self._clock()
        bucket = self._namespaces.get(namespace)
        return not self._cluster.retry_after(now) and (
            bucket is None or not bucket.retry_after(now)
        )

    def start(self, namespace: str) -> bool:
        """Note that an action starts, if it may."""
        if not self.can_start(namespace):
            return False
        now = self._clock()
        for name in [name for name, bucket in self._namespaces.items() if bucket.is_full(now)]:
            del self._namespaces[name]
        self._namespaces.setdefault(
            namespace,
            TokenBucket(NAMESPACE_ACTION_BURST, NAMESPACE_ACTION_INTERVAL * self._time_scale),
        ).take(now)
        return self._cluster.take(now)
