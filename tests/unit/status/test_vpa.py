"""The recommendation of a VerticalPodAutoscaler, without a write each minute."""

import pytest

from tests.unit.builders import vpa
from tests.unit.snapshots import Json, evaluate_app, status_json

TARGET = {"cpu": "25m", "memory": "262144k"}


def vertical_section(vpa: Json | None, before: Json | None = None) -> Json | None:
    """status.verticalScaling, with the previous one."""
    stored = {"verticalScaling": before} if before else {}
    objects = (vpa,) if vpa else ()
    section: Json | None = status_json(evaluate_app(*objects, previous_status=stored)).get(
        "verticalScaling"
    )
    return section


def test_none() -> None:
    """Without one, or with another owner's, there is no section."""
    assert None is vertical_section(None)
    assert None is vertical_section(vpa(TARGET, owner="somebody"))


def test_amounts() -> None:
    """Whole thousandths of a CPU and whole Mi, rounded up."""
    assert {
        "mode": "Initial",
        "controls": "cpu, memory",
        "target": {"cpu": "25m", "memory": "250Mi"},
        "lowerBound": {"cpu": "11m", "memory": "1Mi"},
        "upperBound": {"cpu": "2000m"},
    } == vertical_section(
        vpa(
            TARGET,
            lower={"cpu": "0.0101", "memory": "1"},
            upper={"cpu": "2"},
            mode="Initial",
        )
    )


@pytest.mark.parametrize(
    ("shown", "now", "expected"),
    [
        ("100m", "109m", "100m"),
        ("100m", "91m", "100m"),
        ("100m", "110m", "110m"),
        ("100m", "90m", "90m"),
        (None, "90m", "90m"),
        ("odd", "90m", "90m"),
    ],
)
def test_an_amount_is_kept_until_it_is_wrong_by_a_tenth(
    shown: str | None, now: str, expected: str
) -> None:
    """A recommender writes new amounts every minute."""
    before = {"mode": "Off", "controls": "cpu", "target": {"cpu": shown} if shown else {}}
    found = vertical_section(vpa({"cpu": now}), before)

    assert found is not None
    assert {"cpu": expected} == found["target"]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], "no recommendation yet: is VPA's recommender running?"),
        (
            [{"type": "RecommendationProvided", "status": "False"}],
            "no recommendation yet: usage is being gathered",
        ),
        (
            [
                {"type": "RecommendationProvided", "status": "False"},
                {"type": "NoPodsMatched", "status": "True", "message": "No pods match it"},
            ],
            "No pods match it",
        ),
        ([{"type": "ConfigUnsupported", "status": "True"}], "ConfigUnsupported"),
    ],
)
def test_the_message_without_a_recommendation(conditions: list[Json], expected: str) -> None:
    """VPA's own message, or that the recommender is missing."""
    found = vertical_section(vpa(conditions=conditions))

    assert {"mode": "Off", "controls": "cpu, memory", "message": expected} == found
