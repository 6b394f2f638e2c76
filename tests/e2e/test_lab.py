"""Steps 2 to 6 of the lab with real containers, for both ways of running the operator.

Both labs are played at the same time: a fixture does what the lab's reader does, to both apps; the
tests look at what comes of it.
"""

from collections.abc import Callable

import pytest

from hack.testkit.namespace import AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import consistently, eventually
from tests.e2e.app_client import AppClient, load_example
from tests.e2e.deployed_operator import DeployedOperator

LIVENESS_LIMIT = 60
"""10 s until the first probe, 3 failures 5 s apart, the stop and the start."""

EVENT_LIMIT = 45
"""A kubelet whose Event is not taken at once waits 10 s before it tries again; without its Event a
restart by a probe looks like any other."""

SCALE_LIMIT = 240
"""The first metrics of a new pod take up to half a minute; other clusters look less often."""

SHRINK_LIMIT = 420
"""Kubernetes' own default waits 5 minutes before it removes a pod."""

Labs = dict[str, AppClient]
both = pytest.mark.parametrize("way", ["kopf-run", "in-cluster"])


@pytest.fixture(scope="module")
def labs(
    by_kopf_run: tuple[AppNamespace, OperatorProcess],
    in_cluster: tuple[AppNamespace, DeployedOperator],
) -> Labs:
    """Step 2: the lab's app is applied, in a namespace of each operator."""
    found = {}
    for way, space in (("kopf-run", by_kopf_run[0]), ("in-cluster", in_cluster[0])):
        (manifest,) = load_example("02-lab.yaml")
        manifest["metadata"]["namespace"] = space.name
        space.kube.create(manifest)
        found[way] = AppClient(space, manifest["metadata"]["name"])
    return found


def run_for_each_app(labs: Labs, action: Callable[[AppClient], object]) -> dict[str, str]:
    """Do something to the only pod of each app when it is ready; the pods' names."""
    pods = {}
    for way, lab in labs.items():
        lab.wait_for_pod_count(lambda pods: pods == 1, SHRINK_LIMIT)
        lab.wait_until_ready()
        pods[way] = lab.get_only_pod()["metadata"]["name"]
    for lab in labs.values():
        action(lab)
    return pods


@pytest.fixture(scope="module")
def failed(labs: Labs) -> dict[str, str]:
    """Step 3: each app is told to be unhealthy; the pods that were."""
    return run_for_each_app(labs, lambda lab: lab.wait_for_response("/fail"))


@pytest.fixture(scope="module")
def unready(labs: Labs) -> dict[str, str]:
    """Step 4: each app is told not to be ready; the pods that were."""
    return run_for_each_app(labs, lambda lab: lab.wait_for_response("/not-ready"))


@pytest.fixture(scope="module")
def loaded(labs: Labs) -> dict[str, str]:
    """Step 6: each app burns CPU; the pods that do."""
    return run_for_each_app(labs, lambda lab: lab.wait_for_response("/start-load"))


@pytest.fixture(scope="module")
def unloaded(labs: Labs, loaded: dict[str, str]) -> None:
    """Step 6: the load ends, asked of the pods that carry it."""
    for way, lab in labs.items():
        lab.wait_for_pod_count(lambda pods: pods > 1, SCALE_LIMIT)
        lab.request_from_pod(loaded[way], "/stop-load")


@both
def test_step_2_the_app_is_deployed_and_answers_at_its_endpoint(labs: Labs, way: str) -> None:
    """One pod, a NodePort Service, and a status that says so in words."""
    lab = labs[way]

    status = lab.wait_until_ready()

    assert status["ready"] == "1/1"
    assert status["restarts"]["total"] == 0
    assert status["probes"] == {
        "liveness": "http GET :5000/health every 5s, 3 failures",
        "readiness": "http GET :5000/ready every 3s, 3 failures",
    }
    assert lab.space.get_service(lab.name)["spec"]["type"] == "NodePort"
    answer = lab.wait_for_response("/")
    assert answer["hostname"] == lab.get_only_pod()["metadata"]["name"]


