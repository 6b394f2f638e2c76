"""A keyed, deduplicating work queue: at most one piece of work in flight for a key.

The semantics are those of client-go's workqueue: a key added while it is waiting is waited for
once; a key added while it is in work is handed out again after ``done``; failures back off
exponentially with jitter. The queue is bounded by the number of keys that exist.
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
"""The share of a delay that is random: keys that failed together are not retried together."""

MAX_SUPERSEDED_ENTRIES: Final = 64
"""Superseded requests that may lie in the heap before it is swept."""


class WorkQueue(Generic[K]):
    """Keys that wait for work, each due at its own time (seconds of the event loop's clock)."""

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
        """Ask for work on ``key`` in ``delay`` seconds; an earlier request for it stands."""
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
        """Ask for work on a key that failed, later with each failure; returns the delay."""
        delay = self._backoff.record_failure(key)
        self.add(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """The key's work went well: its next failure backs off from the start."""
        self._backoff.forget(key)

    async def get(self) -> K:
        """Wait for a key that is due and take it; ``done`` must follow."""
        while True:
            timeout = None
            while self._heap:
                due, _, key = self._heap[0]
                if self._due.get(key) != due:  # superseded by an earlier request
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
        """The work on ``key`` has ended, well or badly."""
        self._processing.discard(key)
        due = self._requeue_at.pop(key, None)
        if due is not None:
            self.add(key, due - _loop_time())

    def depth(self) -> int:
        """How many keys wait, now or for later."""
        return len(self._due)

    def longest_wait(self) -> float:
        """For how many seconds the key that is longest due has been waiting; 0 when none is."""
        if not self._due:
            return 0.0
        return max(0.0, _loop_time() - min(self._due.values()))


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
