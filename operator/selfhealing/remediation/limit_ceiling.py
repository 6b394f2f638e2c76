"""Finds how far a limit of a container may be raised, and what keeps it from being raised.

A raise is the remedy where a container needs more than its own limit. It is none where the node ran
out of memory: the kernel or the kubelet then also kills containers far below their limit, and
containers that have none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from selfhealing.api import names
from selfhealing.api.container_limits import LimitedResource, LimitKey
from selfhealing.api.healing_status import HealingStatus
from selfhealing.cache.views import PodView
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.health.termination_causes import OOM_KILLED
from selfhealing.remediation.limit_steps import double, exceeds, lower_of
from selfhealing.remediation.policy import Policy
from selfhealing.remediation.raised_limits import get_raised_limits, resource_of


@dataclass(frozen=True, slots=True)
class RefusedLimit:
    """A limit that the API server or a node refuses, and why."""

    limit: str
    reason: str


def find_ceiling(policy: Policy, key: LimitKey, spec_limit: str) -> str:
    """Find the highest limit that a container may get; empty if it is never raised.

    It is ``memory.max`` or ``cpu.max`` for the app's container, if given, else twice the limit in
    the spec. VPA controls the app's container only (``render.vpa``).
    """
    allowed, is_app = policy.raises[key.resource], key.container == names.CONTAINER_NAME
    if not allowed.enabled or (is_app and allowed.is_vpa_controlled):
        return ""
    return (allowed.maximum if is_app else "") or double(key.resource, spec_limit)


def clamp_limits(
    policy: Policy, spec_limits: Mapping[LimitKey, str], limits: Mapping[LimitKey, str]
) -> dict[LimitKey, str]:
    """Reduce limits to their ceilings; those without one are dropped."""
    ceilings = {key: find_ceiling(policy, key, spec_limits.get(key, "")) for key in limits}
    return {
        key: lower_of(limit, ceilings[key])
        for key, limit in limits.items()
        if ceilings[key] and exceeds(limit, "0")
    }


def find_limit_in_force(pod: PodView, key: LimitKey) -> str:
    """Find the limit that a container of a pod has; empty if it is unknown or none.

    That of the pod's spec, unless the node has not carried out a resize.
    """
    view = pod.find_container(key.container)
    if view is None:
        return ""
    return (view.applied_limits if pod.resize_reason else view.limits).get(key.resource)


def select_limit(diagnosis: AppDiagnosis) -> LimitKey:
    """Select the limit that is too low: that of the container that is killed or slowed down.

    The pods of a diagnosis may differ in it; then it is the first one's.
    """
    killed = find_killed_containers(diagnosis.pods)
    container = diagnosis.container or next(iter(killed), names.CONTAINER_NAME)
    return LimitKey(container, resource_of(diagnosis))


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
    spec_limits: Mapping[LimitKey, str],
    policy: Policy,
    refused_limits: Mapping[LimitKey, RefusedLimit],
) -> str:
    """Find why no limit is raised for a diagnosis; empty if one may be.

    Args:
        diagnosis: an out-of-memory kill, the warning of one, or a lack of CPU.
        spec_limits: the limits in the spec.
        policy: the limits of spec.healing.
        refused_limits: what was refused lately.
    """
    key = select_limit(diagnosis)
    if not policy.raises[key.resource].enabled:
        return f"spec.healing.{key.resource}.enabled is false"
    if not spec_limits.get(key):
        why = (
            ", so the node's memory was exhausted" if key.resource is LimitedResource.MEMORY else ""
        )
        return f"container {key.container} has none in the spec{why}"
    if not find_ceiling(policy, key, spec_limits[key]):
        return f"verticalScaling controls the {key.resource.label}"
    refused = refused_limits.get(key)
    return f"{refused.limit} is refused: {refused.reason}" if refused is not None else ""


def explain_obstacles(
    diagnoses: Iterable[AppDiagnosis],
    record: HealingStatus,
    spec_limits: Mapping[LimitKey, str],
    policy: Policy,
    refused_limits: Mapping[LimitKey, RefusedLimit],
) -> tuple[AppDiagnosis, ...]:
    """Add to each diagnosis that a higher limit could end the reason why none is raised."""

    def explain(diagnosis: AppDiagnosis) -> AppDiagnosis:
        if diagnosis.type not in _OF_LIMITS:
            return diagnosis
        why = find_obstacle(diagnosis, spec_limits, policy, refused_limits) or _at_ceiling(
            diagnosis, record, spec_limits, policy
        )
        label = resource_of(diagnosis).label
        return (
            replace(
                diagnosis, message=f"{diagnosis.message}; the {label} limit is not raised: {why}"
            )
            if why
            else diagnosis
        )

    return tuple(explain(diagnosis) for diagnosis in diagnoses)


_OF_LIMITS: Final = frozenset({DiagnosisType.OOM_KILLED, DiagnosisType.CPU_THROTTLED})
"""Faults, not warnings, that a higher limit may end."""


def _at_ceiling(
    diagnosis: AppDiagnosis,
    record: HealingStatus,
    spec_limits: Mapping[LimitKey, str],
    policy: Policy,
) -> str:
    """Why there is no higher limit; empty while the highest one may still help in new pods."""
    key = select_limit(diagnosis)
    ceiling = find_ceiling(policy, key, spec_limits[key])
    override = get_raised_limits(record).get(key)
    may_help_in_new_pods = key.resource is LimitedResource.MEMORY and not record.memory_in_template
    if override is None or may_help_in_new_pods or exceeds(ceiling, override.limit):
        return ""
    field = (
        f"spec.resources.limits.{key.resource} or spec.healing.{key.resource}.max"
        if key.container == names.CONTAINER_NAME
        else f"the {key.resource.label} limit of the container {key.container} in the spec"
    )
    return f"it has reached its ceiling of {ceiling}: raise {field}"
