"""Paces the actions of all apps, so that a fault that many apps share is not met by a flood.

Namespaces take turns: of those that wait, the one whose last action is the longest ago goes first.
Otherwise a few namespaces with many unhealthy apps would take every action that may start.
"""

from collections.abc import Callable
from typing import Final

from selfhealing.apply.rate_limit import TokenBucket
from selfhealing.remediation.circuit_breaker import (
    ACTION_BURST,
    ACTION_INTERVAL,
    NAMESPACE_ACTION_BURST,
    NAMESPACE_ACTION_INTERVAL,
)

WAITING_TTL: Final = 15.0
"""Seconds for which a namespace is taken to wait after an app of it was blocked. A blocked app is
looked at every 5 s (EXTERNAL_POLL_INTERVAL)."""

TURN_SECONDS: Final = 10.0
"""Seconds in which a namespace must use its turn; then the turn goes to the next one."""

MEMORY_SECONDS: Final = 600.0
"""Seconds after which an action no longer counts for the order of the namespaces."""

_NEVER: Final = float("-inf")


class ActionPacer:
    """A token bucket for the cluster, one for each namespace that acted lately, and their order."""

    def __init__(self, clock: Callable[[], float], time_scale: float) -> None:
        """``clock`` returns monotonic seconds; ``time_scale`` is the setting healing_scale."""
        self._clock = clock
        self._time_scale = time_scale
        self._cluster = TokenBucket(ACTION_BURST, ACTION_INTERVAL * time_scale)
        self._namespaces: dict[str, TokenBucket] = {}
        self._waiting_until: dict[str, float] = {}
        self._last_turns: dict[str, float] = {}
        """When a namespace last started an action, or let its turn pass."""
        self._offered_at: dict[str, float] = {}
        """Since when a namespace that waits could have started an action."""

    def note_waiting(self, namespace: str) -> None:
        """Note that nothing but the limits of actions keeps an app of a namespace waiting."""
        now = self._clock()
        self._forget_old(now)
        self._waiting_until[namespace] = now + WAITING_TTL

    def can_start(self, namespace: str) -> bool:
        """Whether an action may start in a namespace now."""
        now = self._clock()
        self._forget_old(now)
        if self._cluster.retry_after(now) or self._is_paced(namespace, now):
            return False
        last_turn = self._last_turns.get(namespace, _NEVER)
        if any(
            self._last_turns.get(other, _NEVER) < last_turn and not self._is_paced(other, now)
            for other in self._waiting_until
        ):
            return False
        self._count_turn(namespace, now)
        return True

    def start(self, namespace: str) -> bool:
        """Note that an action starts, if it may."""
        if not self.can_start(namespace):
            return False
        now = self._clock()
        self._end_turn(namespace, now)
        self._namespaces.setdefault(
            namespace,
            TokenBucket(NAMESPACE_ACTION_BURST, NAMESPACE_ACTION_INTERVAL * self._time_scale),
        ).take(now)
        return self._cluster.take(now)

    def _is_paced(self, namespace: str, now: float) -> bool:
        bucket = self._namespaces.get(namespace)
        return bucket is not None and bucket.retry_after(now) > 0

    def _count_turn(self, namespace: str, now: float) -> None:
        """End the turn of a waiting namespace that has started nothing for TURN_SECONDS."""
        if namespace not in self._waiting_until:
            return
        if now - self._offered_at.setdefault(namespace, now) > TURN_SECONDS:
            self._end_turn(namespace, now)

    def _end_turn(self, namespace: str, now: float) -> None:
        self._last_turns[namespace] = now
        self._waiting_until.pop(namespace, None)
        self._offered_at.pop(namespace, None)

    def _forget_old(self, now: float) -> None:
        for name in [name for name, bucket in self._namespaces.items() if bucket.is_full(now)]:
            del self._namespaces[name]
        for name in [name for name, until in self._waiting_until.items() if until <= now]:
            del self._waiting_until[name]
            self._offered_at.pop(name, None)
        oldest = now - MEMORY_SECONDS
        for name in [name for name, turn in self._last_turns.items() if turn < oldest]:
            del self._last_turns[name]
