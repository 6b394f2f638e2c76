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

from hack.scenarios.common.cluster_state import ClusterSnapshot, read_cluster_state
from hack.scenarios.common.timeline import Sample
from hack.testkit.errors import ApiError
from hack.testkit.kube_client import KubeClient

SAMPLE_INTERVAL: Final = 1.0
"""Seconds between two looks, where nothing else is said."""

CpuReader = Callable[[], Mapping[str, int] | None]
"""Tells what CPU each pod uses, in millicores; None when nobody knows."""

_CPU_SAMPLE_STRIDE = 5
_MAX_SAMPLES = 1800


class Sampler:
    """The looks at one step; a context manager."""

    def __init__(
        self,
        kube: KubeClient,
        on_snapshot: Callable[[ClusterSnapshot], None],
        *,
        interval: float = SAMPLE_INTERVAL,
        read_cpu: CpuReader | None = None,
    ) -> None:
        """Prepare to look.

        Args:
            kube: the cluster and the namespace.
            on_snapshot: is given each picture, on the thread that looks.
            interval: seconds between two looks.
            read_cpu: how to learn the CPU, where it matters.
        """
        self._kube = kube
        self._on_snapshot = on_snapshot
        self._interval = interval
        self._read_cpu = read_cpu
        self._started_at = time.monotonic()
        self._samples: deque[Sample] = deque(maxlen=_MAX_SAMPLES)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample_loop, name="watch", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._started_at = time.monotonic()
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
    def started_at(self) -> float:
        """When it began, by ``time.monotonic``."""
        return self._started_at

    @property
    def elapsed(self) -> float:
        """How long it has looked."""
        return time.monotonic() - self._started_at

    @property
    def samples(self) -> tuple[Sample, ...]:
        """What was seen until now."""
        return tuple(self._samples)

    @property
    def latest_snapshot(self) -> ClusterSnapshot:
        """What was seen last; an empty picture when nothing was yet."""
        samples = self.samples
        return samples[-1].snapshot if samples else ClusterSnapshot()

    def _sample_loop(self) -> None:
        cpu: Mapping[str, int] | None = None
        number = 0
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                if self._read_cpu is not None and number % _CPU_SAMPLE_STRIDE == 0:
                    cpu = self._read_cpu()
                snapshot = read_cluster_state(self._kube)
            except ApiError:
                pass  # an API server that is away for a moment leaves a gap, nothing worse
            else:
                self._samples.append(Sample(self.elapsed, snapshot, cpu))
                self._on_snapshot(snapshot)
            number += 1
            self._stop.wait(max(0.1, self._interval - (time.monotonic() - started)))
