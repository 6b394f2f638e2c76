"""Chooses the remediation for a diagnosis: the escalation of each type, and when each step applies.

A remediation that failed for the same diagnosis of the same revision is not repeated. One that
succeeds, but whose diagnosis comes back, is repeated only a limited number of times.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from selfhealing.api.healing_status import ActionOutcome, HealingAction, HealingStatus, Remediation
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.pod_diagnosis import NEVER_QUARANTINED, WARNINGS, DiagnosisType
from selfhealing.remediation import history
from selfhealing.remediation.context import RemediationContext
from selfhealing.remediation.memory_limit import exceeds, next_limit
from selfhealing.remediation.policy import Policy
from selfhealing.remediation.steps import can_disrupt

MAX_POD_REPLACEMENTS: Final = 2
"""How often pods may be replaced for the same diagnosis within the window."""

_NOT_REPEATABLE: Final = frozenset({Remediation.REPLACE_POD, Remediation.RAISE_MEMORY})
"""Remediations that have used up their effect if the same diagnosis is back after a success."""

UNLIMITED_REMEDIATIONS: Final = frozenset({Remediation.FAILOVER, Remediation.SCALING_FALLBACK})
"""Remediations that may be in progress in any number of apps: a lost node and missing metrics
concern many apps at once, and waiting would cost availability."""

_FOR_APP_FAULTS: Final = (Remediation.ROLLBACK, Remediation.AVOID_NODE, Remediation.REPLACE_POD)

ESCALATION: Final[Mapping[DiagnosisType, tuple[Remediation, ...]]] = {
    DiagnosisType.CRASH_LOOPING: _FOR_APP_FAULTS,
    DiagnosisType.LIVENESS_KILLED: _FOR_APP_FAULTS,
    DiagnosisType.OOM_KILLED: (Remediation.RAISE_MEMORY, Remediation.ROLLBACK),
    DiagnosisType.IMAGE_PULL_FAILING: _FOR_APP_FAULTS,
    DiagnosisType.CONFIG_ERROR: (Remediation.ROLLBACK,),
    DiagnosisType.START_FAILING: _FOR_APP_FAULTS,
    DiagnosisType.ROLLOUT_STALLED: (Remediation.ROLLBACK,),
    DiagnosisType.NOT_READY_TOO_LONG: _FOR_APP_FAULTS,
    DiagnosisType.NODE_LOST: (Remediation.FAILOVER,),
    DiagnosisType.METRICS_UNAVAILABLE: (Remediation.SCALING_FALLBACK,),
    DiagnosisType.MEMORY_CLIMBING: (Remediation.RAISE_MEMORY,),
}
"""The remediations for each diagnosis, the first that fits is used. The other types have none."""


@dataclass(frozen=True, slots=True)
class ProposedAction:
    """An action that may start. ``target`` is a revision, limit, pod, node or number of pods."""

    remediation: Remediation
    diagnosis: AppDiagnosis
    target: str
    message: str
    uid: str = ""


@dataclass(frozen=True, slots=True)
class DecisionInput:
    """The input of the choice of a remediation."""

    record: HealingStatus
    context: RemediationContext
    policy: Policy
    deadlines: Deadlines

    @property
    def now(self) -> datetime:
        """The time of the decision."""
        return self.deadlines.now


def choose_action(inputs: DecisionInput) -> ProposedAction | None:
    """The first remediation that fits, of the most severe diagnosis that has one; else None."""
    for diagnosis in inputs.context.diagnoses:
        for remediation in ESCALATION.get(diagnosis.type, ()):
            if (proposal := _STRATEGIES[remediation](inputs, diagnosis)) is not None:
                return proposal
    return None


def is_exhausted(inputs: DecisionInput) -> bool:
    """Whether a remediation was tried for a diagnosis that the app still has.

    It counts if it failed, or if it succeeded, may not be repeated, and the diagnosis is back. A
    success of another remediation does not count: after a rollback another revision runs, a scaling
    fallback is only an override, and a failover may wait for the pods of another node. Diagnoses in
    NEVER_QUARANTINED do not count.
    """
    diagnosis_types = {diagnosis.type for diagnosis in inputs.context.diagnoses} - NEVER_QUARANTINED
    return any(
        action.diagnosis in diagnosis_types
        and (
            action.outcome is ActionOutcome.FAILED
            or (action.outcome is ActionOutcome.SUCCEEDED and action.remediation in _NOT_REPEATABLE)
        )
        for action in history.find_attempts(inputs.record, inputs.policy, inputs.now)
    )


def _propose_rollback(inputs: DecisionInput, diagnosis: AppDiagnosis) -> ProposedAction | None:
    record, context = inputs.record, inputs.context
    stable_revision = record.stable_revision
    if not inputs.policy.rollback or diagnosis.cause is not Cause.NEW_VERSION:
        return None
    if (
        stable_revision is None
        or context.external.stable_revision_missing
        or stable_revision == context.desired_revision
        or record.failed_revision
    ):
        return None
    message = (
        f"back to revision {stable_revision} ({record.stable_image}), because "
        f"{context.desired_revision} ({context.image}) is bad: {diagnosis.message}"
    )
    return ProposedAction(Remediation.ROLLBACK, diagnosis, stable_revision, message)


def _propose_raise_memory(inputs: DecisionInput, diagnosis: AppDiagnosis) -> ProposedAction | None:
    record = inputs.record
    current = _find_exceeded_limit(inputs, diagnosis)
    limit = next_limit(current, inputs.policy.memory_max)
    in_new_pods = needs_new_pods(inputs, diagnosis)
    if in_new_pods and diagnosis.type in WARNINGS:
        return None  # a warning does not justify a restart of healthy pods
    if record.memory_limit and not record.memory_in_template and in_new_pods:
        limit = current  # the resize may not have reached the pods: new pods get the same limit
    if limit is None:
        return None
    how = "in new pods" if in_new_pods else "in running pods"
    change = f"from {current} to {limit}" if limit != current else f"{current} again"
    message = f"memory limit {change}, {how}: {diagnosis.message}"
    return ProposedAction(Remediation.RAISE_MEMORY, diagnosis, limit, message)


def _find_exceeded_limit(inputs: DecisionInput, diagnosis: AppDiagnosis) -> str:
    """The limit that was exceeded: the highest of the override, the spec and the affected pods.

    After a rollback only the pods have the limit of the stable revision.
    """
    highest = inputs.record.memory_limit or inputs.context.memory_limit
    for pod in diagnosis.pods:
        if exceeds(pod.memory_limit, highest):
            highest = pod.memory_limit
    return highest


def needs_new_pods(inputs: DecisionInput, diagnosis: AppDiagnosis) -> bool:
    """Whether a higher limit needs new pods, because a resize of the running pods has failed.

    A container in a crash loop may never get its new limit (Kubernetes issue 138760).
    """
    return inputs.record.memory_in_template or _has_failed_before(
        inputs, Remediation.RAISE_MEMORY, diagnosis
    )


def _propose_avoid_node(inputs: DecisionInput, diagnosis: AppDiagnosis) -> ProposedAction | None:
    """Recreate the pods on other nodes, if several pods are affected on one node only.

    The node is excluded in the pod template, so the rollout follows the app's own strategy.
    """
    if (
        not inputs.policy.replace_pod
        or diagnosis.cause is not Cause.NODE
        or inputs.context.uses_recreate
    ):
        return None
    if inputs.record.excluded_node is not None or _find_attempts(
        inputs, Remediation.AVOID_NODE, diagnosis
    ):
        return None
    node = diagnosis.pods[0].node
    message = f"pods are recreated on nodes other than {node}: {diagnosis.message}"
    return ProposedAction(Remediation.AVOID_NODE, diagnosis, node, message)


def _propose_replace_pod(inputs: DecisionInput, diagnosis: AppDiagnosis) -> ProposedAction | None:
    if not inputs.policy.replace_pod or not _can_replacement_help(diagnosis):
        return None
    attempts = _find_attempts(inputs, Remediation.REPLACE_POD, diagnosis)
    if len(attempts) >= MAX_POD_REPLACEMENTS or any(
        action.outcome is ActionOutcome.FAILED for action in attempts
    ):
        return None
    context = inputs.context
    candidates = (
        pod
        for pod in diagnosis.pods
        if pod.uid in context.pod_uids and can_disrupt(pod, context.pods, context.wanted)
    )
    pod = next(candidates, None)
    if pod is None:
        return None
    message = f"{pod.name} is replaced: {diagnosis.symptom or diagnosis.message}"
    return ProposedAction(Remediation.REPLACE_POD, diagnosis, pod.name, message, pod.uid)


def _can_replacement_help(diagnosis: AppDiagnosis) -> bool:
    """Whether a new pod can be expected to be healthy: other pods are, or the pod only hangs."""
    if diagnosis.cause not in {Cause.POD, Cause.NODE}:
        return False
    is_hung = diagnosis.type is DiagnosisType.NOT_READY_TOO_LONG
    return is_hung or diagnosis.confidence is not Confidence.LOW


def _propose_failover(inputs: DecisionInput, diagnosis: AppDiagnosis) -> ProposedAction | None:
    if not inputs.policy.failover or _has_failed_before(inputs, Remediation.FAILOVER, diagnosis):
        return None
    lost_pods = [
        pod
        for pod in diagnosis.pods
        if not pod.has_persistent_volumes
        and pod.ready_since is not None
        and inputs.deadlines.reached(pod.ready_since + inputs.policy.node_lost_timeout)
    ]
    if not lost_pods:
        return None
    node = lost_pods[0].node
    message = f"the pods on {node} are replaced elsewhere: {diagnosis.message}"
    return ProposedAction(Remediation.FAILOVER, diagnosis, node, message)


def _propose_scaling_fallback(
    inputs: DecisionInput, diagnosis: AppDiagnosis
) -> ProposedAction | None:
    wanted = inputs.policy.fallback_replicas
    if wanted is None or inputs.record.fallback_replicas is not None:
        return None
    if wanted <= inputs.context.wanted or _has_failed_before(
        inputs, Remediation.SCALING_FALLBACK, diagnosis
    ):
        return None
    message = f"at least {wanted} pods until there are metrics again: {diagnosis.message}"
    return ProposedAction(Remediation.SCALING_FALLBACK, diagnosis, str(wanted), message)


def _has_failed_before(
    inputs: DecisionInput, remediation: Remediation, diagnosis: AppDiagnosis
) -> bool:
    attempts = _find_attempts(inputs, remediation, diagnosis)
    return any(action.outcome is ActionOutcome.FAILED for action in attempts)


def _find_attempts(
    inputs: DecisionInput, remediation: Remediation, diagnosis: AppDiagnosis
) -> list[HealingAction]:
    attempts = history.find_attempts(inputs.record, inputs.policy, inputs.now)
    return [
        action
        for action in attempts
        if (action.remediation, action.diagnosis) == (remediation, diagnosis.type)
    ]


_STRATEGIES: Final[
    Mapping[Remediation, Callable[[DecisionInput, AppDiagnosis], ProposedAction | None]]
] = {
    Remediation.ROLLBACK: _propose_rollback,
    Remediation.RAISE_MEMORY: _propose_raise_memory,
    Remediation.AVOID_NODE: _propose_avoid_node,
    Remediation.REPLACE_POD: _propose_replace_pod,
    Remediation.FAILOVER: _propose_failover,
    Remediation.SCALING_FALLBACK: _propose_scaling_fallback,
}
