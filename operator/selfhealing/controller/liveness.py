"""Is the operator alive? Told by a heartbeat of its event loop and by the age of its work."""

import asyncio
from typing import Final

from selfhealing.cache.views import AppKey
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.metrics import QUEUE_DEPTH, QUEUE_LAG

BEAT: Final = 1.0


class StalledError(RuntimeError):
    """The operator runs but gets nothing done; the message says what is behind."""


class Heartbeat:
    """Beats once a second in the event loop, and measures how late it is."""

    def __init__(self, queue: WorkQueue[AppKey], limit: float) -> None:
        """Watch the loop and ``queue``; ``limit`` seconds behind is stalled."""
        self._queue = queue
        self._limit = limit
        self._beaten = asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Beat, for ever."""
        while True:
            self._beaten = asyncio.get_running_loop().time()
            QUEUE_DEPTH.set(self._queue.depth())
            QUEUE_LAG.set(self._queue.lag())
            await asyncio.sleep(BEAT)

    def check(self, *, working: bool) -> dict[str, float]:
        """Say how far behind the loop and the queue are, in seconds.

        Args:
            working: whether the queue is being worked on (a replica that does not lead lets it
                wait).

        Raises:
            StalledError: one of them is too far behind.
        """
        loop = asyncio.get_running_loop().time() - self._beaten - BEAT
        queue = self._queue.lag() if working else 0.0
        if loop > self._limit:
            raise StalledError(f"the event loop is {loop:.0f} s behind")
        if queue > self._limit:
            raise StalledError(f"an app has been waiting for {queue:.0f} s")
        return {
            "loopBehindSeconds": round(max(0.0, loop), 3),
            "queueBehindSeconds": round(queue, 3),
        }
