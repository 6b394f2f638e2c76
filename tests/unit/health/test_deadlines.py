"""Deadlines: evaluating states that last, without a clock."""

from hypothesis import given, strategies as st

from selfhealing.health.deadlines import Deadlines
from tests.unit.builders import at


def test_nothing_was_asked() -> None:
    """Without a deadline there is no requeue."""
    assert None is Deadlines(at(0)).requeue_after


def test_a_passed_deadline() -> None:
    """A deadline that has passed, also just now, causes no requeue."""
    deadlines = Deadlines(at(10))

    assert [True, True] == [deadlines.reached(at(9)), deadlines.reached(at(10))]
    assert None is deadlines.requeue_after


@given(st.lists(st.integers(1, 1000), min_size=1))
def test_the_earliest_deadline_counts(moments: list[int]) -> None:
    """The requeue is at the earliest deadline ahead."""
    deadlines = Deadlines(at(0))

    assert not any(deadlines.reached(at(moment)) for moment in moments)
    assert min(moments) == deadlines.requeue_after
