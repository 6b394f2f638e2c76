"""Chooses the remediation for a diagnosis: the escalation of each type, and when each step applies.

A remediation that failed for the same diagnosis of the same revision is not repeated. One that
succeeds, but whose diagnosis comes back, is repeated only a limited number of times.
"""

from collections.abc import Callable, Mapping
from typing import Final

from selfhealing.api import names
from selfhealing.api.healing_status import (
    ActionOutcome,
    BlockedReason,
    Remediation,
)
from selfhealing.cache.views import PodView
from selfhealing.health import messages
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.attribution import NODE_SUSPECTS, Cause, Confidence
from selfhealing.health.crash_loops import find_recovery_time, has_long_runs
from selfhealing.health.pod_diagnosis import NEVER_QUARANTINED, DiagnosisType
from selfhealing.health.pod_problems import is_node_lost
from selfhealing.remediation import foreign_edits, history
from selfhealing.remediation.limit_ceiling import select_limit
from selfhealing.remediation.limit_strategy import has_enough_memory, propose_raise
from selfhealing.remediation.patience import compute_due_time
from selfhealing.remediation.proposal import (
    NO_NEW_PODS,
    DecisionInput,
    ProposedAction,
    find_attempts,
)
from selfhealing.remediation.revisions import find_rollback_target, is_young
from selfhealing.remediation.steps import is_evictable
from selfhealing.render.overrides import LIVENESS_FACTOR

MAX_POD_REPLACEMENTS: Final = 2
"""How often pods may be replaced for the same diagnosis within the window."""

_NOT_REPEATABLE: Final = frozenset({Remediation.REPLACE_POD, Remediation.RAISE_MEMORY})
"""Remediations that have used up their effect if the same diagnosis is back after a success."""

_NOT_EXHAUSTIBLE: Final = NEVER_QUARANTINED | {
    DiagnosisType.DEPENDENCY_DOWN,
    DiagnosisType.CPU_THROTTLED,
}
"""Diagnoses for which an app is not quarantined when no remediation is left."""

UNLIMITED_REMEDIATIONS: Final = frozenset({Remediation.FAILOVER, Remediation.SCALING_FALLBACK})
"""Remediations that may be in progress in any number of apps: a lost node and missing metrics
concern many apps at once, and waiting would cost availability."""

_CRASHES: Final = frozenset(
    {DiagnosisType.CRASH_LOOPING, DiagnosisType.LIVENESS_KILLED, DiagnosisType.DEPENDENCY_DOWN}
)
"""Diagnoses of pods that do not run, so that a rollback takes nothing away."""

_FOR_APP_FAULTS: Final = (Remediation.ROLLBACK, Remediation.AVOID_NODE, Remediation.REPLACE_POD)

ESCALATION: Final[Mapping[DiagnosisType, tuple[Remediation, ...]]] = {
    DiagnosisType.CRASH_LOOPING: _FOR_APP_FAULTS,
    DiagnosisType.LIVENESS_KILLED: (
        Remediation.ROLLBACK,
        Remediation.RELAX_LIVENESS,
        Remediation.AVOID_NODE,
        Remediation.REPLACE_POD,
    ),
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
    DiagnosisType.PODS_FAILED: (Remediation.ROLLBACK,),
    DiagnosisType.DEPENDENCY_DOWN: (Remediation.ROLLBACK, Remediation.REPLACE_POD),
    DiagnosisType.METRICS_UNAVAILABLE: (Remediation.SCALING_FALLBACK,),
    DiagnosisType.CPU_THROTTLED: (Remediation.RAISE_CPU,),
    DiagnosisType.MEMORY_CLIMBING: (Remediation.RAISE_MEMORY,),
}
"""The remediations for each diagnosis, the first that fits is used. The other types have none."""


def choose_action(inputs: DecisionInput) -> ProposedAction | None:
    """The first remediation that fits and is due, of the most severe diagnosis that has one.

    If none is due, the first one that fits; None if none fits.
    """
    proposals = []
    for diagnosis in _select_unremedied(inputs):
        for remediation in _remediations_for(inputs, diagnosis):
            if (proposal := _STRATEGIES[remediation](inputs, diagnosis)) is not None:
                proposals.append(proposal)
                break
    startable = (
        proposal
        for proposal in proposals
        if proposal.blocked_reason is None and proposal.is_due(inputs.deadlines)
    )
    return next(startable, None) or next(iter(proposals), None)


