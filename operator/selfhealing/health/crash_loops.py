"""Decides whether a container crashes again and again, from its restarts and their times.

The back-off of the kubelet is not used: it grows from 10 s to 5 min, is reset after a run of
10 min, may be shorter on some nodes (KEP-5593), and starts anew in another pod.
"""

from datetime import datetime, timedelta
from typing import Final

from selfhealing.cache.probes import ProbeView
from selfhealing.cache.views import ContainerView, PodView, Termination
from selfhealing.health.deadlines import Deadlines

CRASH_LOOP_BACK_OFF: Final = "CrashLoopBackOff"

MIN_UPTIME_PER_RESTART: Final = timedelta(seconds=10)
"""Multiplied by the number of restarts, up to MAX_MIN_UPTIME. A container whose previous run was
shorter is not yet counted as recovered while it runs."""

MAX_MIN_UPTIME: Final = timedelta(seconds=60)
"""The upper bound of the minimum uptime, however often a container was restarted."""

KUBELET_REPORT_DELAY: Final = timedelta(seconds=10)
"""Added to 1.5 times the previous uptime before a container counts as recovered: a busy kubelet
reports the end of a container some seconds late."""

BACK_OFF_RESET: Final = timedelta(minutes=10)
"""The kubelet restarts a container that ran for this long without a back-off."""

CRASHLOOP_RESTARTS: Final = 3
"""Restarts that make a crash loop: by then the kubelet has used a back-off of 10 s and of 20 s."""

LONG_RUN: Final = timedelta(minutes=2)
"""A container that runs for this long, and is ready, has found what it depends on."""

MAX_RESTART_INTERVAL: Final = timedelta(minutes=30)
"""A container that is restarted more often than this, in the mean over the age of its pod, is in a
slow crash loop: two restarts an hour are more than any of the usual causes from outside, such as a
change of a node or of a dependency, bring about."""

INTERVALS_UNTIL_RECOVERED: Final = 2
"""Mean intervals without a restart after which a slow crash loop has ended."""


def last_termination(container: ContainerView) -> Termination | None:
    """Return how the container ended last; None if it never did."""
    return container.terminated or container.last_termination


def uptime(termination: Termination | None) -> timedelta | None:
    """Return how long the run lasted that ended so; None if that is not known."""
    if termination is None or termination.started_at is None or termination.finished_at is None:
        return None
    return termination.finished_at - termination.started_at


def has_long_uptime(termination: Termination) -> bool:
    """Whether the run was so long that the kubelet restarts the container without a back-off."""
    lasted = uptime(termination)
    return lasted is not None and lasted >= BACK_OFF_RESET


def has_long_runs(pod: PodView, at_least: timedelta = LONG_RUN) -> bool:
    """Whether a container of a pod was restarted, and ran for a time before, in a ready pod.

    A container that takes longer to start may have waited for what it depends on all that time.
    """
    return any(
        (ended := last_termination(container)) is not None
        and (lasted := uptime(ended)) is not None
        and lasted >= at_least
        and (pod.ready or _has_changed_readiness_since(pod, ended.started_at))
        for container in pod.containers
        if container.restarts
    )


def _has_changed_readiness_since(pod: PodView, start: datetime | None) -> bool:
    return start is not None and pod.ready_since is not None and pod.ready_since > start


def is_finished(container: ContainerView) -> bool:
    """Whether an init container has done its work, however often it had to try."""
    ended = container.terminated
    return container.is_init and ended is not None and not ended.exit_code


def find_recovery_time(container: ContainerView) -> datetime | None:
    """Return when a running container counts as recovered from its last end.

    That is after 1.5 times its previous uptime plus KUBELET_REPORT_DELAY: after 40 s if the
    previous run lasted 20 s. None for a container that was not restarted or does not run, and if
    its previous uptime is not known.
    """
    last_uptime = uptime(container.last_termination)
    if not container.restarts or container.running_since is None or last_uptime is None:
        return None
    return container.running_since + last_uptime * 1.5 + KUBELET_REPORT_DELAY


def is_recovering(container: ContainerView, deadlines: Deadlines) -> bool:
    """Whether a running container may still be in a fast crash loop.

    A container in such a loop is running, perhaps even ready, between two crashes.
    """
    last_uptime, recovered_at = (
        uptime(container.last_termination),
        find_recovery_time(container),
    )
    if last_uptime is None or recovered_at is None:
        return False
    min_uptime = min(MIN_UPTIME_PER_RESTART * container.restarts, MAX_MIN_UPTIME)
    return last_uptime < min_uptime and not deadlines.reached(recovered_at)


def is_awaiting_probe(
    container: ContainerView,
    probe: ProbeView | None,
    failed_at: datetime | None,
    deadlines: Deadlines,
) -> bool:
    """Whether a container that a probe has had killed has not shown yet that it passes the probe.

    It runs, and is perhaps ready, until the probe fails again. A run of BACK_OFF_RESET before the
    kill shows that it passes.

    Args:
        container: a container whose last termination was a kill by ``probe``.
        probe: the probe; None if the container has none any more.
        failed_at: when the probe last failed since the restart; None if it has not.
        deadlines: the time of this evaluation.
    """
    since, last_uptime = container.running_since, uptime(container.last_termination)
    if probe is None or since is None or last_uptime is None or last_uptime >= BACK_OFF_RESET:
        return False
    wait = timedelta(seconds=probe.first_answer_seconds) + KUBELET_REPORT_DELAY
    return not deadlines.reached(max(since, failed_at or since) + wait)


def is_crash_looping(pod: PodView, container: ContainerView, deadlines: Deadlines) -> bool:
    """Whether a container crashes again and again, and did so recently.

    In a fast loop its previous run was short, and its current run is less than twice as long. In a
    slow one the mean interval of its restarts is short, and less than two of them have passed. So
    a container that crashed once a week for a month is in no loop, nor is one that was in a loop a
    month ago.
    """
    if container.restarts < CRASHLOOP_RESTARTS or is_finished(container):
        return False
    if container.waiting_reason == CRASH_LOOP_BACK_OFF:
        return True
    return _is_in_fast_loop(container, deadlines) or _is_in_slow_loop(pod, container, deadlines)


def _is_in_fast_loop(container: ContainerView, deadlines: Deadlines) -> bool:
    last_uptime = uptime(last_termination(container))
    if last_uptime is None or last_uptime >= BACK_OFF_RESET:
        return False
    since = container.running_since
    return since is None or not deadlines.reached(since + 2 * last_uptime + KUBELET_REPORT_DELAY)


def _is_in_slow_loop(pod: PodView, container: ContainerView, deadlines: Deadlines) -> bool:
    interval = mean_restart_interval(pod, container)
    ended = last_termination(container)
    if interval is None or ended is None or ended.finished_at is None:
        return False
    recovered_at = ended.finished_at + INTERVALS_UNTIL_RECOVERED * interval
    return interval <= MAX_RESTART_INTERVAL and not deadlines.reached(recovered_at)


def mean_restart_interval(pod: PodView, container: ContainerView) -> timedelta | None:
    """Return the mean time from one end of a container to the next, from the start of its pod.

    None if it never ended, or if the times are not known.
    """
    ended = last_termination(container)
    if pod.created is None or ended is None or ended.finished_at is None or not container.restarts:
        return None
    ends = container.restarts + (container.terminated is not None)
    return (ended.finished_at - pod.created) / ends
