"""Judges the action in progress: by its target, by the progress of its rollout, and not too early.

"It could not be carried out" and "the operator was away" are not "it did not help".
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from selfhealing.api.healing_status import ActionOutcome, HealingAction, HealingStatus, Remediation
from selfhealing.cache.views import ContainerView, PodView
from selfhealing.health.crash_loops import find_recovery_time
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.pod_diagnosis import WARNINGS
from selfhealing.health.pod_problems import is_node_lost
from selfhealing.health.readiness import find_start_deadline, is_starting
from selfhealing.remediation.context import RemediationContext
from selfhealing.remediation.policy import Policy
from selfhealing.remediation.raised_limits import RAISES

_BY_ROLLOUT: Final = frozenset(
    {
        Remediation.ROLLBACK,
        Remediation.AVOID_NODE,
        Remediation.REMOVE_FOREIGN_FIELDS,
        Remediation.RELAX_LIVENESS,
    }
)
"""Remediations that replace all pods: they take as long as the pods need to start."""

_BY_NEW_PODS: Final = frozenset({Remediation.REPLACE_POD, Remediation.FAILOVER})
"""Remediations that remove pods, and take as long as their substitutes need to start."""

_CREATION_MARGIN: Final = timedelta(seconds=2)
"""A pod that was created after an action may seem this much older: its time is cut to a whole
second, and the operator's estimate of the API server's time is up to a second ahead."""


def judge_action(
    record: HealingStatus,
    action: HealingAction,
    context: RemediationContext,
    policy: Policy,
    deadlines: Deadlines,
) -> ActionOutcome | None:
    """Return the outcome of the action in progress; None while it is not known."""
    if action.remediation is Remediation.ROLLBACK and context.external.stable_revision_missing:
        return ActionOutcome.FAILED
    if _has_succeeded(action, context):
        # An app that becomes healthy just before the timeout still gets min_healthy_time.
        since = _succeeding_since(action, record, context, deadlines.now)
        is_lasting = deadlines.reached(since + policy.min_healthy_time)
        return ActionOutcome.SUCCEEDED if is_lasting else None
    if (
        _is_no_better_elsewhere(action, context)
        or _is_target_no_better(action, context, policy, deadlines)
        or _has_spec_recovered(record, action, context, deadlines)
    ):
        return ActionOutcome.FAILED
    return _judge_by_time(action, context, policy, deadlines)


def _judge_by_time(
    action: HealingAction, context: RemediationContext, policy: Policy, deadlines: Deadlines
) -> ActionOutcome | None:
    """Return the outcome of an action that has not succeeded; None before its timeout."""
    if not is_timed_out(action, context, policy, deadlines):
        return None
    if _find_untouched_target(action, context) is not None:
        return ActionOutcome.REFUSED
    return ActionOutcome.FAILED


def is_timed_out(
    action: HealingAction, context: RemediationContext, policy: Policy, deadlines: Deadlines
) -> bool:
    """Whether an action had the time of its verification, and nothing still starts because of it.

    The time does not run while no process of the operator watches. What begins to start after that
    time, such as a pod that an autoscaler adds, does not count.
    """
    watching_since = context.watching_since
    started_at = max(action.at, watching_since) if watching_since else action.at
    timeout = started_at + policy.verification_timeout
    if not deadlines.reached(timeout):
        return False
    if action.remediation in _BY_ROLLOUT:
        # The Deployment controller ends a rollout by the progress deadline.
        return not context.is_rollout_progressing
    if action.remediation in _BY_NEW_PODS:
        return not any(
            is_starting(pod, policy.progress_deadline, deadlines)
            for pod in _find_unaffected(_find_new_pods(action, context), context)
            if pod.created is not None and pod.created <= timeout
        )
    return action.remediation not in RAISES.values() or not any(
        _has_restarted(container, action.at, timeout, deadlines)
        for pod in context.pods
        for container in pod.containers
    )


def _has_restarted(
    container: ContainerView, after: datetime, before: datetime, deadlines: Deadlines
) -> bool:
    """Whether a container was started between two times, and its startup probe gives it time."""
    since, end = container.running_since, find_start_deadline(container)
    if not container.starting or since is None or end is None:
        return False
    return after <= since <= before and not deadlines.reached(end)


def _succeeding_since(
    action: HealingAction, record: HealingStatus, context: RemediationContext, now: datetime
) -> datetime:
    if action.remediation is Remediation.SCALING_FALLBACK:
        return action.at
    if action.remediation is Remediation.REPLACE_POD and not context.healthy:
        ready_since = [pod.ready_since or now for pod in _find_good_substitutes(action, context)]
        return max(action.at, min(ready_since))
    if action.remediation in RAISES.values():
        return max([action.at, *_find_recoveries(context)])
    return max(action.at, record.healthy_since or now)


def _find_recoveries(context: RemediationContext) -> Iterator[datetime]:
    """When the running containers of the pods count as recovered, or have started."""
    for pod in context.pods:
        for container in pod.containers:
            if container.running_since is not None:
                yield find_recovery_time(container) or container.running_since


def _has_succeeded(action: HealingAction, context: RemediationContext) -> bool:
    if action.remediation is Remediation.SCALING_FALLBACK:
        return context.wanted >= int(action.target)
    if action.remediation is Remediation.REPLACE_POD:
        return action.uid not in context.pod_uids and _has_substitute(action, context)
    if action.remediation in RAISES.values() and action.diagnosis not in WARNINGS:
        # A container that was killed before is told of for a while, though it has what it needs.
        return context.is_all_current and context.wanted <= context.ready == len(context.pods)
    if action.diagnosis in WARNINGS and action.diagnosis in context.diagnosis_types:
        return False
    return context.complete


def _has_substitute(action: HealingAction, context: RemediationContext) -> bool:
    """Whether a pod that was created after a replacement is ready, and none such is affected.

    Neither the other pods that have the diagnosis count against it, nor those that an autoscaler
    adds meanwhile.
    """
    new_uids = {pod.uid for pod in _find_new_pods(action, context)}
    has_it_again = any(
        pod.uid in new_uids
        for diagnosis in context.diagnoses
        if diagnosis.type == action.diagnosis
        for pod in diagnosis.pods
    )
    is_substituted = context.complete or bool(_find_good_substitutes(action, context))
    return is_substituted and not has_it_again


def _find_good_substitutes(action: HealingAction, context: RemediationContext) -> list[PodView]:
    """Find the pods that were created after an action, and are ready without a fault.

    One that was restarted may be between two crashes, unless the app is healthy.
    """
    return [
        pod
        for pod in _find_unaffected(_find_new_pods(action, context), context)
        if pod.ready and (context.healthy or not any(c.restarts for c in pod.containers))
    ]


def _find_new_pods(action: HealingAction, context: RemediationContext) -> list[PodView]:
    return [pod for pod in context.pods if _is_newer(pod, action)]


def _is_newer(pod: PodView, action: HealingAction) -> bool:
    """Whether a pod was created after an action."""
    return pod.created is not None and pod.created >= action.at - _CREATION_MARGIN


def _find_unaffected(pods: Iterable[PodView], context: RemediationContext) -> list[PodView]:
    affected = {
        pod.uid
        for diagnosis in context.diagnoses
        if diagnosis.type not in WARNINGS
        for pod in diagnosis.pods
    }
    return [pod for pod in pods if pod.uid not in affected]


def _is_no_better_elsewhere(action: HealingAction, context: RemediationContext) -> bool:
    """Whether pods that were recreated on another node have the same diagnosis there."""
    return action.remediation is Remediation.AVOID_NODE and any(
        pod.node not in {"", action.target} and _is_newer(pod, action)
        for diagnosis in context.diagnoses
        if diagnosis.type == action.diagnosis
        for pod in diagnosis.pods
    )


def _has_spec_recovered(
    record: HealingStatus,
    action: HealingAction,
    context: RemediationContext,
    deadlines: Deadlines,
) -> bool:
    """Whether only pods of the revision that is rolled back are ready: it was not at fault.

    A container that was restarted must have run for longer than before: until then it may crash
    again.
    """
    ready = [pod for pod in context.pods if pod.ready]
    recoveries = (
        find_recovery_time(container)
        for pod in ready
        for container in pod.containers
        if container.restarts
    )
    return (
        action.remediation is Remediation.ROLLBACK
        and not record.failed_for_certain
        and bool(ready)
        and not serves_target(action, context)
        and all(at is None or deadlines.reached(at) for at in recoveries)
    )


def serves_target(action: HealingAction, context: RemediationContext) -> bool:
    """Whether pods of the revision that was rolled back to are ready.

    Pods that were ready before the rollback are of that revision. Their template may differ from
    that of the rollback, which has copies of its configuration or avoids no node.
    """
    return any(
        pod.uid in context.current_uids or pod.ready_since is None or pod.ready_since <= action.at
        for pod in context.pods
        if pod.ready
    )


def _is_target_no_better(
    action: HealingAction, context: RemediationContext, policy: Policy, deadlines: Deadlines
) -> bool:
    """Whether the revision that was rolled back to fails as well, and nothing serves.

    Then there is nothing to wait for: the way back to the spec is free.
    """
    if (
        action.remediation is not Remediation.ROLLBACK
        or context.ready
        or not context.is_all_current
    ):
        return False
    affected = {pod.uid for diagnosis in context.diagnoses for pod in diagnosis.pods}
    is_total = bool(context.pods) and affected >= context.pod_uids
    return is_total and deadlines.reached(action.at + policy.start_grace)


def _find_untouched_target(action: HealingAction, context: RemediationContext) -> PodView | None:
    """A pod that was to be removed and still is there: the request was refused all the time."""
    if action.remediation is Remediation.REPLACE_POD:
        return next((pod for pod in context.pods if pod.uid == action.uid), None)
    if action.remediation is Remediation.FAILOVER:
        return next(
            (pod for pod in context.pods if pod.node == action.target and is_node_lost(pod)), None
        )
    return None
