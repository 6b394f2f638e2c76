"""Halves of drills, made by hand for tests."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hack.scenarios.chaos.metrics import Act, Half
from hack.scenarios.common.cluster_state import Happening
from hack.scenarios.common.tests.builders import look, pod
from hack.scenarios.common.timeline import Kind, Mark, timeline

LINE = timeline(
    [
        look(0, pod("shop-1"), pod("shop-2"), ready="2/2"),
        look(6, pod("shop-1"), pod("shop-2"), pod("shop-3", "0/1", "ErrImagePull"), ready="0/2"),
    ],
    [Mark(5, "a bad tag <b>", Kind.FAULT), Mark(9, "Rollback Helped: back", Kind.ACTION)],
    60,
    ((0, 0), (6, 3), (7, 0)),
)
EVENT = Happening(datetime(2026, 11, 23, tzinfo=UTC), True, "SelfHealingApp", "Degraded", "<i>bad")
ROLLBACK = Act(1, "Rollback", "ImagePullFailing", "Helped", 9, "v1", "back to v1")

WITHOUT = Half(
    healing=False,
    limit=75,
    line=LINE,
    sent=600,
    diagnoses=("ImagePullFailing",),
    phase="Degraded",
    reason="ImagePullBackOff",
    events=(EVENT,),
)
HEALED = Half(
    healing=True,
    limit=75,
    line=replace(LINE, length=30),
    after=12.3,
    sent=100,
    failed=3,
    acts=(ROLLBACK,),
    diagnoses=("ImagePullFailing",),
    phase="Degraded",
    reason="RolledBack",
    message="back to <v1>",
    events=(EVENT,),
)


def healed(**changes: Any) -> Half:  # noqa: ANN401
    """A good half, but for some fields."""
    return replace(HEALED, **changes)


def without(**changes: Any) -> Half:  # noqa: ANN401
    """The half before it, but for some fields."""
    return replace(WITHOUT, **changes)
