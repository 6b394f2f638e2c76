"""One app as the engine of healing sees it: what ails it, what is there, what people asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from selfhealing.api.healing_status import BlockedReason, HealingStatus
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.apply.config_hash import desired_config_hash
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import PodView
from selfhealing.health.app_diagnosis import AppDiagnosis, diagnose_app
from selfhealing.health.assessment import HealthAssessment
from selfhealing.health.attribution import Probation
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.memory_trend import SamplesByPod, find_memory_warnings
from selfhealing.health.pod_problems import is_active
from selfhealing.health.rollout import current_template_hash
from selfhealing.health.termination_causes import TerminationCauses
from selfhealing.remediation.policy import Policy
from selfhealing.render.overrides import get_memory_limit, template_revision
from selfhealing.render.pod import build_pod_template


@dataclass(frozen=True, slots=True)
class ExternalState:
    """What is known from outside the app.

    Attributes:
        scale: what every time of healing is multiplied by.
        hold: why nothing may be done now.
        good_lost: the version to go back to is no longer kept.
        nodes_lost: so many nodes are silent, or nobody can tell how many, that none is given up.
        unkept: the version that is asked for cannot be kept, so it is not one to go back to.
        specimen_left: the pod that was kept long enough could not be deleted yet.
        evidence: where the evidence of actions is, by their id.
        usage: how much memory the pods used lately, by their uid.
    """

    time_scale: float = 1.0
    blocked_reason: BlockedReason | None = None
    stable_revision_missing: bool = False
    too_many_nodes_lost: bool = False
    revision_not_saved: bool = False
    isolated_pod_delete_pending: bool = False
    evidence_keys: Mapping[int, str] = field(default_factory=dict)
    memory_usage: SamplesByPod = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RemediationContext:
    """Everything besides the record and the time that a decision depends on.

    Attributes:
        version: the hash of the pod template that the spec asks for, and of its configuration.
        image: the image that the spec asks for.
        memory: the memory limit that the spec asks for; empty when there is none.
        illnesses: what ails the app, the gravest first.
        well: every pod that is wanted is there and ready, and nothing ails one of them; a warning
            does not count.
        idle: no pod is wanted.
        wanted: pods that are wanted.
        pods: those that live.
        approve: the annotation by which somebody approves of a proposal: its id.
        resume: the annotation by which somebody has healing begin anew: any text.
        held: somebody has paused the Deployment.
        recreates: a rollout stops all pods before it makes others.
        situation: what is known from outside the app.
    """

    desired_revision: str
    image: str
    memory_limit: str = ""
    diagnoses: tuple[AppDiagnosis, ...] = ()
    healthy: bool = False
    scaled_to_zero: bool = False
    wanted: int = 1
    pods: tuple[PodView, ...] = ()
    approve: str = ""
    resume: str = ""
    rollout_paused: bool = False
    uses_recreate: bool = False
    external: ExternalState = field(default_factory=ExternalState)

    @property
    def ready(self) -> int:
        """How many pods are ready."""
        return sum(pod.ready for pod in self.pods)

    @property
    def pod_uids(self) -> frozenset[str]:
        """The pods that live."""
        return frozenset(pod.uid for pod in self.pods)


@dataclass(frozen=True, slots=True)
class HealthInput:
    """What an app is examined with: the facts, what has been found, and what is remembered.

    ``in_step``: the Deployment is known to be what it should be, nothing stood in the way.
    """

    snapshot: AppSnapshot
    spec: SelfHealingAppSpec
    assessment: HealthAssessment
    causes: TerminationCauses
    record: HealingStatus
    is_in_sync: bool = False


def build_context(
    health_input: HealthInput, policy: Policy, external: ExternalState, deadlines: Deadlines
) -> RemediationContext:
    """The case of an app that is a Deployment."""
    snapshot, spec, assessment = health_input.snapshot, health_input.spec, health_input.assessment
    desired_revision = template_revision(
        snapshot.app.key.name, spec, desired_config_hash(snapshot, spec)
    )
    probation = _build_probation(health_input, desired_revision, deadlines.now)
    diagnoses = diagnose_app(
        snapshot, assessment, health_input.causes, deadlines, policy.thresholds, probation
    )
    rollout = assessment.rollout
    wanted = rollout.wanted if rollout else 0
    # What does not concern a pod that lives (one that a lost node never lets go, an autoscaler
    # without metrics) may last for days: it says nothing about the version that runs.
    is_unaffected = not any(is_active(pod) for diagnosis in diagnoses for pod in diagnosis.pods)
    is_healthy = (
        rollout is not None
        and rollout.is_complete
        and assessment.worst_problem is None
        and is_unaffected
    )
    # Only who may be given more memory is warned that it will be needed.
    early_warnings = (
        find_memory_warnings(snapshot, external.memory_usage, policy.memory_horizon)
        if policy.memory_max
        else ()
    )
    return RemediationContext(
        desired_revision=desired_revision,
        image=spec.image,
        memory_limit=get_memory_limit(build_pod_template(snapshot.app.key.name, spec)),
        diagnoses=(*diagnoses, *early_warnings),
        healthy=is_healthy and wanted > 0,
        scaled_to_zero=wanted == 0,
        wanted=wanted,
        pods=tuple(pod for pod in snapshot.pods if is_active(pod)),
        approve=snapshot.app.approve,
        resume=snapshot.app.resume,
        rollout_paused=rollout is not None and rollout.is_paused,
        uses_recreate=_uses_recreate_strategy(spec),
        external=external,
    )


def _build_probation(health_input: HealthInput, desired_revision: str, now: datetime) -> Probation:
    """Whether the version that is asked for runs, and has yet to prove itself.

    Until the Deployment has taken up a change, the pods that are seen are not of that version. Once
    it is known to have done so, all pods of its current template are, however long ago they were
    made: the operator may have been away before it could write down since when.

    A Deployment that goes back to a ReplicaSet that it had has observed the change some time before
    it names that one (syncRolloutStatus in pkg/controller/deployment of Kubernetes 1.36). Its count
    of updated pods is then not that of the pods that seem to be current.
    """
    record, rollout = health_input.record, health_input.assessment.rollout
    since = record.desired_since if record.desired_revision == desired_revision else now
    is_unproven = desired_revision not in {record.stable_revision, record.failed_revision}
    return Probation(
        is_open=is_unproven
        and rollout is not None
        and rollout.is_observed
        and _has_consistent_pod_count(health_input.snapshot),
        requested_since=None if health_input.is_in_sync else since,
        is_image_unchanged=record.stable_image == health_input.spec.image,
        has_stable_revision=record.stable_revision is not None,
    )


def _uses_recreate_strategy(spec: SelfHealingAppSpec) -> bool:
    strategy = (spec.rollout.strategy if spec.rollout else None) or {}
    return strategy.get("type") == "Recreate"


def _has_consistent_pod_count(snapshot: AppSnapshot) -> bool:
    """Whether the template that the Deployment names is the one whose pods it counts."""
    current = current_template_hash(snapshot)
    live = sum(is_active(pod) and pod.template_hash == current for pod in snapshot.pods)
    return snapshot.deployment is not None and snapshot.deployment.updated_replicas == live
