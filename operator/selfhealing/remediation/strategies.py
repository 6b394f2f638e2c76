"""Which remedy fits an illness: the ladder for each, and when a rung can be stepped on.

A remedy that has been tried against the same illness of the same version and did not help is not
tried again, and one that helps for a while only is not tried for ever.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from selfhealing.api.healing_status import ActionOutcome, HealingAction, HealingStatus, Remedy
from selfhealing.health.app_diagnosis import Illness
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.deadlines import Alarm
from selfhealing.health.pod_diagnosis import SPARED, WARNINGS, IllnessType
from selfhealing.remediation import history
from selfhealing.remediation.actions import may_go
from selfhealing.remediation.context import Case
from selfhealing.remediation.memory_limit import larger, raised_limit
from selfhealing.remediation.policy import Policy

RECYCLES: Final = 2
"""So often may a pod be replaced for the same illness within the window: then it is no accident."""

_USED_UP: Final = frozenset({Remedy.RECYCLE, Remedy.RAISE_MEMORY})
"""What helps for a while only when the same illness is back after it."""

_OF_ITSELF: Final = (Remedy.ROLLBACK, Remedy.RELOCATE, Remedy.RECYCLE)

LADDER: Final[Mapping[IllnessType, tuple[Remedy, ...]]] = {
    IllnessType.CRASH_LOOPING: _OF_ITSELF,
    IllnessType.LIVENESS_KILLED: _OF_ITSELF,
    IllnessType.OOM_KILLED: (Remedy.RAISE_MEMORY, Remedy.ROLLBACK),
    IllnessType.IMAGE_PULL_FAILING: _OF_ITSELF,
    IllnessType.CONFIG_ERROR: (Remedy.ROLLBACK,),
    IllnessType.START_FAILING: _OF_ITSELF,
    IllnessType.ROLLOUT_STALLED: (Remedy.ROLLBACK,),
    IllnessType.NOT_READY_TOO_LONG: _OF_ITSELF,
    IllnessType.NODE_LOST: (Remedy.FAILOVER,),
    IllnessType.METRICS_UNAVAILABLE: (Remedy.SCALING_FALLBACK,),
    IllnessType.MEMORY_CLIMBING: (Remedy.RAISE_MEMORY,),
}
"""What may help against what, the first that fits; nothing helps against the others from here."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A remedy for an illness. ``target`` is a version, a limit, a pod, a node or a number."""

    remedy: Remedy
    illness: Illness
    target: str
    message: str
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Bedside:
    """What the choice of a remedy is made by."""

    record: HealingStatus
    case: Case
    policy: Policy
    alarm: Alarm

    @property
    def now(self) -> datetime:
        """The moment of the choice."""
        return self.alarm.now


def choose(bedside: Bedside) -> Proposal | None:
    """The first remedy that fits the gravest illness that has one."""
    for illness in bedside.case.illnesses:
        for remedy in LADDER.get(illness.type, ()):
            if (found := _RUNGS[remedy](bedside, illness)) is not None:
                return found
    return None


def exhausted(bedside: Bedside) -> bool:
    """Whether something has been tried in vain against what the app still has.

    Also what helped for a while only, and cannot be done once more. A rollback that helped has
    nothing to do with what comes later; a fallback is no cure, and helps for as long as it stands;
    and the pods of another node may still be waited for. A warning is nothing to give up for.
    """
    ill = {illness.type for illness in bedside.case.illnesses} - SPARED
    return any(
        action.diagnosis in ill
        and (
            action.outcome is ActionOutcome.NO_HELP
            or (action.outcome is ActionOutcome.HELPED and action.remedy in _USED_UP)
        )
        for action in history.tried(bedside.record, bedside.policy, bedside.now)
    )


def _rollback(bedside: Bedside, illness: Illness) -> Proposal | None:
    record, case = bedside.record, bedside.case
    good = record.good_template
    if not bedside.policy.rollback or illness.cause is not Cause.NEW_VERSION:
        return None
    if good is None or case.situation.good_lost or good == case.version or record.failed_template:
        return None
    message = (
        f"back to version {good} ({record.good_image}), because {case.version} "
        f"({case.image}) is bad: {illness.message}"
    )
    return Proposal(Remedy.ROLLBACK, illness, good, message)


def _raise_memory(bedside: Bedside, illness: Illness) -> Proposal | None:
    record = bedside.record
    now = _limit(bedside, illness)
    limit = raised_limit(now, bedside.policy.memory_max)
    anew = in_template(bedside, illness)
    if anew and illness.type in WARNINGS:
        return None  # to stop pods that run well is too much for a warning
    if record.memory_limit and not record.memory_in_template and anew:
        limit = now  # who knows whether it has reached the pods; new ones begin with it
    if limit is None:
        return None
    how = "in new pods" if anew else "in the pods that run"
    change = f"from {now} to {limit}" if limit != now else f"{now} again"
    message = f"memory limit {change}, {how}: {illness.message}"
    return Proposal(Remedy.RAISE_MEMORY, illness, limit, message)


