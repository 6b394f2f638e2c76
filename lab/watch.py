"""Looks at the cluster once a second while a step is played, on a thread of its own.

Four cheap requests a look, as for ``make demo``; the CPU every fifth time, because the metrics
server knows nothing newer sooner. What is kept is bounded.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

from lab.timeline import Sample
from selfhealing.render.drift import quantity
from theatre.errors import ShowError
from theatre.kube import Json, Kube
from theatre.look import Picture, look

EVERY: Final = 1.0
"""Seconds between two looks."""

_CPU_EVERY = 5
_MOST = 1800
_METRICS = "/apis/metrics.k8s.io/v1beta1/namespaces/{ns}/pods"


class Watch:
    """The looks at one step; a context manager."""

    def __init__(self, kube: Kube, show: Callable[[Picture], None]) -> None:
        """Prepare to look.

        Args:
            kube: the cluster and the namespace.
            show: is given each picture, on the thread that looks.
        """
        self._kube = kube
        self._show = show
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
    def seconds(self) -> float:
        """How long it has looked."""
        return time.monotonic() - self._began

    @property
    def samples(self) -> tuple[Sample, ...]:
        """What was seen until now."""
        return tuple(self._found)

    def _run(self) -> None:
        cpu: Mapping[str, int] | None = None
        number = 0
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                if number % _CPU_EVERY == 0:
                    cpu = self._cpu()
                now = look(self._kube)
            except ShowError:
                pass  # an API server that is away for a moment leaves a gap, nothing worse
            else:
                self._found.append(Sample(self.seconds, now, cpu))
                self._show(now)
            number += 1
            self._stop.wait(max(0.1, EVERY - (time.monotonic() - began)))

    def _cpu(self) -> Mapping[str, int] | None:
        try:
            return cpu_of(self._kube.read(_METRICS) or {})
        except ShowError:
            return None  # no metrics server, or it is starting


def cpu_of(metrics: Json) -> Mapping[str, int] | None:
    """Millicores of each pod in a list of PodMetrics; None when it is empty."""
    found = {
        item["metadata"]["name"]: round(
            1000 * sum(quantity(container["usage"]["cpu"]) or 0 for container in item["containers"])
        )
        for item in metrics.get("items", ())
    }
    return found or None
