"""Tells that a container is slowed down by its CPU limit while its probes fail.

A container at its CPU limit is paused by the kernel for a part of each 100 ms. A probe that has a
second to be answered then fails although nothing is wrong with the app but its limit. Usage at the
limit alone is no fault: a batch job uses what it gets.
"""

from collections.abc import Iterable
from typing import Final

from selfhealing.api.quantity import parse_quantity
from selfhealing.cache.views import ContainerView, PodView
from selfhealing.health import messages
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.health.pod_problems import is_active
from selfhealing.health.termination_causes import ContainerKey
from selfhealing.health.usage import SamplesByContainer

THROTTLED_PERCENT: Final = 95
"""Percent of the CPU limit that the mean usage of a throttled container reaches: it never exceeds
the limit, and metrics-server's interval need not match the kernel's periods."""

MIN_SAMPLES: Final = 3
"""Successive measurements at the limit: a start may use all of it for some seconds."""


def may_be_throttled(pod: PodView) -> bool:
    """Whether a pod has a container with a CPU limit that runs, or did, and is not ready."""
    return is_active(pod) and any(
        container.running_since is not None or container.restarts
        for container in _find_suspects(pod)
    )


def find_cpu_throttling(
    pods: Iterable[PodView], usage: SamplesByContainer
) -> tuple[AppDiagnosis, ...]:
    """Diagnose CPUThrottled: the limit is too low, or the app never stops computing."""
    throttled = [
        (pod, container)
        for pod in pods
        if is_active(pod)
        for container in _find_suspects(pod)
        if container.running_since is not None and _is_at_limit(pod, container, usage)
    ]
    if not throttled:
        return ()
    _, first = throttled[0]
    affected = tuple(pod for pod, container in throttled if container.name == first.name)
    symptom = (
        f"container {first.name} is not ready and uses all of its CPU limit of {_cpu_limit(first)}:"
        " a limit that is too low makes probes fail"
    )
    return (
        AppDiagnosis(
            DiagnosisType.CPU_THROTTLED,
            Cause.UNKNOWN,
            Confidence.LOW,
            affected,
            messages.summarize_pods([pod.name for pod in affected], symptom),
            symptom=symptom,
            container=first.name,
        ),
    )


def _find_suspects(pod: PodView) -> Iterable[ContainerView]:
    return (
        container
        for container in pod.containers
        if not container.is_init and not container.ready and _cpu_limit(container)
    )


def _cpu_limit(container: ContainerView) -> str:
    return container.applied_limits.cpu or container.limits.cpu


def _is_at_limit(pod: PodView, container: ContainerView, usage: SamplesByContainer) -> bool:
    limit = parse_quantity(_cpu_limit(container))
    latest = usage.get(ContainerKey(pod.uid, container.name), ())[-MIN_SAMPLES:]
    return (
        bool(limit)
        and len(latest) == MIN_SAMPLES
        and all(
            sample.cpu_cores is not None
            and limit is not None
            and sample.cpu_cores * 100 >= limit * THROTTLED_PERCENT
            for sample in latest
        )
    )
