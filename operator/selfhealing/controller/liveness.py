"""Liveness of the operator: the delay of its event loop and the age of its work queue."""

import asyncio
from typing import Final

from selfhealing.cache.views import AppKey
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.metrics import WORKQUEUE_DEPTH, WORKQUEUE_LONGEST_WAIT

HEARTBEAT_INTERVAL: Final = 1.0


class StalledError(RuntimeError):
    """The event loop or the work queue is too far behind; the message says which."""


class Heartbeat:
    """Runs once a second in the event loop, and measures how late it is."""

    def __init__(self, queue: WorkQueue[AppKey], limit: float) -> None:
        """``limit`` is the delay in seconds at which the operator counts as stalled."""
        self._queue = queue
        self._limit = limit
        self._last_beat = asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Record the time and the queue's metrics every second, for ever."""
        while True:
            self._last_beat = asyncio.get_running_loop().time()
            WORKQUEUE_DEPTH.set(self._queue.depth())
            WORKQUEUE_LONGEST_WAIT.set(self._queue.longest_wait())
            await asyncio.sleep(HEARTBEAT_INTERVAL)

    def check_liveness(self, *, is_reconciling: bool) -> dict[str, float]:
        """Return how far behind the event loop and the queue are, in seconds.

        Args:
            is_reconciling: whether workers take keys from the queue; on a replica that does not
                lead they do not.

        Raises:
            StalledError: one of them is too far behind.
        """
        loop_delay = asyncio.get_running_loop().time() - self._last_beat - HEARTBEAT_INTERVAL
        queue_delay = self._queue.longest_wait() if is_reconciling else 0.0
        if loop_delay > self._limit:
            raise StalledError(f"the event loop is {loop_delay:.0f} s behind")
        if queue_delay > self._limit:
            raise StalledError(f"an app has been waiting for {queue_delay:.0f} s")
        return {
            "loopBehindSeconds": round(max(0.0, loop_delay), 3),
            "queueBehindSeconds": round(queue_delay, 3),
        }
