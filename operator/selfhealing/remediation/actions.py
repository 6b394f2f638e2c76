"""From the record to what is to be carried out now: steps as values, the same until they are done.

A step that has been carried out changes the facts so that it is no longer planned: a pod that is
gone, a limit that is set, a label that is removed. So each may be carried out again without harm,
also by an operator that knows nothing but the record.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from selfhealing.api.healing_status import ActionOutcome, HealingAction, HealingStatus, Remedy
from selfhealing.cache.snapshot import Facts
from selfhealing.cache.views import PodView
from selfhealing.health.pod_problems import is_live, is_lost
from selfhealing.health.rollout import template_hash
from selfhealing.remediation import history, policy as modes
from selfhealing.remediation.memory_limit import larger
from selfhealing.remediation.policy import Policy
from selfhealing.render.overrides import Overrides

LEFTOVERS: Final = 2
"""Failed pods that are kept to be looked at: the newest."""

AT_ONCE: Final = 10
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
    why: str


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


def due(record: HealingStatus, asked: str, policy: Policy, now: datetime) -> HealingStatus:
    """The record as far as it is still to be carried out, by what people want now.

    Without an action that is overtaken by another version, that is no longer wished for, or whose
    time is over: the operator may have been away since. The next decision writes down the rest.

    Args:
        record: what the status holds.
        asked: the version that the spec asks for.
        policy: the limits that the spec sets.
        now: the time.
    """
    action = history.running(record)
    if action is not None and (
        record.template != asked
        or policy.mode in {modes.OFF, modes.OBSERVE}
        or action.at + policy.verify <= now
    ):
        record = history.changed(record, action, outcome=ActionOutcome.OVERTAKEN)
    return record.model_copy(update={"mode": policy.mode})


def farewell(record: HealingStatus) -> tuple[Step, ...]:
    """What is to be carried out for an app of which nothing is remembered from now on: a Job."""
    kept = record.quarantine
    if kept is None:
        return ()
    return (Delete(kept.pod, kept.uid, "it was kept for an app that is a Job now"),)


def plan(record: HealingStatus, facts: Facts, now: datetime) -> tuple[Step, ...]:
    """What is to be carried out now."""
    if record.mode == modes.OFF:
        return tuple(_specimen(record, facts, now))
    steps = [*_action(record, facts), *_memory(record, facts), *_specimen(record, facts, now)]
    return (*steps, *_leftovers(facts)) if record.mode == modes.AUTO else tuple(steps)


def overrides(record: HealingStatus | None, kept: dict[str, object] | None) -> Overrides:
    """What stands in place of the spec; ``kept`` is the template of the version to go back to."""
    if record is None:
        return Overrides()
    return Overrides(
        template=kept if record.failed_template else None,
        memory=(record.memory_limit or "") if record.memory_in_template else "",
        avoid=record.avoided_node or "",
        min_replicas=record.fallback_replicas,
    )


def unwitnessed(record: HealingStatus, recent: datetime) -> HealingAction | None:
    """The decision whose evidence is still to be taken.

    Before it is carried out, or just after an app was left to people (since ``recent``).
    """
    for action in record.history:
        if action.evidence is not None:
            continue
        is_left = action.outcome is ActionOutcome.DONE and action.at >= recent
        if action.outcome is ActionOutcome.STARTED or is_left:
            return action
    return None


def witness(action: HealingAction, facts: Facts) -> PodView | None:
    """The pod that tells most about an action: its target, else the one that is worst off."""
    target = next((pod for pod in facts.pods if action.uid and pod.uid == action.uid), None)
    if target is not None:
        return target
    ill = [pod for pod in facts.pods if is_live(pod) and not pod.ready]
    return max(ill, key=_restarts, default=None)


def _restarts(pod: PodView) -> tuple[int, str]:
    return sum(container.restarts for container in pod.containers), pod.name


def _action(record: HealingStatus, facts: Facts) -> Iterator[Step]:
    action = history.running(record)
    live = [pod for pod in facts.pods if is_live(pod)]
    if action is not None and action.remedy is Remedy.RECYCLE:
        wanted = facts.deployment.replicas if facts.deployment else 0
        yield from (
            Evict(pod) for pod in live if pod.uid == action.uid and may_go(pod, live, wanted)
        )
    if action is not None and action.remedy is Remedy.FAILOVER:
        for pod in live:
            if pod.node == action.target and is_lost(pod) and not pod.claims:
                yield Delete(pod.name, pod.uid, f"its node {pod.node} does not answer")


def may_go(pod: PodView, live: Sequence[PodView], wanted: int) -> bool:
    """Whether enough others are ready without this pod: one that is not ready takes nothing.

    Asked when the pod is chosen, and again when it is to go: it may have recovered meanwhile, and
    others may have fallen ill.
    """
    ready = sum(each.ready for each in live)
    return not pod.ready or (ready - 1) * 2 >= wanted > 1


def _memory(record: HealingStatus, facts: Facts) -> Iterator[Step]:
    limit = record.memory_limit
    if not limit or record.memory_in_template:
        return
    current = template_hash(facts)
    for pod in facts.pods:
        is_ours = is_live(pod) and pod.node and pod.template_hash == current
        if is_ours and larger(limit, pod.memory_limit):
            yield Resize(pod, limit)


def _specimen(record: HealingStatus, facts: Facts, now: datetime) -> Iterator[Step]:
    kept = record.quarantine
    if kept is None:
        return
    here = next((pod for pod in facts.pods if pod.uid == kept.uid), None)
    if kept.until <= now:
        if here is None:  # else it was never taken out, and is one of the app's own
            yield Delete(kept.pod, kept.uid, "it was kept for as long as the spec says")
    elif here is not None and is_live(here) and not here.ready and _others_serve(here, facts):
        yield Isolate(here)


def _others_serve(pod: PodView, facts: Facts) -> bool:
    return any(other.ready and is_live(other) for other in facts.pods if other.uid != pod.uid)


def _leftovers(facts: Facts) -> Iterator[Step]:
    """Failed pods beyond the newest: nobody else deletes them before there are thousands."""
    if facts.deployment is None:
        return
    failed = [pod for pod in facts.pods if pod.phase == "Failed" and not pod.deleting]
    newest_first = sorted(failed, key=lambda pod: (str(pod.created), pod.name), reverse=True)
    for pod in newest_first[LEFTOVERS : LEFTOVERS + AT_ONCE]:
        yield Delete(pod.name, pod.uid, "it has failed, and newer ones are kept to be looked at")
