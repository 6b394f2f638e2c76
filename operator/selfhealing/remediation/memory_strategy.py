"""Proposes the raise of a memory limit, in the running pods or in new ones."""

from selfhealing.api import names
from selfhealing.api.healing_status import ActionOutcome, Remediation
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.crash_loops import last_termination
from selfhealing.health.pod_diagnosis import WARNINGS, DiagnosisType
from selfhealing.remediation import history
from selfhealing.remediation.memory_ceiling import (
    find_ceiling,
    find_limit_in_force,
    find_obstacle,
    find_override,
    select_container,
)
from selfhealing.remediation.memory_limit import exceeds, next_limit
from selfhealing.remediation.memory_raise import MAX_ATTEMPTS, container_of, count_failures
from selfhealing.remediation.proposal import (
    NO_NEW_PODS,
    DecisionInput,
    ProposedAction,
    find_attempts,
)


def propose_raise_memory(inputs: DecisionInput, diagnosis: AppDiagnosis) -> ProposedAction | None:
    """Propose the next limit of the container that was killed; None if none fits."""
    record, context, policy = inputs.record, inputs.context, inputs.policy
    spec_limits, refused_limits = context.memory_limits, context.external.refused_limits
    if find_obstacle(diagnosis, spec_limits, policy, refused_limits):
        return None
    if diagnosis.pods and not any(pod.uid in context.current_uids for pod in diagnosis.pods):
        return None  # they are replaced already, and only pods of the current template get it
    container = select_container(diagnosis)
    current = _find_exceeded_limit(inputs, diagnosis, container)
    limit = next_limit(current, find_ceiling(policy, container, spec_limits[container]))
    in_new_pods = needs_new_pods(inputs, diagnosis)
    is_serving = diagnosis.type in WARNINGS or any(pod.ready for pod in diagnosis.pods)
    if in_new_pods and (is_serving or context.diagnosis_types & NO_NEW_PODS):
        return None  # no pod that serves is replaced for it, and none without a substitute
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
        for action in find_attempts(inputs, Remediation.RAISE_MEMORY, diagnosis)
    )


def has_enough_memory(inputs: DecisionInput, diagnosis: AppDiagnosis) -> bool:
    """Whether a diagnosis is of kills before a raise that succeeded."""
    raises = find_attempts(inputs, Remediation.RAISE_MEMORY, diagnosis)
    succeeded_at = max(
        (a.ended_at for a in raises if a.outcome is ActionOutcome.SUCCEEDED and a.ended_at),
        default=None,
    )
    ends = (
        end.finished_at
        for pod in diagnosis.pods
        for container in pod.containers
        if (end := last_termination(container)) is not None
    )
    return (
        succeeded_at is not None
        and diagnosis.type is DiagnosisType.OOM_KILLED
        and not any(at is None or at > succeeded_at for at in ends)
    )
