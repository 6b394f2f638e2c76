"""Putting the children of one app right at most so often, however hard somebody else pulls.

Two operators of different versions, a webhook or a GitOps tool that owns the same fields would
otherwise undo each other's work many times a second, each write causing the next.
"""

from collections import deque
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

LIMIT: Final = 10
WINDOW: Final = 60.0
"""So many corrections in so many seconds are help; one more would be a quarrel."""


class Damper(Generic[K]):
    """Remembers the last corrections of each key. Times are seconds of any steady clock."""

    def __init__(self) -> None:
        self._corrected: dict[K, deque[float]] = {}

    def note(self, key: K, now: float) -> None:
        """The children of ``key`` have been put right, not because their spec had changed."""
        self._corrected.setdefault(key, deque(maxlen=LIMIT)).append(now)

    def wait(self, key: K, now: float) -> float:
        """For how many seconds nothing of ``key`` may be put right; 0 when it may."""
        times = self._corrected.get(key)
        if times is None or len(times) < LIMIT:
            return 0.0
        return max(0.0, times[0] + WINDOW - now)

    def forget(self, key: K) -> None:
        """The app is gone, or its spec has changed: the count starts anew."""
        self._corrected.pop(key, None)
