"""Describes each pod with the reasons of ``kubectl get pods`` and its problem; the worst first."""

from collections.abc import Iterable, Mapping
from typing import Final

from selfhealing.api.scalars import WORD_LIMIT
from selfhealing.api.status import MAX_PODS, LastRestart, PodStatus
from selfhealing.cache.parse_events import EVICTED
from selfhealing.cache.views import PodView
from selfhealing.health import messages
from selfhealing.health.evictions import Eviction
from selfhealing.health.faults import NOT_READY
from selfhealing.health.job_failures import describe_pod_failure, find_failed_container
from selfhealing.health.pod_problems import (
    TERMINAL_PHASES,
    PodProblem,
    is_active,
    is_stuck_on_lost_node,
)
from selfhealing.health.termination_causes import ContainerKey, TerminationCauses

STUCK_ON_LOST_NODE: Final = "its node {0} does not answer; it goes when the node is back or deleted"

DISRUPTIONS: Final[Mapping[str, str]] = {
    "PreemptionByScheduler": "preempted by the scheduler, for a pod of higher priority",
    "DeletionByTaintManager": "its node has a taint that it does not tolerate",
    "EvictionByEvictionAPI": "evicted, as by a drain of its node",
    "DeletionByPodGC": "its node is gone",
    "TerminationByKubelet": "evicted by its node",
}
"""Who removes a pod, by the reason of its condition DisruptionTarget (Kubernetes 1.36)."""


def count_pod_restarts(pod: PodView) -> int:
    """Count a pod's restarts as kubectl does: init containers count until it is initialized."""
    return sum(c.restarts for c in pod.containers if not (c.is_init and pod.initialized))


def build_pod_statuses(
    pods: tuple[PodView, ...],
    pod_problems: Iterable[PodProblem],
    causes: TerminationCauses,
    start_waits: Mapping[str, str],
    evictions: Iterable[Eviction] = (),
) -> list[PodStatus]:
    """Describe the pods with the most severe problems, at most MAX_PODS.

    ``start_waits``: by the name of a pod that starts the probe that it waits for.
    ``evictions``: the pods that were evicted for a limit of their own.
    """
    evicted = {eviction.pod.name: eviction.message for eviction in evictions}
    by_name = {pod_problem.pod_name: pod_problem for pod_problem in pod_problems}
    ranked = sorted(((pod, by_name.get(pod.name)) for pod in pods), key=_severity_key)
    return [
        _build_pod_status(
            pod, pod_problem, causes, start_waits.get(pod.name, ""), evicted.get(pod.name, "")
        )
        for pod, pod_problem in ranked[:MAX_PODS]
    ]


def _severity_key(entry: tuple[PodView, PodProblem | None]) -> tuple[bool, bool, bool, int, str]:
    """Active pods with problems come first; terminated and evicted pods come last."""
    pod, pod_problem = entry
    return not is_active(pod), pod_problem is None, pod.ready, -count_pod_restarts(pod), pod.name


def _build_pod_status(
    pod: PodView,
    pod_problem: PodProblem | None,
    causes: TerminationCauses,
    start_wait: str,
    eviction: str,
) -> PodStatus:
    if pod.deleting:  # each container that stops would cost a write of the status
        return PodStatus(
            name=pod.name,
            node=pod.node or None,
            restarts=count_pod_restarts(pod),
            reason="Terminating",
            message=STUCK_ON_LOST_NODE.format(pod.node)
            if is_stuck_on_lost_node(pod)
            else DISRUPTIONS.get(pod.disruption),
        )
    if eviction:
        reason, message = EVICTED, eviction
    elif pod_problem:
        reason, message = pod_problem.reason, pod_problem.message
    else:
        reason, message = _describe_state(pod, causes, start_wait)
    return PodStatus(
        name=pod.name,
        node=pod.node or None,
        phase=pod.phase,
        ready=pod.ready,
        restarts=count_pod_restarts(pod),
        reason=reason[:WORD_LIMIT] or None,
        message=message or None,
        last_restart=_find_last_restart(pod, causes),
    )


def _describe_state(pod: PodView, causes: TerminationCauses, start_wait: str) -> tuple[str, str]:
    """The reason and message of a pod without a problem that is not being deleted."""
    if find_failed_container(pod) is not None:
        pod_problem = describe_pod_failure(pod, causes)
        return pod_problem.reason, pod_problem.message
    if pod.phase in TERMINAL_PHASES:
        end_reason = "Completed" if pod.phase == "Succeeded" else pod.phase
        return pod.reason or end_reason, messages.first_sentence(pod.message)
    if pod.ready:
        return "", ""
    has_running_container = any(
        c.running_since is not None for c in pod.containers if not c.is_init
    )
    if not has_running_container:
        return "Starting", ""
    return NOT_READY, start_wait


def _find_last_restart(pod: PodView, causes: TerminationCauses) -> LastRestart | None:
    terminations = [
        (termination.finished_at, container.name, termination)
        for container in pod.containers
        if (termination := container.last_termination) is not None
        and termination.finished_at is not None
    ]
    if not terminations:
        return None
    at, name, termination = max(terminations, key=lambda entry: entry[:2])
    return LastRestart(
        container=name,
        reason=causes.reason_for(ContainerKey(pod.uid, name), termination),
        exit_code=termination.exit_code,
        at=at,
    )
