"""A work queue of keys without duplicates: a key is processed by one worker at a time.

The semantics are those of client-go's workqueue. A key that is added while it waits is returned
once; a key that is added while it is processed is returned again after ``done``; failures back off
exponentially with jitter. The queue holds each key once at most.

It is fair between groups of keys, which are the namespaces: of the keys that are due, each group
gets one in turn, and no group occupies all workers. Requests of one namespace can be slow, for
example because its admission webhook does not answer.
"""

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from selfhealing.controller.backoff import Backoff
from selfhealing.controller.round_robin import RoundRobin

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

    def __init__(
        self, group_of: Callable[[K], Hashable] | None = None, group_limit: int = 1
    ) -> None:
        """Create an empty queue.

        Args:
            group_of: the group of a key; by default each key is a group of its own.
            group_limit: how many keys of one group may be processed at the same time.
        """
        self._group_of: Callable[[K], Hashable] = group_of or (lambda key: key)
        self._group_limit = group_limit
        self._due: dict[K, float] = {}
        """By key, when it is due; of the keys that wait, due or not."""
        self._heap: list[tuple[float, int, K]] = []
        """The keys that are not due yet."""
        self._ready: RoundRobin[Hashable, K] = RoundRobin()
        """The keys that are due."""
        self._ready_keys: set[K] = set()
        self._processing: set[K] = set()
        self._processing_counts: Counter[Hashable] = Counter()
        self._full_groups: set[Hashable] = set()
        """The groups of which as many keys are processed as may be."""
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
            timeout = self._collect_due()
            found = self._ready.pop(excluded=self._full_groups)
            if found is not None:
                return self._start_processing(*found)
            self._wakeup.clear()
            try:
                async with asyncio.timeout(timeout):
                    await self._wakeup.wait()
            except TimeoutError:
                continue

    def _collect_due(self) -> float | None:
        """Make the keys ready that are due; return the seconds until the next one is, if any."""
        while self._heap:
            due, _, key = self._heap[0]
            wait = due - _loop_time()
            # By an earlier due time, or by another entry with the same one.
            is_superseded = self._due.get(key) != due or key in self._ready_keys
            if wait > 0 and not is_superseded:
                return wait
            heapq.heappop(self._heap)
            if not is_superseded:
                self._ready_keys.add(key)
                self._ready.push(self._group_of(key), key)
        return None

    def _start_processing(self, group: Hashable, key: K) -> K:
        del self._due[key]
        self._ready_keys.remove(key)
        self._processing.add(key)
        self._processing_counts[group] += 1
        if self._processing_counts[group] >= self._group_limit:
            self._full_groups.add(group)
        return key

    def done(self, key: K) -> None:
        """Mark the processing of ``key`` as ended, whether it succeeded or failed."""
        if key not in self._processing:
            return
        group = self._group_of(key)
        self._processing.remove(key)
        self._processing_counts[group] -= 1
        if not self._processing_counts[group]:
            del self._processing_counts[group]
        self._full_groups.discard(group)
        if self._ready.count(group):
            self._wakeup.set()
        due = self._requeue_at.pop(key, None)
        if due is not None:
            self.add(key, due - _loop_time())

    def depth(self) -> int:
        """Return the number of waiting keys, due or not."""
        return len(self._due)

    def longest_wait(self) -> float:
        """Return for how many seconds a key is overdue that a worker could take; 0 for none.

        A key whose group has all the workers that it may have waits for them alone.
        """
        dues = (d for key, d in self._due.items() if self._group_of(key) not in self._full_groups)
        return max(0.0, _loop_time() - min(dues, default=_loop_time()))


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
