"""Replicas pass between the spec and the autoscaler, in both directions, without losing a pod."""

import pytest

from hack.testkit.kube_client import Json, kubectl
from hack.testkit.namespace import FAKE_NODES, Space
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import eventually, stays

pytestmark = pytest.mark.usefixtures("operator", "fake_nodes")

METRIC: Json = {"targetCPUUtilizationPercentage": 50}
"""There are no metrics of fake pods: the autoscaler keeps within its bounds and does no more."""


def replicas(space: Space, name: str) -> int:
    """The Deployment's number."""
    number: int = space.deployment(name)["spec"]["replicas"]
    return number


def settled(space: Space, name: str, number: int) -> None:
    """Wait until so many pods are wanted and ready."""

    def probe() -> bool:
        status = space.deployment(name).get("status", {})
        assert replicas(space, name) == number
        assert status.get("readyReplicas", 0) == number
        return True

    eventually(probe, says=f"{number} pods are ready")


def went_through(space: Space, name: str, since: Json) -> list[int]:
    """Every number of replicas that the Deployment has had after ``since``."""
    return [
        state["spec"]["replicas"]
        for state in space.kube.history("Deployment", space.name, name, since)
    ]


def pods(space: Space, name: str) -> set[str]:
    """The pods by uid."""
    return {pod["metadata"]["uid"] for pod in space.pods(name)}


def test_from_replicas_to_the_autoscaler_and_back(space: Space, name: str) -> None:
    """No pod is lost on the way to the autoscaler, its number stays, and five make five."""
    space.create(name, replicas=3, port=80, **FAKE_NODES)
    settled(space, name, 3)
    before, running = space.deployment(name), pods(space, name)

    space.edit(name, replicas=None, autoscaling={"minReplicas": 1, "maxReplicas": 5, **METRIC})
    space.reconciled(name)
    eventually(lambda: space.autoscaler(name).get("status", {}).get("currentReplicas") == 3)

    assert set(went_through(space, name, before)) == {3}
    assert pods(space, name) == running

    kubectl("-n", space.name, "scale", "deployment", name, "--replicas=4")
    space.edit(name, image="demo:v2")
    space.reconciled(name)
    settled(space, name, 4)
    before = space.deployment(name)

    space.edit(name, replicas=5, autoscaling=None)
    space.reconciled(name)
    settled(space, name, 5)

    assert set(went_through(space, name, before)) <= {4, 5}
    assert space.find("HorizontalPodAutoscaler", name) is None
    stays(lambda: replicas(space, name) == 5, seconds=1, says="no autoscaler sets it any more")


def test_handover_while_the_operator_is_away(
    space: Space, operator: OperatorProcess, name: str
) -> None:
    """The handover loses no pod either when it is found done after a start."""
    space.create(name, replicas=3, **FAKE_NODES)
    settled(space, name, 3)
    before = space.deployment(name)

    with operator.away():
        space.edit(name, replicas=None, autoscaling={"maxReplicas": 5, **METRIC})

    space.reconciled(name)
    eventually(lambda: space.autoscaler(name).get("status", {}).get("currentReplicas") == 3)
    assert set(went_through(space, name, before)) == {3}


def test_back_and_forth(space: Space, name: str) -> None:
    """A second and a third handover lose no pod either."""
    space.create(name, replicas=3, **FAKE_NODES)
    settled(space, name, 3)
    before = space.deployment(name)

    for _ in range(2):
        space.edit(name, replicas=None, autoscaling={"maxReplicas": 5, **METRIC})
        space.reconciled(name)
        space.edit(name, replicas=3, autoscaling=None)
        space.reconciled(name)
    space.edit(name, replicas=None, autoscaling={"maxReplicas": 5, **METRIC})
    space.reconciled(name)

    assert set(went_through(space, name, before)) <= {3}
    stays(lambda: replicas(space, name) == 3, seconds=1)


def test_autoscaler_enforces_its_bounds_after_the_handover(space: Space, name: str) -> None:
    """After the handover the number is the autoscaler's to change, and the operator lets it."""
    space.create(name, replicas=3, **FAKE_NODES)
    settled(space, name, 3)

    space.edit(name, replicas=None, autoscaling={"maxReplicas": 2, **METRIC})
    space.reconciled(name)

    settled(space, name, 2)
    assert "DriftCorrected" not in space.told(name)


def test_autoscaled_from_its_creation(space: Space, name: str) -> None:
    """An app that is made with autoscaling begins with ``minReplicas`` pods."""
    space.create(name, autoscaling={"minReplicas": 2, "maxReplicas": 5, **METRIC}, **FAKE_NODES)

    space.reconciled(name)
    assert replicas(space, name) == 2
    settled(space, name, 2)
    stays(lambda: replicas(space, name) == 2, seconds=1)


def test_from_nothing_to_the_autoscaler(space: Space, name: str) -> None:
    """An app of 0 pods is started, because an autoscaler leaves a target of 0 alone for good."""
    space.create(name, replicas=0, **FAKE_NODES)
    space.is_(name, "Ready")
    assert pods(space, name) == set()

    space.edit(name, replicas=None, autoscaling={"minReplicas": 2, "maxReplicas": 5, **METRIC})

    settled(space, name, 2)
    space.is_(name, "Ready")


def test_from_a_nothing_that_somebody_else_also_wanted(space: Space, name: str) -> None:
    """An app of 0 pods is started although another manager has set that 0 as well."""
    space.create(name, autoscaling={"maxReplicas": 5, **METRIC}, **FAKE_NODES)
    settled(space, name, 1)
    kubectl("-n", space.name, "scale", "deployment", name, "--replicas=0")
    space.edit(name, replicas=0, autoscaling=None)
    space.reconciled(name)

    space.edit(name, replicas=None, autoscaling={"minReplicas": 2, "maxReplicas": 5, **METRIC})

    settled(space, name, 2)


def test_scaled_to_nothing_by_hand(space: Space, name: str) -> None:
    """With autoscaling, 0 by hand switches the autoscaler off, and the operator respects that."""
    space.create(name, autoscaling={"maxReplicas": 5, **METRIC}, **FAKE_NODES)
    settled(space, name, 1)

    kubectl("-n", space.name, "scale", "deployment", name, "--replicas=0")
    space.edit(name, image="demo:v2")
    space.reconciled(name)

    stays(lambda: replicas(space, name) == 0, seconds=1)


def test_bounds_follow_the_spec(space: Space, name: str) -> None:
    """A raised minimum makes pods, by the autoscaler."""
    space.create(name, autoscaling={"maxReplicas": 5, **METRIC}, **FAKE_NODES)
    settled(space, name, 1)

    space.edit(name, autoscaling={"minReplicas": 2})

    settled(space, name, 2)
    bounds = space.autoscaler(name)["spec"]
    assert (bounds["minReplicas"], bounds["maxReplicas"]) == (2, 5)


def test_without_either_there_is_one_pod(space: Space, name: str) -> None:
    """Without replicas and without autoscaling there is one pod, also afterwards."""
    space.create(name, replicas=2, **FAKE_NODES)
    settled(space, name, 2)

    space.edit(name, replicas=None)

    settled(space, name, 1)
