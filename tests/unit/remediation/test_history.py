"""The envelope's books: budget, rest, what was tried, what a full history loses."""

from datetime import timedelta

import pytest

from selfhealing.api.healing_status import MAX_HISTORY, ActionOutcome, Remedy
from selfhealing.remediation import history
from selfhealing.remediation.history import COUNTED
from tests.unit import builders
from tests.unit.remediation.factories import AT, action, kept, limits, record

HOUR = 3600
NOW = builders.at(AT)


@pytest.mark.parametrize("outcome", list(ActionOutcome))
def test_what_is_carried_out_costs_budget(outcome: ActionOutcome) -> None:
    """Whatever became of it; what was only noted or proposed does not."""
    left = history.budget_left(record(action(outcome=outcome)), limits(budget=2), NOW)

    assert 2 - (outcome in COUNTED) == left


def test_budget_comes_back_with_time() -> None:
    """An action counts for a window, and not a second longer."""
    old, recent = action(1, at=AT - HOUR), action(2, at=AT - HOUR + 1)

    assert 2 == history.budget_left(record(recent, old), limits(budget=3), NOW)


def test_budget_is_whole_after_a_resume() -> None:
    """What was done before counts no longer, what is done in the same moment does."""
    before, same = action(1, at=AT - 50), action(2, at=AT - 40)
    resumed = record(same, before, budget_from=builders.at(AT - 40))

    assert 2 == history.budget_left(resumed, limits(budget=3), NOW)


def test_there_is_no_budget_below_none() -> None:
    """A budget that was lowered is spent, no more."""
    many = record(*(action(number) for number in (3, 2, 1)))

    assert 0 == history.budget_left(many, limits(budget=1), NOW)


@pytest.mark.parametrize(
    ("outcomes", "minutes"),
    [
        ([], 1),
        ([ActionOutcome.NO_HELP], 2),
        ([ActionOutcome.NO_HELP, ActionOutcome.OVERTAKEN, ActionOutcome.NO_HELP], 4),
        ([ActionOutcome.HELPED, ActionOutcome.NO_HELP], 1),
        ([ActionOutcome.NO_HELP, ActionOutcome.HELPED, ActionOutcome.NO_HELP], 2),
        ([ActionOutcome.NO_HELP] * 5, 32),
        ([ActionOutcome.NO_HELP] * 9, 60),
    ],
)
def test_a_rest_is_twice_as_long_after_each_that_did_not_help(
    outcomes: list[ActionOutcome], minutes: int
) -> None:
    """Until one helps; at most a window. The latest stands first."""
    done = [action(9 - i, outcome=outcome) for i, outcome in enumerate(outcomes)]

    assert timedelta(minutes=minutes) == history.rest(record(*done), limits(), NOW)


def test_what_is_under_way_is_found() -> None:
    """At most one is started, at most one proposed."""
    started = action(2, outcome=ActionOutcome.STARTED)
    proposed = action(1, outcome=ActionOutcome.PROPOSED)

    assert started == history.running(record(started, proposed))
    assert proposed == history.proposed(record(started, proposed))
    assert None is history.running(record())


def test_what_was_in_vain_is_remembered_beyond_the_window() -> None:
    """What helped is not: it may be done again. Nor is what was done for another version."""
    vain, helped = action(2, at=10), action(3, outcome=ActionOutcome.HELPED, at=20)
    other, noted = action(1, at=-10), action(4, outcome=ActionOutcome.OBSERVED)

    assert [vain] == list(history.tried(record(noted, helped, vain, other), limits(), NOW))


def test_what_was_in_vain_is_forgiven() -> None:
    """After a resume it may be tried again."""
    resumed = record(action(at=10), budget_from=builders.at(11))

    assert [] == list(history.tried(resumed, limits(), NOW))


def test_before_the_first_version_is_known_everything_counts() -> None:
    """A record that says nothing of a version."""
    known = record(action(), template_since=None)

    assert known.history == list(history.tried(known, limits(), NOW))


@pytest.mark.parametrize(
    "worthless", [ActionOutcome.OBSERVED, ActionOutcome.EXPIRED, ActionOutcome.DONE]
)
def test_a_full_history_loses_what_counts_nothing(worthless: ActionOutcome) -> None:
    """The oldest of these, before any action that was carried out."""
    done = [action(number) for number in range(MAX_HISTORY, 0, -1)]
    done[3] = done[3].model_copy(update={"outcome": worthless})

    after = history.added(record(*done), action(11))

    assert [11, 10, 9, 8, 6, 5, 4, 3, 2, 1] == [each.id for each in after.history]
    assert 12 == after.next_id


def test_a_full_history_of_deeds_loses_the_oldest() -> None:
    """With a budget of five it is out of the window, or forgiven."""
    done = [action(number) for number in range(MAX_HISTORY, 0, -1)]

    after = history.added(record(*done), action(11))

    assert list(range(11, 1, -1)) == [each.id for each in after.history]


def test_a_clock_that_was_set_back_moves_everything_alike() -> None:
    """The latest moment is now, and what was before something else stays so."""
    ahead = record(
        action(2, at=AT + 500, ended_at=builders.at(AT + 600)),
        action(1, at=AT + 100),
        template_since=builders.at(AT + 50),
        well_since=builders.at(AT + 550),
        budget_from=builders.at(AT + 400),
        cooldown_until=builders.at(AT + 700),
        quarantine=kept(until=AT + 4000),
    )

    after = history.in_time(ahead, NOW)

    assert [builders.at(AT - 100), builders.at(AT - 500)] == [each.at for each in after.history]
    assert [NOW, None] == [each.ended_at for each in after.history]
    assert (builders.at(AT - 550), builders.at(AT - 50)) == (after.template_since, after.well_since)
    assert (builders.at(AT - 200), builders.at(AT + 100)) == (
        after.budget_from,
        after.cooldown_until,
    )
    assert kept(until=AT + 3400) == after.quarantine


def test_a_clock_that_goes_right_moves_nothing() -> None:
    """Also where there is nothing to be moved."""
    before = record(action(remedy=Remedy.FAILOVER), cooldown_until=builders.at(AT + 60))

    assert before is history.in_time(before, NOW)
    assert None is history.in_time(record(action(at=AT + 5)), NOW).quarantine
