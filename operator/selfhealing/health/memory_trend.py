"""Warns that a container's memory usage will reach its limit, before the kernel kills it.

The input is the last measurements of one pod and the limit in force for it. There is a trend if

* the pod uses at least 85 % of its limit, the latest measurement is the highest, and the line
  through the last four measurements (least squares) reaches the limit within ``horizon``; or
* the last three measurements are all at least 95 % of the limit, and the usage does not fall.

With a limit of 100 MiB, measurements every 15 s, and a horizon of two minutes:

========================  ========  =============================================================
MiB, the latest last      trend?    because
========================  ========  =============================================================
70, 75, 80, 86            yes       5.3 MiB in 15 s: the limit is 40 s away
60, 65, 70, 75            no        below 85 %: the growth may stop by itself
85.6, 85.8, 86, 86.2      no        0.2 MiB in 15 s: the limit is 17 minutes away
70, 80, 90, 89            no        the usage no longer grows
90, 90, 90, 90            no        high, but steady
96, 96, 96                yes       one larger request may exceed the limit
98, 97, 96                no        the usage falls
86, 99                    no        two measurements are no trend
========================  ========  =============================================================

The measurement is the working set (container_memory_working_set_bytes): memory that the kernel
cannot reclaim at once. It includes files that are read often, so an app that relies on the page
cache may be at its limit without danger. So the limit is raised only if spec.healing.memory.max is
set, and never above it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Final

from selfhealing.api import names
from selfhealing.api.quantity import parse_quantity
from selfhealing.cache.parse import parse_time
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import PodView
from selfhealing.health import messages
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.health.pod_problems import is_active
from selfhealing.health.rollout import current_template_hash

TREND_PERCENT: Final = 85
"""Percent of the limit from which on the trend is computed."""

CRITICAL_PERCENT: Final = 95
"""Percent of the limit that is a warning without any growth."""

MIN_SAMPLES: Final = 3
"""Fewer measurements give no warning."""

TREND_SAMPLES: Final = 4
"""Measurements that the trend is computed from: with more, a growth that ended counts too long."""

MIN_TREND_SPAN: Final = timedelta(seconds=15)
"""The shortest time that a trend is computed from: one request may raise the usage for a second."""


@dataclass(frozen=True, slots=True)
class MemorySample:
    """One measurement of a container: the time, and the memory used in bytes."""

    measured_at: datetime
    used_bytes: int


SamplesByPod = Mapping[str, Sequence[MemorySample]]
"""The last measurements by the UID of the pod, the latest last."""


def is_trending_to_limit(
    samples: Sequence[MemorySample], limit_bytes: int, horizon: timedelta
) -> bool:
    """Whether a container's memory usage is about to reach its limit.

    Args:
        samples: the last measurements, the latest last, each with a different time.
        limit_bytes: the limit in force, in bytes.
        horizon: the time within which the trend must reach the limit.
    """
    if len(samples) < MIN_SAMPLES:
        return False
    latest = samples[-MIN_SAMPLES:]
    is_critical = all(
        sample.used_bytes * 100 >= limit_bytes * CRITICAL_PERCENT for sample in latest
    )
    if is_critical and latest[-1].used_bytes >= latest[0].used_bytes:
        return True
    trend = samples[-TREND_SAMPLES:]
    newest = trend[-1]
    if (
        newest.used_bytes * 100 < limit_bytes * TREND_PERCENT
        or newest.measured_at - trend[0].measured_at < MIN_TREND_SPAN
    ):
        return False
    if newest.used_bytes < max(sample.used_bytes for sample in trend):
        return False
    slope = _slope(trend)
    return slope > 0 and limit_bytes - newest.used_bytes <= slope * Fraction(
        horizon.total_seconds()
    )


def _slope(samples: Sequence[MemorySample]) -> Fraction:
    """The slope of the least-squares line in bytes per second, without rounding errors."""
    first = samples[0]
    points = [
        (
            Fraction((sample.measured_at - first.measured_at).total_seconds()),
            sample.used_bytes - first.used_bytes,
        )
        for sample in samples
    ]
    count = len(points)
    time_sum, used_sum = sum(t for t, _ in points), sum(u for _, u in points)
    product_sum, square_sum = sum(t * u for t, u in points), sum(t * t for t, _ in points)
    return Fraction(count * product_sum - time_sum * used_sum) / (
        count * square_sum - time_sum * time_sum
    )


def find_pods_trending_to_limit(
    snapshot: AppSnapshot, usage: SamplesByPod, horizon: timedelta
) -> tuple[PodView, ...]:
    """Find the pods of the current template whose memory usage is about to reach the limit.

    Pods of earlier templates are about to be deleted, and would not get a higher limit.
    """
    current_hash = current_template_hash(snapshot)
    return tuple(
        pod
        for pod in snapshot.pods
        if is_active(pod)
        and pod.template_hash == current_hash
        and (limit := parse_quantity(_memory_limit(pod)))
        and is_trending_to_limit(usage.get(pod.uid, ()), int(limit), horizon)
    )


def _memory_limit(pod: PodView) -> str:
    """The limit in force: the one that the kubelet reports as applied, else the spec's."""
    return pod.applied_memory_limit or pod.memory_limit


def find_memory_warnings(
    snapshot: AppSnapshot, usage: SamplesByPod, horizon: timedelta
) -> tuple[AppDiagnosis, ...]:
    """Diagnose MemoryClimbing, a warning.

    Its cause is unknown: the measurements cannot tell a leak from a higher load.
    """
    pods = find_pods_trending_to_limit(snapshot, usage, horizon)
    if not pods:
        return ()
    symptom = f"its memory usage climbs to the limit of {_memory_limit(pods[0])}"
    message = messages.summarize_pods([pod.name for pod in pods], symptom)
    diagnosis_type = DiagnosisType.MEMORY_CLIMBING
    return (AppDiagnosis(diagnosis_type, Cause.UNKNOWN, Confidence.LOW, pods, message),)


def parse_pod_metrics(raw: Mapping[str, Any]) -> tuple[str, MemorySample] | None:
    """Read a pod's name and the memory usage of its main container from its PodMetrics.

    Returns None if that container was not measured.
    """
    measured_at = parse_time(raw.get("timestamp"))
    for container in raw.get("containers") or ():
        used_bytes = parse_quantity(container.get("usage", {}).get("memory"))
        if (
            container["name"] == names.CONTAINER_NAME
            and measured_at is not None
            and used_bytes is not None
        ):
            return raw["metadata"]["name"], MemorySample(measured_at, int(used_bytes))
    return None
