"""What ails an app as a whole, what is to blame for it, and how sure that is.

From API objects only: what its pods show, whether the pods of the former version show it too, on
which nodes they are, and when it began.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from selfhealing.cache.child_views import DEADLINE
from selfhealing.cache.snapshot import Facts
from selfhealing.cache.views import PodView
from selfhealing.health import messages
from selfhealing.health.assessment import Diagnosis
from selfhealing.health.attribution import Cause, Confidence, Trial, blame
from selfhealing.health.deadlines import Alarm
from selfhealing.health.pod_diagnosis import IllnessType, Symptom, Thresholds, symptom
from selfhealing.health.pod_problems import is_live
from selfhealing.health.termination_causes import Causes

TOGETHER: Final = timedelta(seconds=60)
"""Pods that all stopped being ready within this time did so for a reason that they share."""

_GRAVITY: Final = tuple(IllnessType)
"""The gravest first: what kills a pod, what keeps it from starting, what hinders it."""


@dataclass(frozen=True, slots=True)
class Illness:
    """One illness; ``pods`` that show it, the first named in ``message``, which is a sentence.

    ``sign`` is what they show, a clause that follows a pod's name.
    """

    type: IllnessType
    cause: Cause
    confidence: Confidence
    pods: tuple[PodView, ...]
    message: str
    sign: str = ""


def illnesses(  # noqa: PLR0913, PLR0917 - all that is known of an app
    facts: Facts,
    diagnosis: Diagnosis,
    causes: Causes,
    alarm: Alarm,
    thresholds: Thresholds,
    trial: Trial,
) -> tuple[Illness, ...]:
    """Everything that ails the app, the gravest first."""
    ailing = {found.pod: found for found in (*diagnosis.current, *diagnosis.old)}
    deployment = facts.deployment
    deadline = deployment.progress_deadline_seconds if deployment else DEADLINE
    thresholds = replace(thresholds, rollout=timedelta(seconds=deadline))
    looked = (symptom(pod, ailing.get(pod.name), causes, alarm, thresholds) for pod in facts.pods)
    shown = [found for found in looked if found is not None]
    ill = [
        *_of_pods(facts, shown, trial),
        *_of_the_whole(facts, diagnosis, alarm, thresholds, trial),
    ]
    return tuple(sorted(ill, key=lambda illness: _GRAVITY.index(illness.type)))


def _of_pods(facts: Facts, shown: Iterable[Symptom], trial: Trial) -> list[Illness]:
    groups: dict[IllnessType, list[Symptom]] = defaultdict(list)
    for each in shown:
        groups[each.type].append(each)
    found = []
    for kind, group in groups.items():
        pods = tuple(each.pod for each in group)
        message = messages.about([pod.name for pod in pods], group[0].message)
        if kind is IllnessType.NOT_READY_TOO_LONG and _all_at_once(facts, pods):
            why = "all pods stopped being ready at once, though they run: look at what they need"
            found.append(_environment(IllnessType.DEPENDENCY_DOWN, pods, why))
            continue
        cause, confidence = blame(facts, kind, pods, trial)
        found.append(Illness(kind, cause, confidence, pods, message, group[0].message))
    return found


def _all_at_once(facts: Facts, hung: tuple[PodView, ...]) -> bool:
    """Whether all pods, two at least, had been ready and stopped being so together."""
    live = [pod for pod in facts.pods if is_live(pod)]
    since = [pod.ready_since for pod in hung if pod.ready_since is not None]
    if len(hung) < 2 or len(hung) < len(live) or len(since) < len(hung):  # noqa: PLR2004 - two pods
        return False
    were_ready = all(
        c.running_since is not None
        and pod.ready_since is not None
        and pod.ready_since > c.running_since
        for pod in hung
        for c in pod.containers
        if not c.init
    )
    return were_ready and max(since) - min(since) <= TOGETHER


def _of_the_whole(
    facts: Facts, diagnosis: Diagnosis, alarm: Alarm, thresholds: Thresholds, trial: Trial
) -> list[Illness]:
    rollout = diagnosis.rollout
    found = []
    if rollout is not None and not rollout.complete:
        if rollout.stalled is not None:
            message = f"the rollout is stuck: {messages.shorten(rollout.stalled.message)}"
            cause = _stopper(facts, diagnosis, trial)
            found.append(Illness(IllnessType.ROLLOUT_STALLED, cause, Confidence.LOW, (), message))
        if rollout.refused is not None:
            quota = "exceeded quota" in rollout.refused.message
            kind = IllnessType.QUOTA_EXCEEDED if quota else IllnessType.PODS_REFUSED
            why = messages.nameless(
                messages.refusal_cause(rollout.refused.message), facts.app.key.name
            )
            found.append(_environment(kind, (), f"pods are refused: {why}"))
    if diagnosis.rejected:
        why = f"nodes turn new pods away: {diagnosis.rejected}"
        found.append(_environment(IllnessType.PODS_FAILED, (), why))
    return [*found, *_blind(facts, alarm, thresholds)]


def _stopper(facts: Facts, diagnosis: Diagnosis, trial: Trial) -> Cause:
    """What keeps a rollout from going on: the new version, unless its pods find no place."""
    refused = diagnosis.rollout is not None and diagnosis.rollout.refused is not None
    homeless = any(is_live(pod) and pod.unschedulable for pod in facts.pods)
    if refused or homeless or diagnosis.rejected:
        return Cause.ENVIRONMENT
    return Cause.NEW_VERSION if trial.open else Cause.UNKNOWN


def _blind(facts: Facts, alarm: Alarm, thresholds: Thresholds) -> list[Illness]:
    autoscaler = facts.autoscaler
    conditions = autoscaler.conditions if autoscaler else ()
    for condition in conditions:
        if condition.type != "ScalingActive" or condition.status != "False":
            continue
        if not condition.reason.startswith("FailedGet") or condition.since is None:
            continue
        if alarm.passed(condition.since + thresholds.metrics):
            why = messages.shorten(messages.nameless(condition.message, facts.app.key.name))
            message = f"the autoscaler gets no metrics: {why}"
            return [_environment(IllnessType.METRICS_UNAVAILABLE, (), message)]
    return []


def _environment(kind: IllnessType, pods: tuple[PodView, ...], message: str) -> Illness:
    return Illness(kind, Cause.ENVIRONMENT, Confidence.HIGH, pods, message)
