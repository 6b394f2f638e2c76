"""Restarts as api.md promises: current and total, by reason, the last one; true, and never falling.

The pods run on fake nodes; what happens to their containers is written as a kubelet writes it.
"""

import time
from functools import partial

import pytest

from hack.testkit.fake_kubelet import Kubelet, now, stamp
from hack.testkit.kube_client import Json
from hack.testkit.namespace import FAKE_NODES, Space
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import eventually, stays

pytestmark = pytest.mark.usefixtures("operator")

SOON = 3
"""A status is true within a second; this leaves room for a busy machine."""


def start(space: Space, name: str, replicas: int = 1) -> list[str]:
    """Create an app, wait until it is Ready and return the names of its pods."""
    space.create(name, replicas=replicas, **FAKE_NODES)
    space.is_(name, "Ready")
    return [pod["metadata"]["name"] for pod in space.pods(name)]


def restarts(space: Space, name: str) -> Json:
    """The block of the status; what is only for the operator is left out."""
    found: Json = dict(space.status(name)["restarts"])
    found.pop("counted", None)
    return found


def are(space: Space, name: str, current: int, total: int, **by_reason: int) -> None:
    """Wait until the restarts are counted so."""

    def probe() -> bool:
        found = restarts(space, name)
        seen = (found.get("current"), found.get("total"), found.get("byReason", {}))
        assert seen == (current, total, by_reason)
        return True

    eventually(probe, timeout=SOON, says="the restarts are counted")


def total_is(space: Space, name: str, number: int) -> bool:
    """Whether so many restarts have been counted."""
    return bool(restarts(space, name)["total"] == number)


def pod_status(space: Space, name: str, pod: str) -> Json:
    """A pod in the app's status."""
    found: Json = next(entry for entry in space.status(name)["pods"] if entry["name"] == pod)
    return found


def test_none(space: Space, kubelet: Kubelet, name: str) -> None:  # noqa: ARG001 - fake nodes
    """An app whose containers have never been restarted says 0."""
    start(space, name)

    are(space, name, 0, 0)
    assert "last" not in restarts(space, name)


def test_crash(space: Space, kubelet: Kubelet, name: str) -> None:
    """A crash is counted with its reason, exit code, pod, container and time."""
    (pod,) = start(space, name)

    at = kubelet.ended(pod, "Error", 3)

    are(space, name, 1, 1, Error=1)
    last = {"container": "app", "reason": "Error", "exitCode": 3, "at": stamp(at)}
    assert restarts(space, name)["last"] == {"pod": pod, **last}
    assert pod_status(space, name, pod)["restarts"] == 1
    assert pod_status(space, name, pod)["lastRestart"] == last


def test_out_of_memory(space: Space, kubelet: Kubelet, name: str) -> None:
    """An end by the kernel for want of memory is told as such."""
    (pod,) = start(space, name)

    kubelet.ended(pod, "OOMKilled", 137)

    are(space, name, 1, 1, OOMKilled=1)
    assert restarts(space, name)["last"]["reason"] == "OOMKilled"


def test_end_by_itself(space: Space, kubelet: Kubelet, name: str) -> None:
    """A container that simply ended is restarted too, and told apart from a crash."""
    (pod,) = start(space, name)

    kubelet.ended(pod, "Completed", 0)

    are(space, name, 1, 1, Completed=1)


@pytest.mark.parametrize(
    ("probe", "reason"), [("liveness", "LivenessProbe"), ("startup", "StartupProbe")]
)
def test_probe(space: Space, kubelet: Kubelet, name: str, probe: str, reason: str) -> None:
    """A kill for a failed probe is told apart from a crash, which looks the same in the pod."""
    (pod,) = start(space, name)

    kubelet.killing(pod, probe)
    kubelet.ended(pod, "Error", 137)

    are(space, name, 1, 1, **{reason: 1})
    assert restarts(space, name)["last"]["reason"] == reason
    assert pod_status(space, name, pod)["lastRestart"]["reason"] == reason


def test_probe_whose_event_comes_late(space: Space, kubelet: Kubelet, name: str) -> None:
    """The reason is corrected when the kubelet's Event comes after the restart."""
    (pod,) = start(space, name)

    at = kubelet.ended(pod, "Error", 137)
    are(space, name, 1, 1, Error=1)
    kubelet.killing(pod, at=at)

    are(space, name, 1, 1, LivenessProbe=1)
    assert restarts(space, name)["last"]["reason"] == "LivenessProbe"


def test_crash_after_a_kill_by_a_probe(space: Space, kubelet: Kubelet, name: str) -> None:
    """An old Event of a probe does not explain a later crash."""
    (pod,) = start(space, name)
    killed = kubelet.ended(pod, "Error", 137)
    kubelet.killing(pod, at=killed)
    are(space, name, 1, 1, LivenessProbe=1)

    eventually(lambda: (now() - killed).total_seconds() >= 2, says="two seconds are different")
    kubelet.ended(pod, "Error", 1)

    are(space, name, 2, 2, LivenessProbe=1, Error=1)
    assert restarts(space, name)["last"]["reason"] == "Error"


def test_event_of_another_pod(space: Space, kubelet: Kubelet, name: str) -> None:
    """A probe's Event explains only the end of the container that it names."""
    one, two = start(space, name, 2)

    kubelet.killing(one)
    kubelet.ended(one, "Error", 137)
    kubelet.ended(two, "Error", 137)

    are(space, name, 2, 2, LivenessProbe=1, Error=1)


