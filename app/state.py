"""What the app has been told to be. It lives in the process: a restart heals it."""

import threading
from dataclasses import dataclass

from app.leak import Leak
from app.load import Load


@dataclass(frozen=True)
class Snapshot:
    """The state at one moment, safe to hand to any reader."""

    healthy: bool
    ready: bool
    cpu_load: bool


class State:
    """The one mutable thing, shared by the request threads and the server.

    Every change answers whether it changed anything, decided under the lock: of two requests that
    ask the same at once, exactly one is told that it did it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._load = Load()
        self._leak = Leak()
        self._hanging = False
        self._healthy = True
        self._ready = True
        self._stopping = False

    def snapshot(self) -> Snapshot:
        """The flags, all read at the same moment."""
        with self._lock:
            return Snapshot(
                healthy=self._healthy,
                ready=self._ready and not self._stopping,
                cpu_load=self._load.running,
            )

    def set_healthy(self, value: bool) -> bool:  # noqa: FBT001  a setter's value
        """Decide what ``/health`` answers; readiness is not touched."""
        with self._lock:
            changed = self._healthy is not value
            self._healthy = value
            return changed

    def set_ready(self, value: bool) -> bool:  # noqa: FBT001  a setter's value
        """Decide what ``/ready`` answers; health is not touched."""
        with self._lock:
            changed = self._ready is not value
            self._ready = value
            return changed

    def start_load(self) -> bool:
        """Keep one CPU busy."""
        return self._load.start()

    def stop_load(self) -> bool:
        """Let the CPU rest."""
        return self._load.stop()

    def start_leak(self, bound: int, rate: int) -> bool:
        """Use more and more memory: up to ``bound`` bytes, ``rate`` bytes a second."""
        return self._leak.start(bound, rate)

    def stop_leak(self) -> bool:
        """Give that memory back."""
        return self._leak.stop()

    @property
    def leak(self) -> tuple[bool, int]:
        """Whether memory grows or is held, and how many bytes."""
        return self._leak.running, self._leak.held

    def hang(self) -> bool:
        """Let no further request be answered."""
        with self._lock:
            changed = not self._hanging
            self._hanging = True
            return changed

    def hold(self) -> None:
        """Keep a request's thread for ever, where the app hangs."""
        if self._hanging:
            threading.Event().wait()

    def begin_stopping(self) -> None:
        """The process is about to end: not ready, whatever it is told, and no load."""
        with self._lock:
            self._stopping = True
        self._load.stop()
