"""Requests in each of the last seconds, for a plot.

Probes, scrapes and the panel's own polls are left out: they come all the time, whether or not
anybody uses the app.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from flask import Flask, request

SECONDS: Final = 60

_ROUTINE: Final = frozenset({"/health", "/ready", "/metrics"})
_PANEL: Final = "/panel"


class Rate:
    """A ring of one counter for each second; its size never changes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts = [0] * SECONDS
        self._second = int(clock())

    def count(self) -> None:
        """Count one request, now."""
        with self._lock:
            self._counts[self._turn() % SECONDS] += 1

    def series(self) -> list[int]:
        """Return requests by second, the oldest first; the last second is over, not the present."""
        with self._lock:
            now = self._turn()
            return [self._counts[second % SECONDS] for second in range(now - SECONDS + 1, now)]

    def _turn(self) -> int:
        """Clear the seconds that have begun since the last time; the present one."""
        now = int(self._clock())
        for second in range(max(self._second + 1, now - SECONDS + 1), now + 1):
            self._counts[second % SECONDS] = 0
        self._second = max(self._second, now)
        return self._second

    def install(self, app: Flask) -> None:
        """Count every request of the application that somebody makes."""

        def begun() -> None:
            path = request.path
            if path not in _ROUTINE and not path.startswith(_PANEL):
                self.count()

        app.before_request(begun)
