"""From the record to what is to be carried out now: steps as values, the same until they are done.

A step that has been carried out changes the facts so that it is no longer planned: a pod that is
gone, a limit that is set, a label that is removed. So each may be carried out again without harm,
also by an operator that knows nothing but the record.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from selfhealing.api.healing_status import ActionOutcome, HealingAction, HealingStatus, Remediation
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import PodView
from selfhealing.health.pod_problems import is_active, is_node_lost
from selfhealing.health.rollout import current_template_hash
from selfhealing.remediation import history, policy as modes
from selfhealing.remediation.memory_limit import exceeds
from selfhealing.remediation.policy import Policy
from selfhealing.render.overrides import Overrides

KEPT_FAILED_PODS: Final = 2
"""Failed pods that are kept to be looked at: the newest."""

MAX_DELETES: Final = 10
"""Failed pods that are deleted in one go."""


@dataclass(frozen=True, slots=True)
class Evict:
    """Have a pod evicted, if nothing of it has changed."""

    pod: PodView


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a pod: its node is lost, or it has failed long ago, or it was kept long enough."""

    name: str
    uid: str
    reason: str


@dataclass(frozen=True, slots=True)
class Resize:
    """Give a running pod another memory limit."""

    pod: PodView
    limit: str


@dataclass(frozen=True, slots=True)
class Isolate:
    """Take a pod out of the app and keep it."""

    pod: PodView


Step = Evict | Delete | Resize | Isolate


def discard_stale_action(
    record: HealingStatus, desired_revision: str, policy: Policy, now: datetime
) -> HealingStatus:
    """The record as far as it is still to be carried out, by what people want now.

    Without an action that is overtaken by another version, that is no longer wished for, or whose
    time is over: the operator may have been away since. The next decision writes down the rest.

    Args:
        record: what the status holds.
        asked: the version that the spec asks for.
        policy: the limits that the spec sets.
        now: the time.
    """
    action = history.find_running(record)
    if action is not None and (
        record.desired_revision != desired_revision
        or policy.mode in {modes.OFF, modes.OBSERVE}
        or action.at + policy.verification_timeout <= now
    ):
        record = history.update_action(record, action, outcome=ActionOutcome.SUPERSEDED)
    return record.model_copy(update={"mode": policy.mode})


def plan_cleanup_for_job(record: HealingStatus) -> tuple[Step, ...]:
    """What is to be carried out for an app of which nothing is remembered from now on: a Job."""
    quarantine = record.quarantine
    if quarantine is None:
        return ()
    return (Delete(quarantine.pod, quarantine.uid, "it was kept for an app that is a Job now"),)


def plan_steps(record: HealingStatus, snapshot: AppSnapshot, now: datetime) -> tuple[Step, ...]:
    """What is to be carried out now."""
    if record.mode == modes.OFF:
        return tuple(_plan_isolated_pod(record, snapshot, now))
    steps = [
        *_plan_running_action(record, snapshot),
        *_plan_resizes(record, snapshot),
        *_plan_isolated_pod(record, snapshot, now),
    ]
    return (*steps, *_prune_failed_pods(snapshot)) if record.mode == modes.AUTO else tuple(steps)


def build_overrides(
    record: HealingStatus | None, stable_template: dict[str, object] | None
) -> Overrides:
    """What stands in place of the spec; ``kept`` is the template of the version to go back to."""
    if record is None:
        return Overrides()
    return Overrides(
        pod_template=stable_template if record.failed_revision else None,
        memory_limit=(record.memory_limit or "") if record.memory_in_template else "",
        excluded_node=record.excluded_node or "",
        min_replicas=record.fallback_replicas,
    )


def find_action_without_evidence(
    record: HealingStatus, quarantined_since: datetime
) -> HealingAction | None:
    """The decision whose evidence is still to be taken.

    Before it is carried out, or just after an app was left to people (since ``recent``).
    """
    for action in record.history:
        if action.evidence is not None:
            continue
        is_recent_quarantine = (
            action.outcome is ActionOutcome.COMPLETED and action.at >= quarantined_since
        )
        if action.outcome is ActionOutcome.IN_PROGRESS or is_recent_quarantine:
            return action
    return None


