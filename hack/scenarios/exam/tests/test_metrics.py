from datetime import UTC, datetime
from typing import Any

import pytest

from hack.scenarios.common.cluster_state import ClusterSnapshot
from hack.scenarios.common.tests.builders import build_pod, build_sample
from hack.scenarios.common.timeline import Mark, MarkKind, Sample, build_timeline
from hack.scenarios.exam import metrics
from hack.scenarios.exam.metrics import ActionRecord, FaultRun


def build_history_entry(
    number: int,
    outcome: str,
    remediation: str = "Rollback",
    **more: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """Return an entry of ``status.healing.history``."""
    return {
        "id": number,
        "remediation": remediation,
        "diagnosis": "CrashLooping",
        "outcome": outcome,
        "at": datetime.now(UTC).isoformat(),
        **more,
    }


def build_status_sample(
    at: float, *entries: dict[str, Any], diagnoses: tuple[tuple[str, str, str], ...] = ()
) -> Sample:
    """Return a sample of an app with this history and these diagnoses."""
    keys = ("type", "cause", "confidence")
    healing = {
        "history": list(entries),
        "diagnoses": [dict(zip(keys, found, strict=True)) for found in diagnoses],
    }
    return build_sample(at, build_pod("a"), healing=healing)


def test_an_app_is_served_in_full_when_all_it_wants_are_ready_and_none_is_in_trouble() -> None:
    def full(*pods: Any) -> bool:  # noqa: ANN401
        return metrics.is_fully_served(ClusterSnapshot(pods=pods), 2)

    assert full(build_pod("a"), build_pod("b"))
    assert full(build_pod("a"), build_pod("b"), build_pod("old", is_terminating=True))
    assert not full(build_pod("a"))
    assert not full(build_pod("a"), build_pod("b", is_terminating=True))
    assert not full(build_pod("a"), build_pod("b", is_serving=False))
    assert not full(build_pod("a"), build_pod("b"), build_pod("new", "0/1", "ImagePullBackOff"))


HEALTHY_PODS, UNHEALTHY_PODS = (
    (build_pod("a"), build_pod("b")),
    (build_pod("a"), build_pod("b", "0/1")),
)


@pytest.mark.parametrize(
    ("looks", "failed", "since"),
    [
        ([], [], None),
        ([(6, HEALTHY_PODS), (7, HEALTHY_PODS)], [], None),  # nothing of the fault has shown
        ([(6, HEALTHY_PODS), (7, UNHEALTHY_PODS)], [], None),
        ([(6, UNHEALTHY_PODS), (7, HEALTHY_PODS), (8, HEALTHY_PODS)], [], 7),
        ([(6, UNHEALTHY_PODS), (7, HEALTHY_PODS), (8, UNHEALTHY_PODS), (9, HEALTHY_PODS)], [], 9),
        ([(6, UNHEALTHY_PODS), (7, HEALTHY_PODS), (9, HEALTHY_PODS)], [8.5], 8.5),
        ([(6, HEALTHY_PODS), (7, HEALTHY_PODS)], [6.5], 6.5),  # only requests have told
        (
            [(4, UNHEALTHY_PODS), (6, HEALTHY_PODS)],
            [4.5],
            None,
        ),  # what was before the fault is not of it
    ],
)
def test_served_again_is_since_the_last_sign_of_the_fault(
    looks: list[tuple[float, tuple[Any, ...]]], failed: list[float], since: float | None
) -> None:
    samples = [build_sample(at, *pods) for at, pods in looks]

    assert since == metrics.find_recovery(samples, failed, injected_at=5, desired=2)


def test_an_action_is_told_from_when_it_was_seen_first_with_what_became_of_it() -> None:
    samples = [
        build_status_sample(3, build_history_entry(1, "Succeeded")),
        build_status_sample(
            6, build_history_entry(1, "Succeeded"), build_history_entry(2, "InProgress")
        ),
        build_status_sample(
            9,
            build_history_entry(1, "Succeeded"),
            build_history_entry(3, "Proposed"),
            build_history_entry(2, "Succeeded", target="v1"),
        ),
    ]

    found = metrics.collect_actions(samples, injected_at=5)

    assert [(2, "Succeeded", 6, "v1", True), (3, "Proposed", 9, "", False)] == [
        (act.id, act.outcome, act.at, act.target, act.is_executed) for act in found
    ]
    assert [1.0, 4.0] == [act.at for act in metrics.shift_actions(found, 5)]


def test_diagnoses_are_all_that_were_ever_made_since_the_fault_with_their_causes() -> None:
    stalled, pull = ("RolloutStalled", "Unknown", "Low"), ("ImagePullFailing", "NewVersion", "High")
    samples = [
        build_status_sample(4, diagnoses=(("NodeLost", "Node", "High"),)),
        build_status_sample(6, diagnoses=(stalled,)),
        build_status_sample(7, diagnoses=(pull, stalled)),
        build_status_sample(9, diagnoses=(pull,)),
    ]

    found = metrics.collect_diagnoses(samples, 5)

    assert [(*stalled, 6, 1), (*pull, 7, 2)] == [
        (each.type, each.cause, each.confidence, each.at, each.seconds) for each in found
    ]
    assert "RolloutStalled (Unknown, Low)" == str(found[0])
    assert [1.0, 2.0] == [each.at for each in metrics.shift_diagnoses(found, 5)]


def test_a_diagnosis_that_its_action_ended_between_two_samples_is_taken_from_the_action() -> None:
    stalled = ("RolloutStalled", "Unknown", "Low")
    rollback = {
        "id": 1,
        "remediation": "Rollback",
        "diagnosis": "LivenessKilled",
        "cause": "NewVersion",
        "confidence": "Medium",
        "outcome": "InProgress",
    }
    samples = [
        build_status_sample(4),
        build_status_sample(6, diagnoses=(stalled,)),
        build_status_sample(7, rollback),
        build_status_sample(8, rollback | {"outcome": "Succeeded"}),
    ]

    found = metrics.collect_diagnoses(samples, 5)

    assert ["RolloutStalled (Unknown, Low)", "LivenessKilled (NewVersion, Medium)"] == [
        str(diagnosis) for diagnosis in found
    ]


SERVING, IDLE = build_pod("a"), build_pod("a", "0/1", is_serving=False)


@pytest.mark.parametrize(
    ("outcome", "failed_at", "lost"),
    [
        ("Succeeded", [7.5], 1),
        ("Succeeded", [6.5], 0),  # before the action
        ("Succeeded", [9.5], 0),  # nobody served: it is the fault that has cost it
        ("Proposed", [7.5], 0),  # an action that was not executed costs nothing
    ],
)
def test_a_request_is_lost_to_an_action_when_a_pod_served(
    outcome: str, failed_at: list[float], lost: int
) -> None:
    samples = [build_sample(6, SERVING), build_sample(7, SERVING), build_sample(9, IDLE)]
    action = ActionRecord(1, "Rollback", "CrashLooping", outcome, 7)

    assert lost == metrics.count_lost_requests(samples, failed_at, [action])


def test_a_status_without_healing_tells_of_no_action() -> None:
    samples = [build_sample(6, build_pod("a"))]

    assert ((), ()) == (metrics.collect_actions(samples, 5), metrics.collect_diagnoses(samples, 5))
    assert {} == metrics.get_healing_status(samples[0].snapshot)


def test_the_reason_is_that_of_the_ready_condition() -> None:
    conditions = [{"type": "Healthy"}, {"type": "Ready", "reason": "RolledBack"}]

    assert "RolledBack" == metrics.get_ready_reason(build_sample(0, conditions=conditions).snapshot)
    assert "" == metrics.get_ready_reason(ClusterSnapshot())


def test_a_timeline_begins_shortly_before_the_fault() -> None:
    samples = [build_sample(1), build_sample(3), build_sample(6), build_sample(8)]

    assert [0.0, 1.0, 3.0] == [sample.at for sample in metrics.clip_samples(samples, 5)]
    assert [0.0, 2.0] == [m.at for m in metrics.shift_marks([Mark(3, "a"), Mark(7, "b")], -5)]


def test_an_action_is_marked_with_its_reason() -> None:
    act = ActionRecord(1, "Rollback", "CrashLooping", "Succeeded", 7, message="back to v1")

    assert (
        Mark(7, "Rollback Succeeded: back to v1", MarkKind.ACTION),
    ) == metrics.build_action_marks([act])


@pytest.mark.parametrize(
    ("given", "served", "ended"),
    [
        ({"recovered_after": 12.4, "phase": "Ready"}, "12 s", "Ready"),
        (
            {"problems": ("x",), "phase": "Degraded", "reason": "RolledBack"},
            "not within 75 s",
            "Degraded, RolledBack",
        ),
        ({"phase": "Ready"}, "always", "Ready"),
        ({"phase": "Ready", "requests_failed": 2}, "in the end", "Ready"),
        ({"error": "the app is not ready"}, "not run", ""),
    ],
)
def test_a_half_is_told_in_words(given: dict[str, Any], served: str, ended: str) -> None:
    half = FaultRun(
        is_healing_enabled=True, timeout=75, timeline=build_timeline((), (), 0), **given
    )

    assert (served, ended) == (half.recovery_text, half.final_state)
