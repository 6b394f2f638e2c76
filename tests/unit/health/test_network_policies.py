"""NetworkPolicies that came shortly before an illness are named."""

from typing import Any

import pytest

from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.network_policies import (
    MAX_SELECTOR_BYTES,
    NetworkPolicyFacts,
    name_new_policies,
    parse_network_policy,
)
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.remediation.context import ExternalState
from tests.unit import builders
from tests.unit.builders import Json
from tests.unit.snapshots import evaluate_app

LABELS = {"selfhealing.dev/app": "web", "tier": "front"}
SEEN = 2000
FRONT = {"matchLabels": {"tier": "front"}}


def policy(
    name: str = "deny",
    created: float | None = 1900,
    *,
    written: float | None = None,
    owner: str = "",
    selector: Json = FRONT,
) -> Json:
    """A NetworkPolicy that selects the app's pods."""
    writes = [] if written is None else [{"manager": "kubectl", "time": builders.iso(written)}]
    return {
        "metadata": {
            "name": name,
            **({} if created is None else {"creationTimestamp": builders.iso(created)}),
            "managedFields": [{"manager": "someone"}, *writes],
            "ownerReferences": [{"uid": owner}] if owner else [],
        },
        "spec": {
            "podSelector": {"matchLabels": {"tier": "front"}} if selector is None else selector
        },
    }


def parse(*raw: Json) -> list[NetworkPolicyFacts]:
    """What is known of policies."""
    return [found for each in raw if (found := parse_network_policy(each)) is not None]


def tell(*raw: Json, diagnosis_type: DiagnosisType = DiagnosisType.NOT_READY_TOO_LONG) -> str:
    """What is added to the message of a diagnosis that was first seen at SEEN."""
    diagnosis = AppDiagnosis(diagnosis_type, Cause.UNKNOWN, Confidence.LOW, (), "it hangs")
    (found,) = name_new_policies(
        (diagnosis,), parse(*raw), LABELS, "uid-of-web", lambda _: builders.at(SEEN)
    )
    return found.message.removeprefix("it hangs")


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (policy(), "deny (created at 12:31:40 UTC)"),
        (policy(created=5, written=1900), "deny (changed at 12:31:40 UTC)"),
        (policy(created=1900, written=1900), "deny (created at 12:31:40 UTC)"),
        (policy(selector={}), "deny (created at 12:31:40 UTC)"),
        (policy(owner="uid-of-another"), "deny (created at 12:31:40 UTC)"),
    ],
    ids=["created", "changed", "written at once", "for all pods", "of another owner"],
)
def test_it_is_named(raw: Json, named: str) -> None:
    """With the time, so that people see what came first."""
    assert f"; shortly before, for these pods: NetworkPolicy {named}" == tell(raw)


@pytest.mark.parametrize(
    "raw",
    [
        policy(created=SEEN - 901),
        policy(created=SEEN + 1),
        policy(created=None),
        policy(selector={"matchLabels": {"tier": "back"}}),
        policy(selector={"matchLabels": {"x": "y" * MAX_SELECTOR_BYTES}}),
        policy(owner="uid-of-web"),
    ],
    ids=["older", "later", "no time", "other pods", "a large selector", "the app's own"],
)
def test_it_is_not_named(raw: Json) -> None:
    """It cannot be the cause, or is not known to be."""
    assert "" == tell(raw)


def test_other_diagnoses() -> None:
    """An image that is missing is no matter of the app's network."""
    assert "" == tell(policy(), diagnosis_type=DiagnosisType.IMAGE_PULL_FAILING)


def test_many() -> None:
    """The latest ones."""
    raw = [policy(f"p{number}", 1900 + number) for number in range(5)]
    found = tell(*raw)

    assert found.startswith("; shortly before, for these pods: NetworkPolicies p4 (created")
    assert found.endswith("p2 (created at 12:31:42 UTC) and 2 more")


def test_it_is_in_the_status() -> None:
    """The message of the diagnosis has it; the cause stays what it was."""
    hangs = builders.pod("web-abc-1", builders.running(ready=False), since=400)
    external = ExternalState(network_policies=tuple(parse(policy(created=950, selector={}))))
    found: Any = evaluate_app(
        builders.deployment(1), hangs, now=1000, external=external
    ).status.healing

    assert "NetworkPolicy deny (created at 12:15:50 UTC)" in found.diagnoses[0].message
