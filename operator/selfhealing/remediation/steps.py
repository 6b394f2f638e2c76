"""Plans the steps that execute a stored record: evictions, deletions, resizes, isolations.

A step that was executed changes the snapshot so that it is not planned again: the pod is gone, the
limit is set, the label is removed. So a step may be executed twice without harm, also after a
restart of the operator.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from selfhealing.api.container_limits import LimitedResource, LimitKey
from selfhealing.api.healing_status import ActionOutcome, HealingAction, HealingStatus, Remediation
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import PodView
from selfhealing.health.pod_problems import TERMINAL_PHASES, is_active, is_node_lost
from selfhealing.health.rollout import current_template_hash
from selfhealing.remediation import history
from selfhealing.remediation.limit_ceiling import RefusedLimit
from selfhealing.remediation.limit_steps import exceeds
from selfhealing.remediation.policy import HealingMode, Policy
from selfhealing.remediation.raised_limits import get_raised_limits
from selfhealing.render.overrides import Overrides

KEPT_ENDED_PODS: Final = 2
"""The number of ended pods that are kept for inspection, the newest ones."""

MAX_DELETES: Final = 10
"""The largest number of ended pods that one reconcile deletes."""


@dataclass(frozen=True, slots=True)
class Evict:
    """Evict a pod, if it has not changed since."""

    pod: PodView


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a pod: its node is lost, it failed long ago, or its isolation has expired.

    ``is_isolated``: the pod was taken out of the app, which owns it directly since.
    """

    name: str
    uid: str
    reason: str
    is_isolated: bool = False


@dataclass(frozen=True, slots=True)
class Resize:
    """Raise limits of some containers of a running pod."""

    pod: PodView
    limits: Mapping[LimitKey, str]


@dataclass(frozen=True, slots=True)
class Isolate:
    """Remove a pod from the app by its label, without stopping it."""

    pod: PodView


Step = Evict | Delete | Resize | Isolate


@dataclass(frozen=True, slots=True)
class StepResults:
    """What has become of the steps of one reconcile.

    Attributes:
        pending_uids: the UIDs of the pods for which a step is still to be done.
        foreign_pods: by UID the names of the pods that turned out not to be the app's, to which
            nothing was done.
        refused_limits: the limits that the API server has refused.
    """

    pending_uids: frozenset[str] = frozenset()
    foreign_pods: Mapping[str, str] = field(default_factory=dict)
    refused_limits: Mapping[LimitKey, RefusedLimit] = field(default_factory=dict)


def discard_stale_action(
    record: HealingStatus, desired_revision: str, policy: Policy, now: datetime
) -> HealingStatus:
    """Drop the running action of a stored record if it must not be executed any more.

    That is so if the spec asks for another revision, if the mode allows no action, or if the
    verification timeout has passed: the operator may have been down since the record was stored.
    The next decision stores the change.

    Args:
        record: the stored record.
        desired_revision: the revision that the spec asks for.
        policy: the limits of spec.healing.
        now: the time.
    """
    action = history.find_running(record)
    if action is not None and (
        record.desired_revision != desired_revision
        or policy.mode in {HealingMode.OFF, HealingMode.OBSERVE}
        or action.at + policy.verification_timeout <= now
    ):
        record = history.update_action(record, action, outcome=ActionOutcome.SUPERSEDED)
    return record.model_copy(update={"mode": policy.mode})


def plan_cleanup_for_job(record: HealingStatus) -> tuple[Step, ...]:
    """The steps for an app that has become a Job: its isolated pod is deleted with the record."""
    quarantine = record.quarantine
    if quarantine is None:
        return ()
    return (Delete(quarantine.pod, quarantine.uid, "the app is a Job now", is_isolated=True),)


def plan_steps(record: HealingStatus, snapshot: AppSnapshot, now: datetime) -> tuple[Step, ...]:
    """The steps to be executed now."""
    if record.mode == HealingMode.OFF:
        return tuple(_plan_isolated_pod(record, snapshot, now))
    steps = [
        *_plan_running_action(record, snapshot),
        *plan_resizes(record, snapshot),
        *_plan_isolated_pod(record, snapshot, now),
    ]
    return (
        (*steps, *_prune_ended_pods(snapshot)) if record.mode == HealingMode.AUTO else tuple(steps)
    )


