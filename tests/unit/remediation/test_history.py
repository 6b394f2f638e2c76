"""The history: budget, cooldown, attempts, and what a full history loses."""

from datetime import timedelta

import pytest

from selfhealing.api.healing_status import MAX_HISTORY, ActionOutcome, Remediation
from selfhealing.health.pod_diagnosis import WARNINGS, DiagnosisType
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
def test_executed_actions_cost_budget(outcome: ActionOutcome) -> None:
    """With any outcome; dry runs and proposals cost nothing."""
    left = history.budget_left(
        make_record(make_action(outcome=outcome)), make_policy(budget=2), NOW
    )

    assert 2 - (outcome in BUDGETED) == left


@pytest.mark.parametrize(
    "diagnosis", [DiagnosisType.NODE_LOST, DiagnosisType.METRICS_UNAVAILABLE, *sorted(WARNINGS)]
)
@pytest.mark.parametrize("outcome", sorted(BUDGETED))
def test_what_no_release_has_done_uses_up_no_budget(
    diagnosis: DiagnosisType, outcome: ActionOutcome
) -> None:
    """Three reboots or an hour without metrics leave all actions for a bad release."""
    spent = (make_action(n, outcome=outcome, diagnosis=diagnosis) for n in (3, 2, 1))

    assert 3 == history.budget_left(make_record(*spent), make_policy(budget=3), NOW)


@pytest.mark.parametrize(
    ("outcome", "left"),
    [(ActionOutcome.FAILED, 2), (ActionOutcome.SUCCEEDED, 1), (ActionOutcome.IN_PROGRESS, 1)],
)
def test_another_node_that_did_not_help_costs_no_budget(outcome: ActionOutcome, left: int) -> None:
    """It has shown that the node is not the cause."""
    tried = make_action(remediation=Remediation.AVOID_NODE, outcome=outcome)

    assert left == history.budget_left(make_record(tried), make_policy(budget=2), NOW)


def test_budget_comes_back_with_time() -> None:
    """An action counts for one window, and not a second longer."""
    old, recent = make_action(1, at=AT - HOUR), make_action(2, at=AT - HOUR + 1)

    assert 2 == history.budget_left(make_record(recent, old), make_policy(budget=3), NOW)


def test_budget_is_whole_after_a_resume() -> None:
    """Earlier actions do not count, an action at the same time does."""
    before, same = make_action(1, at=AT - 50), make_action(2, at=AT - 40)
    resumed = make_record(same, before, budget_reset_time=builders.at(AT - 40))

    assert 2 == history.budget_left(resumed, make_policy(budget=3), NOW)


def test_the_budget_is_never_negative() -> None:
    """Also after the budget in the spec was lowered."""
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
def test_the_cooldown_doubles_with_each_failure(
    outcomes: list[ActionOutcome], minutes: int
) -> None:
    """Until a success, and at most to the window. The newest action comes first."""
    done = [make_action(9 - i, outcome=outcome) for i, outcome in enumerate(outcomes)]

    assert timedelta(minutes=minutes) == history.compute_cooldown(
        make_record(*done), make_policy(), NOW
    )


def test_the_running_and_the_proposed_action_are_found() -> None:
    """There is at most one of each."""
    started = make_action(2, outcome=ActionOutcome.IN_PROGRESS)
    proposed = make_action(1, outcome=ActionOutcome.PROPOSED)

    assert started == history.find_running(make_record(started, proposed))
    assert proposed == history.find_proposed(make_record(started, proposed))
    assert None is history.find_running(make_record())


def test_failures_count_beyond_the_window() -> None:
    """Successes do not, because they may be repeated; nor do actions for another revision."""
    vain, helped = make_action(2, at=10), make_action(3, outcome=ActionOutcome.SUCCEEDED, at=20)
    other, noted = make_action(1, at=-10), make_action(4, outcome=ActionOutcome.OBSERVED)

    assert [vain] == list(
        history.find_attempts(make_record(noted, helped, vain, other), make_policy(), NOW)
    )


def test_failures_do_not_count_after_a_resume() -> None:
    """The same remediation may be tried again."""
    resumed = make_record(make_action(at=10), budget_reset_time=builders.at(11))

    assert [] == list(history.find_attempts(resumed, make_policy(), NOW))


def test_without_a_revision_everything_counts() -> None:
    """A record without a revision."""
    known = make_record(make_action(), desired_since=None)

    assert known.history == list(history.find_attempts(known, make_policy(), NOW))


@pytest.mark.parametrize(
    "worthless", [ActionOutcome.OBSERVED, ActionOutcome.EXPIRED, ActionOutcome.COMPLETED]
)
def test_a_full_history_loses_uncounted_actions_first(worthless: ActionOutcome) -> None:
    """The oldest of them, before any executed action."""
    done = [make_action(number) for number in range(MAX_HISTORY, 0, -1)]
    done[3] = done[3].model_copy(update={"outcome": worthless})

    after = history.append_action(make_record(*done), make_action(11))

    assert [11, 10, 9, 8, 6, 5, 4, 3, 2, 1] == [each.id for each in after.history]
    assert 12 == after.next_id


def test_a_full_history_of_executed_actions_loses_the_oldest() -> None:
    """With a budget of at most five it is older than the window, or reset."""
    done = [make_action(number) for number in range(MAX_HISTORY, 0, -1)]

    after = history.append_action(make_record(*done), make_action(11))

    assert list(range(11, 1, -1)) == [each.id for each in after.history]


def test_a_clock_that_was_set_back_moves_all_times_alike() -> None:
    """The latest time becomes now, and the order stays."""
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


def test_a_correct_clock_moves_no_time() -> None:
    """Also if the record has no time."""
    before = make_record(
        make_action(remediation=Remediation.FAILOVER), cooldown_until=builders.at(AT + 60)
    )

    assert before is history.rebase_clock(before, NOW)
    assert None is history.rebase_clock(make_record(make_action(at=AT + 5)), NOW).quarantine
