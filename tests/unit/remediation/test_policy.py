"""The limits that a spec sets."""

from dataclasses import asdict
from datetime import timedelta

import pytest

from selfhealing.api.spec import parse
from selfhealing.remediation.policy import Policy, policy
from tests.unit.snapshots import Json


def limits(healing: Json | None, scale: float = 1.0) -> Policy:
    """The limits of a spec with this healing."""
    return policy(parse({"image": "web:v1", **({"healing": healing} if healing else {})}), scale)


def test_an_app_that_says_nothing() -> None:
    """As the reference says; nothing is done for which the user must give a number."""
    assert Policy(
        mode="Auto",
        budget=3,
        window=timedelta(hours=1),
        cooldown=timedelta(minutes=1),
        rollback=True,
        probation=timedelta(minutes=10),
        memory_max="",
        recycle=True,
        hung_after=timedelta(minutes=5),
        failover=True,
        lost_after=timedelta(minutes=1),
        fallback_replicas=None,
        blind_after=timedelta(minutes=5),
        isolate=True,
        keep=timedelta(hours=1),
        verify=timedelta(minutes=5),
        proof=timedelta(seconds=30),
        patience=timedelta(minutes=1),
        approval=timedelta(minutes=30),
    ) == limits(None)


def test_everything_that_can_be_written() -> None:
    """Each field from its own."""
    found = limits(
        {
            "mode": "Approve",
            "budget": 5,
            "window": "2h",
            "cooldown": "30s",
            "rollback": {"enabled": False, "probation": "20m"},
            "memory": {"max": 1073741824},
            "recycle": {"enabled": False, "after": "1m"},
            "failover": {"enabled": False, "after": "0s"},
            "scalingFallback": {"replicas": 4, "after": "10m"},
            "quarantine": {"isolate": False, "keep": "1h30m"},
        }
    )

    assert ("Approve", 5, "1073741824", 4) == (
        found.mode,
        found.budget,
        found.memory_max,
        found.fallback_replicas,
    )
    assert [False] * 4 == [found.rollback, found.recycle, found.failover, found.isolate]
    assert [7200, 30, 1200, 60, 0, 600, 5400] == [
        time.total_seconds()
        for time in (
            found.window,
            found.cooldown,
            found.probation,
            found.hung_after,
            found.lost_after,
            found.blind_after,
            found.keep,
        )
    ]


@pytest.mark.parametrize("healing", [None, {"scalingFallback": {"replicas": 2, "after": "7m"}}])
def test_every_time_is_scaled(healing: Json | None) -> None:
    """A test that waits for real minutes is a test that nobody runs.

    Only the horizon has an end below: what is measured is not the fresher for it.
    """
    whole, tenth = asdict(limits(healing)), asdict(limits(healing, 0.1))
    times = {name for name, value in whole.items() if isinstance(value, timedelta)}

    assert 12 == len(times)
    assert (120, 60) == tuple(each["horizon"].total_seconds() for each in (whole, tenth))
    times -= {"horizon"}
    assert {name: whole[name] / 10 for name in times} == {name: tenth[name] for name in times}
    assert {k: v for k, v in whole.items() if k not in {*times, "horizon"}} == {
        k: v for k, v in tenth.items() if k not in {*times, "horizon"}
    }
