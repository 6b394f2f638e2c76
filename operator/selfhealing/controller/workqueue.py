"""A keyed, deduplicating work queue: at most one piece of work in flight for a key.

The semantics are those of client-go's workqueue: a key added while it is waiting is waited for
once; a key added while it is in work is handed out again after ``done``; failures back off
exponentially with jitter. The queue is bounded by the number of keys that exist.
"""

import asyncio
import heapq
import random
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

BACKOFF_FIRST: Final = 0.5
BACKOFF_LIMIT: Final = 60.0
"""Seconds before the first retry of a failed key, and at most."""

HEAP_SLACK: Final = 64
"""Superseded requests that may lie in the heap before it is swept."""


class WorkQueue(Generic[K]):
    """Keys that wait for work, each due at its own time (seconds of the event loop's clock)."""

    def __init__(self) -> None:
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._busy: set[K] = set()
        self._again: dict[K, float] = {}
        self._failures: dict[K, int] = {}
        self._sequence = 0
        self._changed = asyncio.Event()

    def add(self, key: K, delay: float = 0.0) -> None:
        """Ask for work on ``key`` in ``delay`` seconds; an earlier request for it stands."""
        due = asyncio.get_running_loop().time() + delay
        if key in self._busy:
            self._again[key] = min(due, self._again.get(key, due))
        elif due < self._due.get(key, float("inf")):
            self._due[key] = due
            self._sequence += 1
            heapq.heappush(self._heap, (due, self._sequence, key))
            if len(self._heap) > 2 * len(self._due) + HEAP_SLACK:
                entries = sorted(self._heap)
                self._heap = sorted(
                    {e[2]: e for e in entries if self._due.get(e[2]) == e[0]}.values()
                )
            self._changed.set()

    def retry(self, key: K) -> float:
        """Ask for work on a key that failed, later with each failure; returns the delay."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        ceiling = min(BACKOFF_LIMIT, BACKOFF_FIRST * 2.0 ** min(failures, 16))
        delay = ceiling * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
        self.add(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """The key's work went well: its next failure backs off from the start."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """Wait for a key that is due and take it; ``done`` must follow."""
        loop = asyncio.get_running_loop()
        while True:
            timeout = None
            while self._heap:
                due, _, key = self._heap[0]
                if self._due.get(key) != due:  # superseded by an earlier request
                    heapq.heappop(self._heap)
                    continue
                timeout = due - loop.time()
                if timeout <= 0:
                    heapq.heappop(self._heap)
                    del self._due[key]
                    self._busy.add(key)
                    return key
                break
            self._changed.clear()
            try:
                async with asyncio.timeout(timeout):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def done(self, key: K) -> None:
        """The work on ``key`` has ended, well or badly."""
        self._busy.discard(key)
        due = self._again.pop(key, None)
        if due is not None:
            self.add(key, due - asyncio.get_running_loop().time())

    def depth(self) -> int:
        """How many keys wait, now or for later."""
        return len(self._due)

    def lag(self) -> float:
        """For how many seconds the key that is longest due has been waiting; 0 when none is."""
        if not self._due:
            return 0.0
        return max(0.0, asyncio.get_running_loop().time() - min(self._due.values()))

    def busy(self) -> int:
        """How many keys are in work."""
        return len(self._busy)
