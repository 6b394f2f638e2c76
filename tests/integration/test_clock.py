"""A node whose wall clock is wrong: the operator on it decides as on any other."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from hack.testkit import skewed_clock
from hack.testkit.fake_kubelet import FakeKubelet
from hack.testkit.healing import (
    create_stable_app,
    fail_image_pulls,
    get_healing_status,
    wait_for_outcomes,
)
from hack.testkit.namespace import AppNamespace
from hack.testkit.operator_process import OperatorProcess, run_operator

TOLERANCE = timedelta(seconds=5)
"""How far the times that the operator writes may be from those of the machine of the test."""


@pytest.fixture(params=["660", "-660", "660,-660,86400"], ids=["ahead", "behind", "jumping"])
def skewed_operator(
    request: pytest.FixtureRequest, space: AppNamespace, tmp_path: Path
) -> Iterator[OperatorProcess]:
    """An operator whose wall clock is wrong, in a twentieth of the time of healing."""
    settings = {
        "SELFHEALING_HEALING_SCALE": "0.05",
        "PYTHONPATH": str(Path(skewed_clock.__file__).parent),
        "CLOCK_SKEWS": request.param,
    }
    with run_operator([space.name], tmp_path / "operator.log", settings=settings) as process:
        yield process


def test_the_clock_of_the_node_has_no_influence(
    skewed_operator: OperatorProcess, space: AppNamespace, kubelet: FakeKubelet, name: str
) -> None:
    """A version proves itself, the next one is rolled back."""
    started_at = datetime.now(UTC)
    create_stable_app(space, name, rollback={"probation": "60s"})
    space.patch_spec(name, image="demo:v2")
    pull = partial(fail_image_pulls, space, kubelet, name, "demo:v2")
    wait_for_outcomes(space, name, ("Rollback", "Succeeded"), before_probe=pull)
    assert "Failed" == space.compute_kstatus(name)  # it does not run what the spec asks for

    offset = skewed_operator.read_metric("selfhealing_clock_offset_seconds")
    assert abs(offset) > 600
    times = [
        datetime.fromisoformat(moment)
        for moment in (
            get_healing_status(space, name)["desiredSince"],
            *(action["at"] for action in get_healing_status(space, name)["history"]),
            *(c["lastTransitionTime"] for c in space.get_status(name)["conditions"]),
        )
    ]
    assert started_at - TOLERANCE <= min(times)
    assert max(times) <= datetime.now(UTC) + TOLERANCE
