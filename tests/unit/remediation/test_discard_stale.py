"""What of a record is still to be carried out, and what is remembered until it is."""

from datetime import timedelta

import pytest

from selfhealing.api.healing_status import (
    ActionOutcome,
    HealingAction,
    HealingStatus,
    QuarantineStatus,
    Remedy,
)
from selfhealing.api.spec import parse
from selfhealing.health.deadlines import Alarm
from selfhealing.remediation import history as ledger
from selfhealing.remediation.actions import Delete, due, farewell
from selfhealing.remediation.context import Case, Situation
from selfhealing.remediation.engine import decide
from selfhealing.remediation.policy import VERIFY, Policy, policy
from tests.unit import builders

VERSION = "a1b2c3d4e5"
STARTED = HealingAction(
    id=1,
    remedy=Remedy.RECYCLE,
    diagnosis="CrashLooping",
    outcome=ActionOutcome.STARTED,
    at=builders.at(0),
)


def record(*history: HealingAction, **more: object) -> HealingStatus:
    """What is remembered of an app."""
    fields = {"mode": "Auto", "budget_left": 3, "template": VERSION, **more}
    return HealingStatus.model_validate({"history": list(history), **fields})


def limits(mode: str = "Auto") -> Policy:
    """The limits of a spec that says only in which mode it wants to be healed."""
    return policy(parse({"image": builders.IMAGE, "healing": {"mode": mode}}))


class TestDue:
    """People may have changed their minds since, and the operator may have been away."""

    @pytest.mark.parametrize("mode", ["Auto", "Approve"])
    def test_it_is(self, mode: str) -> None:
        """Until the time that an action has to help is over."""
        at = builders.at(0) + VERIFY - timedelta(seconds=1)
        found = due(record(STARTED), VERSION, limits(mode), at)

        assert STARTED == ledger.running(found)
        assert mode == found.mode

    @pytest.mark.parametrize(
        ("asked", "mode", "after"),
        [
            ("another", "Auto", timedelta()),
            (VERSION, "Off", timedelta()),
            (VERSION, "Observe", timedelta()),
            (VERSION, "Auto", VERIFY),
        ],
        ids=["another version", "switched off", "only observed", "long ago"],
    )
    def test_it_is_no_longer(self, asked: str, mode: str, after: timedelta) -> None:
        """The rest of the record stays as it is."""
        before = record(STARTED, memory_limit="200Mi")
        found = due(before, asked, limits(mode), builders.at(0) + after)

        assert None is ledger.running(found)
        assert "200Mi" == found.memory_limit

    def test_nothing_was_started(self) -> None:
        """Only the mode is that of now."""
        assert record(mode="Off") == due(record(), "another", limits("Off"), builders.at(0))


class TestSpecimen:
    """A pod that was taken out of the app."""

    KEPT = QuarantineStatus(pod="web-abc-1", uid="uid-1", until=builders.at(60))

    @pytest.mark.parametrize("mode", ["Auto", "Off"])
    @pytest.mark.parametrize(
        ("at", "left", "there"),
        [(59, False, True), (60, False, False), (60, True, True)],
        ids=["for a while", "until it is deleted", "until it can be"],
    )
    def test_how_long_it_is_remembered(
        self, mode: str, at: float, *, left: bool, there: bool
    ) -> None:
        """Nobody else would delete it, also where healing is switched off."""
        case = Case(VERSION, builders.IMAGE, situation=Situation(specimen_left=left))
        alarm = Alarm(builders.at(at))
        found = decide(record(quarantine=self.KEPT), case, limits(mode), alarm)

        assert there == (found.quarantine is not None)
        assert (None if at >= 60 else 1.0) == alarm.delay

    def test_farewell(self) -> None:
        """Of a Job nothing is remembered."""
        assert () == farewell(record())

        [step] = farewell(record(quarantine=self.KEPT))

        assert isinstance(step, Delete)
        assert ("web-abc-1", "uid-1") == (step.name, step.uid)


@pytest.mark.parametrize("unkept", [True, False])
def test_a_version_that_cannot_be_kept(*, unkept: bool) -> None:
    """It is well, but it cannot be gone back to: the status does not say that it could."""
    case = Case(VERSION, builders.IMAGE, well=True, situation=Situation(unkept=unkept))
    past = record(template_since=builders.at(0), well_since=builders.at(0))
    found = decide(past, case, limits(), Alarm(builders.at(600)))

    assert (None if unkept else VERSION) == found.good_template
