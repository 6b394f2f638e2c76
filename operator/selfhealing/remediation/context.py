"""Builds the input of a decision about one app: its diagnoses, its pods, and its spec."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from selfhealing.api.container_limits import LimitedResource, LimitKey
from selfhealing.api.healing_status import BlockedReason, HealingStatus
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.apply.foreign_fields import ForeignEdit, find_foreign_edits
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import PodView
from selfhealing.health.app_diagnosis import AppDiagnosis, diagnose_app
from selfhealing.health.assessment import HealthAssessment
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.cpu_throttling import find_cpu_throttling
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.experiments import NO_EXPERIMENTS, Experiments
from selfhealing.health.memory_trend import find_memory_warnings
from selfhealing.health.network_policies import NetworkPolicyFacts, name_new_policies
from selfhealing.health.node_conditions import NodeConditions
from selfhealing.health.pod_diagnosis import WARNINGS, DiagnosisType
from selfhealing.health.pod_problems import is_active
from selfhealing.health.readiness import is_starting
from selfhealing.health.rollout import Rollout, current_template_hash
from selfhealing.health.slow_liveness import find_slow_pods
from selfhealing.health.termination_causes import TerminationCauses
from selfhealing.health.usage import SamplesByContainer
from selfhealing.remediation.findings import Finding
from selfhealing.remediation.foreign_edits import EditHistory, attribute_to_foreign_edits
from selfhealing.remediation.limit_ceiling import RefusedLimit, explain_obstacles
from selfhealing.remediation.policy import Policy
from selfhealing.remediation.probation import build_probation
from selfhealing.remediation.reconcile_input import ReconcileInput
from selfhealing.render.overrides import (
    get_config_hash,
    get_limits,
    template_digest,
    without_config_hash,
)

SELF_ENDING_BLOCKED_REASONS: Final = frozenset(
    {
        BlockedReason.STARTING_UP,
        BlockedReason.STORM,
        BlockedReason.ACTION_LIMIT,
        BlockedReason.NODES_LOST,
        BlockedReason.STALE_CACHE,
        BlockedReason.CHECKING_TARGET,
    }
)
"""Reasons to wait that end without a watch event of the app."""


class FirstSight(NamedTuple):
    """When a diagnosis was first seen, and the cause that it was last attributed to."""

    since: datetime
    cause: str


class SavedRevisionName(NamedTuple):
    """A revision whose pod template is saved, its image, and the whole hash of the template.

    The hash is empty where it is not known: after the status was lost, and in one that an older
    version has written.
    """

    revision: str
    image: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class ExternalState:
    """State outside the app's own objects that a decision depends on.

    Attributes:
        blocked_reason: why no action may start now.
        stable_revision_missing: the pod template of the stable revision is no longer stored.
        is_action_limit_reached: so many actions are in progress in other apps that none may start,
            except those of UNLIMITED_REMEDIATIONS.
        too_many_nodes_lost: no failover may start: so many nodes are lost, or were given up a
            moment ago; or no other node can take the pods; or nodes cannot be listed.
        revision_not_saved: the pod template of the desired revision cannot be stored, so the
            revision cannot become the stable one.
        isolated_pod_delete_pending: the isolated pod has expired, but is not deleted yet.
        evidence_keys: the keys of the actions' evidence in the ConfigMap, by the action's id.
        node_conditions: what the nodes of ill pods report of themselves, neither Ready nor a
            pressure; and, if that is anything, what those of ready pods report.
        usage: the last measurements of what the containers use.
        refused_limits: the limits that were refused lately.
        network_policies: those of the namespace of an app with ill pods.
        stable_template: the saved pod template of the stable revision, if it is not the desired one
            and can be read.
        experiments: what a dry run and the nodes say of that template and of the desired one.
        experiments_done: whether a rollback was looked into: without it the two fields around say
            nothing.
        rollback_obstacle: why a pod of the stable revision would not start now; empty if nothing is
            in its way.
        foreign_uids: the UIDs of the pods of the record that turned out not to be the app's.
        findings: what was found, beside the record, that is not the app's.
        watched_for: how long this process has watched the app; None for longer than anything.
        saved_revisions: the revisions whose templates are saved, the latest first; only for an app
            without a record.
    """

    blocked_reason: BlockedReason | None = None
    stable_revision_missing: bool = False
    is_action_limit_reached: bool = False
    too_many_nodes_lost: bool = False
    revision_not_saved: bool = False
    isolated_pod_delete_pending: bool = False
    evidence_keys: Mapping[int, str] = field(default_factory=dict)
    node_conditions: NodeConditions = field(default_factory=dict)
    usage: SamplesByContainer = field(default_factory=dict)
    refused_limits: Mapping[LimitKey, RefusedLimit] = field(default_factory=dict)
    network_policies: tuple[NetworkPolicyFacts, ...] = ()
    stable_template: Mapping[str, Any] | None = None
    experiments: Experiments = NO_EXPERIMENTS
    experiments_done: bool = False
    rollback_obstacle: str = ""
    foreign_uids: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()
    watched_for: timedelta | None = None
    saved_revisions: tuple[SavedRevisionName, ...] = ()


@dataclass(frozen=True, slots=True)
class RemediationContext:
    """Everything that a decision depends on, except the record and the time.

    Attributes:
        desired_revision: the hash of the pod template that the spec asks for, which includes the
            hash of the ConfigMaps and Secrets that the pods read.
        image: the image in the spec.
        desired_digest: the whole of the hash; None if it is not known.
        limits: the limits in the spec that may be raised.
        lowered_memory: the containers whose limit the desired revision lowered, while it is tried.
        diagnoses: the diagnoses of the app, the most severe first.
        diagnosed_since: by type, when the operator first saw the diagnosis, and its cause so far.
        generation: the metadata.generation of the app.
        watching_since: since when this process watches the app; None for longer than anything.
        config_hash: the hash of the ConfigMaps and Secrets that the pods read; empty without one.
        rolled_back_from: the revision that the Deployment says it was rolled back from.
        complete: all wanted pods exist and are ready, and no pod has a problem or a diagnosis; a
            warning does not count.
        healthy: as ``complete``, but pods that start, because of scaling or a drain, do not count.
        current_hash: the template hash of the current pods; empty if it is not known.
        is_all_current: every pod is made from the current pod template of the Deployment.
        is_rollout_progressing: the Deployment controller waits for pods, within the progress
            deadline.
        ready_since: since when the pod is ready that is so for the longest time; None without one.
        is_config_suspected: the desired revision differs from the stable one in nothing but its
            configuration.
        scaled_to_zero: no pod is wanted.
        slow_uids: the UIDs of the pods that serve, and answer their liveness probe too slowly.
        wanted: the Deployment's replicas.
        pods: the active pods.
        approve: the annotation that approves a proposal; its value is the proposal's id.
        resume: the annotation that resumes healing; its value is any new text.
        rollout_paused: the Deployment is paused.
        uses_recreate: the rollout strategy is Recreate, which stops all pods before it creates new
            ones.
        foreign_edits: what other field managers have set in the Deployment's pod template.
        external: the state outside the app.
    """

    desired_revision: str
    image: str
    desired_digest: str | None = None
    limits: Mapping[LimitKey, str] = field(default_factory=dict)
    lowered_memory: frozenset[str] = frozenset()
    diagnoses: tuple[AppDiagnosis, ...] = ()
    diagnosed_since: Mapping[str, FirstSight] = field(default_factory=dict)
    generation: int = 0
    watching_since: datetime | None = None
    config_hash: str = ""
    rolled_back_from: str = ""
    complete: bool = False
    healthy: bool = False
    current_hash: str = ""
    is_all_current: bool = True
    is_rollout_progressing: bool = False
    ready_since: datetime | None = None
    is_config_suspected: bool = False
    scaled_to_zero: bool = False
    slow_uids: frozenset[str] = frozenset()
    wanted: int = 1
    pods: tuple[PodView, ...] = ()
    approve: str = ""
    resume: str = ""
    rollout_paused: bool = False
    uses_recreate: bool = False
    foreign_edits: tuple[ForeignEdit, ...] = ()
    external: ExternalState = field(default_factory=ExternalState)

    @property
    def ready(self) -> int:
        """The number of ready pods."""
        return sum(pod.ready for pod in self.pods)

    @property
    def pod_uids(self) -> frozenset[str]:
        """The UIDs of the active pods."""
        return frozenset(pod.uid for pod in self.pods)

    @property
    def current_uids(self) -> frozenset[str]:
        """The UIDs of the active pods of the current pod template; of all if it is not known."""
        return frozenset(
            pod.uid for pod in self.pods if self.current_hash in {"", pod.template_hash}
        )

    @property
    def earlier_pods(self) -> tuple[PodView, ...]:
        """The active pods of earlier templates: a rollout replaces them."""
        return tuple(pod for pod in self.pods if pod.uid not in self.current_uids)

    @property
    def is_rollout_harmless(self) -> bool:
        """Whether all pods of earlier templates are ready: a rollout first stops the others.

        A pod that is not ready at the moment may become so, and its version may not come back.
        """
        return all(pod.ready for pod in self.earlier_pods)

    def are_pods_replaced(self, diagnosis: AppDiagnosis) -> bool:
        """Whether all pods of a diagnosis are of earlier templates, and go with the rollout."""
        return bool(diagnosis.pods) and self.current_uids.isdisjoint(
            pod.uid for pod in diagnosis.pods
        )

    @property
    def diagnosis_types(self) -> frozenset[str]:
        """The types of the diagnoses."""
        return frozenset(diagnosis.type for diagnosis in self.diagnoses)

    @property
    def is_fault_certain(self) -> bool:
        """Whether the desired revision certainly is the cause of a diagnosis."""
        return any(
            diagnosis.cause is Cause.NEW_VERSION and diagnosis.confidence is Confidence.HIGH
            for diagnosis in self.diagnoses
        )

    def first_seen(self, diagnosis: AppDiagnosis, now: datetime) -> datetime:
        """When the operator first saw a diagnosis, at most ``now``: a clock may be set back.

        The time does not count for which it was attributed to the environment.
        """
        seen = self.diagnosed_since.get(diagnosis.type)
        if seen is None or (
            seen.cause == Cause.ENVIRONMENT and diagnosis.cause is not Cause.ENVIRONMENT
        ):
            return now
        return min(seen.since, now)


@dataclass(frozen=True, slots=True)
class HealthInput:
    """The health of an app that a context is built from.

    ``is_in_sync``: the reconcile has applied the Deployment without an error.
    """

    snapshot: AppSnapshot
    assessment: HealthAssessment
    causes: TerminationCauses
    is_in_sync: bool = False


def build_context(
    inputs: ReconcileInput,
    health_input: HealthInput,
    external: ExternalState,
    deadlines: Deadlines,
) -> RemediationContext:
    """Build the context of an app that is a Deployment."""
    snapshot, assessment = health_input.snapshot, health_input.assessment
    spec, policy = inputs.spec, inputs.policy
    rollout, current_hash = assessment.rollout, current_template_hash(snapshot)
    is_named = rollout is not None and _is_named(rollout, snapshot)
    probation = build_probation(
        inputs,
        external.stable_template,
        external.experiments,
        deadlines.now,
        is_running=is_named,
        is_in_sync=health_input.is_in_sync,
    )
    diagnoses = diagnose_app(
        snapshot,
        assessment,
        health_input.causes,
        deadlines,
        policy.thresholds,
        probation,
        external.node_conditions,
    )
    pods = tuple(pod for pod in snapshot.pods if is_active(pod))
    edits = find_foreign_edits(snapshot.deployment, inputs.pod_template)
    facts = EditHistory(edits, pods, inputs.record, inputs.revision, deadlines.now)
    diagnoses = attribute_to_foreign_edits(diagnoses, facts)
    wanted = rollout.wanted if rollout else 0
    # A diagnosis without an active pod (a pod that is stuck on a lost node, an autoscaler without
    # metrics) may last for days, and says nothing about the health of the current revision.
    is_unaffected = assessment.worst_problem is None and not any(
        is_active(pod)
        for diagnosis in diagnoses
        if diagnosis.type not in WARNINGS
        for pod in diagnosis.pods
    )
    is_unaffected = is_unaffected and rollout is not None and wanted > 0
    limits = get_limits(inputs.pod_template)
    explained = explain_obstacles(
        (*diagnoses, *find_cpu_throttling(snapshot.pods, external.usage)),
        inputs.record,
        limits,
        policy,
        external.refused_limits,
    )
    sights = _first_sights(inputs.record)
    explained = name_new_policies(
        explained,
        external.network_policies,
        inputs.pod_template["metadata"]["labels"],
        snapshot.app.uid,
        lambda each: sights[each.type].since if each.type in sights else deadlines.now,
    )
    # Where no limit may be raised a warning has no remediation.
    early_warnings = (
        find_memory_warnings(snapshot, external.usage, policy.memory_horizon)
        if policy.raises[LimitedResource.MEMORY].enabled
        else ()
    )
    return RemediationContext(
        desired_revision=inputs.revision,
        image=spec.image,
        desired_digest=template_digest(inputs.pod_template),
        limits=limits,
        lowered_memory=probation.change.lowered_memory if probation.change else frozenset(),
        diagnoses=(*explained, *early_warnings),
        diagnosed_since=sights,
        generation=snapshot.app.generation,
        watching_since=None
        if external.watched_for is None
        else deadlines.now - external.watched_for,
        config_hash=get_config_hash(inputs.pod_template),
        rolled_back_from=_rolled_back_from(snapshot),
        complete=is_unaffected and rollout is not None and rollout.is_complete,
        healthy=is_unaffected and _has_only_starting_pods_unready(rollout, pods, deadlines, policy),
        current_hash=current_hash,
        is_all_current=rollout is not None and not rollout.old and is_named,
        is_rollout_progressing=_is_rollout_progressing(rollout, diagnoses, current_hash),
        ready_since=min(
            (pod.ready_since for pod in pods if pod.ready and pod.ready_since), default=None
        ),
        is_config_suspected=_has_only_other_config(external.stable_template, inputs.pod_template),
        scaled_to_zero=wanted == 0,
        slow_uids=find_slow_pods(
            snapshot,
            (
                pod
                for each in diagnoses
                if each.type is DiagnosisType.LIVENESS_KILLED
                for pod in each.pods
            ),
        ),
        wanted=wanted,
        pods=pods,
        approve=snapshot.app.approve,
        resume=snapshot.app.resume,
        rollout_paused=rollout is not None and rollout.is_paused,
        uses_recreate=_uses_recreate_strategy(spec),
        foreign_edits=edits,
        external=external,
    )


def _has_only_other_config(
    stable_template: Mapping[str, Any] | None, pod_template: Mapping[str, Any]
) -> bool:
    """Whether a template differs from the stable one only in the hash of its configuration."""
    return (
        stable_template is not None
        and get_config_hash(stable_template) != get_config_hash(pod_template)
        and without_config_hash(stable_template) == without_config_hash(pod_template)
    )


def _first_sights(record: HealingStatus) -> dict[str, FirstSight]:
    return {
        diagnosis.type: FirstSight(diagnosis.since, diagnosis.cause)
        for diagnosis in record.diagnoses
        if diagnosis.since is not None
    }


def _rolled_back_from(snapshot: AppSnapshot) -> str:
    return snapshot.deployment.failed_revision if snapshot.deployment else ""


def _has_only_starting_pods_unready(
    rollout: Rollout | None, pods: Sequence[PodView], deadlines: Deadlines, policy: Policy
) -> bool:
    """Whether a pod is ready, and all that are not are new: an autoscaler or a drain made them."""
    if rollout is None or rollout.old or not rollout.is_observed:
        return False
    unready = [pod for pod in pods if not pod.ready]
    return len(unready) < len(pods) and all(
        is_starting(pod, policy.progress_deadline, deadlines) for pod in unready
    )


def _is_rollout_progressing(
    rollout: Rollout | None, diagnoses: Sequence[AppDiagnosis], current_hash: str
) -> bool:
    """Whether a rollout goes on, and none of its pods has a fault that time does not mend.

    The pods that it replaces may have any fault.
    """
    has_faulty_pods = any(
        is_active(pod) and pod.template_hash == current_hash
        for found in diagnoses
        for pod in found.pods
    )
    return (
        rollout is not None
        and not rollout.is_complete
        and rollout.stalled_condition is None
        and rollout.replica_failure is None
        and not has_faulty_pods
    )


def _uses_recreate_strategy(spec: SelfHealingAppSpec) -> bool:
    strategy = (spec.rollout.strategy if spec.rollout else None) or {}
    return strategy.get("type") == "Recreate"


def _is_named(rollout: Rollout, snapshot: AppSnapshot) -> bool:
    """Whether the Deployment names the template of the latest spec.

    A Deployment that returns to an earlier ReplicaSet reports the change as observed before it
    names that ReplicaSet (syncRolloutStatus in pkg/controller/deployment, Kubernetes 1.36). Its
    number of updated pods then differs from the number of pods with the named template hash.
    """
    current = current_template_hash(snapshot)
    live = sum(is_active(pod) and pod.template_hash == current for pod in snapshot.pods)
    return (
        rollout.is_observed
        and snapshot.deployment is not None
        and snapshot.deployment.updated_replicas == live
    )
