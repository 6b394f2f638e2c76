"""Memory that grows step by step and is really used, until a bound or the container's limit.

Anonymous mappings instead of Python's own memory: each is given back to the kernel at once when it
is closed. Every page is written to, since the kernel gives memory only to who writes.
"""

import mmap
import threading
from typing import Final

MIB: Final = 1024 * 1024

_STEPS_A_SECOND: Final = 4


class Leak:
    """At most one growing heap, started and stopped from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._held: list[mmap.mmap] = []
        self._bytes = 0

    @property
    def held(self) -> int:
        """Bytes that are held now; takes no lock, so it never delays a request."""
        return self._bytes

    @property
    def running(self) -> bool:
        """Whether memory grows or is held."""
        return self._thread is not None

    def start(self, bound: int, rate: int) -> bool:
        """Grow; false where it grows or is held already.

        Args:
            bound: bytes to stop at; they are held then until ``stop``.
            rate: bytes a second.
        """
        with self._lock:
            if self._thread is not None:
                return False
            self._stop = threading.Event()
            self._thread = threading.Thread(
                target=self._grow, args=(self._stop, bound, rate), name="leak", daemon=True
            )
            self._thread.start()
            return True

    def stop(self) -> bool:
        """Give everything back; false where there is nothing."""
        with self._lock:
            if self._thread is None:
                return False
            self._stop.set()
            self._thread.join()
            while self._held:
                self._held.pop().close()
            self._thread, self._bytes = None, 0
            return True

    def _grow(self, stop: threading.Event, bound: int, rate: int) -> None:
        step = max(mmap.PAGESIZE, rate // _STEPS_A_SECOND)
        while self._bytes < bound and not stop.is_set():
            size = min(step, bound - self._bytes)
            self._held.append(_allocate(size))
            self._bytes += size
            stop.wait(1 / _STEPS_A_SECOND)


def _allocate(size: int) -> mmap.mmap:
    """Map memory, and write to every page of it."""
    chunk = mmap.mmap(-1, size)
    for start in range(0, size, mmap.PAGESIZE):
        chunk[start] = 1
    return chunk
