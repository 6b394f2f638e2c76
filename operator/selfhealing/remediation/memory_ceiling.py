"""Finds how far the memory limit of a container may be raised, and what keeps it from being raised.

A raise is the remedy where a container needs more than its own limit. It is none where the node ran
out of memory: the kernel or the kubelet then also kills containers far below their limit, and
containers that have none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from selfhealing.api import names
from selfhealing.api.healing_status import HealingStatus, MemoryLimitStatus
from selfhealing.cache.views import PodView
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.health.termination_causes import OOM_KILLED
from selfhealing.remediation.memory_limit import double, exceeds, lower_of
from selfhealing.remediation.policy import Policy


@dataclass(frozen=True, slots=True)
class RefusedLimit:
    """A memory limit that the API server or a node refuses, and why."""

    limit: str
    reason: str


def find_ceiling(policy: Policy, container: str, spec_limit: str) -> str:
    """Find the highest memory limit that a container may get; empty if it is never raised.

    It is ``memory.max`` for the app's container, if given, else twice the limit in the spec. VPA
    controls the app's container only (``render.vpa``).
    """
    is_app = container == names.CONTAINER_NAME
    if not policy.raise_memory or (is_app and policy.vpa_controls_memory):
        return ""
    return (policy.memory_max if is_app else "") or double(spec_limit)


def clamp_limits(
    policy: Policy, spec_limits: Mapping[str, str], limits: Mapping[str, str]
) -> dict[str, str]:
    """Reduce memory limits to the ceilings of their containers; those without one are dropped."""
    ceilings = {name: find_ceiling(policy, name, spec_limits.get(name, "")) for name in limits}
    return {
        name: lower_of(limit, ceilings[name])
        for name, limit in limits.items()
        if ceilings[name] and exceeds(limit, "0")
    }


def find_override(record: HealingStatus, container: str) -> MemoryLimitStatus | None:
    """Find the memory limit of a container that is in force instead of the spec's."""
    return next((entry for entry in record.memory_limits if entry.container == container), None)


def find_limit_in_force(pod: PodView, container: str) -> str:
    """Find the memory limit that a container of a pod has; empty if it is unknown or none.

    That of the pod's spec, unless the node has not carried out a resize.
    """
    view = pod.find_container(container)
    if view is None:
        return ""
    return (view.applied_limits if pod.resize_reason else view.limits).memory


def select_container(diagnosis: AppDiagnosis) -> str:
    """Select the container whose limit is too low: the one that the kernel killed.

    The pods of a diagnosis may differ in it; then it is the first one's.
    """
    if diagnosis.container:
        return diagnosis.container
    return next(iter(find_killed_containers(diagnosis.pods)), names.CONTAINER_NAME)


def find_killed_containers(pods: Iterable[PodView]) -> list[str]:
    """Find the names of the containers whose last run ended by an out-of-memory kill."""
    return [
        container.name
        for pod in pods
        for container in pod.containers
        if (end := container.terminated or container.last_termination) is not None
        and end.reason == OOM_KILLED
    ]


def find_obstacle(
    diagnosis: AppDiagnosis,
    spec_limits: Mapping[str, str],
    policy: Policy,
    refused_limits: Mapping[str, RefusedLimit],
) -> str:
    """Find why no memory limit is raised for a diagnosis; empty if one may be.

    Args:
        diagnosis: an out-of-memory kill, or the warning of one.
        spec_limits: the memory limits in the spec, by container.
        policy: the limits of spec.healing.
        refused_limits: what was refused lately, by container.
    """
    container = select_container(diagnosis)
    if not policy.raise_memory:
        return "spec.healing.memory.enabled is false"
    if not spec_limits.get(container):
        return f"container {container} has none in the spec, so the node's memory was exhausted"
    if not find_ceiling(policy, container, spec_limits[container]):
        return "verticalScaling controls the memory"
    refused = refused_limits.get(container)
    return f"{refused.limit} is refused: {refused.reason}" if refused is not None else ""


def explain_obstacles(
    diagnoses: Iterable[AppDiagnosis],
    record: HealingStatus,
    spec_limits: Mapping[str, str],
    policy: Policy,
    refused_limits: Mapping[str, RefusedLimit],
) -> tuple[AppDiagnosis, ...]:
    """Add to the message of an out-of-memory kill why no memory limit is raised."""

    def explain(diagnosis: AppDiagnosis) -> AppDiagnosis:
        if diagnosis.type is not DiagnosisType.OOM_KILLED:
            return diagnosis
        why = find_obstacle(diagnosis, spec_limits, policy, refused_limits) or _at_ceiling(
            diagnosis, record, spec_limits, policy
        )
        return (
            replace(
                diagnosis, message=f"{diagnosis.message}; the memory limit is not raised: {why}"
            )
            if why
            else diagnosis
        )

    return tuple(explain(diagnosis) for diagnosis in diagnoses)


def _at_ceiling(
    diagnosis: AppDiagnosis, record: HealingStatus, spec_limits: Mapping[str, str], policy: Policy
) -> str:
    """Why there is no higher limit; empty while the highest one may still help in new pods."""
    container = select_container(diagnosis)
    ceiling = find_ceiling(policy, container, spec_limits[container])
    override = find_override(record, container)
    if override is None or not record.memory_in_template or exceeds(ceiling, override.limit):
        return ""
    field = (
        "spec.resources.limits.memory or spec.healing.memory.max"
        if container == names.CONTAINER_NAME
        else f"the memory limit of the container {container} in the spec"
    )
    return f"it has reached its ceiling of {ceiling}: raise {field}"
