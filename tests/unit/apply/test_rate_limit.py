"""Corrections are limited by app; a new spec resets the limit."""

from itertools import pairwise

from hypothesis import given, strategies as st

from selfhealing.apply.rate_limit import (
    FLAPPING_BURST,
    FLAPPING_INTERVAL,
    MAX_CORRECTIONS,
    STATUS_BURST,
    STATUS_INTERVAL,
    WINDOW_SECONDS,
    CorrectionLimiter,
    StatusLimiter,
    TokenBucket,
)


def test_the_first_corrections_need_not_wait() -> None:
    """The first corrections up to the limit need not wait."""
    limiter: CorrectionLimiter[str] = CorrectionLimiter()

    for _ in range(MAX_CORRECTIONS - 1):
        limiter.record("a", 5.0)

    assert 0 == limiter.retry_after("a", 5.0)
    assert 0 == limiter.retry_after("b", 5.0)


def test_a_correction_beyond_the_limit_waits() -> None:
    """The wait lasts until the oldest correction leaves the window."""
    limiter: CorrectionLimiter[str] = CorrectionLimiter()
    for second in range(MAX_CORRECTIONS):
        limiter.record("a", float(second))

    assert WINDOW_SECONDS - 20 == limiter.retry_after("a", 20.0)
    assert 0 == limiter.retry_after("a", WINDOW_SECONDS)
    assert 0 == limiter.retry_after("b", 20.0)


def test_the_last_known_opponents_are_remembered() -> None:
    """Until a new spec."""
    limiter: CorrectionLimiter[str] = CorrectionLimiter()
    limiter.record("a", 0.0, ("kubectl-edit",))
    limiter.record("a", 1.0)

    assert ("kubectl-edit",) == limiter.opponents("a")
    assert () == limiter.opponents("b")
    limiter.reset("a")
    assert () == limiter.opponents("a")


def test_a_new_spec_resets_the_limit() -> None:
    """Corrections for the earlier spec do not count."""
    limiter: CorrectionLimiter[str] = CorrectionLimiter()
    for _ in range(MAX_CORRECTIONS):
        limiter.record("a", 0.0)

    limiter.reset("a")

    assert 0 == limiter.retry_after("a", 0.0)


@given(st.lists(st.floats(0, 30), max_size=200))
def test_no_window_holds_more_than_the_limit(pauses: list[float]) -> None:
    """The limit holds in each window, whatever the pauses."""
    limiter: CorrectionLimiter[str] = CorrectionLimiter()
    now, corrected_at = 0.0, []
    for pause in pauses:
        now += pause
        if not limiter.retry_after("a", now):
            limiter.record("a", now)
            corrected_at.append(now)

    assert all(
        later >= first + WINDOW_SECONDS
        for first, later in zip(corrected_at, corrected_at[MAX_CORRECTIONS:], strict=False)
    )


def test_a_bucket_allows_a_burst_and_then_its_rate() -> None:
    """An unused bucket fills up again, to the burst and no further."""
    bucket = TokenBucket(burst=3, interval=10)

    assert [True, True, True, False] == [bucket.take(100) for _ in range(4)]
    assert 10 == bucket.retry_after(100)
    assert [False, True, False] == [bucket.take(second) for second in (109, 110, 111)]
    assert not bucket.is_full(139)
    assert bucket.is_full(140)
    assert [True, True, True, False] == [bucket.take(1000) for _ in range(4)]


@given(
    burst=st.integers(1, 10),
    interval=st.integers(1, 60),
    pauses=st.lists(st.integers(0, 100), max_size=100),
)
def test_a_bucket_never_allows_more_than_its_rate(
    burst: int, interval: int, pauses: list[int]
) -> None:
    """In any span: the burst, and one use per interval."""
    bucket, now, uses = TokenBucket(burst, interval), 0, list[int]()
    for pause in pauses:
        now += pause
        if bucket.take(now):
            uses.append(now)
    for first, start in enumerate(uses):
        for last, end in enumerate(uses[first:], 1):
            assert last <= burst + (end - start) / interval


def test_status_writes_of_what_flaps() -> None:
    """A burst, then one each 5 s, and at last one each 30 s; each app for itself."""
    limiter: StatusLimiter[str] = StatusLimiter()
    now, writes = 0.0, list[float]()
    while now < 3600:
        wait = limiter.retry_after("a", now)
        if not wait:
            writes.append(now)
            limiter.record("a", now)
        now += wait or 1.0
    pauses = [end - begin for begin, end in pairwise(writes)]

    assert {1.0} == set(pauses[: STATUS_BURST - 1])
    assert STATUS_INTERVAL in pauses[STATUS_BURST:FLAPPING_BURST]
    assert {FLAPPING_INTERVAL} == set(pauses[-20:])
    assert len(writes) <= FLAPPING_BURST + 3600 / FLAPPING_INTERVAL
    assert limiter.retry_after("a", writes[-1]) == FLAPPING_INTERVAL
    assert not limiter.retry_after("b", writes[-1])

    limiter.reset("a")

    assert not limiter.retry_after("a", writes[-1])
