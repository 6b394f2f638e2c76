"""A work queue of keys without duplicates: a key is processed by one worker at a time.

The semantics are those of client-go's workqueue. A key that is added while it waits is returned
once; a key that is added while it is processed is returned again after ``done``; failures back off
exponentially with jitter. The queue holds each key once at most.
"""

import asyncio
import heapq
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from selfhealing.controller.backoff import Backoff

K = TypeVar("K", bound=Hashable)

BACKOFF_INITIAL: Final = 0.5
BACKOFF_MAX: Final = 60.0
"""Seconds before the first retry of a failed key, and at most."""

BACKOFF_JITTER: Final = 0.5
"""The random share of a delay: keys that failed together are not retried together."""

MAX_SUPERSEDED_ENTRIES: Final = 64
"""Superseded entries that may be in the heap before it is cleaned up."""


class WorkQueue(Generic[K]):
    """Keys that are due, each at its own time in seconds of the event loop's clock."""

    def __init__(self) -> None:
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._processing: set[K] = set()
        self._requeue_at: dict[K, float] = {}
        self._backoff: Backoff[K] = Backoff(
            _loop_time, initial=BACKOFF_INITIAL, maximum=BACKOFF_MAX, jitter=BACKOFF_JITTER
        )
        self._sequence = 0
        self._wakeup = asyncio.Event()

    def add(self, key: K, delay: float = 0.0) -> None:
        """Add ``key``, due in ``delay`` seconds; an earlier due time of the key stays."""
        due = _loop_time() + delay
        if key in self._processing:
            self._requeue_at[key] = min(due, self._requeue_at.get(key, due))
        elif due < self._due.get(key, float("inf")):
            self._due[key] = due
            self._sequence += 1
            heapq.heappush(self._heap, (due, self._sequence, key))
            if len(self._heap) > 2 * len(self._due) + MAX_SUPERSEDED_ENTRIES:
                entries = sorted(self._heap)
                self._heap = sorted(
                    {
                        entry[2]: entry for entry in entries if self._due.get(entry[2]) == entry[0]
                    }.values()
                )
            self._wakeup.set()

    def add_rate_limited(self, key: K) -> float:
        """Add a key that failed, due after its back-off; return the delay in seconds."""
        delay = self._backoff.record_failure(key)
        self.add(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """Reset the back-off of a key that succeeded or is deleted."""
        self._backoff.forget(key)

    async def get(self) -> K:
        """Wait until a key is due and return it; the caller must call ``done``."""
        while True:
            timeout = None
            while self._heap:
                due, _, key = self._heap[0]
                if self._due.get(key) != due:  # superseded by an earlier due time
                    heapq.heappop(self._heap)
                    continue
                timeout = due - _loop_time()
                if timeout <= 0:
                    heapq.heappop(self._heap)
                    del self._due[key]
                    self._processing.add(key)
                    return key
                break
            self._wakeup.clear()
            try:
                async with asyncio.timeout(timeout):
                    await self._wakeup.wait()
            except TimeoutError:
                continue

    def done(self, key: K) -> None:
        """Mark the processing of ``key`` as ended, whether it succeeded or failed."""
        self._processing.discard(key)
        due = self._requeue_at.pop(key, None)
        if due is not None:
            self.add(key, due - _loop_time())

    def depth(self) -> int:
        """Return the number of waiting keys, due or not."""
        return len(self._due)

    def longest_wait(self) -> float:
        """Return for how many seconds the key with the earliest due time is overdue; 0 for none."""
        if not self._due:
            return 0.0
        return max(0.0, _loop_time() - min(self._due.values()))


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
