"""What a user reads back (api.md, "status"), with fake pods that fall ill as tests tell them to."""

import time
from datetime import datetime
from functools import partial

import pytest

from hack.testkit.fake_kubelet import FakeKubelet
from hack.testkit.kube_client import Json, run_kubectl
from hack.testkit.namespace import FAKE_NODES, UNSCHEDULABLE, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import consistently, eventually

pytestmark = pytest.mark.usefixtures("operator", "fake_nodes")

SHORT_TIMEOUT = 3
"""A status is true within a second; this leaves room for a busy machine."""

CONDITIONS = {"Ready", "Reconciled", "Progressing", "Healthy", "Paused"}


def create_ready_app(
    space: AppNamespace, name: str, replicas: int = 1, **spec: object
) -> list[str]:
    """Create an app, wait until it is Ready and return the names of its pods."""
    space.create_app(name, replicas=replicas, **spec, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")
    return [pod["metadata"]["name"] for pod in space.list_pods(name)]


def conditions_by_type(app: Json) -> dict[str, Json]:
    """The conditions by type."""
    return {found["type"]: found for found in app["status"]["conditions"]}


def test_ready(space: AppNamespace, name: str) -> None:
    """Everything there and ready: phase, numbers, selector, image, conditions."""
    pods = create_ready_app(space, name, 2)

    app = space.get_app(name)
    status = app["status"]
    found = conditions_by_type(app)

    assert status["phase"] == "Ready"
    assert status["ready"] == "2/2"
    assert (status["replicas"], status["readyReplicas"], status["updatedReplicas"]) == (2, 2, 2)
    assert status["selector"] == f"selfhealing.dev/app={name}"
    assert status["image"] == "demo:v1"
    assert status["observedGeneration"] == 1
    assert sorted(pod["name"] for pod in status["pods"]) == pods
    assert all(pod["ready"] and pod["phase"] == "Running" for pod in status["pods"])
    assert all(pod["node"].startswith("kwok-node-") for pod in status["pods"])
    assert found.keys() == CONDITIONS
    assert {kind: found[kind]["status"] for kind in found} == {
        "Ready": "True",
        "Reconciled": "True",
        "Progressing": "False",
        "Healthy": "True",
        "Paused": "False",
    }


def test_observed_generation(space: AppNamespace, name: str) -> None:
    """Every condition says by which generation of the spec it was judged."""
    create_ready_app(space, name)
    space.patch_spec(name, image="demo:v2")
    space.patch_spec(name, replicas=2)

    app = space.wait_for_phase(name, "Ready")

    assert app["metadata"]["generation"] == 3
    assert app["status"]["observedGeneration"] == 3
    assert {found["observedGeneration"] for found in app["status"]["conditions"]} == {3}
    assert app["status"]["image"] == "demo:v2"


def test_kubectl_wait_and_get(space: AppNamespace, name: str) -> None:
    """``kubectl wait --for=condition=Ready`` works, and the columns say what is going on."""
    space.create_app(name, port=80, **FAKE_NODES)

    run_kubectl("-n", space.name, "wait", "--for=condition=Ready", f"sha/{name}", "--timeout=20s")
    lines = run_kubectl("-n", space.name, "get", "sha", name).splitlines()

    assert lines[0].split() == ["NAME", "STATUS", "READY", "RESTARTS", "LAST-HEAL", "AGE"]
    assert lines[1].split()[:4] == [name, "Ready", "1/1", "0"]
    wide = run_kubectl("-n", space.name, "get", "sha", name, "-o", "wide").splitlines()[0].split()
    assert wide[-3:] == ["IMAGE", "REPLICAS", "MESSAGE"]


def test_lost_readiness(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """A pod that loses its readiness makes the app Degraded, and is named; it comes back."""
    one, two = create_ready_app(space, name, 2)
    since = conditions_by_type(space.get_app(name))["Ready"]["lastTransitionTime"]

    kubelet.set_ready(one, ready=False)

    app = space.wait_for_phase(name, "Degraded", SHORT_TIMEOUT)
    status = app["status"]
    assert status["ready"] == "1/2"
    assert (status["replicas"], status["readyReplicas"]) == (2, 1)
    assert one in status["message"]
    assert [pod["name"] for pod in status["pods"]] == [one, two], "the worst first"
    assert (status["pods"][0]["ready"], status["pods"][0]["reason"]) == (False, "NotReady")
    assert conditions_by_type(app)["Ready"]["status"] == "False"
    assert conditions_by_type(app)["Healthy"]["status"] == "False"

    kubelet.set_ready(one)

    app = space.wait_for_phase(name, "Ready", SHORT_TIMEOUT)
    assert app["status"]["ready"] == "2/2"
    assert conditions_by_type(app)["Healthy"]["status"] == "True"
    assert conditions_by_type(app)["Ready"]["lastTransitionTime"] >= since


def test_crash_loop(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """A container that is restarted again and again: which pod, why, how often."""
    one, two = create_ready_app(space, name, 2)

    kubelet.report_restart(two, "Error", 3, times=3)
    kubelet.report_back_off(two)

    app = space.wait_for_phase(name, "Degraded", SHORT_TIMEOUT)
    status = app["status"]
    worst = status["pods"][0]
    assert status["ready"] == "1/2"
    assert (worst["name"], worst["reason"], worst["restarts"]) == (two, "CrashLoopBackOff", 3)
    assert status["pods"][1]["name"] == one
    assert two in status["message"]
    assert "exit code 3" in status["message"]
    assert conditions_by_type(app)["Ready"]["reason"] == "CrashLoopBackOff"
    assert conditions_by_type(app)["Healthy"]["reason"] == "CrashLoopBackOff"


def test_memory_loop(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """A container that runs out of memory again and again is said to."""
    (pod,) = create_ready_app(space, name)

    kubelet.report_restart(pod, "OOMKilled", 137, times=3)
    kubelet.report_back_off(pod)

    app = space.wait_for_phase(name, "Degraded", SHORT_TIMEOUT)
    assert app["status"]["pods"][0]["reason"] == "OOMKilled"
    assert "memory" in app["status"]["message"]


def test_image_that_cannot_be_pulled(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """A pull that fails is told by the image's name, whichever of its two reasons shows."""
    (pod,) = create_ready_app(space, name)

    for reason in ("ErrImagePull", "ImagePullBackOff"):
        kubelet.report_waiting(pod, reason, f'failed to pull image "demo:v1": {reason}: not found')
        app = space.wait_for_phase(name, "Degraded", SHORT_TIMEOUT)
        assert app["status"]["pods"][0]["reason"] == "ImagePullBackOff"
        assert "cannot pull image demo:v1" in app["status"]["message"]


def test_pod_without_a_node(space: AppNamespace, name: str) -> None:
    """A pod that waits for a node is Pending, with 0 of 1 ready."""
    space.create_app(name, **UNSCHEDULABLE)

    app = space.wait_for_phase(name, "Pending")

    assert app["status"]["ready"] == "0/1"
    assert conditions_by_type(app)["Ready"]["status"] == "False"
    assert app["status"]["pods"][0]["phase"] == "Pending"


def test_evicted_pod(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """An evicted pod is replaced; what is left of it neither counts nor makes the app ill."""
    (pod,) = create_ready_app(space, name)

    kubelet.report_evicted(pod)

    def replaced() -> bool:
        status = space.get_status(name)
        assert len(status["pods"]) == 2
        assert status["pods"][-1]["name"] == pod
        assert status["pods"][-1]["reason"] == "Evicted"
        assert (status["phase"], status["ready"], status["replicas"]) == ("Ready", "1/1", 1)
        return True

    eventually(replaced)


def test_rollout_that_does_not_come_to_an_end(space: AppNamespace, name: str) -> None:
    """While a rollout hangs the old pod serves, and the status says both."""
    create_ready_app(space, name)

    space.patch_spec(name, image="demo:v2", nodeSelector={"type": "no-such"})

    def both() -> bool:
        status = space.get_status(name)
        assert status["phase"] == "Progressing"
        assert status["ready"] == "0/1"
        assert status["replicas"] == 2
        assert "1 old pod still serves" in status["message"]
        assert space.get_condition(name, "Progressing")["status"] == "True"
        return True

    eventually(both)


def test_rollout_that_is_given_up(space: AppNamespace, name: str) -> None:
    """A rollout beyond its deadline makes the app Degraded."""
    create_ready_app(space, name, rollout={"progressDeadlineSeconds": 2})

    space.patch_spec(name, nodeSelector={"type": "no-such"})

    app = space.wait_for_phase(name, "Degraded")
    assert "the rollout is stuck" in app["status"]["message"]
    assert conditions_by_type(app)["Progressing"]["status"] == "False"
    assert conditions_by_type(app)["Progressing"]["reason"] == "ProgressDeadlineExceeded"


def test_bounded_list_of_pods(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """Of 25 pods 20 are listed, the worst first; the numbers are of all of them."""
    pods = create_ready_app(space, name, 25)
    sick, restarted = pods[24], pods[12]

    kubelet.report_restart(restarted)
    kubelet.set_ready(sick, ready=False)

    def listed() -> bool:
        status = space.get_status(name)
        names = [pod["name"] for pod in status["pods"]]
        assert len(names) == 20
        assert names[:2] == [sick, restarted]
        assert (status["ready"], status["replicas"]) == ("24/25", 25)
        return True

    eventually(listed, timeout=SHORT_TIMEOUT)


def test_probes(space: AppNamespace, name: str) -> None:
    """The effective probes stand in the status, a sentence each."""
    create_ready_app(
        space,
        name,
        port=5000,
        probes={
            "liveness": {"httpGet": {"path": "/health"}, "periodSeconds": 5},
            "readiness": {"tcpSocket": {}, "failureThreshold": 1},
            "startup": {"exec": {"command": ["cat", "/ready"]}},
        },
    )

    assert space.get_status(name)["probes"] == {
        "liveness": "http GET :5000/health every 5s, 3 failures",
        "readiness": "tcp :5000 every 10s, 1 failure",
        "startup": "exec cat /ready every 10s, 3 failures",
    }
    space.patch_spec(name, probes=None)
    eventually(lambda: "probes" not in space.get_status(name))


def test_autoscaling(space: AppNamespace, name: str) -> None:
    """What the autoscaler sees and wants, and that it has no figures."""
    space.create_app(
        name,
        autoscaling={"minReplicas": 2, "maxReplicas": 5, "targetCPUUtilizationPercentage": 50},
        **FAKE_NODES,
    )

    def told() -> bool:
        found = space.get_status(name)["autoscaling"]
        assert (found["current"], found["min"], found["max"]) == (2, 2, 5)
        assert found["cpu"] == "unknown/50%"
        active = space.get_condition(name, "ScalingActive")
        assert (active["status"], active["reason"]) == ("False", "MissingRequest")
        assert "spec.resources.requests.cpu" in active["message"]
        return True

    eventually(told)
    space.wait_for_phase(name, "Ready")
    space.patch_spec(name, autoscaling=None)
    eventually(lambda: "autoscaling" not in space.get_status(name))
    assert space.get_condition(name, "ScalingActive") == {}


def test_autoscaler_that_scaled(space: AppNamespace, name: str) -> None:
    """What the autoscaler changed: how many, and when."""
    create_ready_app(space, name, 3)

    space.patch_spec(name, replicas=None, autoscaling={"maxReplicas": 2})

    def told() -> bool:
        status = space.get_status(name)
        found = status["autoscaling"]
        assert (found["current"], found["desired"], found["max"]) == (2, 2, 2)
        assert datetime.fromisoformat(found["lastScaleTime"]).tzinfo is not None
        assert status["ready"] == "2/2"
        return True

    eventually(told)


@pytest.mark.parametrize(
    ("service", "port"), [({}, 80), ({"port": 8080}, 8080)], ids=["default", "other-port"]
)
def test_endpoint_in_the_cluster(space: AppNamespace, name: str, service: Json, port: int) -> None:
    """The endpoint is the Service's name in the cluster."""
    create_ready_app(space, name, port=5000, service=service)

    assert space.get_status(name)["endpoint"] == f"http://{name}.{space.name}.svc:{port}"


def test_endpoint_of_a_node_port(space: AppNamespace, name: str) -> None:
    """The endpoint of a NodePort is a node that runs a pod, and the port there."""
    create_ready_app(space, name, port=5000, service={"type": "NodePort"})

    port = space.get_service(name)["spec"]["ports"][0]["nodePort"]
    host = space.list_pods(name)[0]["status"]["hostIP"]
    eventually(lambda: space.get_status(name)["endpoint"] == f"http://{host}:{port}")


def test_endpoint_of_a_load_balancer(space: AppNamespace, name: str) -> None:
    """Ready waits for the address, which is the endpoint; without a Service there is none."""
    space.create_app(name, **FAKE_NODES, port=5000, service={"type": "LoadBalancer"})
    eventually(lambda: space.get_condition(name, "Ready").get("reason") == "AddressPending")
    ingress = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}

    space.kube.merge_patch("Service", space.name, name, ingress, sub="status")

    eventually(
        lambda: space.get_status(name)["endpoint"] == "http://192.0.2.1:80", timeout=SHORT_TIMEOUT
    )
    space.wait_for_phase(name, "Ready")
    space.patch_spec(name, port=None, service=None)
    eventually(lambda: "endpoint" not in space.get_status(name))


def test_status_is_written_only_on_a_change(
    space: AppNamespace, operator: OperatorProcess, kubelet: FakeKubelet, name: str
) -> None:
    """News of pods that change nothing in the status cost no write."""
    (pod,) = create_ready_app(space, name)
    before = operator.count_writes()["patch SelfHealingApp"]
    version = space.get_app(name)["metadata"]["resourceVersion"]

    for number in range(5):
        label = {"metadata": {"annotations": {"example.com/number": str(number)}}}
        space.kube.merge_patch("Pod", space.name, pod, label)

    consistently(lambda: space.get_app(name)["metadata"]["resourceVersion"] == version, seconds=1.5)
    assert operator.count_writes()["patch SelfHealingApp"] == before
    kubelet.set_ready(pod, ready=False)
    space.wait_for_phase(name, "Degraded", SHORT_TIMEOUT)


@pytest.mark.alone
def test_burst_is_folded(
    space: AppNamespace, operator: OperatorProcess, kubelet: FakeKubelet, name: str
) -> None:
    """Many pods that change at the same time cost few writes, and the last state stands."""
    pods = create_ready_app(space, name, 10)
    before = operator.count_writes()["patch SelfHealingApp"]
    began = time.monotonic()

    for ready in (False, True, False, True, False):
        for pod in pods:
            kubelet.set_ready(pod, ready=ready)

    eventually(lambda: space.get_status(name)["ready"] == "0/10", timeout=SHORT_TIMEOUT)
    elapsed = time.monotonic() - began
    # 50 changes; at most a write every half second.
    assert operator.count_writes()["patch SelfHealingApp"] - before <= elapsed / 0.5 + 2


def test_another_managers_status_field(space: AppNamespace, name: str) -> None:
    """A status that somebody emptied is written anew, in full, with the next news."""
    create_ready_app(space, name)

    empty = {"status": {"phase": "Pending", "conditions": None, "ready": None}}
    space.kube.merge_patch("SelfHealingApp", space.name, name, empty, sub="status")

    app = space.wait_for_phase(name, "Ready")
    assert app["status"]["ready"] == "1/1"
    assert conditions_by_type(app).keys() == CONDITIONS


def has_phase(space: AppNamespace, name: str, phase: str) -> bool:
    """Whether the phase is so at this moment."""
    return bool(space.get_status(name)["phase"] == phase)


@pytest.mark.alone
def test_within_a_second(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """A pod's readiness is in the status within a second, unless the machine itself is slow."""
    (pod,) = create_ready_app(space, name)
    waits = []

    for ready in (False, True, False, True, False):
        kubelet.set_ready(pod, ready=ready)
        began = time.monotonic()
        phase = "Ready" if ready else "Degraded"
        eventually(partial(has_phase, space, name, phase), timeout=5, poll=0.02)
        waits.append(time.monotonic() - began)

    assert sorted(waits)[1] <= 1.0, waits
