"""Summarizes the rollout of a Deployment: how many pods are wanted, exist and are ready.

Pods are counted directly, because the Deployment's own status lags behind them. They are told apart
by their template: pods of an earlier template serve requests, but are not what the spec asks for.
"""

from dataclasses import dataclass
from typing import Final

from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import ConditionView, DeploymentView, PodView
from selfhealing.health.pod_problems import is_active

NEW_REPLICA_SET_AVAILABLE: Final = "NewReplicaSetAvailable"
"""The reason of the condition Progressing after a rollout; it stays when pods fail later."""

DEPLOYMENT_PAUSED: Final = "DeploymentPaused"
"""The reason of the condition Progressing while the Deployment is paused."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """The progress of a Deployment.

    Attributes:
        wanted: the Deployment's replicas, or the autoscaler's minimum if that is more: it raises
            them to it without any measurement.
        active: pods that run or will run.
        ready: ready pods of any template.
        current_ready: ready pods of the current template.
        updated: pods of the current template, as the Deployment counts them.
        old: pods of earlier templates.
        old_ready: ready pods of earlier templates.
        is_observed: the Deployment controller has observed the latest spec.
        is_rolled_out: the latest rollout was completed.
        is_awaiting_min_ready: ready pods wait for minReadySeconds.
        is_paused: the Deployment is paused.
        stalled_condition: the condition that the rollout makes no progress.
        replica_failure: the condition that no pod can be created.
    """

    wanted: int
    active: int
    ready: int
    current_ready: int
    updated: int
    old: int
    old_ready: int
    is_observed: bool
    is_rolled_out: bool
    is_awaiting_min_ready: bool
    is_paused: bool
    stalled_condition: ConditionView | None
    replica_failure: ConditionView | None

    @property
    def ready_wanted(self) -> int:
        """Ready pods of the current template, at most the wanted number."""
        return min(self.current_ready, self.wanted)

    @property
    def has_only_updated_pods(self) -> bool:
        """Whether all wanted pods are made from the current template, and no old pod exists."""
        return self.is_observed and self.updated >= self.wanted and not self.old

    @property
    def is_complete(self) -> bool:
        """Whether everything that the spec asks for exists and is ready."""
        return (
            self.has_only_updated_pods
            and self.current_ready >= self.wanted
            and not self.is_awaiting_min_ready
        )


def summarize_rollout(snapshot: AppSnapshot) -> Rollout | None:
    """Summarize the rollout of an app; None if the app has no Deployment."""
    deployment = snapshot.deployment
    if deployment is None:
        return None
    active_pods = [pod for pod in snapshot.pods if is_active(pod)]
    current_hash = current_template_hash(snapshot)
    # A pod without a hash carries the app's label, but does not belong to the app.
    old_pods = [pod for pod in active_pods if pod.template_hash not in {"", current_hash}]
    progressing = _find_condition(deployment, "Progressing")
    replica_failure = _find_condition(deployment, "ReplicaFailure")
    return Rollout(
        wanted=_count_wanted(snapshot, deployment),
        active=len(active_pods),
        ready=_count_ready(active_pods),
        current_ready=_count_ready(
            [pod for pod in active_pods if pod.template_hash == current_hash != ""]
        ),
        updated=deployment.updated_replicas,
        old=len(old_pods),
        old_ready=_count_ready(old_pods),
        is_observed=deployment.observed_generation >= deployment.generation,
        is_rolled_out=progressing is not None and progressing.reason == NEW_REPLICA_SET_AVAILABLE,
        is_awaiting_min_ready=_is_awaiting_min_ready(deployment),
        is_paused=progressing is not None and progressing.reason == DEPLOYMENT_PAUSED,
        stalled_condition=progressing if progressing and progressing.status == "False" else None,
        replica_failure=replica_failure
        if replica_failure and replica_failure.status == "True"
        else None,
    )


def _count_wanted(snapshot: AppSnapshot, deployment: DeploymentView) -> int:
    """Count the pods that there should be; an autoscaler leaves a Deployment with 0 alone."""
    autoscaler = snapshot.hpa
    if not deployment.replicas or autoscaler is None or autoscaler.deleting:
        return deployment.replicas
    return max(deployment.replicas, autoscaler.min_replicas)


def current_template_hash(snapshot: AppSnapshot) -> str:
    """The pod-template-hash of the current template, as the Deployment names it.

    For a Job it is the Job's UID; if the Deployment names no hash, it is that of the newest pod.
    """
    if snapshot.job is not None:
        return snapshot.job.uid
    if snapshot.deployment is not None and snapshot.deployment.template_hash:
        return snapshot.deployment.template_hash
    candidates = [
        (pod.created, pod.name, pod.template_hash) for pod in snapshot.pods if pod.created
    ]
    return max(candidates)[2] if candidates else ""


def _count_ready(pods: list[PodView]) -> int:
    return sum(pod.ready for pod in pods)


def _is_awaiting_min_ready(deployment: DeploymentView) -> bool:
    """Whether ready pods do not count as available yet, because of minReadySeconds."""
    has_min_ready = deployment.min_ready_seconds > 0
    return has_min_ready and deployment.available_replicas < deployment.replicas


def _find_condition(deployment: DeploymentView, condition_type: str) -> ConditionView | None:
    return next((c for c in deployment.conditions if c.type == condition_type), None)
