"""One CPU kept busy, by a thread that leaves the interpreter lock to everybody else.

A thread that loops in Python shares the lock with the requests and makes ``/health`` about thirty
times slower. Key derivation does its work in C with the lock released, so the load costs the
requests no more than a separate process would, and cannot outlive this one. Measurements:
docs/adr/0004-demo-app.md.
"""

import hashlib
import threading
from typing import Final

_ITERATIONS: Final = 20_000
"""One piece of work: about 5 ms on a CPU of its own, so a stop is prompt."""


class Load:
    """At most one burning thread, started and stopped from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    @property
    def running(self) -> bool:
        """Whether the thread burns; takes no lock, so it never delays a probe."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def start(self) -> bool:
        """Burn; false where it burns already."""
        with self._lock:
            if self.running:
                return False
            self._stop = threading.Event()
            self._thread = threading.Thread(
                target=_burn, args=(self._stop,), name="load", daemon=True
            )
            self._thread.start()
            return True

    def stop(self) -> bool:
        """Stop burning, and return when the thread has ended; false where none burns."""
        with self._lock:
            if self._thread is None or not self.running:
                return False
            self._stop.set()
            self._thread.join()
            self._thread = None
            return True


def _burn(stop: threading.Event) -> None:
    while not stop.is_set():
        hashlib.pbkdf2_hmac("sha256", b"load", bytes(16), _ITERATIONS)