def _limit(bedside: Bedside, illness: Illness) -> str:
    """The limit that was not enough: of a version that was gone back to, its pods alone know it."""
    most = bedside.record.memory_limit or bedside.case.memory
    for pod in illness.pods:
        if larger(pod.memory_limit, most):
            most = pod.memory_limit
    return most


def in_template(bedside: Bedside, illness: Illness) -> bool:
    """Whether new pods must be made to get more memory: changing those that run did not help.

    A container that is killed again and again may not take up its new limit (Kubernetes issue
    138760).
    """
    return bedside.record.memory_in_template or _vain(bedside, Remedy.RAISE_MEMORY, illness)


def _relocate(bedside: Bedside, illness: Illness) -> Proposal | None:
    """Away from a node on which several pods are ill, while others are well elsewhere.

    By a rollout, which takes as many pods at a time as the app's own strategy lets it.
    """
    if not bedside.policy.recycle or illness.cause is not Cause.NODE or bedside.case.recreates:
        return None
    if bedside.record.avoided_node is not None or _tried(bedside, Remedy.RELOCATE, illness):
        return None
    node = illness.pods[0].node
    message = f"the pods are made anew, away from {node}: {illness.message}"
    return Proposal(Remedy.RELOCATE, illness, node, message)


def _recycle(bedside: Bedside, illness: Illness) -> Proposal | None:
    if not bedside.policy.recycle or not _is_local(illness):
        return None
    past = _tried(bedside, Remedy.RECYCLE, illness)
    if len(past) >= RECYCLES or any(a.outcome is ActionOutcome.NO_HELP for a in past):
        return None
    case = bedside.case
    chosen = (
        pod for pod in illness.pods if pod.uid in case.uids and may_go(pod, case.pods, case.wanted)
    )
    pod = next(chosen, None)
    if pod is None:
        return None
    message = f"{pod.name} is replaced: {illness.sign or illness.message}"
    return Proposal(Remedy.RECYCLE, illness, pod.name, message, pod.uid)


def _is_local(illness: Illness) -> bool:
    """Whether another pod can be expected to do better: others do, or this one only hangs."""
    if illness.cause not in {Cause.POD, Cause.NODE}:
        return False
    hangs = illness.type is IllnessType.NOT_READY_TOO_LONG
    return hangs or illness.confidence is not Confidence.LOW


def _failover(bedside: Bedside, illness: Illness) -> Proposal | None:
    if not bedside.policy.failover or _vain(bedside, Remedy.FAILOVER, illness):
        return None
    gone = [
        pod
        for pod in illness.pods
        if not pod.claims
        and pod.ready_since is not None
        and bedside.alarm.passed(pod.ready_since + bedside.policy.lost_after)
    ]
    if not gone:
        return None
    node = gone[0].node
    message = f"the pods on {node} are replaced elsewhere: {illness.message}"
    return Proposal(Remedy.FAILOVER, illness, node, message)


def _scaling_fallback(bedside: Bedside, illness: Illness) -> Proposal | None:
    wanted = bedside.policy.fallback_replicas
    if wanted is None or bedside.record.fallback_replicas is not None:
        return None
    if wanted <= bedside.case.wanted or _vain(bedside, Remedy.SCALING_FALLBACK, illness):
        return None
    message = f"at least {wanted} pods until there are metrics again: {illness.message}"
    return Proposal(Remedy.SCALING_FALLBACK, illness, str(wanted), message)


def _vain(bedside: Bedside, remedy: Remedy, illness: Illness) -> bool:
    past = _tried(bedside, remedy, illness)
    return any(action.outcome is ActionOutcome.NO_HELP for action in past)


def _tried(bedside: Bedside, remedy: Remedy, illness: Illness) -> list[HealingAction]:
    past = history.tried(bedside.record, bedside.policy, bedside.now)
    return [a for a in past if (a.remedy, a.diagnosis) == (remedy, illness.type)]


_RUNGS: Final[Mapping[Remedy, Callable[[Bedside, Illness], Proposal | None]]] = {
    Remedy.ROLLBACK: _rollback,
    Remedy.RAISE_MEMORY: _raise_memory,
    Remedy.RELOCATE: _relocate,
    Remedy.RECYCLE: _recycle,
    Remedy.FAILOVER: _failover,
    Remedy.SCALING_FALLBACK: _scaling_fallback,
}