def _select_unremedied(inputs: DecisionInput) -> list[AppDiagnosis]:
    """Select the diagnoses that a raise of a limit has not remedied already.

    A kill is a diagnosis for a while after the container has got the memory that it needs.
    """
    return [each for each in inputs.context.diagnoses if not has_enough_memory(inputs, each)]


def _remediations_for(inputs: DecisionInput, diagnosis: AppDiagnosis) -> tuple[Remediation, ...]:
    if (
        diagnosis.type is DiagnosisType.OOM_KILLED
        and select_limit(diagnosis).container in inputs.context.lowered_memory
    ):  # the version itself took the memory away
        return (Remediation.ROLLBACK, Remediation.RAISE_MEMORY)
    if diagnosis.cause is Cause.FOREIGN_EDIT or _is_doubted(diagnosis):
        return (Remediation.REMOVE_FOREIGN_FIELDS, *ESCALATION.get(diagnosis.type, ()))
    return ESCALATION.get(diagnosis.type, ())


def _is_doubted(diagnosis: AppDiagnosis) -> bool:
    """Whether a version is only suspected, so that an edit of the Deployment may be the cause."""
    return diagnosis.cause is Cause.NEW_VERSION and diagnosis.confidence is Confidence.LOW


def is_exhausted(inputs: DecisionInput) -> bool:
    """Whether a remediation was tried for a diagnosis that the app still has.

    It counts if it failed, or if it succeeded, may not be repeated, and the diagnosis is back. A
    success of another remediation does not count: after a rollback another revision runs, a scaling
    fallback is only an override, and a failover may wait for the pods of another node. Diagnoses in
    NEVER_QUARANTINED do not count, nor does a dependency that is down: it comes back by itself; nor
    do those of pods that are replaced already: what comes after them has not been seen yet.
    """
    diagnosis_types = {
        each.type
        for each in _select_unremedied(inputs)
        if not inputs.context.are_pods_replaced(each)
    } - _NOT_EXHAUSTIBLE
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
    """Remove the fields that somebody else set, once a day for each field manager.

    An edit that is only suspected is removed while every pod is ill: it is tried before a rollback.
    """
    context = inputs.context
    is_blamed = diagnosis.cause is Cause.FOREIGN_EDIT
    is_total = not context.ready and {pod.uid for pod in diagnosis.pods} >= context.pod_uids
    if not inputs.policy.rollback or not (is_blamed or (_is_doubted(diagnosis) and is_total)):
        return None
    facts = foreign_edits.EditHistory(
        context.foreign_edits, context.pods, inputs.record, context.desired_revision, inputs.now
    )
    find_edit = (
        foreign_edits.find_responsible_edit if is_blamed else foreign_edits.find_suspected_edit
    )
    edit = find_edit(diagnosis, facts)
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


def _propose_relax_liveness(
    inputs: DecisionInput, diagnosis: AppDiagnosis
) -> ProposedAction | None:
    """Let the liveness probe fail more often, for a time, if it kills each pod of a proved version.

    Each was ready before, and answered too slowly. What is slow because of something that is down
    gains nothing by it.
    """
    record, context, policy = inputs.record, inputs.context, inputs.policy
    affected = {pod.uid for pod in diagnosis.pods}
    is_proved = record.stable_revision == context.desired_revision
    if not policy.relax_liveness or not is_proved or record.relaxed_until is not None:
        return None
    if not context.pod_uids <= affected <= context.slow_uids:
        return None
    if any(_has_recovered(inputs, pod) for pod in diagnosis.pods):
        return None
    if context.uses_recreate or context.diagnosis_types & _KEEPS_LIVENESS:
        return None
    if _has_failed_before(inputs, Remediation.RELAX_LIVENESS, diagnosis):
        return None
    message = (
        f"the liveness probe may fail {LIVENESS_FACTOR} times as often for "
        f"{messages.format_duration(policy.relaxed_for)}: {diagnosis.message}"
    )
    due = context.first_seen(diagnosis, inputs.now) + policy.start_grace
    return ProposedAction(
        Remediation.RELAX_LIVENESS,
        diagnosis,
        f"{LIVENESS_FACTOR}x",
        message,
        not_before=due,
    )


