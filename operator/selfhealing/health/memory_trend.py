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
from selfhealing.api.quantity import quantity
from selfhealing.cache.parse import time
from selfhealing.cache.snapshot import Facts
from selfhealing.cache.views import PodView
from selfhealing.health import messages
from selfhealing.health.app_diagnosis import Illness
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.pod_diagnosis import IllnessType
from selfhealing.health.pod_problems import is_live
from selfhealing.health.rollout import template_hash

HIGH: Final = 85
"""Percent of the limit from which on growth is looked at."""

FULL: Final = 95
"""Percent of the limit that are too much without any growth."""

FEWEST: Final = 3
"""So many measurements at least tell anything."""

TAIL: Final = 4
"""Measurements that a trend is told by: of more, one that has ended would show for too long."""

SPAN: Final = timedelta(seconds=15)
"""A trend is told by no shorter time: an app that takes up one request may grow for a second."""


@dataclass(frozen=True, slots=True)
class Sample:
    """How much memory a container used, in bytes, and when that was measured."""

    at: datetime
    used: int


Usage = Mapping[str, Sequence[Sample]]
"""The last measurements by the uid of the pod, the latest last."""


def climbs(samples: Sequence[Sample], limit: int, horizon: timedelta) -> bool:
    """Whether a container's use of memory climbs to its limit.

    Args:
        samples: the last measurements, the latest last, no two of the same moment.
        limit: the limit in force, in bytes.
        horizon: how near in time the limit must be.
    """
    if len(samples) < FEWEST:
        return False
    latest = samples[-FEWEST:]
    is_full = all(each.used * 100 >= limit * FULL for each in latest)
    if is_full and latest[-1].used >= latest[0].used:
        return True
    tail = samples[-TAIL:]
    now = tail[-1]
    if now.used * 100 < limit * HIGH or now.at - tail[0].at < SPAN:
        return False
    if now.used < max(each.used for each in tail):
        return False
    rate = _rate(tail)
    return rate > 0 and limit - now.used <= rate * Fraction(horizon.total_seconds())


def _rate(samples: Sequence[Sample]) -> Fraction:
    """The slope of the line of least squares, in bytes a second; exact, whatever the units."""
    first = samples[0]
    points = [
        (Fraction((each.at - first.at).total_seconds()), each.used - first.used) for each in samples
    ]
    count = len(points)
    times, uses = sum(t for t, _ in points), sum(u for _, u in points)
    both, squares = sum(t * u for t, u in points), sum(t * t for t, _ in points)
    return Fraction(count * both - times * uses) / (count * squares - times * times)


def climbing(facts: Facts, usage: Usage, horizon: timedelta) -> tuple[PodView, ...]:
    """The pods of the current template whose use of memory climbs to their limit.

    Those of a former one are on their way out, and would not be given more.
    """
    current = template_hash(facts)
    return tuple(
        pod
        for pod in facts.pods
        if is_live(pod)
        and pod.template_hash == current
        and (limit := quantity(_limit(pod)))
        and climbs(usage.get(pod.uid, ()), int(limit), horizon)
    )


def _limit(pod: PodView) -> str:
    """The limit in force: what the kubelet has set, where it says so."""
    return pod.memory_applied or pod.memory_limit


def warnings(facts: Facts, usage: Usage, horizon: timedelta) -> tuple[Illness, ...]:
    """What is no illness yet, and will soon be one.

    Nobody can tell from here whether it is a leak or more work, so nobody is blamed.
    """
    pods = climbing(facts, usage, horizon)
    if not pods:
        return ()
    what = f"its use of memory climbs to the limit of {_limit(pods[0])}"
    message = messages.about([pod.name for pod in pods], what)
    kind = IllnessType.MEMORY_CLIMBING
    return (Illness(kind, Cause.UNKNOWN, Confidence.LOW, pods, message),)


def sample(raw: Mapping[str, Any]) -> tuple[str, Sample] | None:
    """The name of a pod and what its main container used, from its PodMetrics.

    None where that container was not measured.
    """
    at = time(raw.get("timestamp"))
    for container in raw.get("containers") or ():
        used = quantity(container.get("usage", {}).get("memory"))
        if container["name"] == names.CONTAINER_NAME and at is not None and used is not None:
            return raw["metadata"]["name"], Sample(at, int(used))
    return None
