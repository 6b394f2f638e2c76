"""Judging by time without a clock."""

from hypothesis import given, strategies as st

from selfhealing.health.deadlines import Deadlines
from tests.unit.builders import at


def test_nothing_was_asked() -> None:
    """Then time changes nothing."""
    assert None is Deadlines(at(0)).requeue_after


def test_what_has_passed() -> None:
    """A moment that has come, also right now, need not be waited for."""
    deadlines = Deadlines(at(10))

    assert [True, True] == [deadlines.reached(at(9)), deadlines.reached(at(10))]
    assert None is deadlines.requeue_after


@given(st.lists(st.integers(1, 1000), min_size=1))
def test_the_earliest_moment_counts(moments: list[int]) -> None:
    """Whoever waits looks again when the first of them comes."""
    deadlines = Deadlines(at(0))

    assert not any(deadlines.reached(at(moment)) for moment in moments)
    assert min(moments) == deadlines.requeue_after
