"""Delays between attempts that fail, by key: the one back-off of the operator."""

import random
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

MAX_EXPONENT: Final = 16
"""Failures that still make the delay longer: a larger power would overflow a float at some time."""


@dataclass(frozen=True, slots=True)
class _Entry:
    failures: int
    retry_at: float


class Backoff(Generic[K]):
    """Counts failures by key and says how long to wait after each.

    The first delay is ``initial`` seconds, each further one is ``factor`` times as long, none is
    longer than ``maximum``. With ``jitter`` a random share of each delay, at most that one, is left
    out, so that keys that failed together are not retried together. A constant delay has
    ``initial`` equal to ``maximum``.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        initial: float,
        maximum: float,
        factor: float = 2.0,
        jitter: float = 0.0,
    ) -> None:
        """``clock`` returns monotonic seconds."""
        self._clock = clock
        self._initial = initial
        self._maximum = maximum
        self._factor = factor
        self._jitter = jitter
        self._entries: dict[K, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def record_failure(self, key: K, maximum: float | None = None) -> float:
        """Count a failure of ``key``; return the seconds until the next attempt.

        Args:
            key: what failed.
            maximum: a lower maximum for this delay.
        """
        failures = self._entries[key].failures if key in self._entries else 0
        delay = min(self._maximum, self._initial * self._factor ** min(failures, MAX_EXPONENT))
        if maximum is not None:
            delay = min(delay, maximum)
        delay *= random.uniform(1.0 - self._jitter, 1.0)  # noqa: S311 - jitter, not a secret
        self._entries[key] = _Entry(failures + 1, self._clock() + delay)
        return delay

    def retry_after(self, key: K) -> float:
        """Return the seconds until ``key`` may be tried again; 0 when it may be tried now."""
        entry = self._entries.get(key)
        return max(0.0, entry.retry_at - self._clock()) if entry else 0.0

    def forget(self, key: K) -> None:
        """Forget the failures of ``key``: it succeeded, or is no longer tried."""
        self._entries.pop(key, None)

    def forget_expired(self) -> None:
        """Forget every key whose delay is over, where nothing reports that a key is gone."""
        now = self._clock()
        self._entries = {key: entry for key, entry in self._entries.items() if entry.retry_at > now}
