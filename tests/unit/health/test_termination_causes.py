"""Why a container terminated, where the pod's status does not have the whole cause."""

from datetime import UTC, datetime, timedelta

import pytest

from selfhealing.cache.event_views import ContainerKillEvent
from selfhealing.cache.views import Termination
from selfhealing.health.termination_causes import (
    ContainerKey,
    RecordedTermination,
    TerminationCauses,
)

KEY = ContainerKey("uid-1", "app")
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
LATER = FIRST + timedelta(seconds=40)


def termination(at: datetime, code: int, reason: str = "Error") -> Termination:
    """A run of 20 seconds that ended at ``at``."""
    return Termination(
        exit_code=code, reason=reason, started_at=at - timedelta(seconds=20), finished_at=at
    )


def kill_event(at: datetime) -> ContainerKillEvent:
    """The kubelet's Event of a kill by a liveness probe."""
    return ContainerKillEvent(
        namespace="shop", pod_uid=KEY.uid, container=KEY.container, probe="liveness", at=at
    )


@pytest.mark.parametrize(
    ("before", "code", "expected"),
    [
        ("OOMKilled", 137, "OOMKilled"),
        ("OOMKilled", 143, "Error"),
        ("OOMKilled", 1, "Error"),
        ("LivenessProbe", 137, "LivenessProbe"),
        ("LivenessProbe", 143, "LivenessProbe"),
        ("LivenessProbe", 1, "Error"),
        ("Error", 137, "Error"),
    ],
)
@pytest.mark.parametrize("at", [FIRST, LATER], ids=["the same end", "a later end"])
def test_a_kill_without_an_event_has_the_previous_cause(
    before: str, code: int, expected: str, at: datetime
) -> None:
    """A kill has the cause of the previous one; a crash stays a crash."""
    if at == FIRST and before == "LivenessProbe":
        expected = "LivenessProbe"  # stored while the Event existed
    causes = TerminationCauses(recorded={KEY: RecordedTermination(FIRST, before)})

    assert causes.reason_for(KEY, termination(at, code)) == expected


def test_an_event_has_priority_over_the_previous_cause() -> None:
    """A probe may kill a container that ran out of memory before."""
    causes = TerminationCauses([kill_event(LATER)], {KEY: RecordedTermination(FIRST, "OOMKilled")})

    assert causes.reason_for(KEY, termination(LATER, 137)) == "LivenessProbe"


def test_an_event_explains_one_termination_only() -> None:
    """The next crash is a crash, although the Event of the kill still exists."""
    causes = TerminationCauses(
        [kill_event(FIRST)], {KEY: RecordedTermination(FIRST, "LivenessProbe")}
    )

    assert causes.reason_for(KEY, termination(LATER, 1)) == "Error"
