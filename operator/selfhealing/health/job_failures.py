"""Pods of a Job that failed, and why: what a restart is where containers are not restarted."""

from collections.abc import Iterable
from dataclasses import replace

from selfhealing.cache.snapshot import Facts
from selfhealing.cache.views import ContainerView, KillView, PodView, Termination
from selfhealing.health import messages
from selfhealing.health.pod_problems import Ailment, end_words
from selfhealing.health.termination_causes import PROBE_REASONS, Causes, ContainerKey


def culprit(pod: PodView) -> tuple[ContainerView, Termination] | None:
    """The container by whose end a pod failed, and that end; None for a pod that did not fail.

    Nor for one that a node threw out (which gives a reason) or that somebody deleted: that is no
    fault of the app.
    """
    if pod.phase != "Failed" or pod.restart_policy == "Always" or pod.reason or pod.deleting:
        return None
    ended = [
        (end.finished_at, container.name, container, end)
        for container in pod.containers
        if (end := container.terminated) is not None and end.exit_code and end.finished_at
    ]
    if not ended:
        return None
    _, _, container, end = min(ended, key=lambda found: found[:2])
    return container, end


def told(facts: Facts) -> tuple[KillView, ...]:
    """The kills by probes, also those of which the kubelet does not say that it was one.

    With the restart policy Never it stops the whole pod and does not say why. It has no other
    reason for that but a probe that failed, if the pod is not deleted and gives no reason. Which
    one it was: a container that has a startup probe and never was started failed that.
    """
    pods = {pod.uid: pod for pod in (*facts.pods, *facts.departed)}
    named = (
        kill if kill.probe else replace(kill, probe=_probe(pods[kill.pod_uid], kill))
        for kill in facts.kills
    )
    return tuple(kill for kill in named if kill.probe)


def _probe(pod: PodView, kill: KillView) -> str:
    """The probe for which a pod was stopped; empty when it was not for one."""
    ends = [(c.terminated, c) for c in pod.containers if c.terminated is not None]
    first = min(ends, key=lambda found: str(found[0].finished_at), default=None)
    if pod.restarts_it or pod.deleting or pod.reason or first is None:
        return ""
    end, container = first
    if container.name != kill.container or not container.killers:  # that one stopped by itself
        return ""
    if len(container.killers) == 1:
        return container.killers[0]
    # Until it is started a pod is not ready, and that has not changed since before it began.
    begun = pod.ready_since and end.started_at and pod.ready_since > end.started_at
    return "liveness" if begun else "startup"


def replaced(pod: PodView, pods: tuple[PodView, ...]) -> tuple[ContainerView, Termination] | None:
    """The ``culprit`` of a pod of which the Job has made another one since; else None."""
    found = culprit(pod)
    if found is None or found[1].finished_at is None:
        return None
    failed_at = found[1].finished_at
    others = (other for other in pods if other.template_hash == pod.template_hash)
    made = any(other.created is not None and other.created > failed_at for other in others)
    return found if made else None


def last_failure(facts: Facts, causes: Causes) -> Ailment | None:
    """Why the latest pod of the app's Job failed; None when that one did not.

    Of a Job that has given up it is the latest pod that did fail.
    """
    job = facts.job
    if job is None:
        return None
    made = [pod for pod in facts.pods if pod.template_hash == job.uid and not pod.deleting]
    latest = _latest(pod for pod in made if pod.phase == "Failed" or not job.reason)
    return failure(latest, causes) if latest is not None and latest.phase == "Failed" else None


def stopped_early(facts: Facts, causes: Causes) -> Ailment | None:
    """A pod that counts as a success although a probe had it stopped; None when there is none.

    So it is with an app that ends well when it is told to stop: only its exit code counts.
    """
    for pod in facts.pods:
        if pod.phase != "Succeeded" or facts.job is None or pod.template_hash != facts.job.uid:
            continue
        for container in pod.containers:
            cause = causes.of(ContainerKey(pod.uid, container.name), container.terminated)
            if container.terminated is not None and cause in PROBE_REASONS.values():
                message = end_words(container, container.terminated, cause)
                return Ailment(pod.name, pod.template_hash, cause, message)
    return None


def _latest(pods: Iterable[PodView]) -> PodView | None:
    return max(pods, key=lambda pod: (str(pod.created), pod.name), default=None)


def failure(pod: PodView, causes: Causes) -> Ailment:
    """Why a pod failed."""
    found = culprit(pod)
    if found is None:
        reason = pod.reason or pod.phase
        message = messages.first_sentence(pod.message) or "failed"
    else:
        container, end = found
        reason = causes.of(ContainerKey(pod.uid, container.name), end)
        message = end_words(container, end, reason)
    return Ailment(pod.name, pod.template_hash, reason, message)
