"""Writing and reading of a status, also one of another version."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from selfhealing.api.status import (
    MAX_COUNTED,
    AutoscalingStatus,
    Condition,
    ConditionStatus,
    CountedRestarts,
    Phase,
    PodRestart,
    PodStatus,
    RestartsStatus,
    SelfHealingAppStatus,
    read_status,
)

NOON = datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC)


def test_what_is_not_known_is_left_out() -> None:
    """Fields that are None are not written."""
    assert SelfHealingAppStatus().to_json() == {"pods": [], "conditions": []}


def test_a_status_is_written_as_the_resource_shows_it() -> None:
    """Names are camelCase, times are in UTC and whole seconds, enums are strings."""
    east = timezone(timedelta(hours=2))
    status = SelfHealingAppStatus(
        observed_generation=3,
        phase=Phase.READY,
        ready="2/2",
        restarts=RestartsStatus(
            current=1,
            total=4,
            by_reason={"LivenessProbe": 3, "OOMKilled": 1},
            last=PodRestart(
                pod="p", container="app", reason="LivenessProbe", exit_code=137, at=NOON
            ),
        ),
        autoscaling=AutoscalingStatus(current=2, cpu="31%/50%", last_scale_time=NOON),
        conditions=[
            Condition(
                type="Ready",
                status=ConditionStatus.TRUE,
                reason="AllReady",
                message="2 of 2 pods are ready",
                last_transition_time=NOON.astimezone(east),
                observed_generation=3,
            )
        ],
    )

    assert status.to_json() == {
        "observedGeneration": 3,
        "phase": "Ready",
        "ready": "2/2",
        "restarts": {
            "current": 1,
            "total": 4,
            "byReason": {"LivenessProbe": 3, "OOMKilled": 1},
            "last": {
                "pod": "p",
                "container": "app",
                "reason": "LivenessProbe",
                "exitCode": 137,
                "at": "2026-11-23T12:00:00Z",
            },
            "counted": [],
        },
        "pods": [],
        "autoscaling": {
            "current": 2,
            "cpu": "31%/50%",
            "lastScaleTime": "2026-11-23T12:00:00Z",
        },
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "AllReady",
                "message": "2 of 2 pods are ready",
                "lastTransitionTime": "2026-11-23T12:00:00Z",
                "observedGeneration": 3,
            }
        ],
    }


def test_what_was_written_is_read_again() -> None:
    """A written status is read back unchanged."""
    status = SelfHealingAppStatus(
        phase=Phase.DEGRADED,
        restarts=RestartsStatus(
            total=2,
            counted=[
                CountedRestarts(
                    pod="p",
                    uid="u",
                    container="app",
                    count=2,
                    reason="Error",
                    finished_at=NOON.replace(microsecond=0),
                )
            ],
        ),
        pods=[PodStatus(name="p", ready=False, restarts=2, reason="CrashLoopBackOff")],
    )

    assert read_status(status.to_json()) == status


def test_a_part_that_cannot_be_understood_counts_as_not_written() -> None:
    """An unknown phase does not lose the restart counts."""
    status = read_status(
        {
            "phase": "Levitating",
            "ready": 3,
            "restarts": {"total": 7},
            "unknown": True,
            "pods": [{"name": "p", "ready": "perhaps"}],
        }
    )

    assert status.phase is None
    assert status.ready is None
    assert status.restarts is not None
    assert status.restarts.total == 7
    assert status.pods == []


def test_a_status_that_was_never_written_is_empty() -> None:
    """A new resource has an empty status."""
    assert read_status({}) == SelfHealingAppStatus()


def test_a_time_without_a_zone_is_refused() -> None:
    """A time without a zone is ambiguous."""
    with pytest.raises(ValidationError):
        AutoscalingStatus(last_scale_time=datetime(2026, 1, 1))  # noqa: DTZ001 - the point


def test_the_counted_restarts_are_limited() -> None:
    """The size of a status is limited."""
    entry = CountedRestarts(pod="p", uid="u", container="c", count=1)

    with pytest.raises(ValidationError):
        RestartsStatus(counted=[entry] * (MAX_COUNTED + 1))


def test_the_phases_are_the_contract() -> None:
    """Users compare them in scripts."""
    assert [phase.value for phase in Phase] == [
        "Pending",
        "Progressing",
        "Ready",
        "Degraded",
        "Healing",
        "Quarantined",
        "Paused",
        "Invalid",
        "Completed",
    ]


def test_a_copy_changes_fields_only() -> None:
    """A key that names no field is a mistake of the caller."""
    status = SelfHealingAppStatus(image="web:v1")

    assert "web:v2" == status.model_copy(update={"image": "web:v2"}).image
    with pytest.raises(TypeError, match="SelfHealingAppStatus has no field picture"):
        status.model_copy(update={"picture": "web:v2"})
