"""Finds the failed pods of a Job, and why they failed.

A Job's container that fails is often not restarted: the Job creates another pod instead.
"""

from collections.abc import Iterable
from dataclasses import replace

from selfhealing.cache.event_views import ContainerKillEvent
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import ContainerView, PodView, Termination
from selfhealing.health import messages
from selfhealing.health.pod_problems import PodProblem, describe_termination
from selfhealing.health.termination_causes import PROBE_REASONS, ContainerKey, TerminationCauses


def find_failed_container(pod: PodView) -> tuple[ContainerView, Termination] | None:
    """Find the container that made a Job's pod fail, and its termination; None if there is none.

    A pod that its node evicted (its status has a reason), or that was deleted, has no failed
    container: that is not a fault of the app.
    """
    if pod.phase != "Failed" or pod.restart_policy == "Always" or pod.reason or pod.deleting:
        return None
    terminated = [
        (termination.finished_at, container.name, container, termination)
        for container in pod.containers
        if (termination := container.terminated) is not None
        and termination.exit_code
        and termination.finished_at
    ]
    if not terminated:
        return None
    _, _, container, termination = min(terminated, key=lambda entry: entry[:2])
    return container, termination


def find_probe_kills(snapshot: AppSnapshot) -> tuple[ContainerKillEvent, ...]:
    """Find the kills by probes, including those whose Event names no probe.

    With restartPolicy Never the kubelet stops the whole pod, and its Event does not say why. If the
    pod is not deleted and its status has no reason, a failed probe is the only possible cause. A
    container with a startup probe that has not started failed that one.
    """
    pods = {pod.uid: pod for pod in (*snapshot.pods, *snapshot.deleted_pods)}
    kills = (
        kill if kill.probe else replace(kill, probe=_infer_probe(pods[kill.pod_uid], kill))
        for kill in snapshot.kill_events
    )
    return tuple(kill for kill in kills if kill.probe)


def _infer_probe(pod: PodView, kill: ContainerKillEvent) -> str:
    """The probe whose failure stopped the pod; empty if no probe did."""
    terminations = [(c.terminated, c) for c in pod.containers if c.terminated is not None]
    first_terminated = min(terminations, key=lambda entry: str(entry[0].finished_at), default=None)
    if pod.kubelet_restarts or pod.deleting or pod.reason or first_terminated is None:
        return ""
    termination, container = first_terminated
    if container.name != kill.container or not container.restarting_probes:
        return ""  # the first container ended by itself
    if len(container.restarting_probes) == 1:
        return container.restarting_probes[0]
    # Before its startup probe succeeds a pod is not ready: then ready_since is before started_at.
    has_started = (
        pod.ready_since and termination.started_at and pod.ready_since > termination.started_at
    )
    return "liveness" if has_started else "startup"


def find_failed_container_if_replaced(
    pod: PodView, pods: tuple[PodView, ...]
) -> tuple[ContainerView, Termination] | None:
    """Find the failed container of a pod that the Job has replaced since; None otherwise."""
    failed = find_failed_container(pod)
    if failed is None or failed[1].finished_at is None:
        return None
    failed_at = failed[1].finished_at
    job_pods = (job_pod for job_pod in pods if job_pod.template_hash == pod.template_hash)
    has_successor = any(
        job_pod.created is not None and job_pod.created > failed_at for job_pod in job_pods
    )
    return failed if has_successor else None


def find_last_failure(snapshot: AppSnapshot, causes: TerminationCauses) -> PodProblem | None:
    """Find why the latest pod of the app's Job failed; None if that pod did not fail.

    If the Job has given up, the latest of the failed pods counts.
    """
    job = snapshot.job
    if job is None:
        return None
    job_pods = [pod for pod in snapshot.pods if pod.template_hash == job.uid and not pod.deleting]
    latest = _latest_pod(pod for pod in job_pods if pod.phase == "Failed" or not job.reason)
    return (
        describe_pod_failure(latest, causes)
        if latest is not None and latest.phase == "Failed"
        else None
    )


def find_probe_killed_success(
    snapshot: AppSnapshot, causes: TerminationCauses
) -> PodProblem | None:
    """Find a pod that succeeded although a probe had it stopped; None if there is none.

    An app that handles SIGTERM exits with code 0, and for the Job only the exit code counts.
    """
    for pod in snapshot.pods:
        if (
            pod.phase != "Succeeded"
            or snapshot.job is None
            or pod.template_hash != snapshot.job.uid
        ):
            continue
        for container in pod.containers:
            cause = causes.reason_for(ContainerKey(pod.uid, container.name), container.terminated)
            if container.terminated is not None and cause in PROBE_REASONS.values():
                message = describe_termination(container, container.terminated, cause)
                return PodProblem(pod.name, pod.template_hash, cause, message)
    return None


def _latest_pod(pods: Iterable[PodView]) -> PodView | None:
    return max(pods, key=lambda pod: (str(pod.created), pod.name), default=None)


def describe_pod_failure(pod: PodView, causes: TerminationCauses) -> PodProblem:
    """Describe why a pod failed."""
    failed = find_failed_container(pod)
    if failed is None:
        reason = pod.reason or pod.phase
        message = messages.first_sentence(pod.message) or "failed"
    else:
        container, termination = failed
        reason = causes.reason_for(ContainerKey(pod.uid, container.name), termination)
        message = describe_termination(container, termination, reason)
    return PodProblem(pod.name, pod.template_hash, reason, message)
