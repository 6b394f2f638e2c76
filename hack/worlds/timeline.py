"""The simulated time: callbacks at times, carried out in order."""

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

EPOCH: Final = datetime(2026, 1, 5, 12, tzinfo=UTC)
"""The time of the API server's clock at second 0 of each world."""


class Timeline:
    """The callbacks of one world. ``now`` is in seconds since the world began."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, time: float, callback: Callable[[], None]) -> None:
        """Call ``callback`` at a time; at once where it is past."""
        self._count += 1
        heapq.heappush(self._heap, (max(time, self.now), self._count, callback))

    def after(self, delay: float, callback: Callable[[], None]) -> None:
        """Call ``callback`` in ``delay`` seconds."""
        self.at(self.now + delay, callback)

    def run_until(self, end: float) -> None:
        """Carry out everything that is due up to ``end``, in order."""
        while self._heap and self._heap[0][0] <= end:
            self.now, _, callback = heapq.heappop(self._heap)
            callback()
        self.now = end


def to_datetime(seconds: float) -> datetime:
    """Return the time of the API server's clock at ``seconds``."""
    return EPOCH + timedelta(seconds=seconds)


@lru_cache(maxsize=65536)
def _format_seconds(seconds: int) -> str:
    return (EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_timestamp(seconds: float) -> str:
    """Return a time as the API server writes it, in whole seconds."""
    return _format_seconds(int(seconds))
