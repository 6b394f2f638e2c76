"""Restarts as api.md promises: current and total, by reason, the last one; true, and never falling.

The pods run on fake nodes; what happens to their containers is written as a kubelet writes it.
"""

import time
from functools import partial

import pytest

from hack.testkit.fake_kubelet import FakeKubelet, format_time, now
from hack.testkit.kube_client import Json
from hack.testkit.namespace import FAKE_NODES, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import consistently, eventually

pytestmark = pytest.mark.usefixtures("operator")

SHORT_TIMEOUT = 3
"""A status is true within a second; this leaves room for a busy machine."""


def create_ready_app(space: AppNamespace, name: str, replicas: int = 1) -> list[str]:
    """Create an app, wait until it is Ready and return the names of its pods."""
    space.create_app(name, replicas=replicas, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")
    return [pod["metadata"]["name"] for pod in space.list_pods(name)]


def get_restarts(space: AppNamespace, name: str) -> Json:
    """The block of the status; what is only for the operator is left out."""
    found: Json = dict(space.get_status(name)["restarts"])
    found.pop("counted", None)
    return found


def wait_for_restarts(
    space: AppNamespace, name: str, current: int, total: int, **by_reason: int
) -> None:
    """Wait until the restarts are counted so."""

    def probe() -> bool:
        found = get_restarts(space, name)
        seen = (found.get("current"), found.get("total"), found.get("byReason", {}))
        assert seen == (current, total, by_reason)
        return True

    eventually(probe, timeout=SHORT_TIMEOUT, description="the restarts are counted")


def has_restart_total(space: AppNamespace, name: str, number: int) -> bool:
    """Whether so many restarts have been counted."""
    return bool(get_restarts(space, name)["total"] == number)


def get_pod_status(space: AppNamespace, name: str, pod: str) -> Json:
    """A pod in the app's status."""
    found: Json = next(entry for entry in space.get_status(name)["pods"] if entry["name"] == pod)
    return found


def test_none(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:  # noqa: ARG001 - fake nodes
    """An app whose containers have never been restarted says 0."""
    create_ready_app(space, name)

    wait_for_restarts(space, name, 0, 0)
    assert "last" not in get_restarts(space, name)


def test_crash(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """A crash is counted with its reason, exit code, pod, container and time."""
    (pod,) = create_ready_app(space, name)

    at = kubelet.report_restart(pod, "Error", 3)

    wait_for_restarts(space, name, 1, 1, Error=1)
    last = {"container": "app", "reason": "Error", "exitCode": 3, "at": format_time(at)}
    assert get_restarts(space, name)["last"] == {"pod": pod, **last}
    assert get_pod_status(space, name, pod)["restarts"] == 1
    assert get_pod_status(space, name, pod)["lastRestart"] == last


def test_out_of_memory(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """An end by the kernel for want of memory is told as such."""
    (pod,) = create_ready_app(space, name)

    kubelet.report_restart(pod, "OOMKilled", 137)

    wait_for_restarts(space, name, 1, 1, OOMKilled=1)
    assert get_restarts(space, name)["last"]["reason"] == "OOMKilled"


def test_end_by_itself(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """A container that simply ended is restarted too, and told apart from a crash."""
    (pod,) = create_ready_app(space, name)

    kubelet.report_restart(pod, "Completed", 0)

    wait_for_restarts(space, name, 1, 1, Completed=1)


@pytest.mark.parametrize(
    ("probe", "reason"), [("liveness", "LivenessProbe"), ("startup", "StartupProbe")]
)
def test_probe(
    space: AppNamespace, kubelet: FakeKubelet, name: str, probe: str, reason: str
) -> None:
    """A kill for a failed probe is told apart from a crash, which looks the same in the pod."""
    (pod,) = create_ready_app(space, name)

    kubelet.create_killing_event(pod, probe)
    kubelet.report_restart(pod, "Error", 137)

    wait_for_restarts(space, name, 1, 1, **{reason: 1})
    assert get_restarts(space, name)["last"]["reason"] == reason
    assert get_pod_status(space, name, pod)["lastRestart"]["reason"] == reason


def test_probe_whose_event_comes_late(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """The reason is corrected when the kubelet's Event comes after the restart."""
    (pod,) = create_ready_app(space, name)

    at = kubelet.report_restart(pod, "Error", 137)
    wait_for_restarts(space, name, 1, 1, Error=1)
    kubelet.create_killing_event(pod, at=at)

    wait_for_restarts(space, name, 1, 1, LivenessProbe=1)
    assert get_restarts(space, name)["last"]["reason"] == "LivenessProbe"


def test_crash_after_a_kill_by_a_probe(
    space: AppNamespace, kubelet: FakeKubelet, name: str
) -> None:
    """An old Event of a probe does not explain a later crash."""
    (pod,) = create_ready_app(space, name)
    killed = kubelet.report_restart(pod, "Error", 137)
    kubelet.create_killing_event(pod, at=killed)
    wait_for_restarts(space, name, 1, 1, LivenessProbe=1)

    eventually(
        lambda: (now() - killed).total_seconds() >= 2, description="two seconds are different"
    )
    kubelet.report_restart(pod, "Error", 1)

    wait_for_restarts(space, name, 2, 2, LivenessProbe=1, Error=1)
    assert get_restarts(space, name)["last"]["reason"] == "Error"


def test_event_of_another_pod(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """A probe's Event explains only the end of the container that it names."""
    one, two = create_ready_app(space, name, 2)

    kubelet.create_killing_event(one)
    kubelet.report_restart(one, "Error", 137)
    kubelet.report_restart(two, "Error", 137)

    wait_for_restarts(space, name, 2, 2, LivenessProbe=1, Error=1)


def test_several_at_once(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """Of restarts between two looks only the last has a reason; all are counted."""
    (pod,) = create_ready_app(space, name)

    kubelet.report_restart(pod, "OOMKilled", 137, times=4)

    wait_for_restarts(space, name, 4, 4, OOMKilled=1, Unknown=3)


def test_deleted_pod(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """A pod takes its own count with it, not the total."""
    one, two = create_ready_app(space, name, 2)
    kubelet.report_restart(one, "OOMKilled", 137)
    kubelet.report_restart(two)
    wait_for_restarts(space, name, 2, 2, OOMKilled=1, Error=1)
    last = get_restarts(space, name)["last"]

    space.kube.delete("Pod", space.name, one, grace=0)

    wait_for_restarts(space, name, 1, 2, OOMKilled=1, Error=1)
    assert get_restarts(space, name)["last"] == last


def test_total_never_falls(
    space: AppNamespace, operator: OperatorProcess, kubelet: FakeKubelet, name: str
) -> None:
    """Through a rollout, scaling and restarts of the operator the total only rises."""
    create_ready_app(space, name, 2)
    for pod in [entry["metadata"]["name"] for entry in space.list_pods(name)]:
        kubelet.report_restart(pod)
    wait_for_restarts(space, name, 2, 2, Error=2)
    before = space.get_app(name)

    space.patch_spec(name, image="demo:v2")
    space.wait_for_phase(name, "Ready")
    space.patch_spec(name, replicas=0)
    space.wait_for_phase(name, "Ready")
    with operator.stop_temporarily():
        space.patch_spec(name, replicas=1)
    space.wait_for_phase(name, "Ready")
    eventually(lambda: len(space.list_pods(name)) == 1)
    kubelet.report_restart(space.list_pods(name)[0]["metadata"]["name"])

    wait_for_restarts(space, name, 1, 3, Error=3)
    states = space.kube.watch_history("SelfHealingApp", space.name, name, before)
    totals = [state["status"]["restarts"]["total"] for state in states]
    assert totals == sorted(totals)
    assert totals[0] == 2


def test_while_the_operator_is_away(
    space: AppNamespace, operator: OperatorProcess, kubelet: FakeKubelet, name: str
) -> None:
    """Restarts while nobody looked are counted afterwards, a probe's kill too."""
    one, two = create_ready_app(space, name, 2)
    kubelet.report_restart(one)
    wait_for_restarts(space, name, 1, 1, Error=1)

    with operator.stop_temporarily():
        kubelet.create_killing_event(two)
        kubelet.report_restart(two, "Error", 137)
        kubelet.report_restart(one, "OOMKilled", 137, times=2)

    wait_for_restarts(space, name, 4, 4, Error=1, LivenessProbe=1, OOMKilled=1, Unknown=1)


def test_restart_of_the_operator_counts_nothing(
    space: AppNamespace, operator: OperatorProcess, kubelet: FakeKubelet, name: str
) -> None:
    """What has been counted is not counted again by a new process."""
    one, two = create_ready_app(space, name, 2)
    kubelet.report_restart(one)
    kubelet.report_restart(two, "OOMKilled", 137)
    wait_for_restarts(space, name, 2, 2, Error=1, OOMKilled=1)
    space.wait_for_phase(name, "Ready")
    before = space.get_app(name)["metadata"]["resourceVersion"]

    with operator.stop_temporarily():
        pass

    eventually(lambda: operator.read_metric("selfhealing_apps") >= 1, description="it has looked")
    consistently(
        lambda: space.get_app(name)["metadata"]["resourceVersion"] == before,
        seconds=1,
        description="nothing to write",
    )


def test_restart_and_end_of_a_pod_at_once(
    space: AppNamespace, kubelet: FakeKubelet, name: str
) -> None:
    """A restart is counted also when its pod is gone a moment later."""
    one, two = create_ready_app(space, name, 2)
    kubelet.report_restart(two)  # the status has just been written when the next news comes
    wait_for_restarts(space, name, 1, 1, Error=1)

    kubelet.report_restart(one, "OOMKilled", 137)
    space.kube.delete("Pod", space.name, one)

    wait_for_restarts(space, name, 1, 2, Error=1, OOMKilled=1)


def test_sidecar(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """Every container of a pod counts, each by its own name."""
    space.create_app(name, sidecars=[{"name": "proxy", "image": "proxy:v1"}], **FAKE_NODES)
    space.wait_for_phase(name, "Ready")
    pod = space.list_pods(name)[0]["metadata"]["name"]

    kubelet.report_restart(pod, container="proxy")
    kubelet.report_restart(pod, "OOMKilled", 137)

    wait_for_restarts(space, name, 2, 2, Error=1, OOMKilled=1)
    assert get_pod_status(space, name, pod)["restarts"] == 2


def test_pods_of_others(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """Restarts of another app's pods are that app's alone."""
    create_ready_app(space, name)
    other = f"{name[:50]}-2"
    (theirs,) = create_ready_app(space, other)

    kubelet.report_restart(theirs)

    wait_for_restarts(space, other, 1, 1, Error=1)
    wait_for_restarts(space, name, 0, 0)
    space.kube.delete("SelfHealingApp", space.name, other)


@pytest.mark.alone
def test_within_a_second(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """A restart is in the status within a second, unless the machine itself is slow."""
    (pod,) = create_ready_app(space, name)
    waits = []

    for number in range(1, 6):
        kubelet.report_restart(pod)
        began = time.monotonic()
        eventually(partial(has_restart_total, space, name, number), timeout=5, poll=0.02)
        waits.append(time.monotonic() - began)

    assert sorted(waits)[1] <= 1.0, waits
