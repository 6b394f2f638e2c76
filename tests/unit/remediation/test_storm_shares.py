"""For how long a namespace keeps the breaker of the cluster open."""

from collections.abc import Collection, Iterable
from itertools import pairwise

from hypothesis import given, settings, strategies as st

from selfhealing.remediation.storm_shares import StormShares

LIMIT, REST = 600.0, 3600.0


def simulate(steps: Iterable[tuple[float, Collection[str]]]) -> dict[str, list[float]]:
    """Return when each namespace kept the breaker open, in a storm of all that may.

    Each step is a time in seconds and the namespaces with an app that counts from then on.
    """
    shares, now, given_at = StormShares(LIMIT, REST), 0.0, dict[str, list[float]]()
    for wait, counted in steps:
        now += wait
        givers = set(counted) - shares.find_spent(counted, now)
        shares.set_givers(givers, now)
        for namespace in givers:
            given_at.setdefault(namespace, []).append(now)
    return given_at


def test_a_namespace_gives_for_ten_minutes_in_all() -> None:
    """However often a storm begins and ends meanwhile."""
    steps = [(60.0, ["a"] if number % 2 else []) for number in range(100)]

    assert 10 == len(simulate(steps)["a"])  # for a minute each


def test_it_may_again_after_an_hour_without_an_app_that_fell_ill() -> None:
    """Not before: one app that falls ill in between begins the hour anew."""
    given_at = simulate(
        [
            *[(LIMIT, ["a"])] * 2,  # it has given for ten minutes
            (REST - 1, ["a"]),
            (1, []),
            (REST - 2, ["a"]),
            (REST, ["a"]),
            (1, []),
            (REST, []),
            (1, ["a"]),
        ]
    )

    assert [LIMIT, 2 * LIMIT + 4 * REST] == given_at["a"]


def test_others_are_not_concerned() -> None:
    """A namespace that falls ill later has all of its time."""
    given_at = simulate([(0, ["a"]), (LIMIT, ["a", "b"]), (LIMIT - 1, ["a", "b"])])

    assert {"a": [0], "b": [LIMIT, 2 * LIMIT - 1]} == given_at


def test_when_the_first_has_given_enough() -> None:
    """Then the breaker must be looked at, though nothing has happened."""
    shares = StormShares(LIMIT, REST)

    assert float("inf") == shares.set_givers([], 5)
    assert 5 + LIMIT == shares.set_givers(["a"], 5)

    shares.find_spent(["a", "b"], 105)

    assert 5 + LIMIT == shares.set_givers(["a", "b"], 105)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.floats(1, 900), st.sets(st.sampled_from("abc"))), min_size=1, max_size=40)
)
def test_nobody_gives_for_longer(steps: list[tuple[float, set[str]]]) -> None:
    """Within any hour: the time from a look at which it gives to the next one counts."""
    looks = [sum(wait for wait, _ in steps[: number + 1]) for number in range(len(steps))]
    ends = dict(pairwise(looks))
    for times in simulate(steps).values():
        for begin in times:
            before = [time for time in times if begin - REST < time < begin]
            assert sum(ends[time] - time for time in before) < LIMIT
