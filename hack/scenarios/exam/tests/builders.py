"""Builders of fault runs for tests."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hack.scenarios.common.cluster_state import EventRow
from hack.scenarios.common.tests.builders import build_pod, build_sample
from hack.scenarios.common.timeline import Mark, MarkKind, build_timeline
from hack.scenarios.exam.metrics import ActionRecord, DiagnosisRecord, FaultRun

TIMELINE = build_timeline(
    [
        build_sample(0, build_pod("shop-1"), build_pod("shop-2"), ready="2/2"),
        build_sample(
            6,
            build_pod("shop-1"),
            build_pod("shop-2"),
            build_pod("shop-3", "0/1", "ErrImagePull"),
            ready="0/2",
        ),
    ],
    [
        Mark(5, "a bad tag <b>", MarkKind.FAULT),
        Mark(9, "Rollback Succeeded: back", MarkKind.ACTION),
    ],
    60,
    ((0, 0), (6, 3), (7, 0)),
)
EVENT = EventRow(datetime(2026, 11, 23, tzinfo=UTC), True, "SelfHealingApp", "Degraded", "<i>bad")
ROLLBACK_ACTION = ActionRecord(
    1, "Rollback", "ImagePullFailing", "Succeeded", 9, "v1", "back to v1"
)

DIAGNOSIS = DiagnosisRecord("ImagePullFailing", "NewVersion", "High", 4.0, 5.0, "no <such> tag")

UNHEALED_RUN = FaultRun(
    is_healing_enabled=False,
    timeout=75,
    timeline=TIMELINE,
    requests_sent=600,
    problems=("2 pods are ready, 3 are wanted",),
    diagnoses=(DIAGNOSIS,),
    phase="Degraded",
    reason="ImagePullBackOff",
    events=(EVENT,),
)
HEALED_RUN = FaultRun(
    is_healing_enabled=True,
    timeout=75,
    timeline=replace(TIMELINE, length=30),
    recovered_after=12.3,
    requests_sent=100,
    requests_failed=3,
    actions=(ROLLBACK_ACTION,),
    diagnoses=(DIAGNOSIS,),
    phase="Degraded",
    reason="RolledBack",
    message="back to <v1>",
    events=(EVENT,),
)


def build_healed_run(**changes: Any) -> FaultRun:  # noqa: ANN401
    """Return a run that meets the expectations, with changed fields."""
    return replace(HEALED_RUN, **changes)


def build_unhealed_run(**changes: Any) -> FaultRun:  # noqa: ANN401
    """Return a run without healing that does not recover, with changed fields."""
    return replace(UNHEALED_RUN, **changes)
