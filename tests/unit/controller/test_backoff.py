"""The one back-off: longer with each failure, by key, up to a maximum."""

import pytest

from selfhealing.controller.backoff import MAX_EXPONENT, Backoff
from tests.unit.controller.fake_clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still."""
    return FakeClock()


def test_each_failure_waits_longer_up_to_the_maximum(clock: FakeClock) -> None:
    """By the factor, for ever; a power that is too large for a float is never taken."""
    backoff: Backoff[str] = Backoff(clock, initial=1, maximum=20, factor=3)

    assert [1, 3, 9, 20, 20] == [backoff.record_failure("a") for _ in range(5)]

    endless: Backoff[str] = Backoff(clock, initial=1, maximum=float("inf"))
    delays = [endless.record_failure("a") for _ in range(2000)]

    assert 2.0**MAX_EXPONENT == delays[-1]


def test_a_key_has_its_own_count(clock: FakeClock) -> None:
    """A key that succeeds begins at the start again."""
    backoff: Backoff[str] = Backoff(clock, initial=1, maximum=20)
    backoff.record_failure("a")

    assert (2, 1) == (backoff.record_failure("a"), backoff.record_failure("b"))

    backoff.forget("a")
    backoff.forget("unknown")

    assert (1, 2) == (backoff.record_failure("a"), backoff.record_failure("b"))


def test_one_delay_may_have_a_lower_maximum(clock: FakeClock) -> None:
    """The failure counts all the same."""
    backoff: Backoff[str] = Backoff(clock, initial=4, maximum=100)

    assert [4, 5, 16] == [backoff.record_failure("a", maximum) for maximum in (None, 5, None)]


def test_how_long_until_the_next_attempt(clock: FakeClock) -> None:
    """A key that has not failed may be tried now."""
    backoff: Backoff[str] = Backoff(clock, initial=8, maximum=8)
    backoff.record_failure("a")
    clock.now += 5

    assert (3, 0) == (backoff.retry_after("a"), backoff.retry_after("b"))

    clock.now += 5

    assert 0 == backoff.retry_after("a")


def test_jitter_leaves_out_a_part_of_the_delay(clock: FakeClock) -> None:
    """At most its share; the delays differ."""
    backoff: Backoff[int] = Backoff(clock, initial=10, maximum=10, jitter=0.3)
    delays = [backoff.record_failure(key) for key in range(200)]

    assert 7 <= min(delays) < max(delays) <= 10
    assert pytest.approx(delays[0]) == backoff.retry_after(0)


def test_keys_that_may_be_tried_again_can_be_forgotten(clock: FakeClock) -> None:
    """The others stay."""
    backoff: Backoff[str] = Backoff(clock, initial=8, maximum=8)
    backoff.record_failure("old")
    clock.now += 8
    backoff.record_failure("new")
    backoff.forget_expired()

    assert 1 == len(backoff)
    assert 8 == backoff.retry_after("new")
