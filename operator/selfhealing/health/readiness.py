"""Finds the fault of a pod whose containers run, but which is not ready or does not stay ready."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from selfhealing.cache.views import ContainerView, PodView
from selfhealing.health import messages
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.faults import NOT_READY, READINESS_FLAPPING, Fault, container_prefix
from selfhealing.health.observations import FailingProbe, Observations

MIN_PROBE_FAILURES: Final = 3
"""Failures of a probe that make a problem of a pod that was never ready: the failureThreshold of
Kubernetes, with which a pod that was ready is taken out of service."""

START_GRACE: Final = timedelta(seconds=30)
"""How long a container may start before an answer that is not definite makes a problem: three
failures with the default periodSeconds of 10. A probe may be asked every second."""

STARTUP_SHARE_DIVISOR: Final = 2
"""A startup probe is there because the start takes long. Unless its answer is definite, it must
have failed for one in this number of the failures that it allows."""

MIN_READY_LOSSES: Final = 5
READY_LOSS_WINDOW: Final = timedelta(minutes=10)
"""A pod that has lost its readiness this often within the window flaps. A rollout, a scaling or a
dependency that fails takes it once or twice; the window is the default progress deadline."""

MAX_START_TIME: Final = timedelta(hours=1)
"""The longest time that a startup probe is believed to need, whatever it allows: until it has
passed, nothing else is done about the app."""

_READINESS: Final = ("readiness",)


def was_ready_before(pod: PodView) -> bool:
    """Whether a pod that is not ready was ready since its containers started last."""
    return pod.ready_since is not None and all(
        c.running_since is not None and pod.ready_since > c.running_since
        for c in pod.containers
        if not c.is_init
    )


def is_starting(pod: PodView, progress_deadline: timedelta, deadlines: Deadlines) -> bool:
    """Whether a pod is new, and not ready only because it starts for the first time.

    It may take the progress deadline, or what its startup probes allow, if that is more.
    """
    if pod.ready or pod.created is None or any(c.restarts for c in pod.containers):
        return False
    ends = filter(None, map(find_start_deadline, pod.containers))
    return not deadlines.reached(max((pod.created + progress_deadline, *ends)))


def find_start_deadline(container: ContainerView) -> datetime | None:
    """Return by when a running container has started; None without a startup probe.

    The kubelet restarts a container that takes longer than its startup probe allows.
    """
    probe, since = container.find_probe("startup"), container.running_since
    if probe is None or since is None:
        return None
    allowed = timedelta(seconds=probe.first_answer_seconds) * probe.failure_threshold
    return since + min(allowed, MAX_START_TIME) + START_GRACE


def find_not_ready_fault(
    pod: PodView, observations: Observations, deadlines: Deadlines
) -> Fault | None:
    """Find why a pod that was ready, or was restarted, is not ready now.

    A pod that starts for the first time has no fault here: its Ready condition changed last before
    its containers ran.
    """
    regular_containers = [container for container in pod.containers if not container.is_init]
    unready_containers = [
        c for c in regular_containers if not c.ready and c.running_since is not None
    ]
    if not unready_containers:
        return None
    first = unready_containers[0]
    last_started = max(c.running_since for c in regular_containers if c.running_since is not None)
    was_ready = pod.ready_since is not None and pod.ready_since > last_started
    if not was_ready and not any(c.restarts for c in unready_containers):
        return _find_failing_start(pod, unready_containers, observations, deadlines)
    failing = find_failing_probe(pod, first, observations)
    if failing is not None:
        return _describe_failing_probe(first, failing)
    prefix = container_prefix(first)
    if was_ready:
        return Fault(NOT_READY, f"{prefix}does not pass its readiness probe", first.name)
    return Fault(NOT_READY, f"{prefix}was restarted and is not ready yet", first.name)


def find_failing_probe(
    pod: PodView, container: ContainerView, observations: Observations
) -> FailingProbe | None:
    """Find the probe that keeps a running container from being ready."""
    kinds = ("startup",) if container.starting else _READINESS
    return observations.find_failing_probe(pod, container, kinds, container.running_since)


def _find_failing_start(
    pod: PodView,
    unready_containers: Iterable[ContainerView],
    observations: Observations,
    deadlines: Deadlines,
) -> Fault | None:
    """Find the probe for which a pod that was never ready does not become so.

    While another pod of the template is ready, the template is known to start: this pod is being
    scaled up or moved, and is not ill.
    """
    if observations.has_ready_sibling(pod):
        return None
    for container in unready_containers:
        failing = find_failing_probe(pod, container, observations)
        if (
            failing is not None
            and failing.count >= _failures_until_fault(failing)
            and (failing.is_definite or _has_grace_passed(container, deadlines))
        ):
            return _describe_failing_probe(container, failing)
    return None


def _has_grace_passed(container: ContainerView, deadlines: Deadlines) -> bool:
    since = container.running_since
    return since is not None and deadlines.reached(since + START_GRACE)


def _failures_until_fault(failing: FailingProbe) -> int:
    if failing.probe.kind == "startup" and not failing.is_definite:
        return max(MIN_PROBE_FAILURES, failing.probe.failure_threshold // STARTUP_SHARE_DIVISOR)
    return MIN_PROBE_FAILURES


def _describe_failing_probe(container: ContainerView, failing: FailingProbe) -> Fault:
    answer = failing.describe()
    return Fault(NOT_READY, f"{container_prefix(container)}{answer}", container.name, answer=answer)


def describe_start(pod: PodView, observations: Observations, deadlines: Deadlines) -> str:
    """Describe the probe for which a pod that still starts waits; empty if it is too early to tell.

    Without an Event the answer is not known: a kubelet under load reports none.
    """
    for container in pod.containers:
        if container.is_init or container.ready or container.running_since is None:
            continue
        failing = find_failing_probe(pod, container, observations)
        if failing is not None and failing.count >= MIN_PROBE_FAILURES:
            return f"{container_prefix(container)}{failing.describe()}"
        probe = container.find_probe("startup" if container.starting else "readiness")
        if probe is not None and _has_grace_passed(container, deadlines):
            return f"{container_prefix(container)}waits for {probe.describe()}"
    return ""


def find_flapping_fault(
    pod: PodView, observations: Observations, deadlines: Deadlines
) -> Fault | None:
    """Find whether a pod stops being ready again and again, without a restart."""
    losses = observations.find_ready_losses(pod)
    if len(losses) < MIN_READY_LOSSES:
        return None
    if deadlines.reached(losses[-MIN_READY_LOSSES] + READY_LOSS_WINDOW):
        return None
    window = messages.format_duration(READY_LOSS_WINDOW)
    message = f"becomes ready and unready again and again, {MIN_READY_LOSSES} times in {window}"
    for container in pod.containers:
        failing = observations.find_failing_probe(
            pod, container, _READINESS, deadlines.now - READY_LOSS_WINDOW
        )
        if failing is not None:
            answer = failing.describe()
            return Fault(READINESS_FLAPPING, f"{message}: {answer}", container.name, answer=answer)
    return Fault(READINESS_FLAPPING, message)
