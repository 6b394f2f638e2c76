"""Records the state of a namespace at an interval, on a thread of its own.

A sample takes four requests. The CPU is read with every fifth sample, because the metrics server
has no newer values sooner. The number of samples is bounded.
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
"""Default seconds between two samples."""

CpuReader = Callable[[], Mapping[str, int] | None]
"""Returns the CPU of each pod in millicores; None if it is unknown."""

_CPU_SAMPLE_STRIDE = 5
_MAX_SAMPLES = 1800


class Sampler:
    """The samples of one step; a context manager."""

    def __init__(
        self,
        kube: KubeClient,
        on_snapshot: Callable[[ClusterSnapshot], None],
        *,
        interval: float = SAMPLE_INTERVAL,
        read_cpu: CpuReader | None = None,
    ) -> None:
        """Prepare the sampler.

        Args:
            kube: the client; its namespace is sampled.
            on_snapshot: is called with each snapshot, on the sampler's thread.
            interval: seconds between two samples.
            read_cpu: reads the CPU; None if it is not needed.
        """
        self._kube = kube
        self._on_snapshot = on_snapshot
        self._interval = interval
        self._read_cpu = read_cpu
        self._started_at = time.monotonic()
        self._samples: deque[Sample] = deque(maxlen=_MAX_SAMPLES)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample_loop, name="sampler", daemon=True)

    def __enter__(self) -> Self:
        """Start the thread."""
        self._started_at = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the thread after the current sample."""
        self._stop.set()
        self._thread.join(timeout=30)

    @property
    def started_at(self) -> float:
        """When it was started, by ``time.monotonic``."""
        return self._started_at

    @property
    def elapsed(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._started_at

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The samples so far."""
        return tuple(self._samples)

    @property
    def latest_snapshot(self) -> ClusterSnapshot:
        """The latest snapshot; an empty one before the first sample."""
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