@both
def test_step_3_a_failing_liveness_probe_restarts_the_container(
    labs: Labs, failed: dict[str, str], way: str
) -> None:
    """The same pod, one restart, told as what it was; and the app is healthy again."""
    lab = labs[way]

    eventually(lambda: lab.count_restarts() == 1, timeout=LIVENESS_LIMIT, description="one restart")

    def told() -> bool:
        block = lab.get_status()["restarts"]
        assert block["byReason"] == {"LivenessProbe": 1}, block
        return True

    eventually(told, timeout=EVENT_LIMIT, description="the status tells of a LivenessProbe restart")
    restarts = lab.wait_until_ready()["restarts"]

    assert lab.get_only_pod()["metadata"]["name"] == failed[way]
    assert (restarts["current"], restarts["total"]) == (1, 1)
    assert restarts["last"]["pod"] == failed[way]
    assert restarts["last"]["container"] == "app"
    assert lab.wait_for_response("/health") == {"status": "healthy"}
    # Events are sent after the status, when there is time.
    eventually(
        lambda: lab.space.count_events(lab.name).get("ContainerRestarted") == 1,
        description="an Event",
    )


@both
def test_step_4_a_failing_readiness_probe_keeps_requests_away(
    labs: Labs, unready: dict[str, str], way: str
) -> None:
    """The pod leaves the Service, is not restarted, and comes back when it says so."""
    lab, pod = labs[way], unready[way]
    before = lab.count_restarts()

    eventually(
        lambda: not lab.list_endpoint_pods(), timeout=40, description="the pod left the endpoints"
    )
    eventually(lambda: lab.get("/") is None, timeout=20, description="the Service refuses requests")
    eventually(
        lambda: lab.get_status()["ready"] == "0/1", timeout=10, description="the status says 0/1"
    )
    assert lab.get_status()["phase"] == "Degraded"
    assert lab.get_only_pod()["status"]["phase"] == "Running"
    consistently(
        lambda: lab.count_restarts() == before and lab.get("/") is None,
        seconds=2,
        description="no restart and no request",
    )

    answer = lab.exec_in_pod(pod, "python", "-m", "app.check", "http://127.0.0.1:5000/ready-again")

    assert answer.startswith("200")
    lab.wait_until_ready()
    assert lab.list_endpoint_pods() == {pod}
    assert lab.wait_for_response("/")["hostname"] == pod
    assert lab.count_restarts() == before


@both
def test_step_5_the_autoscaler_sees_the_cpu(labs: Labs, way: str) -> None:
    """autoscaling/v2, 1 to 5 pods, 50 % of the requested CPU; the status shows what it sees."""
    lab = labs[way]

    eventually(
        lambda: lab.space.get_condition(lab.name, "ScalingActive").get("status") == "True",
        timeout=120,
        description="the autoscaler has metrics",
    )

    spec = lab.space.get_autoscaler(lab.name)["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 5)
    assert lab.get_status()["autoscaling"]["cpu"].endswith("%/50%")


@both
def test_step_6_load_adds_pods(labs: Labs, loaded: dict[str, str], way: str) -> None:
    """The load raises the number of pods, and they share the requests."""
    lab = labs[way]

    lab.wait_for_pod_count(lambda pods: pods > 1, SCALE_LIMIT)
    status = lab.wait_until_ready(180)

    assert status["replicas"] > 1
    assert status["autoscaling"]["desired"] > 1
    assert loaded[way] in {pod["metadata"]["name"] for pod in lab.list_pods()}
    eventually(
        lambda: len(lab.list_endpoint_pods()) > 1, description="more than one pod gets requests"
    )


@both
@pytest.mark.usefixtures("unloaded")
def test_step_6_without_load_one_pod_is_left(labs: Labs, way: str) -> None:
    """After the stabilization window the autoscaler removes what is not needed any more."""
    lab = labs[way]

    lab.wait_for_pod_count(lambda pods: pods == 1, SHRINK_LIMIT)
    lab.wait_until_ready()

    eventually(lambda: lab.get_status()["ready"] == "1/1", description="the status says 1/1")


@both
def test_the_restarts_of_the_lab_are_still_counted_after_it(
    labs: Labs, failed: dict[str, str], way: str
) -> None:
    """Whichever pods went while it shrank, the total is what happened."""
    assert failed[way]

    assert labs[way].get_status()["restarts"]["total"] == 1


@both
def test_deleting_the_app_deletes_everything(labs: Labs, way: str) -> None:
    """Step 9: the children go by ownership alone."""
    lab = labs[way]

    lab.space.kube.delete("SelfHealingApp", lab.space.name, lab.name)

    def left() -> list[str]:
        kinds = ("Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget")
        return [kind for kind in kinds if lab.space.find_child(kind, lab.name)] + [
            pod["metadata"]["name"] for pod in lab.space.list_pods(lab.name)
        ]

    eventually(lambda: not left(), timeout=60, description="everything is gone")
