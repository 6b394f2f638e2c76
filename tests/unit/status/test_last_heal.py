"""The column LAST-HEAL: the last restart or the last action, whichever is later."""

import pytest

from selfhealing.api.healing_status import (
    ActionOutcome,
    HealingAction,
    HealingStatus,
    Remediation,
)
from selfhealing.api.status import PodRestart, RestartsStatus
from selfhealing.status.remediation import find_last_heal_time
from tests.unit import builders
from tests.unit.snapshots import evaluate_app, status_json

NO_RESTARTS = RestartsStatus()


def make_restarts_status(at: float | None) -> RestartsStatus:
    """A status.restarts whose last restart was at ``at``."""
    when = None if at is None else builders.at(at)
    last = PodRestart(pod="web-abc-1", container="app", reason="Error", at=when)
    return RestartsStatus(total=1, last=last)


def make_record(*actions: tuple[ActionOutcome, float]) -> HealingStatus:
    """A record, the newest action first."""
    history = [
        HealingAction(
            id=len(actions) - number,
            remediation=Remediation.REPLACE_POD,
            diagnosis="CrashLooping",
            outcome=outcome,
            at=builders.at(at),
            ended_at=builders.at(at + 500),
        )
        for number, (outcome, at) in enumerate(actions)
    ]
    return HealingStatus(mode="Auto", budget_left=1, history=history)


HELPED = ActionOutcome.SUCCEEDED


@pytest.mark.parametrize(
    ("restarts", "healing", "expected"),
    [
        (NO_RESTARTS, None, None),
        (NO_RESTARTS, make_record(), None),
        (make_restarts_status(None), None, None),
        (make_restarts_status(10), None, 10),
        (make_restarts_status(10), make_record((HELPED, 5)), 10),
        (make_restarts_status(10), make_record((HELPED, 50)), 50),
        (make_restarts_status(None), make_record((HELPED, 50)), 50),
        (NO_RESTARTS, make_record((HELPED, 50), (HELPED, 20)), 50),
    ],
)
def test_the_later_counts(
    restarts: RestartsStatus, healing: HealingStatus | None, expected: float | None
) -> None:
    """The time of the decision counts, not that of its success."""
    assert (None if expected is None else builders.at(expected)) == find_last_heal_time(
        restarts, healing
    )


@pytest.mark.parametrize("outcome", ActionOutcome)
def test_only_executed_actions_count(outcome: ActionOutcome) -> None:
    """Proposals, dry runs and quarantines do not count."""
    taken = {
        ActionOutcome.IN_PROGRESS,
        ActionOutcome.SUCCEEDED,
        ActionOutcome.FAILED,
        ActionOutcome.SUPERSEDED,
    }
    expected = 50 if outcome in taken else 20
    found = find_last_heal_time(NO_RESTARTS, make_record((outcome, 50), (HELPED, 20)))

    assert builders.at(expected) == found


def test_it_is_in_the_status() -> None:
    """After a restart; without restarts and actions it is empty."""
    restarts = builders.running(20, restarts=1, last=builders.termination(started=0, finished=10))
    healed = status_json(evaluate_app(builders.deployment(), builders.pod("web-abc-1", restarts)))
    healthy = status_json(
        evaluate_app(builders.deployment(), builders.pod("web-abc-1", builders.running()))
    )

    assert builders.iso(10) == healed["lastHealTime"]
    assert "lastHealTime" not in healthy
