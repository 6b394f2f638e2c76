"""How far a Deployment has come: what is wanted, what is there, and whether it moves.

Counted from the pods themselves, which is sooner true than the Deployment's own figures, and told
apart by the template that they are made from: pods of an old version serve, but they are not what
the spec asks for.
"""

from dataclasses import dataclass
from typing import Final

from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import ConditionView, DeploymentView, PodView
from selfhealing.health.pod_problems import is_active

NEW_REPLICA_SET_AVAILABLE: Final = "NewReplicaSetAvailable"
"""The reason of the condition Progressing since a rollout was completed, whatever came later."""

DEPLOYMENT_PAUSED: Final = "DeploymentPaused"


@dataclass(frozen=True, slots=True)
class Rollout:
    """Where a rollout stands.

    ``old`` and ``old_ready`` are pods of former templates; ``current_ready`` those of the current
    one; ``settling`` waits for minReadySeconds; ``stalled`` and ``refused`` are the Deployment's
    conditions that nothing moves and that no pod can be made; ``held`` that somebody paused it.
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
        """Ready pods that are wanted: those that go because they are too many are no news."""
        return min(self.current_ready, self.wanted)

    @property
    def has_only_updated_pods(self) -> bool:
        """Whether every pod that is wanted is made from the current template, and no other is."""
        return self.is_observed and self.updated >= self.wanted and not self.old

    @property
    def is_complete(self) -> bool:
        """Whether everything that is asked for is there and ready."""
        return (
            self.has_only_updated_pods
            and self.current_ready >= self.wanted
            and not self.is_awaiting_min_ready
        )


def summarize_rollout(snapshot: AppSnapshot) -> Rollout | None:
    """Say where the rollout of an app stands; None when it has no Deployment."""
    deployment = snapshot.deployment
    if deployment is None:
        return None
    active_pods = [pod for pod in snapshot.pods if is_active(pod)]
    current_hash = current_template_hash(snapshot)
    # A pod without a hash is a stranger that carries the app's label.
    old_pods = [pod for pod in active_pods if pod.template_hash not in {"", current_hash}]
    progressing = _find_condition(deployment, "Progressing")
    replica_failure = _find_condition(deployment, "ReplicaFailure")
    return Rollout(
        wanted=deployment.replicas,
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


def current_template_hash(snapshot: AppSnapshot) -> str:
    """The hash of the current template: the Deployment's word, the Job, or the newest pod's."""
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
    """Whether pods that are ready do not count as available yet."""
    has_min_ready = deployment.min_ready_seconds > 0
    return has_min_ready and deployment.available_replicas < deployment.replicas


def _find_condition(deployment: DeploymentView, condition_type: str) -> ConditionView | None:
    return next((c for c in deployment.conditions if c.type == condition_type), None)