def test_several_at_once(space: Space, kubelet: Kubelet, name: str) -> None:
    """Of restarts between two looks only the last has a reason; all are counted."""
    (pod,) = start(space, name)

    kubelet.ended(pod, "OOMKilled", 137, times=4)

    are(space, name, 4, 4, OOMKilled=1, Unknown=3)


def test_deleted_pod(space: Space, kubelet: Kubelet, name: str) -> None:
    """A pod takes its own count with it, not the total."""
    one, two = start(space, name, 2)
    kubelet.ended(one, "OOMKilled", 137)
    kubelet.ended(two)
    are(space, name, 2, 2, OOMKilled=1, Error=1)
    last = restarts(space, name)["last"]

    space.kube.delete("Pod", space.name, one, grace=0)

    are(space, name, 1, 2, OOMKilled=1, Error=1)
    assert restarts(space, name)["last"] == last


def test_total_never_falls(
    space: Space, operator: OperatorProcess, kubelet: Kubelet, name: str
) -> None:
    """Through a rollout, scaling and restarts of the operator the total only rises."""
    start(space, name, 2)
    for pod in [entry["metadata"]["name"] for entry in space.pods(name)]:
        kubelet.ended(pod)
    are(space, name, 2, 2, Error=2)
    before = space.app(name)

    space.edit(name, image="demo:v2")
    space.is_(name, "Ready")
    space.edit(name, replicas=0)
    space.is_(name, "Ready")
    with operator.away():
        space.edit(name, replicas=1)
    space.is_(name, "Ready")
    eventually(lambda: len(space.pods(name)) == 1)
    kubelet.ended(space.pods(name)[0]["metadata"]["name"])

    are(space, name, 1, 3, Error=3)
    states = space.kube.history("SelfHealingApp", space.name, name, before)
    totals = [state["status"]["restarts"]["total"] for state in states]
    assert totals == sorted(totals)
    assert totals[0] == 2


def test_while_the_operator_is_away(
    space: Space, operator: OperatorProcess, kubelet: Kubelet, name: str
) -> None:
    """Restarts while nobody looked are counted afterwards, a probe's kill too."""
    one, two = start(space, name, 2)
    kubelet.ended(one)
    are(space, name, 1, 1, Error=1)

    with operator.away():
        kubelet.killing(two)
        kubelet.ended(two, "Error", 137)
        kubelet.ended(one, "OOMKilled", 137, times=2)

    are(space, name, 4, 4, Error=1, LivenessProbe=1, OOMKilled=1, Unknown=1)


def test_restart_of_the_operator_counts_nothing(
    space: Space, operator: OperatorProcess, kubelet: Kubelet, name: str
) -> None:
    """What has been counted is not counted again by a new process."""
    one, two = start(space, name, 2)
    kubelet.ended(one)
    kubelet.ended(two, "OOMKilled", 137)
    are(space, name, 2, 2, Error=1, OOMKilled=1)
    space.is_(name, "Ready")
    before = space.app(name)["metadata"]["resourceVersion"]

    with operator.away():
        pass

    eventually(lambda: operator.metric("selfhealing_apps") >= 1, says="it has looked")
    stays(
        lambda: space.app(name)["metadata"]["resourceVersion"] == before,
        seconds=1,
        says="nothing to write",
    )


def test_restart_and_end_of_a_pod_at_once(space: Space, kubelet: Kubelet, name: str) -> None:
    """A restart is counted also when its pod is gone a moment later."""
    one, two = start(space, name, 2)
    kubelet.ended(two)  # the status has just been written when the next news comes
    are(space, name, 1, 1, Error=1)

    kubelet.ended(one, "OOMKilled", 137)
    space.kube.delete("Pod", space.name, one)

    are(space, name, 1, 2, Error=1, OOMKilled=1)


def test_sidecar(space: Space, kubelet: Kubelet, name: str) -> None:
    """Every container of a pod counts, each by its own name."""
    space.create(name, sidecars=[{"name": "proxy", "image": "proxy:v1"}], **FAKE_NODES)
    space.is_(name, "Ready")
    pod = space.pods(name)[0]["metadata"]["name"]

    kubelet.ended(pod, container="proxy")
    kubelet.ended(pod, "OOMKilled", 137)

    are(space, name, 2, 2, Error=1, OOMKilled=1)
    assert pod_status(space, name, pod)["restarts"] == 2


def test_pods_of_others(space: Space, kubelet: Kubelet, name: str) -> None:
    """Restarts of another app's pods are that app's alone."""
    start(space, name)
    other = f"{name[:50]}-2"
    (theirs,) = start(space, other)

    kubelet.ended(theirs)

    are(space, other, 1, 1, Error=1)
    are(space, name, 0, 0)
    space.kube.delete("SelfHealingApp", space.name, other)


def test_within_a_second(space: Space, kubelet: Kubelet, name: str) -> None:
    """A restart is in the status within a second, unless the machine itself is slow."""
    (pod,) = start(space, name)
    waits = []

    for number in range(1, 6):
        kubelet.ended(pod)
        began = time.monotonic()
        eventually(partial(total_is, space, name, number), timeout=5, poll=0.02)
        waits.append(time.monotonic() - began)

    assert sorted(waits)[1] <= 1.0, waits
