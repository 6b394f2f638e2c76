"""Finds the faults of an autoscaler: it has no metrics, or wants more pods than it may have."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final, NamedTuple

from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import ConditionView, HpaView
from selfhealing.health import messages
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.pod_diagnosis import DiagnosisType, Thresholds

SCALING_LIMITED_AFTER: Final = timedelta(minutes=10)
"""How long an autoscaler may want more pods than the maximum: a peak of a few minutes is what a
maximum is for."""

_MISSING_REQUEST: Final = "missing request for "
"""Part of the autoscaler's message, before the name of the resource (pkg/controller/podautoscaler
of Kubernetes 1.36)."""


class ScalingFault(NamedTuple):
    """A fault of an autoscaler.

    Attributes:
        type: what is wrong.
        message: a sentence.
        is_from_outside: the fault is neither in the spec nor in the load.
    """

    type: DiagnosisType
    message: str
    is_from_outside: bool


def find_scaling_faults(
    snapshot: AppSnapshot, deadlines: Deadlines, thresholds: Thresholds
) -> Iterator[ScalingFault]:
    """Yield what is wrong with the autoscaler of an app."""
    autoscaler = snapshot.hpa
    if autoscaler is None:
        return
    # Without a ready pod there is nothing to measure: the metrics are not what is wrong.
    is_measurable = any(pod.ready for pod in snapshot.pods)
    for condition in autoscaler.conditions:
        if condition.since is None:
            continue
        if _has_no_metrics(condition) and deadlines.reached(
            condition.since + thresholds.metrics_timeout
        ):
            is_from_outside = not find_missing_request(condition.message)
            if is_from_outside and not is_measurable:
                continue
            message = _describe_metrics(snapshot, condition)
            yield ScalingFault(DiagnosisType.METRICS_UNAVAILABLE, message, is_from_outside)
        if _is_at_maximum(condition) and deadlines.reached(condition.since + SCALING_LIMITED_AFTER):
            message = _describe_maximum(autoscaler)
            yield ScalingFault(DiagnosisType.SCALING_LIMITED, message, is_from_outside=False)


def find_missing_request(message: str) -> str:
    """Return the resource whose request the autoscaler misses: "cpu"; empty if none is missing."""
    _, found, rest = message.partition(_MISSING_REQUEST)
    return rest.split(" ", 1)[0] if found else ""


def _has_no_metrics(condition: ConditionView) -> bool:
    return (
        condition.type == "ScalingActive"
        and condition.status == "False"
        and condition.reason.startswith("FailedGet")
    )


def _is_at_maximum(condition: ConditionView) -> bool:
    return (
        condition.type == "ScalingLimited"
        and condition.status == "True"
        and condition.reason == "TooManyReplicas"
    )


def _describe_metrics(snapshot: AppSnapshot, condition: ConditionView) -> str:
    resource = find_missing_request(condition.message)
    if resource in {"cpu", "memory"}:
        return (
            f"the autoscaler cannot compute the use of {resource}: "
            f"spec.resources.requests.{resource} is not set"
        )
    why = messages.shorten(messages.strip_pod_names(condition.message, snapshot.app.key.name))
    return f"the autoscaler gets no metrics: {why}"


def _describe_maximum(autoscaler: HpaView) -> str:
    waited = messages.format_duration(SCALING_LIMITED_AFTER)
    maximum = autoscaler.max_replicas
    return (
        f"the autoscaler has wanted more than spec.autoscaling.maxReplicas = {maximum} pods "
        f"for {waited}"
    )
