"""An app that is only warned of something: what is done, and what never is."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from selfhealing.api.healing_status import (
    ActionOutcome,
    HealingAction,
    HealingStatus,
    Hold,
    Remedy,
)
from selfhealing.api.spec import parse
from selfhealing.apply.result import Outcome
from selfhealing.controller.evaluate import Report, report
from selfhealing.health.app_diagnosis import Illness
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.deadlines import Alarm
from selfhealing.health.memory_trend import Sample
from selfhealing.health.pod_diagnosis import IllnessType
from selfhealing.remediation import history as ledger
from selfhealing.remediation.context import Case, Situation
from selfhealing.remediation.engine import decide
from selfhealing.remediation.policy import Policy, policy
from tests.unit import builders
from tests.unit.snapshots import facts

VERSION = "a1b2c3d4e5"
CLIMBS = Illness(IllnessType.MEMORY_CLIMBING, Cause.UNKNOWN, Confidence.LOW, (), "it climbs")
LOOPS = Illness(IllnessType.CRASH_LOOPING, Cause.UNKNOWN, Confidence.LOW, (), "it loops")

WARNED = Case(VERSION, builders.IMAGE, memory="100Mi", illnesses=(CLIMBS,), well=True)


def limits(**more: Any) -> Policy:  # noqa: ANN401 - of the spec
    """The limits of a spec that lets the memory limit be raised to 250 MiB."""
    healing = {"memory": {"max": "250Mi"}, **more}
    return policy(parse({"image": builders.IMAGE, "healing": healing}))


def record(*history: HealingAction, **more: object) -> HealingStatus:
    """What is remembered of an app that has been well for long."""
    fields = {
        "mode": "Auto",
        "budget_left": 3,
        "template": VERSION,
        "good_template": VERSION,
        "template_since": builders.at(-9999),
        "well_since": builders.at(-9999),
        "next_id": len(history) + 1,
        **more,
    }
    return HealingStatus.model_validate({"history": list(history), **fields})


def raise_memory(
    outcome: ActionOutcome, kind: IllnessType = IllnessType.MEMORY_CLIMBING, number: int = 1
) -> HealingAction:
    """An earlier action."""
    return HealingAction(
        id=number,
        remedy=Remedy.RAISE_MEMORY,
        diagnosis=kind,
        target="200Mi",
        outcome=outcome,
        at=builders.at(0),
    )


def decided(
    before: HealingStatus,
    case: Case = WARNED,
    at: float = 100,
    **more: Any,  # noqa: ANN401 - of the spec
) -> HealingStatus:
    """The next record."""
    return decide(before, case, limits(**more), Alarm(builders.at(at)))


class TestRaising:
    """The one thing that is done."""

    def test_in_the_pods_that_run(self) -> None:
        """At once, and the app goes on proving itself: it has been well all the time."""
        after = decided(record())
        action = ledger.running(after)

        assert action is not None
        assert (Remedy.RAISE_MEMORY, "MemoryClimbing", "200Mi") == (
            action.remedy,
            action.diagnosis,
            action.target,
        )
        assert ("200Mi", False) == (after.memory_limit, after.memory_in_template)
        assert builders.at(-9999) == after.well_since
        assert ["MemoryClimbing"] == [each.type for each in after.diagnoses]

    def test_it_helps_when_it_no_longer_climbs(self) -> None:
        """Being well is not enough: it was before."""
        before = decided(record())
        climbs = decided(before, at=140)

        assert ActionOutcome.STARTED is climbs.history[0].outcome

        helped = decided(climbs, replace(WARNED, illnesses=()), at=141)

        assert ActionOutcome.HELPED is helped.history[0].outcome

    def test_it_does_not_help(self) -> None:
        """When it climbs on although five minutes have passed; no pod is stopped because of it."""
        vain = decided(decided(record()), at=401)

        assert ActionOutcome.NO_HELP is vain.history[0].outcome

        again = decided(vain, at=601)

        assert Hold.NO_REMEDY is again.hold
        assert ("200Mi", False) == (again.memory_limit, again.memory_in_template)

    def test_another_illness_meanwhile(self) -> None:
        """An app that is killed after all was not helped."""
        crashed = replace(WARNED, illnesses=(), well=False)
        after = decided(decided(record()), crashed, at=401)

        assert ActionOutcome.NO_HELP is after.history[0].outcome

    def test_the_gravest_first(self) -> None:
        """What kills it now goes first."""
        killed = replace(CLIMBS, type=IllnessType.OOM_KILLED)
        after = decided(record(), replace(WARNED, illnesses=(killed, CLIMBS), well=False))

        assert "OOMKilled" == after.history[0].diagnosis
        assert after.well_since is None


class TestNothingElse:
    """A warning is nothing to leave an app to people for."""

    @pytest.mark.parametrize("in_template", [False, True])
    @pytest.mark.parametrize("outcome", [ActionOutcome.HELPED, ActionOutcome.NO_HELP])
    def test_at_the_maximum(self, outcome: ActionOutcome, *, in_template: bool) -> None:
        """It is said, and that is all; no pod is made anew for it."""
        before = record(raise_memory(outcome), memory_limit="250Mi", memory_in_template=in_template)
        after = decided(before)

        assert (Hold.NO_REMEDY, False) == (after.hold, after.quarantined)
        assert before.history == after.history

    def test_new_pods(self) -> None:
        """Where only these would get more, it is left at that until one is killed."""
        after = decided(record(memory_limit="200Mi", memory_in_template=True))

        assert (Hold.NO_REMEDY, "200Mi") == (after.hold, after.memory_limit)

    def test_the_budget_is_spent(self) -> None:
        """Then it is not raised any more, for a while."""
        after = decided(record(raise_memory(ActionOutcome.HELPED)), budget=1)

        assert (Hold.NO_REMEDY, False) == (after.hold, after.quarantined)
        assert 1 == len(after.history)

    def test_a_graver_illness_is_left_to_people_all_the_same(self) -> None:
        """A warning beside it does not put that off."""
        tried = raise_memory(ActionOutcome.NO_HELP, IllnessType.CRASH_LOOPING)
        case = replace(WARNED, illnesses=(LOOPS, CLIMBS), well=False)

        assert Hold.QUARANTINED is decided(record(tried), case).hold

    def test_a_graver_illness_without_remedy(self) -> None:
        """The warning is heeded."""
        case = replace(WARNED, illnesses=(LOOPS, CLIMBS), well=False)
        after = decided(record(), case)

        assert "MemoryClimbing" == after.history[0].diagnosis

    @pytest.mark.parametrize("mode", ["Observe", "Approve"])
    def test_the_mode(self, mode: str) -> None:
        """It counts for this as for everything."""
        after = decided(record(), mode=mode)

        assert ledger.running(after) is None
        assert after.memory_limit is None
        assert 1 == len(after.history)


SPEC = {
    "image": builders.IMAGE,
    "port": 5000,
    "resources": {"limits": {"memory": "100Mi"}},
    "healing": {"memory": {"max": "250Mi"}},
}


class TestStatus:
    """How it shows."""

    def report(self, spec: dict[str, Any], replicas: int = 1) -> Report:
        """The report on an app whose only pod climbs."""
        uses = [Sample(builders.at(40 + 15 * n), (70 + 6 * n) << 20) for n in range(4)]
        pod = builders.pod("web-abc-1", builders.running(), limit="100Mi")
        there = facts(builders.app(spec), builders.deployment(replicas), pod)
        situation = Situation(usage={"uid-of-web-abc-1": uses})
        return report(there, parse(spec), Outcome(), builders.at(100), situation)

    def test_it_is_ready(self) -> None:
        """While it is warned of and while more memory is given: its users notice nothing."""
        found = self.report(SPEC)
        healing = found.status.healing
        conditions = {each.type: each.status for each in found.status.conditions}

        assert healing is not None
        assert ["MemoryClimbing"] == [each.type for each in healing.diagnoses]
        assert ledger.running(healing) is not None
        assert "Ready" == found.status.phase
        assert ("True", "True") == (conditions["Ready"], conditions["Healthy"])
        assert builders.at(100) == healing.well_since
        assert builders.at(100) == found.status.last_heal_time
        assert ["MemoryClimbing", "HealingRaiseMemory"] == [
            notice.reason for notice in found.notices if "emory" in notice.reason
        ]

    def test_it_is_not_healing(self) -> None:
        """While a pod is still awaited the phase says that, and nothing of the warning."""
        found = self.report(SPEC, replicas=2)

        assert found.status.healing is not None
        assert ledger.running(found.status.healing) is not None
        assert "Progressing" == found.status.phase

    def test_nobody_asked_for_it(self) -> None:
        """Without a maximum nothing is said: nothing could be done."""
        spec = {**SPEC, "healing": {}}
        found = self.report(spec)

        assert found.status.healing is not None
        assert [] == found.status.healing.diagnoses


def test_the_horizon_is_in_the_policy() -> None:
    """By the scale, but not below a minute."""
    spec = parse({"image": builders.IMAGE})

    assert timedelta(minutes=1) == policy(spec, 0.01).horizon
    assert timedelta(minutes=20) == policy(spec, 10).horizon
