"""How far a Deployment has come: what is wanted, what is there, and whether it moves.

Counted from the pods themselves, which is sooner true than the Deployment's own figures, and told
apart by the template that they are made from: pods of an old version serve, but they are not what
the spec asks for.
"""

from dataclasses import dataclass
from typing import Final

from selfhealing.cache.snapshot import Facts
from selfhealing.cache.views import ConditionView, DeploymentView, PodView
from selfhealing.health.pod_problems import is_live

ROLLED_OUT: Final = "NewReplicaSetAvailable"
"""The reason of the condition Progressing since a rollout was completed, whatever came later."""

HELD: Final = "DeploymentPaused"


@dataclass(frozen=True, slots=True)
class Rollout:
    """Where a rollout stands.

    ``old`` and ``old_ready`` are pods of former templates; ``current_ready`` those of the current
    one; ``settling`` waits for minReadySeconds; ``stalled`` and ``refused`` are the Deployment's
    conditions that nothing moves and that no pod can be made; ``held`` that somebody paused it.
    """

    wanted: int
    live: int
    ready: int
    current_ready: int
    updated: int
    old: int
    old_ready: int
    observed: bool
    rolled_out: bool
    settling: bool
    held: bool
    stalled: ConditionView | None
    refused: ConditionView | None

    @property
    def shown(self) -> int:
        """Ready pods that are wanted: those that go because they are too many are no news."""
        return min(self.current_ready, self.wanted)

    @property
    def finished(self) -> bool:
        """Whether every pod that is wanted is made from the current template, and no other is."""
        return self.observed and self.updated >= self.wanted and not self.old

    @property
    def complete(self) -> bool:
        """Whether everything that is asked for is there and ready."""
        return self.finished and self.current_ready >= self.wanted and not self.settling


def rollout(facts: Facts) -> Rollout | None:
    """Say where the rollout of an app stands; None when it has no Deployment."""
    deployment = facts.deployment
    if deployment is None:
        return None
    live = [pod for pod in facts.pods if is_live(pod)]
    current = template_hash(facts)
    # A pod without a hash is a stranger that carries the app's label.
    old = [pod for pod in live if pod.template_hash not in {"", current}]
    progressing = _condition(deployment, "Progressing")
    failure = _condition(deployment, "ReplicaFailure")
    return Rollout(
        wanted=deployment.replicas,
        live=len(live),
        ready=_ready(live),
        current_ready=_ready([pod for pod in live if pod.template_hash == current != ""]),
        updated=deployment.updated_replicas,
        old=len(old),
        old_ready=_ready(old),
        observed=deployment.observed_generation >= deployment.generation,
        rolled_out=progressing is not None and progressing.reason == ROLLED_OUT,
        settling=_settling(deployment),
        held=progressing is not None and progressing.reason == HELD,
        stalled=progressing if progressing and progressing.status == "False" else None,
        refused=failure if failure and failure.status == "True" else None,
    )


def template_hash(facts: Facts) -> str:
    """The hash of the current template: the Deployment's word, the Job, or the newest pod's."""
    if facts.job is not None:
        return facts.job.uid
    if facts.deployment is not None and facts.deployment.template_hash:
        return facts.deployment.template_hash
    dated = [(pod.created, pod.name, pod.template_hash) for pod in facts.pods if pod.created]
    return max(dated)[2] if dated else ""


def _ready(pods: list[PodView]) -> int:
    return sum(pod.ready for pod in pods)


def _settling(deployment: DeploymentView) -> bool:
    """Whether pods that are ready do not count as available yet."""
    waits = deployment.min_ready_seconds > 0
    return waits and deployment.available_replicas < deployment.replicas


def _condition(deployment: DeploymentView, kind: str) -> ConditionView | None:
    return next((c for c in deployment.conditions if c.type == kind), None)
