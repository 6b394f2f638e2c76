"""Putting the children of one app right at most so often, however hard somebody else pulls.

Two operators of different versions, a webhook or a GitOps tool that owns the same fields would
otherwise undo each other's work many times a second, each write causing the next.
"""

from collections import deque
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

MAX_CORRECTIONS: Final = 10
WINDOW_SECONDS: Final = 60.0
"""So many corrections in so many seconds are help; one more would be a quarrel."""


class CorrectionLimiter(Generic[K]):
    """Remembers the last corrections of each key. Times are seconds of any steady clock."""

    def __init__(self) -> None:
        self._corrections: dict[K, deque[float]] = {}

    def record(self, key: K, now: float) -> None:
        """The children of ``key`` have been put right, not because their spec had changed."""
        self._corrections.setdefault(key, deque(maxlen=MAX_CORRECTIONS)).append(now)

    def retry_after(self, key: K, now: float) -> float:
        """For how many seconds nothing of ``key`` may be put right; 0 when it may."""
        times = self._corrections.get(key)
        if times is None or len(times) < MAX_CORRECTIONS:
            return 0.0
        return max(0.0, times[0] + WINDOW_SECONDS - now)

    def reset(self, key: K) -> None:
        """The app is gone, or its spec has changed: the count starts anew."""
        self._corrections.pop(key, None)
