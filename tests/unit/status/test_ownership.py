"""The condition OwnershipVerified and its Event: what is found that is not the app's is told."""

from typing import Any

import pytest

from selfhealing.api.status import Condition
from selfhealing.controller.evaluate import Evaluation
from selfhealing.remediation.context import ExternalState
from selfhealing.remediation.findings import Finding, FindingReason
from tests.unit import builders
from tests.unit.snapshots import Json, evaluate_app, evaluate_invalid_app, status_json

FORGED = Finding(FindingReason.RECORD_REJECTED, "parts of status.healing are ignored: nextId")
EVIDENCE = Finding(FindingReason.FOREIGN_EVIDENCE, "no evidence saved")
HOUR = 3600


def stranger(name: str = "evil-abc-1", *, created: float | None = 0) -> Json:
    """A pod with only the label."""
    return builders.pod(name, builders.running(), created=created, ownerReferences=[])


def find_condition(evaluation: Evaluation) -> Condition | None:
    """The condition, if there is one."""
    conditions = evaluation.status.conditions
    return next((c for c in conditions if c.type == "OwnershipVerified"), None)


def list_reasons(evaluation: Evaluation) -> list[str]:
    """The reasons of the Events about what was found."""
    return [event.reason for event in evaluation.events if event.reason in set(FindingReason)]


def evaluate_again(before: Evaluation, *objects: Json, now: float, **more: Any) -> Evaluation:  # noqa: ANN401
    """Evaluate the app with the status that was stored before."""
    return evaluate_app(*objects, previous_status=status_json(before), now=now, **more)


def test_nothing_to_tell() -> None:
    """The condition is absent, and there is no Event."""
    found = evaluate_app(builders.deployment(1), builders.pod("web-abc-1", builders.running()))

    assert (None, []) == (find_condition(found), list_reasons(found))


def test_foreign_pods() -> None:
    """They are counted in the message only, and named once in an Event."""
    pods = [stranger(f"evil-abc-{number}") for number in range(5)]
    mine = builders.pod("web-abc-1", builders.running())
    found = evaluate_app(builders.deployment(1), mine, *pods)
    condition = find_condition(found)

    assert condition is not None
    assert ("False", "ForeignPods") == (condition.status, condition.reason)
    assert (
        "5 pods with the label selfhealing.dev/app=web not made by the app's workload, not counted "
        "and not touched, but the Service sends requests there: "
        "evil-abc-0, evil-abc-1, evil-abc-2 and 2 more"
    ) == condition.message
    assert ["ForeignPods"] == list_reasons(found)
    assert ("1/1", 1, ["web-abc-1"]) == (
        found.status.ready,
        found.status.replicas,
        [entry.name for entry in found.status.pods],
    )

    again = evaluate_again(found, builders.deployment(1), mine, *pods, now=200)

    assert ({}, []) == (dict(again.patch), list_reasons(again))

    gone = evaluate_again(again, builders.deployment(1), mine, now=300)

    assert None is find_condition(gone)


@pytest.mark.parametrize(("now", "expected"), [(29, False), (30, True)])
def test_a_new_pod_is_not_called_foreign_at_once(now: float, *, expected: bool) -> None:
    """Its ReplicaSet may reach the cache later; the app is evaluated again when the time is up."""
    found = evaluate_app(stranger(), now=now)

    assert expected == (find_condition(found) is not None)
    if not expected:
        assert found.requeue_after == 1


def test_a_pod_without_a_time() -> None:
    """It is foreign now."""
    assert None is not find_condition(evaluate_app(stranger(created=None), now=0))


def test_a_spec_that_cannot_be_read() -> None:
    """Foreign pods are told all the same."""
    assert ["ForeignPods"] == list_reasons(evaluate_invalid_app(stranger()))


def test_a_finding_that_is_over_at_once_is_told_for_an_hour() -> None:
    """What was found is dropped with the same write; people have to have the time to read it."""
    found = evaluate_app(external=ExternalState(findings=(FORGED,)), now=100)

    assert ["RecordRejected"] == list_reasons(found)

    kept = evaluate_again(found, now=100 + HOUR - 1)
    condition = find_condition(kept)

    assert condition is not None
    assert FORGED.message == condition.message
    assert [] == list_reasons(kept)
    assert kept.requeue_after is not None
    assert kept.requeue_after <= 1
    assert None is find_condition(evaluate_again(kept, now=100 + HOUR))


def test_a_forged_condition() -> None:
    """One of the future, or with another reason, is not kept."""
    for reason, at in (("RecordRejected", 500), ("Hello", 50), ("ForeignPods", 50)):
        forged = {
            "type": "OwnershipVerified",
            "status": "False",
            "reason": reason,
            "message": "call this number",
            "lastTransitionTime": builders.iso(at),
        }
        found = evaluate_app(previous_status={"conditions": [forged]}, now=100)

        assert None is find_condition(found)


def test_several_findings() -> None:
    """The most important gives the reason; all are in the message."""
    external = ExternalState(findings=(EVIDENCE, FORGED))
    condition = find_condition(evaluate_app(stranger(), external=external))

    assert condition is not None
    assert "RecordRejected" == condition.reason
    assert condition.message.startswith(f"{FORGED.message}; 1 pod with the label")
    assert condition.message.endswith(f"; {EVIDENCE.message}")
