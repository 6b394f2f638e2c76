"""Sets the raised limits of a record, judges a raise in progress, and undoes a failed one."""

from collections.abc import Iterable, Mapping
from typing import Final

from selfhealing.api.container_limits import LimitedResource, LimitKey
from selfhealing.api.healing_status import (
    ActionOutcome,
    HealingAction,
    HealingStatus,
    RaisedLimitStatus,
)
from selfhealing.api.scalars import TEXT_LIMIT
from selfhealing.cache.views import PodView
from selfhealing.health import messages
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.remediation.context import RemediationContext
from selfhealing.remediation.limit_steps import exceeds
from selfhealing.remediation.raised_limits import (
    find_raised_key,
    get_raised_limits,
    with_raised_limits,
)

MAX_ATTEMPTS: Final[Mapping[LimitedResource, int]] = {
    LimitedResource.MEMORY: 2,
    LimitedResource.CPU: 1,
}
"""How often the same limit is tried: in the running pods, then, for memory, in new pods. A
container without memory may be killed before it gets more; one without CPU runs."""

INFEASIBLE: Final = "Infeasible"
"""A pending resize that the node can never carry out. The kubelet retries all others."""

_REFUSED_PODS: Final = frozenset({DiagnosisType.PODS_REFUSED, DiagnosisType.QUOTA_EXCEEDED})


def set_limit(
    record: HealingStatus, key: LimitKey, limit: str, *, in_template: bool
) -> HealingStatus:
    """Put a limit of a container in force instead of the spec's.

    The limit before is kept, to return to it if this one is undone; that is not a limit which has
    not helped.

    Args:
        record: the record.
        key: the limit.
        limit: its new value.
        in_template: new pods are created with it; of memory only.
    """
    limits = get_raised_limits(record)
    override = limits.pop(key, None)
    previous = override.limit if override else None
    if override is not None and (
        override.limit == limit or count_failures(record.history, key, override.limit)
    ):
        previous = override.previous
    limits[key] = RaisedLimitStatus(container=key.container, limit=limit, previous=previous)
    if key.resource is LimitedResource.MEMORY:
        record = record.model_copy(update={"memory_in_template": in_template})
    return with_raised_limits(record, limits)


def count_failures(actions: Iterable[HealingAction], key: LimitKey, limit: str) -> int:
    """Count the raises to a limit that have failed."""
    return sum(
        action.outcome is ActionOutcome.FAILED
        and (find_raised_key(action), action.target) == (key, limit)
        for action in actions
    )


def find_failure(
    record: HealingStatus,
    action: HealingAction,
    key: LimitKey,
    context: RemediationContext,
    *,
    is_timed_out: bool,
) -> str:
    """Find why a raise in progress cannot succeed and has to be undone; empty if it still may.

    Args:
        record: the record, with the raised limit.
        action: the raise.
        key: the limit that it raises.
        context: what is known of the app.
        is_timed_out: whether the time of its verification has passed. Until then a node may make
            room for a resize, and a new node for a pod.
    """
    refused = context.external.refused_limits.get(key)
    if refused is not None and not exceeds(refused.limit, action.target):
        return refused.reason
    if key.resource is LimitedResource.MEMORY and record.memory_in_template:
        failing = _REFUSED_PODS | ({DiagnosisType.UNSCHEDULABLE} if is_timed_out else set())
        found = (each.message for each in context.diagnoses if each.type in failing)
        return next(found, "")
    pending = (
        pod
        for pod in context.pods
        if pod.resize_reason
        and (is_timed_out or pod.resize_reason == INFEASIBLE)
        and _waits_for_limit(pod, key, action.target)
    )
    pod = next(pending, None)
    if pod is None:
        is_cpu_in_vain = (
            key.resource is LimitedResource.CPU and is_timed_out and context.ready < context.wanted
        )
        return "it did not help" if is_cpu_in_vain else ""
    why = f": {messages.shorten(pod.resize_message)}" if pod.resize_message else ""
    return f"{pod.name} on {pod.node}: {pod.resize_reason}{why}"


def _waits_for_limit(pod: PodView, key: LimitKey, limit: str) -> bool:
    """Whether a pod was resized to a limit that its node has not applied."""
    view = pod.find_container(key.container)
    if view is None or exceeds(limit, view.limits.get(key.resource)):
        return False
    applied = view.applied_limits.get(key.resource)
    return not applied or exceeds(limit, applied)


def undo_raise(
    record: HealingStatus, action: HealingAction, key: LimitKey, why: str
) -> tuple[HealingStatus, HealingAction]:
    """Put the limit before a raise in force again; a pod that has the higher one keeps it.

    Returns:
        The record, and the action with ``why`` in its message.
    """
    limits = get_raised_limits(record)
    override = limits.pop(key, None)
    if override is not None and override.previous is not None:
        limits[key] = RaisedLimitStatus(container=key.container, limit=override.previous)
    message = f"{action.message}; undone: {why}"[:TEXT_LIMIT]
    return with_raised_limits(record, limits), action.model_copy(update={"message": message})
