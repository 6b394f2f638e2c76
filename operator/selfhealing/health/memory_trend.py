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
cache may be at its limit without danger. So the usage is watched only where spec.healing.memory is
written, and the limit is never raised above its ceiling.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final

from selfhealing.api import names
from selfhealing.api.quantity import parse_quantity
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import ContainerView, PodView
from selfhealing.health import messages
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.health.pod_problems import is_active
from selfhealing.health.rollout import current_template_hash
from selfhealing.health.termination_causes import ContainerKey
from selfhealing.health.usage import SamplesByContainer, UsageSample

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


def is_trending_to_limit(
    samples: Sequence[UsageSample], limit_bytes: int, horizon: timedelta
) -> bool:
    """Whether a container's memory usage is about to reach its limit.

    Args:
        samples: the last measurements, the latest last, each with a different time.
        limit_bytes: the limit in force, in bytes.
        horizon: the time within which the trend must reach the limit.
    """
    points = [
        (sample.measured_at, sample.memory_bytes)
        for sample in samples
        if sample.memory_bytes is not None
    ]
    if len(points) < MIN_SAMPLES:
        return False
    latest = [used for _, used in points[-MIN_SAMPLES:]]
    is_critical = all(used * 100 >= limit_bytes * CRITICAL_PERCENT for used in latest)
    if is_critical and latest[-1] >= latest[0]:
        return True
    trend = points[-TREND_SAMPLES:]
    newest_at, newest = trend[-1]
    if (
        newest * 100 < limit_bytes * TREND_PERCENT
        or newest_at - trend[0][0] < MIN_TREND_SPAN
        or newest < max(used for _, used in trend)
    ):
        return False
    slope = _slope(trend)
    return slope > 0 and limit_bytes - newest <= slope * Fraction(horizon.total_seconds())


def _slope(trend: Sequence[tuple[datetime, int]]) -> Fraction:
    """The slope of the least-squares line in bytes per second, without rounding errors."""
    first_at, first = trend[0]
    points = [(Fraction((at - first_at).total_seconds()), used - first) for at, used in trend]
    count = len(points)
    time_sum, used_sum = sum(t for t, _ in points), sum(u for _, u in points)
    product_sum, square_sum = sum(t * u for t, u in points), sum(t * t for t, _ in points)
    return Fraction(count * product_sum - time_sum * used_sum) / (
        count * square_sum - time_sum * time_sum
    )


def find_trending_containers(
    snapshot: AppSnapshot, usage: SamplesByContainer, horizon: timedelta
) -> dict[str, tuple[PodView, ...]]:
    """Find the containers whose memory usage is about to reach the limit, with their pods.

    Only pods of the current template count: those of earlier ones are about to be deleted, and
    would not get a higher limit.
    """
    current_hash = current_template_hash(snapshot)
    pods_by_container: dict[str, list[PodView]] = defaultdict(list)
    for pod in snapshot.pods:
        if not is_active(pod) or pod.template_hash != current_hash:
            continue
        for container in pod.containers:
            samples = usage.get(ContainerKey(pod.uid, container.name), ())
            limit = parse_quantity(_memory_limit(container))
            if limit and is_trending_to_limit(samples, int(limit), horizon):
                pods_by_container[container.name].append(pod)
    return {name: tuple(pods) for name, pods in pods_by_container.items()}


def _memory_limit(container: ContainerView) -> str:
    """The limit in force: the one that the kubelet reports as applied, else the spec's."""
    return container.applied_limits.memory or container.limits.memory


def find_memory_warnings(
    snapshot: AppSnapshot, usage: SamplesByContainer, horizon: timedelta
) -> tuple[AppDiagnosis, ...]:
    """Diagnose MemoryClimbing, a warning, of each container that has it.

    Its cause is unknown: the measurements cannot tell a leak from a higher load.
    """
    return tuple(
        _memory_warning(container, pods)
        for container, pods in find_trending_containers(snapshot, usage, horizon).items()
    )


def _memory_warning(container: str, pods: tuple[PodView, ...]) -> AppDiagnosis:
    view = pods[0].find_container(container)
    limit = _memory_limit(view) if view else ""
    whose = "its" if container == names.CONTAINER_NAME else f"the {container} container's"
    symptom = f"{whose} memory usage climbs to the limit of {limit}"
    return AppDiagnosis(
        DiagnosisType.MEMORY_CLIMBING,
        Cause.UNKNOWN,
        Confidence.LOW,
        pods,
        messages.summarize_pods([pod.name for pod in pods], symptom),
        container=container,
    )
