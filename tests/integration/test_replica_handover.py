"""Replicas pass between the spec and the autoscaler, in both directions, without losing a pod."""

import pytest

from hack.testkit.kube_client import Json, run_kubectl
from hack.testkit.namespace import FAKE_NODES, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import consistently, eventually

pytestmark = pytest.mark.usefixtures("operator", "fake_nodes")

METRIC: Json = {"targetCPUUtilizationPercentage": 50}
"""There are no metrics of fake pods: the autoscaler keeps within its bounds and does no more."""


def get_replicas(space: AppNamespace, name: str) -> int:
    """The Deployment's number."""
    number: int = space.get_deployment(name)["spec"]["replicas"]
    return number


def wait_for_replicas(space: AppNamespace, name: str, number: int) -> None:
    """Wait until so many pods are wanted and ready."""

    def probe() -> bool:
        status = space.get_deployment(name).get("status", {})
        assert get_replicas(space, name) == number
        assert status.get("readyReplicas", 0) == number
        return True

    eventually(probe, description=f"{number} pods are ready")


def list_replica_history(space: AppNamespace, name: str, since: Json) -> list[int]:
    """Every number of replicas that the Deployment has had after ``since``."""
    return [
        state["spec"]["replicas"]
        for state in space.kube.watch_history("Deployment", space.name, name, since)
    ]


def list_pod_uids(space: AppNamespace, name: str) -> set[str]:
    """The pods by uid."""
    return {pod["metadata"]["uid"] for pod in space.list_pods(name)}


def test_from_replicas_to_the_autoscaler_and_back(space: AppNamespace, name: str) -> None:
    """No pod is lost on the way to the autoscaler, its number stays, and five make five."""
    space.create_app(name, replicas=3, port=80, **FAKE_NODES)
    wait_for_replicas(space, name, 3)
    before, running = space.get_deployment(name), list_pod_uids(space, name)

    space.patch_spec(
        name, replicas=None, autoscaling={"minReplicas": 1, "maxReplicas": 5, **METRIC}
    )
    space.wait_until_reconciled(name)
    eventually(lambda: space.get_autoscaler(name).get("status", {}).get("currentReplicas") == 3)

    assert set(list_replica_history(space, name, before)) == {3}
    assert list_pod_uids(space, name) == running

    run_kubectl("-n", space.name, "scale", "deployment", name, "--replicas=4")
    space.patch_spec(name, image="demo:v2")
    space.wait_until_reconciled(name)
    wait_for_replicas(space, name, 4)
    before = space.get_deployment(name)

    space.patch_spec(name, replicas=5, autoscaling=None)
    space.wait_until_reconciled(name)
    wait_for_replicas(space, name, 5)

    assert set(list_replica_history(space, name, before)) <= {4, 5}
    assert space.find_child("HorizontalPodAutoscaler", name) is None
    consistently(
        lambda: get_replicas(space, name) == 5,
        seconds=1,
        description="no autoscaler sets it any more",
    )


def test_handover_while_the_operator_is_away(
    space: AppNamespace, operator: OperatorProcess, name: str
) -> None:
    """The handover loses no pod either when it is found done after a start."""
    space.create_app(name, replicas=3, **FAKE_NODES)
    wait_for_replicas(space, name, 3)
    before = space.get_deployment(name)

    with operator.stop_temporarily():
        space.patch_spec(name, replicas=None, autoscaling={"maxReplicas": 5, **METRIC})

    space.wait_until_reconciled(name)
    eventually(lambda: space.get_autoscaler(name).get("status", {}).get("currentReplicas") == 3)
    assert set(list_replica_history(space, name, before)) == {3}


def test_back_and_forth(space: AppNamespace, name: str) -> None:
    """A second and a third handover lose no pod either."""
    space.create_app(name, replicas=3, **FAKE_NODES)
    wait_for_replicas(space, name, 3)
    before = space.get_deployment(name)

    for _ in range(2):
        space.patch_spec(name, replicas=None, autoscaling={"maxReplicas": 5, **METRIC})
        space.wait_until_reconciled(name)
        space.patch_spec(name, replicas=3, autoscaling=None)
        space.wait_until_reconciled(name)
    space.patch_spec(name, replicas=None, autoscaling={"maxReplicas": 5, **METRIC})
    space.wait_until_reconciled(name)

    assert set(list_replica_history(space, name, before)) <= {3}
    consistently(lambda: get_replicas(space, name) == 3, seconds=1)


