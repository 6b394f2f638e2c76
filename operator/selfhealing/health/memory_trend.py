"""Where the use of memory climbs to the limit: told before the kernel kills the container.

Told from a few measurements of one pod and the limit that is in force for it. A pod climbs when

* it uses at least 85 % of its limit, the last of the measurements is the highest, and, were it to
  go on along the line through the last four (least squares), the limit would be reached within
  ``horizon``; or
* its last three measurements are all at least 95 % of the limit, and it is not falling.

With a limit of 100 MiB, measurements every 15 s, and a horizon of two minutes:

========================  ========  =============================================================
MiB, the latest last      climbs?   because
========================  ========  =============================================================
70, 75, 80, 86            yes       5.3 MiB in 15 s: the limit is 40 s away
60, 65, 70, 75            no        there is still room: it may stop by itself
85.6, 85.8, 86, 86.2      no        0.2 MiB in 15 s: the limit is 17 minutes away
70, 80, 90, 89            no        it no longer grows
90, 90, 90, 90            no        much, but steady
96, 96, 96                yes       a single larger request is enough to have it killed
98, 97, 96                no        it falls
86, 99                    no        two measurements are no trend
========================  ========  =============================================================

What is measured is the working set (container_memory_working_set_bytes): what the kernel cannot
give up at once. Files that are read again and again are in it, so an app that lives by the page
cache may stand at its limit without being in danger. That is one reason why nothing is done unless
a maximum is given, and why it never goes beyond it.
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
"""Percent of the limit from which on growth is looked at."""

CRITICAL_PERCENT: Final = 95
"""Percent of the limit that are too much without any growth."""

MIN_SAMPLES: Final = 3
"""So many measurements at least tell anything."""

TREND_SAMPLES: Final = 4
"""Measurements that a trend is told by: of more, one that has ended would show for too long."""

MIN_TREND_SPAN: Final = timedelta(seconds=15)
"""A trend is told by no shorter time: an app that takes up one request may grow for a second."""


@dataclass(frozen=True, slots=True)
class MemorySample:
    """How much memory a container used, in bytes, and when that was measured."""

    measured_at: datetime
    used_bytes: int


SamplesByPod = Mapping[str, Sequence[MemorySample]]
"""The last measurements by the uid of the pod, the latest last."""


def is_trending_to_limit(
    samples: Sequence[MemorySample], limit_bytes: int, horizon: timedelta
) -> bool:
    """Whether a container's use of memory climbs to its limit.

    Args:
        samples: the last measurements, the latest last, no two of the same moment.
        limit: the limit in force, in bytes.
        horizon: how near in time the limit must be.
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
    """The slope of the line of least squares, in bytes a second; exact, whatever the units."""
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
    """The pods of the current template whose use of memory climbs to their limit.

    Those of a former one are on their way out, and would not be given more.
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
    """The limit in force: what the kubelet has set, where it says so."""
    return pod.applied_memory_limit or pod.memory_limit


def find_memory_warnings(
    snapshot: AppSnapshot, usage: SamplesByPod, horizon: timedelta
) -> tuple[AppDiagnosis, ...]:
    """What is no illness yet, and will soon be one.

    Nobody can tell from here whether it is a leak or more work, so nobody is blamed.
    """
    pods = find_pods_trending_to_limit(snapshot, usage, horizon)
    if not pods:
        return ()
    symptom = f"its use of memory climbs to the limit of {_memory_limit(pods[0])}"
    message = messages.summarize_pods([pod.name for pod in pods], symptom)
    diagnosis_type = DiagnosisType.MEMORY_CLIMBING
    return (AppDiagnosis(diagnosis_type, Cause.UNKNOWN, Confidence.LOW, pods, message),)


def parse_pod_metrics(raw: Mapping[str, Any]) -> tuple[str, MemorySample] | None:
    """The name of a pod and what its main container used, from its PodMetrics.

    None where that container was not measured.
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
