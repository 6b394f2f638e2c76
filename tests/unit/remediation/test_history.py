"""The envelope's books: budget, rest, what was tried, what a full history loses."""

from datetime import timedelta

import pytest

from selfhealing.api.healing_status import MAX_HISTORY, ActionOutcome, Remediation
from selfhealing.remediation import history
from selfhealing.remediation.history import BUDGETED
from tests.unit import builders
from tests.unit.remediation.factories import (
    AT,
    make_action,
    make_policy,
    make_quarantine,
    make_record,
)

HOUR = 3600
NOW = builders.at(AT)


@pytest.mark.parametrize("outcome", list(ActionOutcome))
def test_what_is_carried_out_costs_budget(outcome: ActionOutcome) -> None:
    """Whatever became of it; what was only noted or proposed does not."""
    left = history.budget_left(
        make_record(make_action(outcome=outcome)), make_policy(budget=2), NOW
    )

    assert 2 - (outcome in BUDGETED) == left


def test_budget_comes_back_with_time() -> None:
    """An action counts for a window, and not a second longer."""
    old, recent = make_action(1, at=AT - HOUR), make_action(2, at=AT - HOUR + 1)

    assert 2 == history.budget_left(make_record(recent, old), make_policy(budget=3), NOW)


def test_budget_is_whole_after_a_resume() -> None:
    """What was done before counts no longer, what is done in the same moment does."""
    before, same = make_action(1, at=AT - 50), make_action(2, at=AT - 40)
    resumed = make_record(same, before, budget_reset_time=builders.at(AT - 40))

    assert 2 == history.budget_left(resumed, make_policy(budget=3), NOW)


def test_there_is_no_budget_below_none() -> None:
    """A budget that was lowered is spent, no more."""
    many = make_record(*(make_action(number) for number in (3, 2, 1)))

    assert 0 == history.budget_left(many, make_policy(budget=1), NOW)


@pytest.mark.parametrize(
    ("outcomes", "minutes"),
    [
        ([], 1),
        ([ActionOutcome.FAILED], 2),
        ([ActionOutcome.FAILED, ActionOutcome.SUPERSEDED, ActionOutcome.FAILED], 4),
        ([ActionOutcome.SUCCEEDED, ActionOutcome.FAILED], 1),
        ([ActionOutcome.FAILED, ActionOutcome.SUCCEEDED, ActionOutcome.FAILED], 2),
        ([ActionOutcome.FAILED] * 5, 32),
        ([ActionOutcome.FAILED] * 9, 60),
    ],
)
def test_a_rest_is_twice_as_long_after_each_that_did_not_help(
    outcomes: list[ActionOutcome], minutes: int
) -> None:
    """Until one helps; at most a window. The latest stands first."""
    done = [make_action(9 - i, outcome=outcome) for i, outcome in enumerate(outcomes)]

    assert timedelta(minutes=minutes) == history.compute_cooldown(
        make_record(*done), make_policy(), NOW
    )


def test_what_is_under_way_is_found() -> None:
    """At most one is started, at most one proposed."""
    started = make_action(2, outcome=ActionOutcome.IN_PROGRESS)
    proposed = make_action(1, outcome=ActionOutcome.PROPOSED)

    assert started == history.find_running(make_record(started, proposed))
    assert proposed == history.find_proposed(make_record(started, proposed))
    assert None is history.find_running(make_record())


def test_what_was_in_vain_is_remembered_beyond_the_window() -> None:
    """What helped is not: it may be done again. Nor is what was done for another version."""
    vain, helped = make_action(2, at=10), make_action(3, outcome=ActionOutcome.SUCCEEDED, at=20)
    other, noted = make_action(1, at=-10), make_action(4, outcome=ActionOutcome.OBSERVED)

    assert [vain] == list(
        history.find_attempts(make_record(noted, helped, vain, other), make_policy(), NOW)
    )


def test_what_was_in_vain_is_forgiven() -> None:
    """After a resume it may be tried again."""
    resumed = make_record(make_action(at=10), budget_reset_time=builders.at(11))

    assert [] == list(history.find_attempts(resumed, make_policy(), NOW))


def test_before_the_first_version_is_known_everything_counts() -> None:
    """A record that says nothing of a version."""
    known = make_record(make_action(), desired_since=None)

    assert known.history == list(history.find_attempts(known, make_policy(), NOW))


@pytest.mark.parametrize(
    "worthless", [ActionOutcome.OBSERVED, ActionOutcome.EXPIRED, ActionOutcome.COMPLETED]
)
def test_a_full_history_loses_what_counts_nothing(worthless: ActionOutcome) -> None:
    """The oldest of these, before any action that was carried out."""
    done = [make_action(number) for number in range(MAX_HISTORY, 0, -1)]
    done[3] = done[3].model_copy(update={"outcome": worthless})

    after = history.append_action(make_record(*done), make_action(11))

    assert [11, 10, 9, 8, 6, 5, 4, 3, 2, 1] == [each.id for each in after.history]
    assert 12 == after.next_id


def test_a_full_history_of_deeds_loses_the_oldest() -> None:
    """With a budget of five it is out of the window, or forgiven."""
    done = [make_action(number) for number in range(MAX_HISTORY, 0, -1)]

    after = history.append_action(make_record(*done), make_action(11))

    assert list(range(11, 1, -1)) == [each.id for each in after.history]


def test_a_clock_that_was_set_back_moves_everything_alike() -> None:
    """The latest moment is now, and what was before something else stays so."""
    ahead = make_record(
        make_action(2, at=AT + 500, ended_at=builders.at(AT + 600)),
        make_action(1, at=AT + 100),
        desired_since=builders.at(AT + 50),
        healthy_since=builders.at(AT + 550),
        budget_reset_time=builders.at(AT + 400),
        cooldown_until=builders.at(AT + 700),
        quarantine=make_quarantine(until=AT + 4000),
    )

    after = history.rebase_clock(ahead, NOW)

    assert [builders.at(AT - 100), builders.at(AT - 500)] == [each.at for each in after.history]
    assert [NOW, None] == [each.ended_at for each in after.history]
    assert (builders.at(AT - 550), builders.at(AT - 50)) == (
        after.desired_since,
        after.healthy_since,
    )
    assert (builders.at(AT - 200), builders.at(AT + 100)) == (
        after.budget_reset_time,
        after.cooldown_until,
    )
    assert make_quarantine(until=AT + 3400) == after.quarantine


def test_a_clock_that_goes_right_moves_nothing() -> None:
    """Also where there is nothing to be moved."""
    before = make_record(
        make_action(remediation=Remediation.FAILOVER), cooldown_until=builders.at(AT + 60)
    )

    assert before is history.rebase_clock(before, NOW)
    assert None is history.rebase_clock(make_record(make_action(at=AT + 5)), NOW).quarantine