def select_evidence_pod(action: HealingAction, snapshot: AppSnapshot) -> PodView | None:
    """The pod that tells most about an action: its target, else the one that is worst off."""
    target = next((pod for pod in snapshot.pods if action.uid and pod.uid == action.uid), None)
    if target is not None:
        return target
    unready = [pod for pod in snapshot.pods if is_active(pod) and not pod.ready]
    return max(unready, key=_restart_sort_key, default=None)


def _restart_sort_key(pod: PodView) -> tuple[int, str]:
    return sum(container.restarts for container in pod.containers), pod.name


def _plan_running_action(record: HealingStatus, snapshot: AppSnapshot) -> Iterator[Step]:
    action = history.find_running(record)
    live = [pod for pod in snapshot.pods if is_active(pod)]
    if action is not None and action.remediation is Remediation.REPLACE_POD:
        wanted = snapshot.deployment.replicas if snapshot.deployment else 0
        yield from (
            Evict(pod) for pod in live if pod.uid == action.uid and can_disrupt(pod, live, wanted)
        )
    if action is not None and action.remediation is Remediation.FAILOVER:
        for pod in live:
            if pod.node == action.target and is_node_lost(pod) and not pod.has_persistent_volumes:
                yield Delete(pod.name, pod.uid, f"its node {pod.node} does not answer")


def can_disrupt(pod: PodView, live: Sequence[PodView], wanted: int) -> bool:
    """Whether enough others are ready without this pod: one that is not ready takes nothing.

    Asked when the pod is chosen, and again when it is to go: it may have recovered meanwhile, and
    others may have fallen ill.
    """
    ready = sum(other.ready for other in live)
    return not pod.ready or (ready - 1) * 2 >= wanted > 1


def _plan_resizes(record: HealingStatus, snapshot: AppSnapshot) -> Iterator[Step]:
    limit = record.memory_limit
    if not limit or record.memory_in_template:
        return
    current_hash = current_template_hash(snapshot)
    for pod in snapshot.pods:
        is_current = is_active(pod) and pod.node and pod.template_hash == current_hash
        if is_current and exceeds(limit, pod.memory_limit):
            yield Resize(pod, limit)


def _plan_isolated_pod(
    record: HealingStatus, snapshot: AppSnapshot, now: datetime
) -> Iterator[Step]:
    quarantine = record.quarantine
    if quarantine is None:
        return
    app_pod = next((pod for pod in snapshot.pods if pod.uid == quarantine.uid), None)
    if quarantine.until <= now:
        if app_pod is None:  # else it was never taken out, and is one of the app's own
            yield Delete(quarantine.pod, quarantine.uid, "it was kept for as long as the spec says")
    elif (
        app_pod is not None
        and is_active(app_pod)
        and not app_pod.ready
        and _has_other_ready_pod(app_pod, snapshot)
    ):
        yield Isolate(app_pod)


def _has_other_ready_pod(pod: PodView, snapshot: AppSnapshot) -> bool:
    return any(other.ready and is_active(other) for other in snapshot.pods if other.uid != pod.uid)


def _prune_failed_pods(snapshot: AppSnapshot) -> Iterator[Step]:
    """Failed pods beyond the newest: nobody else deletes them before there are thousands."""
    if snapshot.deployment is None:
        return
    failed = [pod for pod in snapshot.pods if pod.phase == "Failed" and not pod.deleting]
    newest_first = sorted(failed, key=lambda pod: (str(pod.created), pod.name), reverse=True)
    for pod in newest_first[KEPT_FAILED_PODS : KEPT_FAILED_PODS + MAX_DELETES]:
        yield Delete(pod.name, pod.uid, "it has failed, and newer ones are kept to be looked at")
