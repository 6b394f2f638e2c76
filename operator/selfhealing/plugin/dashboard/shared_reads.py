"""Reads of the cluster that all who ask at about the same time share."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


@dataclass(slots=True)
class _Read(Generic[_Value]):
    future: Future[_Value]
    ended_at: float | None = None


class SharedReads(Generic[_Key, _Value]):
    """Reads each thing at most once in ``lifetime`` seconds, however many pages ask for it.

    An error is shared, too: a cluster that does not answer is not asked more often.
    """

    def __init__(
        self,
        read: Callable[[_Key], _Value],
        executor: Executor,
        *,
        lifetime: float,
        max_kept: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args: ``read`` reads a thing; ``max_kept`` things are kept, those asked for last."""
        self._read = read
        self._executor = executor
        self._lifetime = lifetime
        self._max_kept = max_kept
        self._clock = clock
        self._lock = Lock()
        self._reads: OrderedDict[_Key, _Read[_Value]] = OrderedDict()

    def get(self, key: _Key, patience: float) -> _Value:
        """Return a thing that is at most ``lifetime`` seconds old.

        Raises:
            TimeoutError: it is not read within ``patience`` seconds.
            CancelledError: too many other things were asked for meanwhile.
            Exception: what the read raises.
        """
        with self._lock:
            found = self._reads.get(key)
            if found is None or self._is_old(found):
                found = self._reads[key] = self._start(key)
            self._reads.move_to_end(key)
            while len(self._reads) > self._max_kept:
                _, oldest = self._reads.popitem(last=False)
                oldest.future.cancel()  # if it has not begun: so not more than that wait, either
        return found.future.result(patience)

    def forget(self, key: _Key) -> None:
        """Read a thing anew when it is asked for next."""
        with self._lock:
            self._reads.pop(key, None)

    def _start(self, key: _Key) -> _Read[_Value]:
        started = _Read(self._executor.submit(self._read, key))

        def note_end(_future: Future[_Value]) -> None:
            started.ended_at = self._clock()

        started.future.add_done_callback(note_end)
        return started

    def _is_old(self, read: _Read[_Value]) -> bool:
        return read.ended_at is not None and self._clock() - read.ended_at >= self._lifetime
