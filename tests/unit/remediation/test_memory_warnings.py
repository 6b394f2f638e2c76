"""An app with the warning MemoryClimbing: which action starts, and which never does."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from selfhealing.api.healing_status import (
    ActionOutcome,
    BlockedReason,
    HealingAction,
    HealingStatus,
    Remediation,
)
from selfhealing.api.spec import parse_spec
from selfhealing.controller.evaluate import Evaluation
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.health.termination_causes import ContainerKey
from selfhealing.health.usage import UsageSample
from selfhealing.remediation import history
from selfhealing.remediation.context import ExternalState, RemediationContext
from selfhealing.remediation.engine import decide
from selfhealing.remediation.policy import Policy, build_policy
from tests.unit import builders
from tests.unit.remediation.factories import APP_MEMORY, raised_to
from tests.unit.snapshots import evaluate_app

REVISION = "a1b2c3d4e5"
MEMORY_CLIMBING = AppDiagnosis(
    DiagnosisType.MEMORY_CLIMBING, Cause.UNKNOWN, Confidence.LOW, (), "it climbs"
)
CRASH_LOOPING = AppDiagnosis(
    DiagnosisType.CRASH_LOOPING, Cause.UNKNOWN, Confidence.LOW, (), "it loops"
)

WARNED_CONTEXT = RemediationContext(
    REVISION,
    builders.IMAGE,
    limits={APP_MEMORY: "100Mi"},
    diagnoses=(MEMORY_CLIMBING,),
    healthy=True,
    complete=True,
)


def policy_with(**more: Any) -> Policy:  # noqa: ANN401 - of the spec
    """The policy of a spec with a maximum memory limit of 250 MiB."""
    healing = {"memory": {"max": "250Mi"}, **more}
    return build_policy(parse_spec({"image": builders.IMAGE, "healing": healing}))


def record(*actions: HealingAction, **more: object) -> HealingStatus:
    """The record of an app that has been healthy for long."""
    fields = {
        "mode": "Auto",
        "budget_left": 3,
        "desired_revision": REVISION,
        "stable_revision": REVISION,
        "desired_since": builders.at(-9999),
        "healthy_since": builders.at(-9999),
        "next_id": len(actions) + 1,
        **more,
    }
    return HealingStatus.model_validate({"history": list(actions), **fields})


def raise_memory(
    outcome: ActionOutcome, kind: DiagnosisType = DiagnosisType.MEMORY_CLIMBING, number: int = 1
) -> HealingAction:
    """An earlier action."""
    return HealingAction(
        id=number,
        remediation=Remediation.RAISE_MEMORY,
        diagnosis=kind,
        target="200Mi",
        outcome=outcome,
        at=builders.at(0),
    )


def decide_next(
    before: HealingStatus,
    context: RemediationContext = WARNED_CONTEXT,
    at: float = 100,
    **more: Any,  # noqa: ANN401 - of the spec
) -> HealingStatus:
    """The next record."""
    return decide(before, context, policy_with(**more), Deadlines(builders.at(at)))


class TestRaising:
    """The limit is raised: the only action for a warning."""

    def test_in_running_pods(self) -> None:
        """At once, and the probation goes on, because the app is healthy."""
        after = decide_next(record())
        action = history.find_running(after)

        assert action is not None
        assert (Remediation.RAISE_MEMORY, "MemoryClimbing", "200Mi") == (
            action.remediation,
            action.diagnosis,
            action.target,
        )
        assert (raised_to("200Mi"), False) == (after.memory_limits, after.memory_in_template)
        assert builders.at(-9999) == after.healthy_since
        assert ["MemoryClimbing"] == [diagnosis.type for diagnosis in after.diagnoses]

    def test_it_succeeds_when_the_warning_is_gone(self) -> None:
        """A healthy app is not enough: it was healthy before."""
        before = decide_next(record())
        still_climbing = decide_next(before, at=140)

        assert ActionOutcome.IN_PROGRESS is still_climbing.history[0].outcome

        succeeded = decide_next(still_climbing, replace(WARNED_CONTEXT, diagnoses=()), at=141)

        assert ActionOutcome.SUCCEEDED is succeeded.history[0].outcome

    def test_it_fails(self) -> None:
        """After five minutes with the warning; no pod is stopped because of it."""
        failed = decide_next(decide_next(record()), at=401)

        assert ActionOutcome.FAILED is failed.history[0].outcome

        again = decide_next(failed, at=601)

        assert BlockedReason.NO_REMEDIATION is again.blocked_reason
        assert (raised_to("200Mi"), False) == (again.memory_limits, again.memory_in_template)

    def test_another_diagnosis_meanwhile(self) -> None:
        """If the app is killed in spite of it, the action has failed."""
        crashed = replace(WARNED_CONTEXT, diagnoses=(), healthy=False, complete=False)
        after = decide_next(decide_next(record()), crashed, at=401)

        assert ActionOutcome.FAILED is after.history[0].outcome

    def test_the_most_severe_first(self) -> None:
        """An out-of-memory kill comes before a warning."""
        killed = replace(MEMORY_CLIMBING, type=DiagnosisType.OOM_KILLED)
        after = decide_next(
            record(),
            replace(
                WARNED_CONTEXT, diagnoses=(killed, MEMORY_CLIMBING), healthy=False, complete=False
            ),
        )

        assert "OOMKilled" == after.history[0].diagnosis
        assert after.healthy_since is None


class TestNothingElse:
    """A warning never leads to a quarantine."""

    @pytest.mark.parametrize("in_template", [False, True])
    @pytest.mark.parametrize("outcome", [ActionOutcome.SUCCEEDED, ActionOutcome.FAILED])
    def test_at_the_maximum(self, outcome: ActionOutcome, *, in_template: bool) -> None:
        """The blocked reason is shown, and no pod is recreated."""
        before = record(
            raise_memory(outcome), memory_limits=raised_to("250Mi"), memory_in_template=in_template
        )
        after = decide_next(before)

        assert (BlockedReason.NO_REMEDIATION, False) == (after.blocked_reason, after.quarantined)
        assert before.history == after.history

    def test_new_pods(self) -> None:
        """If only new pods would get a higher limit, nothing is done until a kill."""
        after = decide_next(record(memory_limits=raised_to("200Mi"), memory_in_template=True))

        assert BlockedReason.NO_REMEDIATION is after.blocked_reason
        assert raised_to("200Mi") == after.memory_limits

    def test_a_warning_costs_no_budget(self) -> None:
        """The budget is for faults."""
        after = decide_next(record(raise_memory(ActionOutcome.SUCCEEDED)), budget=1)

        assert 1 == after.budget_left
        assert not after.quarantined

    def test_a_more_severe_diagnosis_is_quarantined_all_the_same(self) -> None:
        """A warning beside it does not delay the quarantine."""
        tried = raise_memory(ActionOutcome.FAILED, DiagnosisType.CRASH_LOOPING)
        context = replace(
            WARNED_CONTEXT,
            diagnoses=(CRASH_LOOPING, MEMORY_CLIMBING),
            healthy=False,
            complete=False,
        )

        assert BlockedReason.QUARANTINED is decide_next(record(tried), context).blocked_reason

    def test_a_more_severe_diagnosis_without_a_remediation(self) -> None:
        """The warning gets its action."""
        context = replace(
            WARNED_CONTEXT,
            diagnoses=(CRASH_LOOPING, MEMORY_CLIMBING),
            healthy=False,
            complete=False,
        )
        after = decide_next(record(), context)

        assert "MemoryClimbing" == after.history[0].diagnosis

    @pytest.mark.parametrize("mode", ["Observe", "Approve"])
    def test_the_mode(self, mode: str) -> None:
        """The mode counts for a warning as for any diagnosis."""
        after = decide_next(record(), mode=mode)

        assert history.find_running(after) is None
        assert [] == after.memory_limits
        assert 1 == len(after.history)


SPEC = {
    "image": builders.IMAGE,
    "port": 5000,
    "resources": {"limits": {"memory": "100Mi"}},
    "healing": {"memory": {"max": "250Mi"}},
}


class TestStatus:
    """The status of an app with a warning."""

    def evaluate_app(self, spec: dict[str, Any], replicas: int = 1) -> Evaluation:
        """Evaluate an app whose only pod has a rising memory usage."""
        samples = [UsageSample(builders.at(40 + 15 * n), (70 + 6 * n) << 20) for n in range(4)]
        pod = builders.pod("web-abc-1", builders.running(), memory_limit="100Mi")
        external = ExternalState(usage={ContainerKey("uid-of-web-abc-1", "app"): samples})
        return evaluate_app(builders.deployment(replicas), pod, spec=spec, external=external)

    def test_it_is_ready(self) -> None:
        """During the warning and while the limit is raised."""
        evaluation = self.evaluate_app(SPEC)
        healing = evaluation.status.healing
        conditions = {each.type: each.status for each in evaluation.status.conditions}

        assert healing is not None
        assert ["MemoryClimbing"] == [each.type for each in healing.diagnoses]
        assert history.find_running(healing) is not None
        assert "Ready" == evaluation.status.phase
        assert ("True", "True") == (conditions["Ready"], conditions["Healthy"])
        assert builders.at(100) == healing.healthy_since
        assert builders.at(100) == evaluation.status.last_heal_time
        assert ["MemoryClimbing", "HealingRaiseMemory"] == [
            event.reason for event in evaluation.events if "emory" in event.reason
        ]

    def test_it_is_not_healing(self) -> None:
        """While a pod starts, the phase is Progressing, and says nothing of the warning."""
        evaluation = self.evaluate_app(SPEC, replicas=2)

        assert evaluation.status.healing is not None
        assert history.find_running(evaluation.status.healing) is not None
        assert "Progressing" == evaluation.status.phase

    def test_switched_off(self) -> None:
        """There is no warning, because it has no remediation."""
        spec = {**SPEC, "healing": {"memory": {"enabled": False}}}
        evaluation = self.evaluate_app(spec)

        assert evaluation.status.healing is not None
        assert [] == evaluation.status.healing.diagnoses


def test_the_horizon_is_in_the_policy() -> None:
    """It is scaled, but not below a minute."""
    spec = parse_spec({"image": builders.IMAGE})

    assert timedelta(minutes=1) == build_policy(spec, 0.01).memory_horizon
    assert timedelta(minutes=20) == build_policy(spec, 10).memory_horizon
