"""Kubernetes Events: one for each transition, no more while a pod flaps (api.md)."""

from functools import partial

import pytest

from hack.testkit.fake_kubelet import FakeKubelet, now
from hack.testkit.kube_client import run_kubectl
from hack.testkit.namespace import FAKE_NODES, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import consistently, eventually
from selfhealing.controller.event_folder import BURST

pytestmark = pytest.mark.usefixtures("operator", "fake_nodes")


def create_ready_app(space: AppNamespace, name: str, replicas: int = 1) -> list[str]:
    """Create an app, wait until it is Ready and return the names of its pods."""
    space.create_app(name, replicas=replicas, port=80, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")
    eventually(lambda: "Ready" in space.count_events(name))
    return [pod["metadata"]["name"] for pod in space.list_pods(name)]


def has_restart_events(space: AppNamespace, name: str, number: int) -> bool:
    """Whether so many restarts have been told."""
    return space.count_events(name).get("ContainerRestarted") == number


def has_pod_count(space: AppNamespace, name: str, number: int) -> bool:
    """Whether there are so many pods."""
    return len(space.list_pods(name)) == number


def wait_for_event_counts(space: AppNamespace, name: str, **counts: int) -> None:
    """Wait until exactly this has been told, beside what an app's start tells."""
    wanted = {"Created": 1, "Ready": 1} | counts

    def probe() -> bool:
        assert space.count_events(name) == wanted
        return True

    eventually(probe, timeout=5)


def wait_for_next_second() -> None:
    """A pod's conditions tell the second of a change: two in the same one are none."""
    current = now()
    eventually(lambda: now() > current)


def test_start(space: AppNamespace, name: str) -> None:
    """A new app tells that its children were made and that it is ready, and nothing else."""
    create_ready_app(space, name, 3)

    wait_for_event_counts(space, name)
    consistently(lambda: space.count_events(name) == {"Created": 1, "Ready": 1}, seconds=1)


def test_shape(space: AppNamespace, name: str) -> None:
    """``kubectl events --for`` finds them: they are about the resource, by the operator."""
    create_ready_app(space, name)

    event = space.wait_for_event(name, "Created")

    assert event["note"] == "created Deployment and Service"
    assert event["type"] == "Normal"
    assert event["reportingController"] == "selfhealing.dev/operator"
    assert event["regarding"]["uid"] == space.get_app(name)["metadata"]["uid"]
    said = run_kubectl("-n", space.name, "events", "--for", f"selfhealingapp/{name}")
    assert "created Deployment and Service" in said


def test_restart(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """A restart is told with its container, pod, reason and exit code."""
    (pod,) = create_ready_app(space, name)

    kubelet.create_killing_event(pod)
    kubelet.report_restart(pod, "Error", 137)

    wait_for_event_counts(space, name, ContainerRestarted=1)
    (event,) = space.list_events(name, "ContainerRestarted")
    assert event["type"] == "Warning"
    assert (
        f"container app of pod {pod} was restarted: LivenessProbe, exit code 137" in event["note"]
    )


def test_repeated_restarts(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """The same restart again is counted on the same Event."""
    (pod,) = create_ready_app(space, name)

    for number in range(1, 4):
        kubelet.report_restart(pod)
        eventually(partial(has_restart_events, space, name, number))

    assert len(space.list_events(name, "ContainerRestarted")) == 1


def test_loss_of_readiness_and_recovery(
    space: AppNamespace, kubelet: FakeKubelet, name: str
) -> None:
    """A loss of readiness is a Warning that names the pod, its return is Normal."""
    (pod,) = create_ready_app(space, name)

    kubelet.set_ready(pod, ready=False)
    wait_for_event_counts(space, name, Degraded=1)
    (event,) = space.list_events(name, "Degraded")
    assert event["type"] == "Warning"
    assert pod in event["note"]

    kubelet.set_ready(pod)
    wait_for_event_counts(space, name, Degraded=1, Ready=2)


def test_flapping(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """A pod that flaps is told of a few times, and then as one that flaps."""
    (pod,) = create_ready_app(space, name)

    def is_ready(expected: str) -> bool:
        return bool(space.get_status(name)["ready"] == expected)

    for _ in range(BURST + 2):
        kubelet.set_ready(pod, ready=False)
        eventually(partial(is_ready, "0/1"))
        kubelet.set_ready(pod)
        eventually(partial(is_ready, "1/1"))
        wait_for_next_second()

    space.wait_for_phase(name, "Degraded")
    (shown,) = space.get_status(name)["pods"]
    assert shown["reason"] == "ReadinessFlapping"
    counts = space.count_events(name)
    assert counts["Degraded"] <= BURST
    assert counts["Ready"] <= BURST + 1
    assert counts["ReadinessFlapping"] >= 1
    assert len(space.list_events(name)) <= 6


def test_flapping_of_many_pods(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """Ten pods that flap at the same time do not flood the namespace."""
    pods = create_ready_app(space, name, 10)

    for _ in range(3):
        for pod in pods:
            kubelet.set_ready(pod, ready=False)
        space.wait_for_phase(name, "Degraded")
        for pod in pods:
            kubelet.set_ready(pod)
        space.wait_for_phase(name, "Ready")

    assert sum(space.count_events(name).values()) <= 2 + 3 * 2 + 3
    assert len(space.list_events(name)) <= 12


def test_many_restarts_at_once(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """Restarts of many pods together are told together."""
    pods = create_ready_app(space, name, 10)

    for pod in pods:
        kubelet.report_restart(pod, "OOMKilled", 137)

    eventually(lambda: space.get_status(name)["restarts"]["total"] == 10)
    counts = space.count_events(name)
    assert counts.get("ContainerRestarted", 0) + counts.get("ContainersRestarted", 0) <= 10
    assert len(space.list_events(name)) <= 12


def test_spec_changes(space: AppNamespace, name: str) -> None:
    """A change of the spec tells what was updated, that it rolls out, and that it is done."""
    create_ready_app(space, name)

    space.patch_spec(name, image="demo:v2")
    space.wait_for_phase(name, "Ready")
    eventually(lambda: "Updated" in space.count_events(name))

    counts = space.count_events(name)
    assert counts["Updated"] == 1
    assert counts["Ready"] <= 2
    (event,) = space.list_events(name, "Updated")
    assert event["note"] == "updated Deployment to the current spec"
    assert not counts.keys() & {"Degraded", "DriftCorrected", "ContainerRestarted"}


def test_scaling_is_no_alarm(space: AppNamespace, name: str) -> None:
    """Pods that are added and taken away are no fault and no restart."""
    create_ready_app(space, name)

    for number in (4, 1):
        space.patch_spec(name, replicas=number)
        space.wait_for_phase(name, "Ready")
        eventually(partial(has_pod_count, space, name, number))

    assert not space.count_events(name).keys() & {
        "Degraded",
        "ContainerRestarted",
        "DriftCorrected",
    }


def test_restart_of_the_operator(space: AppNamespace, operator: OperatorProcess, name: str) -> None:
    """A new process of the operator does not tell what has been told."""
    create_ready_app(space, name)

    with operator.stop_temporarily():
        pass

    eventually(lambda: operator.read_metric("selfhealing_apps") >= 1, description="it has looked")
    consistently(lambda: space.count_events(name) == {"Created": 1, "Ready": 1}, seconds=1)
