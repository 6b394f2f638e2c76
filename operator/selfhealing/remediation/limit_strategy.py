"""Proposes the raise of a limit, in the running pods or in new ones."""

from selfhealing.api import names
from selfhealing.api.container_limits import LimitedResource, LimitKey
from selfhealing.api.healing_status import ActionOutcome, Remediation
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.attribution import Cause
from selfhealing.health.crash_loops import last_termination
from selfhealing.health.pod_diagnosis import WARNINGS, DiagnosisType
from selfhealing.health.readiness import was_ready_before
from selfhealing.remediation import history
from selfhealing.remediation.limit_ceiling import (
    find_ceiling,
    find_limit_in_force,
    find_obstacle,
    select_limit,
)
from selfhealing.remediation.limit_raise import MAX_ATTEMPTS, count_failures
from selfhealing.remediation.limit_steps import exceeds, next_limit
from selfhealing.remediation.proposal import (
    NO_NEW_PODS,
    DecisionInput,
    ProposedAction,
    find_attempts,
)
from selfhealing.remediation.raised_limits import RAISES, find_raised_key, get_raised_limits


def propose_raise(inputs: DecisionInput, diagnosis: AppDiagnosis) -> ProposedAction | None:
    """Propose the next limit of the container that lacks something; None if none fits."""
    record, context, policy = inputs.record, inputs.context, inputs.policy
    if find_obstacle(diagnosis, context.limits, policy, context.external.refused_limits):
        return None
    if diagnosis.type is DiagnosisType.CPU_THROTTLED and not _is_limit_the_cause(inputs, diagnosis):
        return None
    if context.are_pods_replaced(diagnosis):
        return None  # only pods of the current template get it
    key = select_limit(diagnosis)
    current = _find_exceeded_limit(inputs, diagnosis, key)
    limit = next_limit(key.resource, current, find_ceiling(policy, key, context.limits[key]))
    in_new_pods = needs_new_pods(inputs, diagnosis)
    is_serving = diagnosis.type in WARNINGS or any(pod.ready for pod in diagnosis.pods)
    if in_new_pods and (is_serving or context.diagnosis_types & NO_NEW_PODS):
        return None  # no pod that serves is replaced for it, and none without a substitute
    override = get_raised_limits(record).get(key)
    if override is not None and not record.memory_in_template and in_new_pods:
        # The resize may not have reached the pods: new pods get the same limit.
        limit = current = override.limit
    attempts = history.find_attempts(record, policy, inputs.now)
    if limit is None or count_failures(attempts, key, limit) >= MAX_ATTEMPTS[key.resource]:
        return None
    how = "in new pods" if in_new_pods else "in running pods"
    change = f"from {current} to {limit}" if limit != current else f"{current} again"
    whose = "" if key.container == names.CONTAINER_NAME else f" of {key.container}"
    message = f"{key.resource.label} limit{whose} {change}, {how}: {diagnosis.message}"
    return ProposedAction(RAISES[key.resource], diagnosis, limit, message, container=key.container)


def _is_limit_the_cause(inputs: DecisionInput, diagnosis: AppDiagnosis) -> bool:
    """Whether the CPU limit makes probes fail: of pods that served, or that a probe has killed.

    A pod that starts may use all that it gets. What may be the fault of a change is undone instead,
    if there is something to go back to.
    """
    diagnoses = inputs.context.diagnoses
    is_suspected = any(each.cause in {Cause.NEW_VERSION, Cause.FOREIGN_EDIT} for each in diagnoses)
    if is_suspected and inputs.record.stable_revision is not None:
        return False
    killed = {
        pod.uid
        for each in diagnoses
        if each.type is DiagnosisType.LIVENESS_KILLED
        for pod in each.pods
    }
    return any(pod.uid in killed or was_ready_before(pod) for pod in diagnosis.pods)


def _find_exceeded_limit(inputs: DecisionInput, diagnosis: AppDiagnosis, key: LimitKey) -> str:
    """The limit that was exceeded: the highest of the override, the spec and the affected pods.

    After a rollback only the pods have the limit of the stable revision.
    """
    override = get_raised_limits(inputs.record).get(key)
    highest = override.limit if override else inputs.context.limits[key]
    for pod in diagnosis.pods:
        limit = find_limit_in_force(pod, key)
        if exceeds(limit, highest):
            highest = limit
    return highest


def needs_new_pods(inputs: DecisionInput, diagnosis: AppDiagnosis) -> bool:
    """Whether a higher limit needs new pods, because a resize of the running pods has failed.

    A container in a crash loop may never get its new memory limit (Kubernetes issue 138760).
    """
    key = select_limit(diagnosis)
    return key.resource is LimitedResource.MEMORY and (
        inputs.record.memory_in_template
        or any(
            action.outcome is ActionOutcome.FAILED and find_raised_key(action) == key
            for action in find_attempts(inputs, Remediation.RAISE_MEMORY, diagnosis)
        )
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
