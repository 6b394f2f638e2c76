"""Short words for what a decision is made of: pods, illnesses, cases, actions and records."""

from typing import Any

from selfhealing.api.healing_status import (
    ActionOutcome,
    HealingAction,
    HealingStatus,
    Hold,
    QuarantineStatus,
    Remedy,
)
from selfhealing.api.spec import parse
from selfhealing.cache.parse import pod_view
from selfhealing.cache.views import PodView
from selfhealing.health.app_diagnosis import Illness
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.deadlines import Alarm
from selfhealing.health.pod_diagnosis import IllnessType
from selfhealing.remediation.context import Case, Situation
from selfhealing.remediation.engine import decide, fresh
from selfhealing.remediation.policy import Policy, policy
from selfhealing.remediation.strategies import Bedside
from tests.unit import builders

AT = 10_000
"""When most of it takes place, in seconds after noon."""

NEW, GOOD = "new", "good"


def limits(**healing: Any) -> Policy:  # noqa: ANN401 - JSON
    """The policy of a spec."""
    given = {"memory": {"max": "300Mi"}, "scalingFallback": {"replicas": 5}, **healing}
    known = {key: value for key, value in given.items() if value is not None}
    return policy(
        parse(
            {
                "image": builders.IMAGE,
                "port": 5000,
                "resources": {"limits": {"memory": "100Mi"}},
                "autoscaling": {"minReplicas": 2, "maxReplicas": 9, "cpu": 50},
                "healing": known,
            }
        )
    )


def a_pod(name: str = "web-abc-1", *, ready: bool = False, **more: Any) -> PodView:  # noqa: ANN401
    """A pod that runs."""
    return pod_view(builders.pod(name, builders.running(ready=ready), **more))


SICK = a_pod("web-abc-1")
WELL = a_pod("web-abc-2", ready=True)
ALSO_WELL = a_pod("web-abc-3", ready=True)
LOST = pod_view(
    builders.pod(
        "web-abc-4", builders.running(), ready=False, ready_reason="", since=AT - 100, node="node-9"
    )
)


def ill(
    kind: IllnessType = IllnessType.CRASH_LOOPING,
    cause: Cause = Cause.POD,
    *pods: PodView,
    confidence: Confidence = Confidence.MEDIUM,
) -> Illness:
    """An illness, by default that of the sick pod alone."""
    return Illness(kind, cause, confidence, pods or (SICK,), f"{kind} it is")


BAD_VERSION = ill(IllnessType.CRASH_LOOPING, Cause.NEW_VERSION)
BLIND = Illness(
    IllnessType.METRICS_UNAVAILABLE, Cause.ENVIRONMENT, Confidence.HIGH, (), "no metrics"
)


def case(*illnesses: Illness, **more: Any) -> Case:  # noqa: ANN401 - as Case
    """An app of three pods, one of which is sick."""
    given: dict[str, Any] = {
        "memory": "100Mi",
        "wanted": 3,
        "pods": (SICK, WELL, ALSO_WELL),
        "well": not illnesses,
    }
    return Case(NEW, "web:v2", illnesses=illnesses, **{**given, **more})


def situated(*illnesses: Illness, **situation: Any) -> Case:  # noqa: ANN401 - as Situation
    """The same in a situation."""
    return case(*illnesses, situation=Situation(**situation))


def action(
    number: int = 1,
    remedy: Remedy = Remedy.RECYCLE,
    outcome: ActionOutcome = ActionOutcome.NO_HELP,
    *,
    at: float = AT - 100,
    diagnosis: IllnessType = IllnessType.CRASH_LOOPING,
    **more: Any,  # noqa: ANN401 - as HealingAction
) -> HealingAction:
    """What was done."""
    return HealingAction(
        id=number, remedy=remedy, diagnosis=diagnosis, outcome=outcome, at=builders.at(at), **more
    )


def record(*history: HealingAction, **fields: Any) -> HealingStatus:  # noqa: ANN401 - as the model
    """What is remembered of an app whose version is asked for since noon: the latest first."""
    known: dict[str, Any] = {
        "template": NEW,
        "template_since": builders.NOON,
        "history": list(history),
        "next_id": max((each.id for each in history), default=0) + 1,
    }
    return fresh().model_copy(update={**known, **fields})


def kept(*, until: float = AT + 100, pod: PodView = SICK) -> QuarantineStatus:
    """A pod that is set apart."""
    return QuarantineStatus(pod=pod.name, uid=pod.uid, until=builders.at(until))


def beside(
    before: HealingStatus, now: Case, rules: Policy | None = None, *, at: float = AT
) -> Bedside:
    """What the choice of a remedy is made by."""
    return Bedside(before, now, rules or limits(), Alarm(builders.at(at)))


def decided(
    before: HealingStatus, now: Case, rules: Policy | None = None, *, at: float = AT
) -> HealingStatus:
    """What is decided."""
    return decide(before, now, rules or limits(), Alarm(builders.at(at)))


def latest(after: HealingStatus) -> tuple[Remedy, ActionOutcome] | None:
    """The latest decision of a record."""
    return (after.history[0].remedy, after.history[0].outcome) if after.history else None


HOLDS = (Hold.STARTING_UP, Hold.STALE_FACTS, Hold.STORM)