def build_overrides(
    record: HealingStatus | None, stable_template: dict[str, object] | None
) -> Overrides:
    """The overrides of the spec; ``stable_template`` is the template of the stable revision."""
    if record is None:
        return Overrides()
    return Overrides(
        pod_template=stable_template if record.failed_revision else None,
        failed_revision=(record.failed_revision or "") if stable_template else "",
        memory_limits={
            entry.container: entry.limit
            for entry in record.memory_limits
            if record.memory_in_template
        },
        excluded_node=record.excluded_node or "",
        relaxes_liveness=record.relaxed_until is not None,
        min_replicas=record.fallback_replicas,
    )


def find_action_without_evidence(
    record: HealingStatus, quarantined_since: datetime
) -> HealingAction | None:
    """The action whose evidence must still be collected; None if there is none.

    That is an action in progress, before it is executed, or a quarantine that is not older than
    ``quarantined_since``.
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
    """The pod to collect evidence from: the target, else the unready pod with the most restarts."""
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
        yield from (Evict(pod) for pod in live if pod.uid == action.uid and is_evictable(pod))
    if action is not None and action.remediation is Remediation.FAILOVER:
        for pod in live:
            if pod.node == action.target and is_node_lost(pod) and not pod.has_persistent_volumes:
                yield Delete(pod.name, pod.uid, f"its node {pod.node} does not answer")


def is_evictable(pod: PodView) -> bool:
    """Whether a pod may be evicted: only if it is not ready, so that no capacity is lost.

    This is checked when the action is proposed and again before the eviction, because the pod may
    have recovered.
    """
    return not pod.ready


def plan_resizes(record: HealingStatus, snapshot: AppSnapshot) -> Iterator[Resize]:
    """Plan the resizes of the pods of the current template that have less than the record's limits.

    No limit is lowered, and none is added: that would be a limit of another pod's template. Memory
    limits that are in the template get into pods with it.
    """
    raised = {
        key: entry.limit
        for key, entry in get_raised_limits(record).items()
        if not (key.resource is LimitedResource.MEMORY and record.memory_in_template)
    }
    current_hash = current_template_hash(snapshot)
    for pod in snapshot.pods:
        if not is_active(pod) or not pod.node or pod.template_hash != current_hash:
            continue
        limits = {
            key: limit
            for key, limit in raised.items()
            if (container := pod.find_container(key.container)) is not None
            and exceeds(limit, container.limits.get(key.resource))
        }
        if limits:
            yield Resize(pod, limits)


def _plan_isolated_pod(
    record: HealingStatus, snapshot: AppSnapshot, now: datetime
) -> Iterator[Step]:
    quarantine = record.quarantine
    if quarantine is None:
        return
    app_pod = next((pod for pod in snapshot.pods if pod.uid == quarantine.uid), None)
    if quarantine.until <= now:
        if app_pod is None:  # otherwise it was never isolated, and still belongs to the app
            yield Delete(
                quarantine.pod, quarantine.uid, "its quarantine has expired", is_isolated=True
            )
    elif (
        app_pod is not None
        and is_active(app_pod)
        and not app_pod.ready
        and _has_other_ready_pod(app_pod, snapshot)
    ):
        yield Isolate(app_pod)


def _has_other_ready_pod(pod: PodView, snapshot: AppSnapshot) -> bool:
    return any(other.ready and is_active(other) for other in snapshot.pods if other.uid != pod.uid)


def _prune_ended_pods(snapshot: AppSnapshot) -> Iterator[Step]:
    """Delete all pods that have ended but the newest.

    Those of a Deployment end if they are evicted; some look as if they had succeeded. Kubernetes
    deletes them only above terminated-pod-gc-threshold, 12500 pods in the cluster.
    """
    if snapshot.deployment is None:
        return
    ended = [pod for pod in snapshot.pods if pod.phase in TERMINAL_PHASES and not pod.deleting]
    newest_first = sorted(ended, key=lambda pod: (str(pod.created), pod.name), reverse=True)
    for pod in newest_first[KEPT_ENDED_PODS : KEPT_ENDED_PODS + MAX_DELETES]:
        yield Delete(pod.name, pod.uid, "it has ended; only the newest such pods are kept")
