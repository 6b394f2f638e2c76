"""Rate limits, in seconds of a monotonic clock.

Without the limit of corrections the operator and another field manager of the same fields (a
webhook, a GitOps tool, an operator of another version) would revert each other's writes many times
a second.
"""

from collections import deque
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

MAX_CORRECTIONS: Final = 10
WINDOW_SECONDS: Final = 60.0
"""At most MAX_CORRECTIONS corrections of an app in WINDOW_SECONDS seconds. Chosen: a person who
edits children by hand stays below it."""


STATUS_BURST: Final = 20
STATUS_INTERVAL: Final = 5.0
"""Status writes of an app at once, more than a rollout needs, and seconds for one more after it."""

FLAPPING_BURST: Final = 60
FLAPPING_INTERVAL: Final = 30.0
"""The same for an app that goes on: a probe may flip every second for weeks, and each flip costs a
write. client-go's spam filter of Events allows 25 and one more every 5 minutes."""


class CorrectionLimiter(Generic[K]):
    """Keeps the times of the last corrections by key, in seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._corrections: dict[K, deque[float]] = {}
        self._opponents: dict[K, tuple[str, ...]] = {}

    def record(self, key: K, now: float, opponents: tuple[str, ...] = ()) -> None:
        """Record a correction of the children of ``key``, and who had changed them, if known."""
        self._corrections.setdefault(key, deque(maxlen=MAX_CORRECTIONS)).append(now)
        if opponents:
            self._opponents[key] = opponents

    def opponents(self, key: K) -> tuple[str, ...]:
        """Return who has changed the children of ``key`` last; empty if nobody knows."""
        return self._opponents.get(key, ())

    def retry_after(self, key: K, now: float) -> float:
        """Return the seconds until ``key`` may be corrected again; 0 if it may be now."""
        times = self._corrections.get(key)
        if times is None or len(times) < MAX_CORRECTIONS:
            return 0.0
        return max(0.0, times[0] + WINDOW_SECONDS - now)

    def reset(self, key: K) -> None:
        """Forget the corrections of ``key``, because the app is deleted or its spec has changed."""
        self._corrections.pop(key, None)
        self._opponents.pop(key, None)


class TokenBucket:
    """Allows a burst, and after that one use per interval."""

    def __init__(self, burst: int, interval: float) -> None:
        """Start full.

        Args:
            burst: the uses that are allowed at once.
            interval: seconds until one more use is allowed.
        """
        self._burst = burst
        self._interval = interval
        self._full_at = float("-inf")

    def retry_after(self, now: float) -> float:
        """Return the seconds until the next use is allowed; 0 if it is now."""
        return max(0.0, self._full_at - (self._burst - 1) * self._interval - now)

    def take(self, now: float) -> bool:
        """Use the bucket once, if that is allowed now."""
        if self.retry_after(now) > 0:
            return False
        self._full_at = max(self._full_at, now) + self._interval
        return True

    def is_full(self, now: float) -> bool:
        """Whether a new bucket would allow no more than this one."""
        return self._full_at <= now


class StatusLimiter(Generic[K]):
    """Slows down the status writes of apps that flap; the last one is late, not left out."""

    def __init__(self, time_scale: float = 1.0) -> None:
        """``time_scale`` is the setting healing_scale."""
        self._time_scale = time_scale
        self._buckets: dict[K, tuple[TokenBucket, TokenBucket]] = {}

    def retry_after(self, key: K, now: float) -> float:
        """Return the seconds until a status of ``key`` may be written that can wait."""
        return max((bucket.retry_after(now) for bucket in self._buckets.get(key, ())), default=0.0)

    def record(self, key: K, now: float) -> None:
        """Record that the status of ``key`` was written, whether or not it could have waited."""
        buckets = self._buckets.setdefault(
            key,
            (
                TokenBucket(STATUS_BURST, STATUS_INTERVAL * self._time_scale),
                TokenBucket(FLAPPING_BURST, FLAPPING_INTERVAL * self._time_scale),
            ),
        )
        for bucket in buckets:
            bucket.take(now)

    def reset(self, key: K) -> None:
        """Forget the writes of an app that is deleted."""
        self._buckets.pop(key, None)