def _has_recovered(inputs: DecisionInput, pod: PodView) -> bool:
    """Whether the app of a pod runs for longer already than before its last end."""
    container = pod.find_container(names.CONTAINER_NAME)
    recovered_at = find_recovery_time(container) if container is not None else None
    return recovered_at is not None and inputs.deadlines.reached(recovered_at)


_KEEPS_LIVENESS: Final = NO_NEW_PODS | {DiagnosisType.DEPENDENCY_DOWN, DiagnosisType.CPU_THROTTLED}
"""Diagnoses by which other pods would not help, or of which the slow answer is a symptom."""


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
    if context.are_pods_replaced(diagnosis) or not context.is_rollout_harmless:
        return None
    if inputs.record.excluded_node is not None or find_attempts(
        inputs, Remediation.AVOID_NODE, diagnosis
    ):
        return None
    node = diagnosis.pods[0].node
    message = f"pods are recreated on nodes other than {node}: {diagnosis.message}"
    # After an outage the pods of one node may recover after those of another.
    wait = inputs.policy.min_healthy_time if is_cause else inputs.policy.start_grace
    due = context.first_seen(diagnosis, inputs.now) + wait
    return ProposedAction(Remediation.AVOID_NODE, diagnosis, node, message, not_before=due)


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
    attempts = find_attempts(inputs, Remediation.REPLACE_POD, diagnosis)
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
    """Whether a new pod can be expected to be healthy: other pods are, or the pod only hangs.

    The only pod of an app may hang by itself or by what it depends on. One try costs nothing.
    """
    is_low = diagnosis.confidence is Confidence.LOW
    if diagnosis.type is DiagnosisType.DEPENDENCY_DOWN:
        return is_low and not any(c.restarts for pod in diagnosis.pods for c in pod.containers)
    is_hung = diagnosis.type is DiagnosisType.NOT_READY_TOO_LONG
    return diagnosis.cause in {Cause.POD, Cause.NODE} and (is_hung or not is_low)


def _propose_failover(inputs: DecisionInput, diagnosis: AppDiagnosis) -> ProposedAction | None:
    """Give up the pods of a lost node, if a substitute can be expected to start.

    Otherwise the node may be back first; Kubernetes gives them up after five minutes.
    """
    if not inputs.policy.failover or _has_failed_before(inputs, Remediation.FAILOVER, diagnosis):
        return None
    context = inputs.context
    if context.external.rollback_obstacle and context.are_pods_replaced(diagnosis):
        return None
    if any(_is_start_held_up(inputs, pod) for pod in context.pods):
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


def _is_start_held_up(inputs: DecisionInput, pod: PodView) -> bool:
    """Whether no container of a pod has started on its node, for longer than a start may take."""
    return (
        bool(pod.node)
        and pod.created is not None
        and inputs.deadlines.reached(pod.created + inputs.policy.start_grace)
        and not pod.ready
        and not is_node_lost(pod)
        and not any(c.running_since or c.terminated or c.restarts for c in pod.containers)
    )


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
    attempts = find_attempts(inputs, remediation, diagnosis)
    return any(action.outcome in history.ENDED_BADLY for action in attempts)


_STRATEGIES: Final[
    Mapping[Remediation, Callable[[DecisionInput, AppDiagnosis], ProposedAction | None]]
] = {
    Remediation.REMOVE_FOREIGN_FIELDS: _propose_remove_foreign_fields,
    Remediation.ROLLBACK: _propose_rollback,
    Remediation.RAISE_MEMORY: propose_raise,
    Remediation.RAISE_CPU: propose_raise,
    Remediation.RELAX_LIVENESS: _propose_relax_liveness,
    Remediation.AVOID_NODE: _propose_avoid_node,
    Remediation.REPLACE_POD: _propose_replace_pod,
    Remediation.FAILOVER: _propose_failover,
    Remediation.SCALING_FALLBACK: _propose_scaling_fallback,
}
