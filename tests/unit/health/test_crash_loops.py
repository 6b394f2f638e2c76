"""When a container counts as crashing again and again."""

from datetime import timedelta

import pytest
from hypothesis import given, strategies as st

from selfhealing.cache.parse import pod_view
from selfhealing.health.crash_loops import is_crash_looping, mean_restart_interval
from selfhealing.health.deadlines import Deadlines
from tests.unit.builders import (
    Json,
    at,
    crash_loop,
    pod,
    running,
    terminated,
    termination,
)
from tests.unit.snapshots import evaluate_app

MINUTE = 60.0
HOUR = 60 * MINUTE


def is_looping(thing: Json, now: float) -> bool:
    """Whether the first container of the pod crashes again and again."""
    view = pod_view(thing)
    return is_crash_looping(view, view.containers[0], Deadlines(at(now)))


def restarted(times: int, every: float, *, since_last: float) -> tuple[Json, float]:
    """A pod that was restarted at a regular interval, and the time now."""
    ended = times * every
    last = termination(1, started=ended - every + 1, finished=ended)
    return pod("web-abc-1", running(ended + 1, restarts=times, last=last)), ended + since_last


@pytest.mark.parametrize(
    ("times", "every", "since_last", "expected"),
    [
        (3, 15 * MINUTE, MINUTE, True),
        (40, 15 * MINUTE, 14 * MINUTE, True),
        (3, 15 * MINUTE, 31 * MINUTE, False),
        (3, 30 * MINUTE, MINUTE, True),
        (3, 31 * MINUTE, MINUTE, False),
        (2, 15 * MINUTE, MINUTE, False),
        (100, 11 * MINUTE, 10 * HOUR, False),
        (20, 4 * HOUR, MINUTE, False),
    ],
    ids=[
        "every 15 minutes",
        "for ten hours",
        "two intervals ago",
        "every half an hour",
        "less often",
        "twice only",
        "ten hours ago",
        "a few times a day",
    ],
)
def test_a_slow_loop(times: int, every: float, since_last: float, *, expected: bool) -> None:
    """The mean interval counts, and that the last restart is no older than two of them."""
    assert expected == is_looping(*restarted(times, every, since_last=since_last))


@given(
    st.integers(3, 500),
    st.floats(601, 10 * HOUR),
    st.floats(0, 100 * HOUR),
    st.floats(1, 100 * HOUR),
)
def test_time_without_a_restart_only_ends_a_loop(
    times: int, every: float, since_last: float, more: float
) -> None:
    """What is no loop now is none later, if nothing restarts."""
    thing, now = restarted(times, every, since_last=since_last)

    assert is_looping(thing, now) or not is_looping(thing, now + more)


@pytest.mark.parametrize("restarts", [1, 3, 50])
def test_an_init_container_that_has_succeeded(restarts: int) -> None:
    """It cannot loop, however often it had to try: the pods are Ready, and nothing is told."""
    done = terminated(
        termination(0, started=40, finished=41),
        name="migrate",
        restarts=restarts,
        last=termination(1, started=20, finished=21),
        ready=True,
    )
    ready = pod("web-abc-1", running(42), init=[done])

    assert not is_looping(ready, 50)
    evaluation = evaluate_app(ready, now=50)
    assert evaluation.record is not None
    assert [] == list(evaluation.record.diagnoses)
    assert not evaluation.has_pod_problem


def test_an_init_container_that_still_fails() -> None:
    """It is what keeps the pod from starting."""
    tries = crash_loop(5, termination(1), name="migrate")

    assert is_looping(pod("web-abc-1", init=[tries], phase="Pending"), 50)


def test_restarts_of_which_nothing_else_is_known() -> None:
    """Without the time of the last one it may be long ago."""
    assert not is_looping(pod("web-abc-1", running(restarts=9)), 50)


def test_a_sidecar() -> None:
    """A container that is meant to run counts, also if it is among the init containers."""
    proxy = running(101, name="proxy", restarts=4, last=termination(1, started=70, finished=100))
    spec = {"name": "proxy", "restartPolicy": "Always"}

    assert is_looping(pod("web-abc-1", running(), init=[proxy], init_spec=[spec]), 110)


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        (pod("web-abc-1", running()), None),
        (pod("web-abc-1", running(restarts=2)), None),
        (pod("web-abc-1", running(restarts=2, last=termination(finished=60))), 30),
        (pod("web-abc-1", terminated(termination(finished=60), restarts=1)), 30),
        (pod("web-abc-1", running(restarts=2, last=termination()), created=None), None),
        (pod("web-abc-1", running(restarts=2, last=termination(finished=None))), None),
    ],
    ids=["never", "unknown end", "twice", "ended", "unknown start", "no time"],
)
def test_the_mean_interval(thing: Json, expected: float | None) -> None:
    """From the creation of the pod to the last end, by the number of ends."""
    view = pod_view(thing)
    found = mean_restart_interval(view, view.containers[0])

    assert found == (None if expected is None else timedelta(seconds=expected))
