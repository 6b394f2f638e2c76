"""Why a container ended, where the pod's own word is not the whole truth."""

from datetime import UTC, datetime, timedelta

import pytest

from selfhealing.cache.views import ContainerKillEvent, Termination
from selfhealing.health.termination_causes import (
    ContainerKey,
    RecordedTermination,
    TerminationCauses,
)

KEY = ContainerKey("uid-1", "app")
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
LATER = FIRST + timedelta(seconds=40)


def termination(at: datetime, code: int, reason: str = "Error") -> Termination:
    """A life of 20 seconds that ended at ``at``."""
    return Termination(
        exit_code=code, reason=reason, started_at=at - timedelta(seconds=20), finished_at=at
    )


def kill_event(at: datetime) -> ContainerKillEvent:
    """The kubelet's word that a liveness probe cost a container its life."""
    return ContainerKillEvent(pod_uid=KEY.uid, container=KEY.container, probe="liveness", at=at)


@pytest.mark.parametrize(
    ("before", "code", "told"),
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
def test_a_kill_without_a_word_is_told_by_precedent(
    before: str, code: int, told: str, at: datetime
) -> None:
    """What killed a container before has killed it again; a crash is a crash."""
    if at == FIRST and before == "LivenessProbe":
        told = "LivenessProbe"  # found out while the Event was there
    causes = TerminationCauses(recorded={KEY: RecordedTermination(FIRST, before)})

    assert causes.reason_for(KEY, termination(at, code)) == told


def test_the_kubelets_word_is_better_than_a_precedent() -> None:
    """A probe may kill what ran out of memory before."""
    causes = TerminationCauses([kill_event(LATER)], {KEY: RecordedTermination(FIRST, "OOMKilled")})

    assert causes.reason_for(KEY, termination(LATER, 137)) == "LivenessProbe"


def test_an_event_explains_one_end_only() -> None:
    """The next crash is a crash, though the Event of the kill is still there."""
    causes = TerminationCauses(
        [kill_event(FIRST)], {KEY: RecordedTermination(FIRST, "LivenessProbe")}
    )

    assert causes.reason_for(KEY, termination(LATER, 1)) == "Error"
