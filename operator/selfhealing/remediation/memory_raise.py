"""Sets the memory limits of a record, judges a raise in progress, and undoes a failed one."""

from collections.abc import Iterable
from typing import Final

from selfhealing.api import names
from selfhealing.api.healing_status import (
    ActionOutcome,
    HealingAction,
    HealingStatus,
    MemoryLimitStatus,
    Remediation,
)
from selfhealing.api.scalars import TEXT_LIMIT
from selfhealing.cache.views import PodView
from selfhealing.health import messages
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.remediation.context import RemediationContext
from selfhealing.remediation.memory_ceiling import find_override
from selfhealing.remediation.memory_limit import exceeds

MAX_ATTEMPTS: Final = 2
"""How often the same limit is tried: in the running pods, then in new pods."""

INFEASIBLE: Final = "Infeasible"
"""A pending resize that the node can never carry out. The kubelet retries all others."""

_REFUSED_PODS: Final = frozenset({DiagnosisType.PODS_REFUSED, DiagnosisType.QUOTA_EXCEEDED})


def set_limit(
    record: HealingStatus, container: str, limit: str, *, in_template: bool
) -> HealingStatus:
    """Put a memory limit of a container in force instead of the spec's.

    The limit before is kept, to return to it if this one is undone; that is not a limit which has
    not helped.
    """
    override = find_override(record, container)
    previous = override.limit if override else None
    if override is not None and (
        override.limit == limit or count_failures(record.history, container, override.limit)
    ):
        previous = override.previous
    entry = MemoryLimitStatus(container=container, limit=limit, previous=previous)
    others = [other for other in record.memory_limits if other.container != container]
    return record.model_copy(
        update={"memory_limits": [*others, entry], "memory_in_template": in_template}
    )


def count_failures(actions: Iterable[HealingAction], container: str, limit: str) -> int:
    """Count the raises of a container to a limit that have failed."""
    return sum(
        action.remediation is Remediation.RAISE_MEMORY
        and action.outcome is ActionOutcome.FAILED
        and (container_of(action), action.target) == (container, limit)
        for action in actions
    )


def container_of(action: HealingAction) -> str:
    """The container of a raise; earlier versions raised the limit of the app's container only."""
    return action.container or names.CONTAINER_NAME


def find_failure(
    record: HealingStatus,
    action: HealingAction,
    context: RemediationContext,
    *,
    is_timed_out: bool,
) -> str:
    """Find why a raise in progress cannot succeed and has to be undone; empty if it still may.

    Args:
        record: the record, with the raised limit.
        action: the raise.
        context: what is known of the app.
        is_timed_out: whether the time of its verification has passed. Until then a node may make
            room for a resize, and a new node for a pod.
    """
    container = container_of(action)
    refused = context.external.refused_limits.get(container)
    if refused is not None and not exceeds(refused.limit, action.target):
        return refused.reason
    if record.memory_in_template:
        failing = _REFUSED_PODS | ({DiagnosisType.UNSCHEDULABLE} if is_timed_out else set())
        found = (each.message for each in context.diagnoses if each.type in failing)
        return next(found, "")
    pending = (
        pod
        for pod in context.pods
        if pod.resize_reason
        and (is_timed_out or pod.resize_reason == INFEASIBLE)
        and _waits_for_limit(pod, container, action.target)
    )
    pod = next(pending, None)
    if pod is None:
        return ""
    why = f": {messages.shorten(pod.resize_message)}" if pod.resize_message else ""
    return f"{pod.name} on {pod.node}: {pod.resize_reason}{why}"


def _waits_for_limit(pod: PodView, container: str, limit: str) -> bool:
    """Whether a pod was resized to a limit that its node has not applied."""
    view = pod.find_container(container)
    if view is None or exceeds(limit, view.limits.memory):
        return False
    return not view.applied_limits.memory or exceeds(limit, view.applied_limits.memory)


def undo_raise(
    record: HealingStatus, action: HealingAction, why: str
) -> tuple[HealingStatus, HealingAction]:
    """Put the limit before a raise in force again; a pod that has the higher one keeps it.

    Returns:
        The record, and the action with ``why`` in its message.
    """
    container = container_of(action)
    override = find_override(record, container)
    limits = [entry for entry in record.memory_limits if entry.container != container]
    if override is not None and override.previous is not None:
        limits.append(MemoryLimitStatus(container=container, limit=override.previous))
    in_template = record.memory_in_template and bool(limits)
    message = f"{action.message}; undone: {why}"[:TEXT_LIMIT]
    return (
        record.model_copy(update={"memory_limits": limits, "memory_in_template": in_template}),
        action.model_copy(update={"message": message}),
    )
