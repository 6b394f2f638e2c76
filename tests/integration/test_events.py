"""Kubernetes Events: one for each transition, no more while a pod flaps (api.md)."""

from functools import partial

import pytest

from hack.testkit.fake_kubelet import Kubelet
from hack.testkit.kube_client import kubectl
from hack.testkit.namespace import FAKE_NODES, Space
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import eventually, stays

pytestmark = pytest.mark.usefixtures("operator", "fake_nodes")


def start(space: Space, name: str, replicas: int = 1) -> list[str]:
    """Create an app, wait until it is Ready and return the names of its pods."""
    space.create(name, replicas=replicas, port=80, **FAKE_NODES)
    space.is_(name, "Ready")
    eventually(lambda: "Ready" in space.told(name))
    return [pod["metadata"]["name"] for pod in space.pods(name)]


def restarts_told(space: Space, name: str, number: int) -> bool:
    """Whether so many restarts have been told."""
    return space.told(name).get("ContainerRestarted") == number


def has_pods(space: Space, name: str, number: int) -> bool:
    """Whether there are so many pods."""
    return len(space.pods(name)) == number


def told(space: Space, name: str, **counts: int) -> None:
    """Wait until exactly this has been told, beside what an app's start tells."""
    wanted = {"Created": 1, "Ready": 1} | counts

    def probe() -> bool:
        assert space.told(name) == wanted
        return True

    eventually(probe, timeout=5)


def test_start(space: Space, name: str) -> None:
    """A new app tells that its children were made and that it is ready, and nothing else."""
    start(space, name, 3)

    told(space, name)
    stays(lambda: space.told(name) == {"Created": 1, "Ready": 1}, seconds=1)


def test_shape(space: Space, name: str) -> None:
    """``kubectl events --for`` finds them: they are about the resource, by the operator."""
    start(space, name)

    (event,) = space.events(name, "Created")

    assert event["note"] == "created Deployment and Service"
    assert event["type"] == "Normal"
    assert event["reportingController"] == "selfhealing.dev/operator"
    assert event["regarding"]["uid"] == space.app(name)["metadata"]["uid"]
    said = kubectl("-n", space.name, "events", "--for", f"selfhealingapp/{name}")
    assert "created Deployment and Service" in said


def test_restart(space: Space, kubelet: Kubelet, name: str) -> None:
    """A restart is told with its container, pod, reason and exit code."""
    (pod,) = start(space, name)

    kubelet.killing(pod)
    kubelet.ended(pod, "Error", 137)

    told(space, name, ContainerRestarted=1)
    (event,) = space.events(name, "ContainerRestarted")
    assert event["type"] == "Warning"
    assert (
        f"container app of pod {pod} was restarted: LivenessProbe, exit code 137" in event["note"]
    )


def test_repeated_restarts(space: Space, kubelet: Kubelet, name: str) -> None:
    """The same restart again is counted on the same Event."""
    (pod,) = start(space, name)

    for number in range(1, 4):
        kubelet.ended(pod)
        eventually(partial(restarts_told, space, name, number))

    assert len(space.events(name, "ContainerRestarted")) == 1


def test_loss_of_readiness_and_recovery(space: Space, kubelet: Kubelet, name: str) -> None:
    """A loss of readiness is a Warning that names the pod, its return is Normal."""
    (pod,) = start(space, name)

    kubelet.ready(pod, ready=False)
    told(space, name, Degraded=1)
    (event,) = space.events(name, "Degraded")
    assert event["type"] == "Warning"
    assert pod in event["note"]

    kubelet.ready(pod)
    told(space, name, Degraded=1, Ready=2)


def test_flapping(space: Space, kubelet: Kubelet, name: str) -> None:
    """A pod that flaps ten times adds no more than one Event a reason, with a count."""
    (pod,) = start(space, name)

    for _ in range(10):
        kubelet.ready(pod, ready=False)
        space.is_(name, "Degraded")
        kubelet.ready(pod)
        space.is_(name, "Ready")

    told(space, name, Degraded=10, Ready=11)
    assert len(space.events(name, "Degraded")) == 1
    assert len(space.events(name, "Ready")) <= 2


def test_flapping_of_many_pods(space: Space, kubelet: Kubelet, name: str) -> None:
    """Ten pods that flap at the same time do not flood the namespace."""
    pods = start(space, name, 10)

    for _ in range(3):
        for pod in pods:
            kubelet.ready(pod, ready=False)
        space.is_(name, "Degraded")
        for pod in pods:
            kubelet.ready(pod)
        space.is_(name, "Ready")

    assert sum(space.told(name).values()) <= 2 + 3 * 2 + 3
    assert len(space.events(name)) <= 12


def test_many_restarts_at_once(space: Space, kubelet: Kubelet, name: str) -> None:
    """Restarts of many pods together are told together."""
    pods = start(space, name, 10)

    for pod in pods:
        kubelet.ended(pod, "OOMKilled", 137)

    eventually(lambda: space.status(name)["restarts"]["total"] == 10)
    counts = space.told(name)
    assert counts.get("ContainerRestarted", 0) + counts.get("ContainersRestarted", 0) <= 10
    assert len(space.events(name)) <= 12


def test_spec_changes(space: Space, name: str) -> None:
    """A change of the spec tells what was updated, that it rolls out, and that it is done."""
    start(space, name)

    space.edit(name, image="demo:v2")
    space.is_(name, "Ready")
    eventually(lambda: "Updated" in space.told(name))

    counts = space.told(name)
    assert counts["Updated"] == 1
    assert counts["Ready"] <= 2
    (event,) = space.events(name, "Updated")
    assert event["note"] == "updated Deployment to the current spec"
    assert not counts.keys() & {"Degraded", "DriftCorrected", "ContainerRestarted"}


def test_scaling_is_no_alarm(space: Space, name: str) -> None:
    """Pods that are added and taken away are no fault and no restart."""
    start(space, name)

    for number in (4, 1):
        space.edit(name, replicas=number)
        space.is_(name, "Ready")
        eventually(partial(has_pods, space, name, number))

    assert not space.told(name).keys() & {"Degraded", "ContainerRestarted", "DriftCorrected"}


def test_restart_of_the_operator(space: Space, operator: OperatorProcess, name: str) -> None:
    """A new process of the operator does not tell what has been told."""
    start(space, name)

    with operator.away():
        pass

    eventually(lambda: operator.metric("selfhealing_apps") >= 1, says="it has looked")
    stays(lambda: space.told(name) == {"Created": 1, "Ready": 1}, seconds=1)
