"""Corrections are bounded for each app, and start anew with its spec."""

from hypothesis import given, strategies as st

from selfhealing.apply.rate_limit import LIMIT, WINDOW, Damper


def test_the_first_corrections_need_not_wait() -> None:
    """As many as the limit are made at once."""
    damper: Damper[str] = Damper()

    for _ in range(LIMIT - 1):
        damper.note("a", 5.0)

    assert 0 == damper.wait("a", 5.0)
    assert 0 == damper.wait("b", 5.0)


def test_beyond_the_limit_one_waits_until_the_first_is_old() -> None:
    """The wait is what is left of the window of the oldest correction."""
    damper: Damper[str] = Damper()
    for second in range(LIMIT):
        damper.note("a", float(second))

    assert WINDOW - 20 == damper.wait("a", 20.0)
    assert 0 == damper.wait("a", WINDOW)
    assert 0 == damper.wait("b", 20.0)


def test_a_new_spec_starts_anew() -> None:
    """What was corrected for the old spec does not count."""
    damper: Damper[str] = Damper()
    for _ in range(LIMIT):
        damper.note("a", 0.0)

    damper.forget("a")

    assert 0 == damper.wait("a", 0.0)


@given(st.lists(st.floats(0, 30), max_size=200))
def test_no_window_holds_more_than_the_limit(pauses: list[float]) -> None:
    """Whatever the rhythm of the quarrel, the bound holds in every window."""
    damper: Damper[str] = Damper()
    now, done = 0.0, []
    for pause in pauses:
        now += pause
        if not damper.wait("a", now):
            damper.note("a", now)
            done.append(now)

    assert all(later >= first + WINDOW for first, later in zip(done, done[LIMIT:], strict=False))