def test_autoscaler_enforces_its_bounds_after_the_handover(space: AppNamespace, name: str) -> None:
    """After the handover the number is the autoscaler's to change, and the operator lets it."""
    space.create_app(name, replicas=3, **FAKE_NODES)
    wait_for_replicas(space, name, 3)

    space.patch_spec(name, replicas=None, autoscaling={"maxReplicas": 2, **METRIC})
    space.wait_until_reconciled(name)

    wait_for_replicas(space, name, 2)
    assert "DriftCorrected" not in space.count_events(name)


def test_autoscaled_from_its_creation(space: AppNamespace, name: str) -> None:
    """An app that is made with autoscaling begins with ``minReplicas`` pods."""
    space.create_app(name, autoscaling={"minReplicas": 2, "maxReplicas": 5, **METRIC}, **FAKE_NODES)

    space.wait_until_reconciled(name)
    assert get_replicas(space, name) == 2
    wait_for_replicas(space, name, 2)
    consistently(lambda: get_replicas(space, name) == 2, seconds=1)


def test_from_nothing_to_the_autoscaler(space: AppNamespace, name: str) -> None:
    """An app of 0 pods is started, because an autoscaler leaves a target of 0 alone for good."""
    space.create_app(name, replicas=0, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")
    assert list_pod_uids(space, name) == set()

    space.patch_spec(
        name, replicas=None, autoscaling={"minReplicas": 2, "maxReplicas": 5, **METRIC}
    )

    wait_for_replicas(space, name, 2)
    space.wait_for_phase(name, "Ready")


def test_from_a_nothing_that_somebody_else_also_wanted(space: AppNamespace, name: str) -> None:
    """An app of 0 pods is started although another manager has set that 0 as well."""
    space.create_app(name, autoscaling={"maxReplicas": 5, **METRIC}, **FAKE_NODES)
    wait_for_replicas(space, name, 1)
    run_kubectl("-n", space.name, "scale", "deployment", name, "--replicas=0")
    space.patch_spec(name, replicas=0, autoscaling=None)
    space.wait_until_reconciled(name)

    space.patch_spec(
        name, replicas=None, autoscaling={"minReplicas": 2, "maxReplicas": 5, **METRIC}
    )

    wait_for_replicas(space, name, 2)


def test_scaled_to_nothing_by_hand(space: AppNamespace, name: str) -> None:
    """With autoscaling, 0 by hand switches the autoscaler off, and the operator respects that."""
    space.create_app(name, autoscaling={"maxReplicas": 5, **METRIC}, **FAKE_NODES)
    wait_for_replicas(space, name, 1)

    run_kubectl("-n", space.name, "scale", "deployment", name, "--replicas=0")
    space.patch_spec(name, image="demo:v2")
    space.wait_until_reconciled(name)

    consistently(lambda: get_replicas(space, name) == 0, seconds=1)


def test_bounds_follow_the_spec(space: AppNamespace, name: str) -> None:
    """A raised minimum makes pods, by the autoscaler."""
    space.create_app(name, autoscaling={"maxReplicas": 5, **METRIC}, **FAKE_NODES)
    wait_for_replicas(space, name, 1)

    space.patch_spec(name, autoscaling={"minReplicas": 2})

    wait_for_replicas(space, name, 2)
    bounds = space.get_autoscaler(name)["spec"]
    assert (bounds["minReplicas"], bounds["maxReplicas"]) == (2, 5)


def test_without_either_there_is_one_pod(space: AppNamespace, name: str) -> None:
    """Without replicas and without autoscaling there is one pod, also afterwards."""
    space.create_app(name, replicas=2, **FAKE_NODES)
    wait_for_replicas(space, name, 2)

    space.patch_spec(name, replicas=None)

    wait_for_replicas(space, name, 1)
