"""The column LAST-HEAL: the last restart or the last action of healing, whichever is later."""

import pytest

from selfhealing.api.healing_status import (
    ActionOutcome,
    HealingAction,
    HealingStatus,
    Remedy,
)
from selfhealing.api.status import PodRestart, RestartsStatus
from selfhealing.status.remediation import last_heal
from tests.unit import builders
from tests.unit.snapshots import status_of, tell

NEVER = RestartsStatus()


def restarted(at: float | None) -> RestartsStatus:
    """What is known of restarts, of which the last was after the end ``at``."""
    when = None if at is None else builders.at(at)
    last = PodRestart(pod="web-abc-1", container="app", reason="Error", at=when)
    return RestartsStatus(total=1, last=last)


def record(*actions: tuple[ActionOutcome, float]) -> HealingStatus:
    """What is remembered about healing, the latest decision first."""
    history = [
        HealingAction(
            id=len(actions) - number,
            remedy=Remedy.RECYCLE,
            diagnosis="CrashLooping",
            outcome=outcome,
            at=builders.at(at),
            ended_at=builders.at(at + 500),
        )
        for number, (outcome, at) in enumerate(actions)
    ]
    return HealingStatus(mode="Auto", budget_left=1, history=history)


HELPED = ActionOutcome.HELPED


@pytest.mark.parametrize(
    ("restarts", "healing", "expected"),
    [
        (NEVER, None, None),
        (NEVER, record(), None),
        (restarted(None), None, None),
        (restarted(10), None, 10),
        (restarted(10), record((HELPED, 5)), 10),
        (restarted(10), record((HELPED, 50)), 50),
        (restarted(None), record((HELPED, 50)), 50),
        (NEVER, record((HELPED, 50), (HELPED, 20)), 50),
    ],
)
def test_the_later_counts(
    restarts: RestartsStatus, healing: HealingStatus | None, expected: float | None
) -> None:
    """By when an action was decided, not by when its help was proved."""
    assert (None if expected is None else builders.at(expected)) == last_heal(restarts, healing)


@pytest.mark.parametrize("outcome", ActionOutcome)
def test_only_what_was_carried_out_counts(outcome: ActionOutcome) -> None:
    """Not what was only proposed or noted, nor that an app was left to people."""
    taken = {
        ActionOutcome.STARTED,
        ActionOutcome.HELPED,
        ActionOutcome.NO_HELP,
        ActionOutcome.OVERTAKEN,
    }
    expected = 50 if outcome in taken else 20
    found = last_heal(NEVER, record((outcome, 50), (HELPED, 20)))

    assert builders.at(expected) == found


def test_it_stands_in_the_status() -> None:
    """Where a container was restarted; and not at all where nothing ever was."""
    restarts = builders.running(20, restarts=1, last=builders.ended(started=0, finished=10))
    healed = status_of(tell(builders.deployment(), builders.pod("web-abc-1", restarts)))
    well = status_of(tell(builders.deployment(), builders.pod("web-abc-1", builders.running())))

    assert builders.iso(10) == healed["lastHealTime"]
    assert "lastHealTime" not in well
