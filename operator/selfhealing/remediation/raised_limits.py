"""Reads and writes the limits of a record that are in force instead of the spec's."""

from collections.abc import Mapping
from typing import Final

from selfhealing.api import names
from selfhealing.api.container_limits import LimitedResource, LimitKey
from selfhealing.api.healing_status import (
    HealingAction,
    HealingStatus,
    RaisedLimitStatus,
    Remediation,
)
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.pod_diagnosis import DiagnosisType

RAISES: Final[Mapping[LimitedResource, Remediation]] = {
    LimitedResource.CPU: Remediation.RAISE_CPU,
    LimitedResource.MEMORY: Remediation.RAISE_MEMORY,
}
"""The remediation that raises the limits of a resource."""

_RESOURCES: Final = {remediation: resource for resource, remediation in RAISES.items()}

NO_RAISED_LIMITS: Final[Mapping[str, object]] = {
    "memory_limits": [],
    "memory_in_template": False,
    "cpu_limits": [],
}
"""The fields of a record by which the limits of the spec are in force."""


def get_raised_limits(record: HealingStatus) -> dict[LimitKey, RaisedLimitStatus]:
    """Return the limits that are in force instead of the spec's."""
    entries_by_resource = {
        LimitedResource.CPU: record.cpu_limits,
        LimitedResource.MEMORY: record.memory_limits,
    }
    return {
        LimitKey(entry.container, resource): entry
        for resource, entries in entries_by_resource.items()
        for entry in entries
    }


def with_raised_limits(
    record: HealingStatus, limits: Mapping[LimitKey, RaisedLimitStatus]
) -> HealingStatus:
    """Return a record with these limits, and no others, in force instead of the spec's."""
    cpu, memory = (
        [entry for key, entry in limits.items() if key.resource is resource]
        for resource in (LimitedResource.CPU, LimitedResource.MEMORY)
    )
    in_template = record.memory_in_template and bool(memory)
    return record.model_copy(
        update={"cpu_limits": cpu, "memory_limits": memory, "memory_in_template": in_template}
    )


def resource_of(diagnosis: AppDiagnosis) -> LimitedResource:
    """Return the resource that the containers of a diagnosis lack."""
    is_cpu = diagnosis.type is DiagnosisType.CPU_THROTTLED
    return LimitedResource.CPU if is_cpu else LimitedResource.MEMORY


def find_raised_key(action: HealingAction) -> LimitKey | None:
    """Find the limit that an action raises; None if it raises none.

    Earlier versions raised the memory limit of the app's container only, and named no container.
    """
    resource = _RESOURCES.get(action.remediation)
    return (
        None if resource is None else LimitKey(action.container or names.CONTAINER_NAME, resource)
    )
