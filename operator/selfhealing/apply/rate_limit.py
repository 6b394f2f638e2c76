"""Limits how often the children of one app are corrected.

Without a limit the operator and another field manager of the same fields (a webhook, a GitOps tool,
an operator of another version) would revert each other's writes many times a second.
"""

from collections import deque
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

MAX_CORRECTIONS: Final = 10
WINDOW_SECONDS: Final = 60.0
"""At most MAX_CORRECTIONS corrections of an app in WINDOW_SECONDS seconds. Chosen: a person who
edits children by hand stays below it."""


class CorrectionLimiter(Generic[K]):
    """Keeps the times of the last corrections by key, in seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._corrections: dict[K, deque[float]] = {}

    def record(self, key: K, now: float) -> None:
        """Record a correction of the children of ``key``."""
        self._corrections.setdefault(key, deque(maxlen=MAX_CORRECTIONS)).append(now)

    def retry_after(self, key: K, now: float) -> float:
        """Return the seconds until ``key`` may be corrected again; 0 if it may be now."""
        times = self._corrections.get(key)
        if times is None or len(times) < MAX_CORRECTIONS:
            return 0.0
        return max(0.0, times[0] + WINDOW_SECONDS - now)

    def reset(self, key: K) -> None:
        """Forget the corrections of ``key``, because the app is deleted or its spec has changed."""
        self._corrections.pop(key, None)
