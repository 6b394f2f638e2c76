"""Factories for the input of a decision: pods, diagnoses, contexts, actions and records."""

from typing import Any

from selfhealing.api.container_limits import LimitedResource, LimitKey
from selfhealing.api.healing_status import (
    ActionOutcome,
    BlockedReason,
    HealingAction,
    HealingStatus,
    QuarantineStatus,
    RaisedLimitStatus,
    Remediation,
)
from selfhealing.api.spec import parse_spec
from selfhealing.cache.parse import pod_view
from selfhealing.cache.views import PodView
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.remediation.context import ExternalState, FirstSight, RemediationContext
from selfhealing.remediation.engine import decide
from selfhealing.remediation.history import new_record
from selfhealing.remediation.policy import Policy, build_policy
from selfhealing.remediation.proposal import DecisionInput
from tests.unit import builders

AT = 10_000
"""The default time of a decision, in seconds after noon."""

NEW_REVISION, STABLE_REVISION = "new", "good"
APP_MEMORY, PROXY_MEMORY = (LimitKey(each, LimitedResource.MEMORY) for each in ("app", "proxy"))
APP_CPU = LimitKey("app", LimitedResource.CPU)


def make_policy(**healing: Any) -> Policy:  # noqa: ANN401 - JSON
    """The policy of a spec."""
    fields = {"memory": {"max": "300Mi"}, "scalingFallback": {"replicas": 5}, **healing}
    set_fields = {key: value for key, value in fields.items() if value is not None}
    return build_policy(
        parse_spec(
            {
                "image": builders.IMAGE,
                "port": 5000,
                "resources": {"limits": {"memory": "100Mi"}},
                "autoscaling": {"minReplicas": 2, "maxReplicas": 9, "cpu": 50},
                "healing": set_fields,
            }
        )
    )


def make_pod(name: str = "web-abc-1", *, ready: bool = False, **more: Any) -> PodView:  # noqa: ANN401
    """A running pod."""
    return pod_view(builders.pod(name, builders.running(ready=ready), **more))


FAILING_POD = make_pod("web-abc-1")
HEALTHY_POD = make_pod("web-abc-2", ready=True)
OTHER_HEALTHY_POD = make_pod("web-abc-3", ready=True)
LOST_NODE_POD = pod_view(
    builders.pod(
        "web-abc-4", builders.running(), ready=False, ready_reason="", since=AT - 100, node="node-9"
    )
)


def make_diagnosis(
    diagnosis_type: DiagnosisType = DiagnosisType.CRASH_LOOPING,
    cause: Cause = Cause.POD,
    *pods: PodView,
    confidence: Confidence = Confidence.MEDIUM,
) -> AppDiagnosis:
    """A diagnosis, by default of FAILING_POD."""
    return AppDiagnosis(
        diagnosis_type, cause, confidence, pods or (FAILING_POD,), f"{diagnosis_type} it is"
    )


BAD_REVISION = make_diagnosis(DiagnosisType.CRASH_LOOPING, Cause.NEW_VERSION)
LONG_AGO = dict.fromkeys(DiagnosisType, FirstSight(builders.NOON, Cause.NEW_VERSION))
"""Every diagnosis was seen so long ago that its remediation is due."""

NO_METRICS = AppDiagnosis(
    DiagnosisType.METRICS_UNAVAILABLE, Cause.ENVIRONMENT, Confidence.HIGH, (), "no metrics"
)


def make_context(*diagnoses: AppDiagnosis, **more: Any) -> RemediationContext:  # noqa: ANN401 - any field
    """The context of an app with three pods, one of which fails."""
    fields: dict[str, Any] = {
        "limits": {APP_MEMORY: "100Mi"},
        "wanted": 3,
        "pods": (FAILING_POD, HEALTHY_POD, OTHER_HEALTHY_POD),
        "healthy": not diagnoses,
        "diagnosed_since": LONG_AGO,
        "complete": more.get("healthy", not diagnoses),
    }
    return RemediationContext(NEW_REVISION, "web:v2", diagnoses=diagnoses, **{**fields, **more})


def make_context_with(*diagnoses: AppDiagnosis, **external: Any) -> RemediationContext:  # noqa: ANN401 - any field
    """The same with the given external state."""
    return make_context(*diagnoses, external=ExternalState(**external))


def make_action(
    number: int = 1,
    remediation: Remediation = Remediation.REPLACE_POD,
    outcome: ActionOutcome = ActionOutcome.FAILED,
    *,
    at: float = AT - 100,
    diagnosis: DiagnosisType = DiagnosisType.CRASH_LOOPING,
    **more: Any,  # noqa: ANN401 - as HealingAction
) -> HealingAction:
    """An action of the history."""
    return HealingAction(
        id=number,
        remediation=remediation,
        diagnosis=diagnosis,
        outcome=outcome,
        at=builders.at(at),
        **more,
    )


def make_record(*actions: HealingAction, **fields: Any) -> HealingStatus:  # noqa: ANN401 - as the model
    """The record of an app whose spec asks for the revision since noon; the newest action first."""
    defaults: dict[str, Any] = {
        "desired_revision": NEW_REVISION,
        "desired_since": builders.NOON,
        "history": list(actions),
        "next_id": max((action.id for action in actions), default=0) + 1,
    }
    return new_record().model_copy(update={**defaults, **fields})


def raised_to(
    limit: str, *, container: str = "app", previous: str | None = None
) -> list[RaisedLimitStatus]:
    """The higher limit of a container."""
    return [RaisedLimitStatus(container=container, limit=limit, previous=previous)]


def make_quarantine(*, until: float = AT + 100, pod: PodView = FAILING_POD) -> QuarantineStatus:
    """An isolated pod."""
    return QuarantineStatus(pod=pod.name, uid=pod.uid, until=builders.at(until))


def make_decision_input(
    previous: HealingStatus,
    context: RemediationContext,
    policy: Policy | None = None,
    *,
    at: float = AT,
) -> DecisionInput:
    """The input of the choice of a remediation."""
    return DecisionInput(previous, context, policy or make_policy(), Deadlines(builders.at(at)))


def run_decide(
    previous: HealingStatus,
    context: RemediationContext,
    policy: Policy | None = None,
    *,
    at: float = AT,
) -> HealingStatus:
    """The record after a decision."""
    return decide(previous, context, policy or make_policy(), Deadlines(builders.at(at)))


def latest_action(record: HealingStatus) -> tuple[Remediation, ActionOutcome] | None:
    """The remediation and the outcome of the newest action."""
    return (record.history[0].remediation, record.history[0].outcome) if record.history else None


EXTERNAL_BLOCKED_REASONS = (
    BlockedReason.STARTING_UP,
    BlockedReason.STALE_CACHE,
    BlockedReason.STORM,
)


STABLE_RECORD = make_record(stable_revision=STABLE_REVISION, stable_image="web:v1")
RUNNING_ACTION = make_action(outcome=ActionOutcome.IN_PROGRESS, at=AT - 60, uid="gone")
