"""The policy of a spec."""

from dataclasses import asdict
from datetime import timedelta

import pytest

from selfhealing.api.container_limits import LimitedResource
from selfhealing.api.spec import parse_spec
from selfhealing.remediation.policy import HealingMode, Policy, build_policy
from tests.unit.snapshots import Json


def make_policy(healing: Json | None, scale: float = 1.0) -> Policy:
    """The policy of a spec with this healing."""
    return build_policy(
        parse_spec({"image": "web:v1", **({"healing": healing} if healing else {})}), scale
    )


def test_the_defaults() -> None:
    """As the reference says; remediations that need a number are off."""
    assert Policy(
        mode=HealingMode.AUTO,
        budget=3,
        window=timedelta(hours=1),
        cooldown=timedelta(minutes=1),
        rollback=True,
        probation=timedelta(minutes=10),
        replace_pod=True,
        unready_timeout=timedelta(minutes=5),
        failover=True,
        node_lost_timeout=timedelta(minutes=1),
        fallback_replicas=None,
        metrics_timeout=timedelta(minutes=5),
        isolate=True,
        quarantine_ttl=timedelta(hours=1),
        verification_timeout=timedelta(minutes=5),
        min_healthy_time=timedelta(seconds=30),
        start_grace=timedelta(minutes=1),
        approval_ttl=timedelta(minutes=30),
    ) == make_policy(None)


def test_every_field() -> None:
    """Each field of the spec sets its own field of the policy."""
    found = make_policy(
        {
            "mode": "Approve",
            "budget": 5,
            "window": "2h",
            "cooldown": "30s",
            "rollback": {"enabled": False, "probation": "20m"},
            "memory": {"enabled": False, "max": 1073741824},
            "cpu": {"enabled": False, "max": "4"},
            "relaxLiveness": {"enabled": True, "ttl": "2h"},
            "replacePod": {"enabled": False, "after": "1m"},
            "failover": {"enabled": False, "after": "0s"},
            "scalingFallback": {"replicas": 4, "after": "10m"},
            "quarantine": {"isolate": False, "ttl": "1h30m"},
        }
    )

    assert ("Approve", 5, "1073741824", "4", 4) == (
        found.mode,
        found.budget,
        found.raises[LimitedResource.MEMORY].maximum,
        found.raises[LimitedResource.CPU].maximum,
        found.fallback_replicas,
    )
    assert (True, 7200) == (found.relax_liveness, found.relaxed_for.total_seconds())
    assert [False] * 6 == [
        found.rollback,
        found.replace_pod,
        found.failover,
        found.isolate,
        found.raises[LimitedResource.MEMORY].enabled,
        found.raises[LimitedResource.CPU].enabled,
    ]
    assert [7200, 30, 1200, 60, 0, 600, 5400] == [
        time.total_seconds()
        for time in (
            found.window,
            found.cooldown,
            found.probation,
            found.unready_timeout,
            found.node_lost_timeout,
            found.metrics_timeout,
            found.quarantine_ttl,
        )
    ]


@pytest.mark.parametrize("healing", [None, {"scalingFallback": {"replicas": 2, "after": "7m"}}])
def test_every_time_is_scaled(healing: Json | None) -> None:
    """So that tests need not wait for minutes.

    Only the horizon has a lower bound, because the age of a measurement is not scaled.
    """
    whole, tenth = asdict(make_policy(healing)), asdict(make_policy(healing, 0.1))
    times = {name for name, value in whole.items() if isinstance(value, timedelta)}

    assert 18 == len(times)
    assert (120, 60) == tuple(each["memory_horizon"].total_seconds() for each in (whole, tenth))
    times -= {"memory_horizon"}
    assert {name: whole[name] / 10 for name in times} == {name: tenth[name] for name in times}
    assert {k: v for k, v in whole.items() if k not in {*times, "memory_horizon"}} == {
        k: v for k, v in tenth.items() if k not in {*times, "memory_horizon"}
    }
