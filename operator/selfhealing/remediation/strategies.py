"""Chooses the remediation for a diagnosis: the escalation of each type, and when each step applies.

A remediation that failed for the same diagnosis of the same revision is not repeated. One that
succeeds, but whose diagnosis comes back, is repeated only a limited number of times.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from selfhealing.api import names
from selfhealing.api.healing_status import (
    ActionOutcome,
    BlockedReason,
    HealingAction,
    HealingStatus,
    Remediation,
)
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.attribution import NODE_SUSPECTS, Cause, Confidence
from selfhealing.health.crash_loops import has_long_runs
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.pod_diagnosis import NEVER_QUARANTINED, WARNINGS, DiagnosisType
from selfhealing.remediation import foreign_edits, history
from selfhealing.remediation.context import RemediationContext
from selfhealing.remediation.memory_ceiling import (
    find_ceiling,
    find_limit_in_force,
    find_obstacle,
    find_override,
    select_container,
)
from selfhealing.remediation.memory_limit import exceeds, next_limit
from selfhealing.remediation.memory_raise import MAX_ATTEMPTS, container_of, count_failures
from selfhealing.remediation.patience import compute_due_time
from selfhealing.remediation.policy import Policy
from selfhealing.remediation.revisions import find_rollback_target, is_young
from selfhealing.remediation.steps import is_evictable

MAX_POD_REPLACEMENTS: Final = 2
"""How often pods may be replaced for the same diagnosis within the window."""

_NOT_REPEATABLE: Final = frozenset({Remediation.REPLACE_POD, Remediation.RAISE_MEMORY})
"""Remediations that have used up their effect if the same diagnosis is back after a success."""

UNLIMITED_REMEDIATIONS: Final = frozenset({Remediation.FAILOVER, Remediation.SCALING_FALLBACK})
"""Remediations that may be in progress in any number of apps: a lost node and missing metrics
concern many apps at once, and waiting would cost availability."""

NO_NEW_PODS: Final = frozenset(
    {
        DiagnosisType.PODS_REFUSED,
        DiagnosisType.QUOTA_EXCEEDED,
        DiagnosisType.UNSCHEDULABLE,
        DiagnosisType.PODS_FAILED,
    }
)
"""Diagnoses by which a pod that is removed may get no substitute."""

_CRASHES: Final = frozenset(
    {DiagnosisType.CRASH_LOOPING, DiagnosisType.LIVENESS_KILLED, DiagnosisType.DEPENDENCY_DOWN}
)
"""Diagnoses of pods that do not run, so that a rollback takes nothing away."""

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
    DiagnosisType.PODS_REFUSED: (Remediation.ROLLBACK,),
    DiagnosisType.QUOTA_EXCEEDED: (Remediation.ROLLBACK,),
    DiagnosisType.UNSCHEDULABLE: (Remediation.ROLLBACK,),
    DiagnosisType.DEPENDENCY_DOWN: (Remediation.ROLLBACK,),
    DiagnosisType.METRICS_UNAVAILABLE: (Remediation.SCALING_FALLBACK,),
    DiagnosisType.MEMORY_CLIMBING: (Remediation.RAISE_MEMORY,),
}
"""The remediations for each diagnosis, the first that fits is used. The other types have none."""


@dataclass(frozen=True, slots=True)
class ProposedAction:
    """An action that may start.

    Attributes:
        remediation: what is done.
        diagnosis: what it is for.
        target: a revision, limit, pod, node or number of pods.
        message: what is done, and why.
        uid: the UID of the target, if it is a pod.
        container: the container that gets the limit.
        not_before: when it starts at the earliest; None for now.
        blocked_reason: why it may not start although it fits.
    """

    remediation: Remediation
    diagnosis: AppDiagnosis
    target: str
    message: str
    uid: str = ""
    container: str = ""
    not_before: datetime | None = None
    blocked_reason: BlockedReason | None = None

    def is_due(self, deadlines: Deadlines) -> bool:
        """Whether the wait for the action is over."""
        return self.not_before is None or deadlines.reached(self.not_before)


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
    """The first remediation that fits and is due, of the most severe diagnosis that has one.

    If none is due, the first one that fits; None if none fits.
    """
    proposals = []
    for diagnosis in inputs.context.diagnoses:
        for remediation in _remediations_for(diagnosis):
            if (proposal := _STRATEGIES[remediation](inputs, diagnosis)) is not None:
                proposals.append(proposal)
                break
    startable = (
        proposal
        for proposal in proposals
        if proposal.blocked_reason is None and proposal.is_due(inputs.deadlines)
    )
    return next(startable, None) or next(iter(proposals), None)


def _remediations_for(diagnosis: AppDiagnosis) -> tuple[Remediation, ...]:
    if diagnosis.cause is Cause.FOREIGN_EDIT:
        return (Remediation.REMOVE_FOREIGN_FIELDS, *ESCALATION.get(diagnosis.type, ()))
    return ESCALATION.get(diagnosis.type, ())


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


def _propose_remove_foreign_fields(
    inputs: DecisionInput, diagnosis: AppDiagnosis
) -> ProposedAction | None:
    """Remove the fields that somebody else set, once a day for each field manager."""
    context = inputs.context
    if not inputs.policy.rollback or diagnosis.cause is not Cause.FOREIGN_EDIT:
        return None
    facts = foreign_edits.EditHistory(
        context.foreign_edits, context.pods, inputs.record, context.desired_revision, inputs.now
    )
    edit = foreign_edits.find_responsible_edit(diagnosis, facts)
    if edit is None or foreign_edits.was_removed_before(edit, inputs.record, inputs.now):
        return None
    message = f"the foreign fields are removed: {diagnosis.message}"
    target = foreign_edits.format_edit_target(edit)
    due = compute_due_time(diagnosis, context, inputs.policy, inputs.now)
    return ProposedAction(
        Remediation.REMOVE_FOREIGN_FIELDS, diagnosis, target, message, not_before=due
    )


def _propose_rollback(inputs: DecisionInput, diagnosis: AppDiagnosis) -> ProposedAction | None:
    """Go back to the stable revision, or from a young stable revision to the one before it."""
    record, context, external = inputs.record, inputs.context, inputs.context.external
    target = find_rollback_target(record, context)
    if not inputs.policy.rollback or target is None or _was_rollback_in_vain(inputs):
        return None
    is_proved = record.stable_revision == context.desired_revision
    if is_proved and not is_young(record, inputs.policy, inputs.deadlines):
        return None
    is_blamed = diagnosis.cause is Cause.NEW_VERSION and diagnosis.confidence is not Confidence.LOW
    is_suspected = is_proved or diagnosis.cause is Cause.NEW_VERSION
    if not is_blamed and not (is_suspected and _serves_nothing(inputs, diagnosis)):
        return None
    if context.uses_recreate and context.ready and diagnosis.confidence is not Confidence.HIGH:
        return None  # the pods that serve would be stopped first
    due = compute_due_time(diagnosis, context, inputs.policy, inputs.now)
    if not is_blamed and is_proved:
        due = context.first_seen(diagnosis, inputs.now) + inputs.policy.progress_deadline
    message = (
        f"back to revision {target.revision} ({target.image}), because "
        f"{context.desired_revision} ({context.image}) is bad: {diagnosis.message}"
    )
    blocked_reason = None
    if external.rollback_obstacle:
        blocked_reason = BlockedReason.TARGET_UNUSABLE
        message = f"{message}; but it would not start: {external.rollback_obstacle}"
    elif not external.experiments_done and not inputs.deadlines.reached(
        due + inputs.policy.start_grace
    ):
        blocked_reason = BlockedReason.CHECKING_TARGET  # but not for ever: it may be forbidden
    return ProposedAction(
        Remediation.ROLLBACK,
        diagnosis,
        target.revision,
        message,
        not_before=due,
        blocked_reason=blocked_reason,
    )


def _serves_nothing(inputs: DecisionInput, diagnosis: AppDiagnosis) -> bool:
    """Whether no pod is ready and all crash: then the way back costs nothing."""
    context = inputs.context
    affected = {pod.uid for pod in diagnosis.pods}
    return (
        diagnosis.type in _CRASHES
        and not context.ready
        and affected >= context.pod_uids
        and all(any(c.restarts for c in pod.containers) for pod in diagnosis.pods)
    )


def _was_rollback_in_vain(inputs: DecisionInput) -> bool:
    """Whether a rollback of the desired revision was no better than the revision itself."""
    return any(
        action.remediation is Remediation.ROLLBACK and action.outcome is ActionOutcome.FAILED
        for action in history.find_attempts(inputs.record, inputs.policy, inputs.now)
    )


def _propose_raise_memory(inputs: DecisionInput, diagnosis: AppDiagnosis) -> ProposedAction | None:
    record, context, policy = inputs.record, inputs.context, inputs.policy
    spec_limits, refused_limits = context.memory_limits, context.external.refused_limits
    if find_obstacle(diagnosis, spec_limits, policy, refused_limits):
        return None
    container = select_container(diagnosis)
    current = _find_exceeded_limit(inputs, diagnosis, container)
    limit = next_limit(current, find_ceiling(policy, container, spec_limits[container]))
    in_new_pods = needs_new_pods(inputs, diagnosis)
    is_serving = diagnosis.type in WARNINGS or any(pod.ready for pod in diagnosis.pods)
    if in_new_pods and is_serving:
        return None  # no pod that serves is replaced for it
    override = find_override(record, container)
    if override is not None and not record.memory_in_template and in_new_pods:
        # The resize may not have reached the pods: new pods get the same limit.
        limit = current = override.limit
    attempts = history.find_attempts(record, policy, inputs.now)
    if limit is None or count_failures(attempts, container, limit) >= MAX_ATTEMPTS:
        return None
    how = "in new pods" if in_new_pods else "in running pods"
    change = f"from {current} to {limit}" if limit != current else f"{current} again"
    whose = "" if container == names.CONTAINER_NAME else f" of {container}"
    message = f"memory limit{whose} {change}, {how}: {diagnosis.message}"
    return ProposedAction(Remediation.RAISE_MEMORY, diagnosis, limit, message, container=container)


def _find_exceeded_limit(inputs: DecisionInput, diagnosis: AppDiagnosis, container: str) -> str:
    """The limit that was exceeded: the highest of the override, the spec and the affected pods.

    After a rollback only the pods have the limit of the stable revision.
    """
    override = find_override(inputs.record, container)
    highest = override.limit if override else inputs.context.memory_limits[container]
    for pod in diagnosis.pods:
        limit = find_limit_in_force(pod, container)
        if exceeds(limit, highest):
            highest = limit
    return highest


def needs_new_pods(inputs: DecisionInput, diagnosis: AppDiagnosis) -> bool:
    """Whether a higher limit needs new pods, because a resize of the running pods has failed.

    A container in a crash loop may never get its new limit (Kubernetes issue 138760).
    """
    container = select_container(diagnosis)
    return inputs.record.memory_in_template or any(
        action.outcome is ActionOutcome.FAILED and container_of(action) == container
        for action in _find_attempts(inputs, Remediation.RAISE_MEMORY, diagnosis)
    )


def _propose_avoid_node(inputs: DecisionInput, diagnosis: AppDiagnosis) -> ProposedAction | None:
    """Recreate the pods on other nodes, if a node is the cause, or may be.

    The node is excluded in the pod template, so the rollout follows the app's own strategy.
    """
    context = inputs.context
    if not inputs.policy.replace_pod or context.uses_recreate:
        return None
    is_cause = diagnosis.cause is Cause.NODE
    if not is_cause and not _may_be_node(inputs, diagnosis):
        return None
    if not any(pod.uid in context.current_uids for pod in diagnosis.pods):
        return None  # they are replaced already
    if inputs.record.excluded_node is not None or _find_attempts(
        inputs, Remediation.AVOID_NODE, diagnosis
    ):
        return None
    node = diagnosis.pods[0].node
    message = f"pods are recreated on nodes other than {node}: {diagnosis.message}"
    due = context.first_seen(diagnosis, inputs.now) + inputs.policy.start_grace
    return ProposedAction(
        Remediation.AVOID_NODE,
        diagnosis,
        node,
        message,
        not_before=None if is_cause else due,
    )


def _may_be_node(inputs: DecisionInput, diagnosis: AppDiagnosis) -> bool:
    """Whether the affected pods are on one node, and pods that are ready are on others only.

    A fault of a single pod may be its node's if its substitute has the same on that node.
    """
    context = inputs.context
    was_replaced = diagnosis.cause is Cause.POD and _has_failed_before(
        inputs, Remediation.REPLACE_POD, diagnosis
    )
    affected_nodes = {pod.node for pod in diagnosis.pods}
    ready_nodes = {pod.node for pod in context.pods if pod.ready}
    return (
        (diagnosis.cause is Cause.UNKNOWN or was_replaced)
        and diagnosis.type in NODE_SUSPECTS
        and len(affected_nodes) == 1
        and "" not in affected_nodes
        and bool(ready_nodes)
        and affected_nodes.isdisjoint(ready_nodes)
        and not any(map(has_long_runs, diagnosis.pods))
    )


def _propose_replace_pod(inputs: DecisionInput, diagnosis: AppDiagnosis) -> ProposedAction | None:
    if not inputs.policy.replace_pod or not _can_replacement_help(diagnosis):
        return None
    if inputs.context.diagnosis_types & NO_NEW_PODS:
        return None
    attempts = _find_attempts(inputs, Remediation.REPLACE_POD, diagnosis)
    if len(attempts) >= MAX_POD_REPLACEMENTS or any(
        action.outcome in history.ENDED_BADLY for action in attempts
    ):
        return None
    candidates = (
        pod
        for pod in diagnosis.pods
        if pod.uid in inputs.context.current_uids and is_evictable(pod)
    )
    pod = next(candidates, None)
    if pod is None:
        return None
    message = f"{pod.name} is replaced: {diagnosis.symptom or diagnosis.message}"
    # After an outage the pods recover one after the other.
    due = inputs.context.first_seen(diagnosis, inputs.now) + inputs.policy.min_healthy_time
    return ProposedAction(
        Remediation.REPLACE_POD, diagnosis, pod.name, message, pod.uid, not_before=due
    )


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
    return any(action.outcome in history.ENDED_BADLY for action in attempts)


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
    Remediation.REMOVE_FOREIGN_FIELDS: _propose_remove_foreign_fields,
    Remediation.ROLLBACK: _propose_rollback,
    Remediation.RAISE_MEMORY: _propose_raise_memory,
    Remediation.AVOID_NODE: _propose_avoid_node,
    Remediation.REPLACE_POD: _propose_replace_pod,
    Remediation.FAILOVER: _propose_failover,
    Remediation.SCALING_FALLBACK: _propose_scaling_fallback,
}
