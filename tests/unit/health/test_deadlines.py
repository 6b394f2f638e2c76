"""Judging by time without a clock."""

from hypothesis import given, strategies as st

from selfhealing.health.deadlines import Alarm
from tests.unit.builders import at


def test_nothing_was_asked() -> None:
    """Then time changes nothing."""
    assert None is Alarm(at(0)).delay


def test_what_has_passed() -> None:
    """A moment that has come, also right now, need not be waited for."""
    alarm = Alarm(at(10))

    assert [True, True] == [alarm.passed(at(9)), alarm.passed(at(10))]
    assert None is alarm.delay


@given(st.lists(st.integers(1, 1000), min_size=1))
def test_the_earliest_moment_counts(moments: list[int]) -> None:
    """Whoever waits looks again when the first of them comes."""
    alarm = Alarm(at(0))

    assert not any(alarm.passed(at(moment)) for moment in moments)
    assert min(moments) == alarm.delay
