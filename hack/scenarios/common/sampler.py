"""Looks at the cluster again and again while something is played, on a thread of its own.

Four cheap requests a look, as for ``make demo``; the CPU, where it is asked for, every fifth time,
because the metrics server knows nothing newer sooner. What is kept is bounded.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

from hack.scenarios.common.cluster_state import Picture, look
from hack.scenarios.common.errors import ShowError
from hack.scenarios.common.kube_client import Kube
from hack.scenarios.common.timeline import Sample

EVERY: Final = 1.0
"""Seconds between two looks, where nothing else is said."""

Cpu = Callable[[], Mapping[str, int] | None]
"""Tells what CPU each pod uses, in millicores; None when nobody knows."""

_CPU_EVERY = 5
_MOST = 1800


class Watch:
    """The looks at one step; a context manager."""

    def __init__(
        self,
        kube: Kube,
        show: Callable[[Picture], None],
        *,
        every: float = EVERY,
        cpu: Cpu | None = None,
    ) -> None:
        """Prepare to look.

        Args:
            kube: the cluster and the namespace.
            show: is given each picture, on the thread that looks.
            every: seconds between two looks.
            cpu: how to learn the CPU, where it matters.
        """
        self._kube = kube
        self._show = show
        self._every = every
        self._cpu = cpu
        self._began = time.monotonic()
        self._found: deque[Sample] = deque(maxlen=_MOST)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End, with at most one more look."""
        self._stop.set()
        self._thread.join(timeout=30)

    @property
    def began(self) -> float:
        """When it began, by ``time.monotonic``."""
        return self._began

    @property
    def seconds(self) -> float:
        """How long it has looked."""
        return time.monotonic() - self._began

    @property
    def samples(self) -> tuple[Sample, ...]:
        """What was seen until now."""
        return tuple(self._found)

    @property
    def last(self) -> Picture:
        """What was seen last; an empty picture when nothing was yet."""
        samples = self.samples
        return samples[-1].picture if samples else Picture()

    def _run(self) -> None:
        cpu: Mapping[str, int] | None = None
        number = 0
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                if self._cpu is not None and number % _CPU_EVERY == 0:
                    cpu = self._cpu()
                now = look(self._kube)
            except ShowError:
                pass  # an API server that is away for a moment leaves a gap, nothing worse
            else:
                self._found.append(Sample(self.seconds, now, cpu))
                self._show(now)
            number += 1
            self._stop.wait(max(0.1, self._every - (time.monotonic() - began)))
