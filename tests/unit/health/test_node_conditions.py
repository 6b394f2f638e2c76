"""One ill pod on a node that reports a problem, with healthy pods elsewhere: it is the node."""

from collections.abc import Mapping
from typing import Any

import pytest

from selfhealing.api.spec import parse_spec
from selfhealing.health.app_diagnosis import AppDiagnosis, diagnose_app
from selfhealing.health.assessment import assess_health
from selfhealing.health.attribution import Cause, Confidence, Probation
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.health.termination_causes import TerminationCauses
from selfhealing.remediation.policy import build_policy
from tests.unit.builders import at, crash_loop, deployment, pod, running, termination, waiting
from tests.unit.snapshots import build_snapshot

Json = dict[str, Any]

SICK = ("KernelDeadlock",)
ILL = pod("web-abc-1", crash_loop(5, termination()), node="sick")
GOOD = [pod(f"web-abc-{n}", running(), node=f"good-{n}") for n in (2, 3)]
HEALTHY_NODES: dict[str, tuple[str, ...]] = {"good-2": (), "good-3": ()}


def diagnose(*pods: Json, conditions: Mapping[str, tuple[str, ...]]) -> AppDiagnosis:
    """The one diagnosis of an app whose version is proved."""
    snapshot = build_snapshot(deployment(3), *pods)
    causes, deadlines = TerminationCauses(), Deadlines(at(1000))
    thresholds = build_policy(parse_spec({"image": "web:v1"})).thresholds
    assessment = assess_health(snapshot, causes, deadlines)
    probation = Probation(is_open=False)
    (found,) = diagnose_app(
        snapshot, assessment, causes, deadlines, thresholds, probation, conditions
    )
    return found


@pytest.mark.parametrize(
    "ill",
    [
        ILL,
        pod("web-abc-1", running(10, ready=False), since=300, node="sick"),
        pod("web-abc-1", waiting("CreateContainerError", "input/output error"), node="sick"),
        pod("web-abc-1", crash_loop(5, termination()), node="sick", created=900),
    ],
    ids=["crashes", "hangs", "cannot start", "came later"],
)
def test_one_ill_pod_and_the_condition_suffice(ill: Json) -> None:
    found = diagnose(ill, *GOOD, conditions={"sick": SICK, **HEALTHY_NODES})

    assert (Cause.NODE, Confidence.MEDIUM) == (found.cause, found.confidence)
    assert "node sick reports KernelDeadlock, and no node of a ready pod does" == found.comparison
    assert found.message.endswith("; node sick reports KernelDeadlock")


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"sick": SICK, "good-2": SICK, "good-3": SICK},
        {"sick": SICK, "good-2": (), "good-3": SICK},
        {"sick": (), "good-2": SICK},
        {"sick": SICK},
    ],
    ids=["none", "on all nodes", "on a healthy one", "only on a healthy one", "others unknown"],
)
def test_a_condition_that_explains_nothing(conditions: Mapping[str, tuple[str, ...]]) -> None:
    """Another team may have set it; the pod is replaced, and its node is not excluded."""
    found = diagnose(ILL, *GOOD, conditions=conditions)

    assert (Cause.POD, Confidence.MEDIUM, "") == (found.cause, found.confidence, found.comparison)


def test_a_healthy_pod_on_the_same_node_speaks_against_it() -> None:
    beside = pod("web-abc-4", running(), node="sick")

    found = diagnose(ILL, *GOOD, beside, conditions={"sick": SICK, **HEALTHY_NODES})

    assert Cause.POD is found.cause
    assert "KernelDeadlock" not in found.message


def test_ill_pods_on_two_nodes_are_no_fault_of_one_of_them() -> None:
    other = pod("web-abc-4", crash_loop(5, termination()), node="sick-too")

    found = diagnose(
        ILL, other, *GOOD, conditions={"sick": SICK, "sick-too": SICK, **HEALTHY_NODES}
    )

    assert Cause.POD is found.cause
    assert "node sick reports KernelDeadlock, node sick-too reports KernelDeadlock" in found.message


def test_without_a_healthy_pod_nothing_shows_that_it_is_the_node() -> None:
    found = diagnose(ILL, conditions={"sick": SICK, **HEALTHY_NODES})

    assert (DiagnosisType.DEPENDENCY_DOWN, Cause.ENVIRONMENT) == (found.type, found.cause)


def test_a_long_list_is_cut() -> None:
    kinds = tuple(f"Problem{n}" for n in range(8))

    found = diagnose(ILL, *GOOD, conditions={"sick": kinds, **HEALTHY_NODES})

    assert found.message.endswith("; node sick reports Problem0, Problem1 and 6 more")
