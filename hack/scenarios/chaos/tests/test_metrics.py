from datetime import UTC, datetime
from typing import Any

import pytest

from hack.scenarios.chaos import metrics
from hack.scenarios.chaos.metrics import Act, Half
from hack.scenarios.common.cluster_state import Picture
from hack.scenarios.common.tests.builders import look, pod
from hack.scenarios.common.timeline import Kind, Mark, Sample, timeline


def entry(number: int, outcome: str, remedy: str = "Rollback", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """An action as the status tells of it."""
    return {
        "id": number,
        "remedy": remedy,
        "diagnosis": "CrashLooping",
        "outcome": outcome,
        "at": datetime.now(UTC).isoformat(),
        **more,
    }


def told(at: float, *entries: dict[str, Any], ill: tuple[str, ...] = ()) -> Sample:
    """A look at an app whose status tells of actions and illnesses."""
    healing = {"history": list(entries), "diagnoses": [{"type": name} for name in ill]}
    return look(at, pod("a"), healing=healing)


def test_an_app_is_served_in_full_when_all_it_wants_are_ready_and_none_is_in_trouble() -> None:
    def full(*pods: Any) -> bool:  # noqa: ANN401
        return metrics.full(Picture(pods=pods), 2)

    assert full(pod("a"), pod("b"))
    assert full(pod("a"), pod("b"), pod("old", leaving=True))
    assert not full(pod("a"))
    assert not full(pod("a"), pod("b", leaving=True))
    assert not full(pod("a"), pod("b", serving=False))
    assert not full(pod("a"), pod("b"), pod("new", "0/1", "ImagePullBackOff"))


WELL, ILL = (pod("a"), pod("b")), (pod("a"), pod("b", "0/1"))


@pytest.mark.parametrize(
    ("looks", "failed", "since"),
    [
        ([], [], None),
        ([(6, WELL), (7, WELL)], [], None),  # nothing of the fault has shown
        ([(6, WELL), (7, ILL)], [], None),
        ([(6, ILL), (7, WELL), (8, WELL)], [], 7),
        ([(6, ILL), (7, WELL), (8, ILL), (9, WELL)], [], 9),
        ([(6, ILL), (7, WELL), (9, WELL)], [8.5], 8.5),
        ([(6, WELL), (7, WELL)], [6.5], 6.5),  # only requests have told
        ([(4, ILL), (6, WELL)], [4.5], None),  # what was before the fault is not of it
    ],
)
def test_served_again_is_since_the_last_sign_of_the_fault(
    looks: list[tuple[float, tuple[Any, ...]]], failed: list[float], since: float | None
) -> None:
    samples = [look(at, *pods) for at, pods in looks]

    assert since == metrics.well_since(samples, failed, struck=5, wanted=2)


def test_an_action_is_told_from_when_it_was_seen_first_with_what_became_of_it() -> None:
    samples = [
        told(3, entry(1, "Helped")),
        told(6, entry(1, "Helped"), entry(2, "Started")),
        told(9, entry(1, "Helped"), entry(3, "Proposed"), entry(2, "Helped", target="v1")),
    ]

    found = metrics.acts(samples, struck=5)

    assert [(2, "Helped", 6, "v1", True), (3, "Proposed", 9, "", False)] == [
        (act.id, act.outcome, act.at, act.target, act.taken) for act in found
    ]
    assert [1.0, 4.0] == [act.at for act in metrics.since(found, 5)]


def test_diagnoses_are_all_that_were_ever_made_since_the_fault() -> None:
    samples = [
        told(4, ill=("NodeLost",)),
        told(6, ill=("RolloutStalled",)),
        told(7, ill=("ImagePullFailing", "RolloutStalled")),
        told(8),
    ]

    assert ("RolloutStalled", "ImagePullFailing") == metrics.diagnoses(samples, 5)


def test_a_status_without_healing_tells_of_no_action() -> None:
    samples = [look(6, pod("a"))]

    assert ((), ()) == (metrics.acts(samples, 5), metrics.diagnoses(samples, 5))
    assert {} == metrics.healing(samples[0].picture)


def test_the_reason_is_that_of_the_ready_condition() -> None:
    conditions = [{"type": "Healthy"}, {"type": "Ready", "reason": "RolledBack"}]

    assert "RolledBack" == metrics.reason(look(0, conditions=conditions).picture)
    assert "" == metrics.reason(Picture())


def test_a_timeline_begins_shortly_before_the_fault() -> None:
    samples = [look(1), look(3), look(6), look(8)]

    assert [0.0, 1.0, 3.0] == [sample.at for sample in metrics.cut(samples, 5)]
    assert [0.0, 2.0] == [m.at for m in metrics.moved([Mark(3, "a"), Mark(7, "b")], -5)]


def test_an_action_is_marked_with_its_reason() -> None:
    act = Act(1, "Rollback", "CrashLooping", "Helped", 7, message="back to v1")

    assert (Mark(7, "Rollback Helped: back to v1", Kind.ACTION),) == metrics.marks([act])


@pytest.mark.parametrize(
    ("given", "served", "ended"),
    [
        ({"after": 12.4, "phase": "Ready"}, "12 s", "Ready"),
        ({"phase": "Degraded", "reason": "RolledBack"}, "not within 75 s", "Degraded, RolledBack"),
        ({"why": "the app is not ready"}, "not played", ""),
    ],
)
def test_a_half_is_told_in_words(given: dict[str, Any], served: str, ended: str) -> None:
    half = Half(healing=True, limit=75, line=timeline((), (), 0), **given)

    assert (served, ended) == (half.served, half.ended)
