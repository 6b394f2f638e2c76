"""Requests that follow the use: VPA's recommender, updater and admission controller, for real.

Needs the add-on: ``make cluster ADDONS=vpa``.
"""

from typing import Any

import pytest

from hack.testkit.kube_client import Json, KubeClient
from hack.testkit.namespace import AppNamespace
from hack.testkit.wait import eventually
from tests.e2e.app_client import AppClient

DEMO = "localhost/selfhealing-demo:dev"

RECOMMENDED_LIMIT = 120
"""A first measurement of a pod takes half a minute, the recommender looks every 10 s."""

RESIZED_LIMIT = 240
"""The load must be measured, outweigh what was before it, and be acted on."""

pytestmark = pytest.mark.usefixtures("operator", "vpa")


@pytest.fixture(scope="module")
def vpa(kube: KubeClient) -> None:
    """All of VPA runs; it is an add-on of the local cluster. Its kind alone recommends nothing."""
    if kube.find("Deployment", "vertical-pod-autoscaler", "vpa-recommender") is None:
        pytest.fail("VPA does not run: make cluster ADDONS=vpa")


def start_app(space: AppNamespace, name: str, **spec: Any) -> AppClient:  # noqa: ANN401 - fields of the spec
    space.create_app(
        name,
        image=DEMO,
        imagePullPolicy="IfNotPresent",
        port=5000,
        probes={"readiness": {"httpGet": {"path": "/ready"}, "periodSeconds": 2}},
        service={"type": "NodePort"},
        **spec,
    )
    return AppClient(space, name)


@pytest.fixture(scope="module")
def idle(space: AppNamespace, operator: object) -> AppClient:  # noqa: ARG001 - it must run
    """An app that asks for far too much and only wants to be told so."""
    return start_app(
        space,
        "idle",
        resources={"requests": {"cpu": "200m", "memory": "300Mi"}},
        verticalScaling={"mode": "Off"},
    )


@pytest.fixture(scope="module")
def busy(space: AppNamespace, operator: object) -> AppClient:  # noqa: ARG001 - it must run
    """An app that asked for less CPU than it burns under load, and may be resized."""
    return start_app(
        space,
        "busy",
        resources={
            "requests": {"cpu": "50m", "memory": "64Mi"},
            "limits": {"cpu": "200m", "memory": "128Mi"},
        },
        verticalScaling={
            "mode": "InPlaceOrRecreate",
            "controlledResources": ["cpu"],
            "minAllowed": {"cpu": "50m"},
            "maxAllowed": {"cpu": "150m"},
            "minReplicas": 1,
        },
    )


def get_target(app: AppClient) -> dict[str, str]:
    """What the status says the app should ask for."""
    target: dict[str, str] = app.get_status()["verticalScaling"]["target"]
    return target


def parse_millicores(quantity: str) -> int:
    return int(quantity[:-1]) if quantity.endswith("m") else int(quantity) * 1000


def get_pod_cpu(pod: Json, what: str) -> int:
    """The CPU that the kubelet gives the running container, in millicores."""
    (status,) = pod["status"]["containerStatuses"]
    return parse_millicores(status["resources"][what]["cpu"])


def test_the_status_shows_what_is_recommended(idle: AppClient) -> None:
    """Measured: an idle app needs little CPU, and memory near what it uses; nothing is changed."""
    idle.wait_until_ready()
    before = idle.get_only_pod()["metadata"]["uid"]

    target = eventually(
        lambda: get_target(idle), timeout=RECOMMENDED_LIMIT, description="a recommendation"
    )

    assert 10 <= parse_millicores(target["cpu"]) <= 100, target
    assert target["memory"].endswith("Mi"), target
    assert 32 <= int(target["memory"].removesuffix("Mi")) <= 128, target
    assert idle.get_only_pod()["metadata"]["uid"] == before
    assert get_pod_cpu(idle.get_only_pod(), "requests") == 200
    assert idle.wait_until_ready()["phase"] == "Ready"


def test_a_running_pod_is_resized_in_place(busy: AppClient) -> None:
    """Under load it gets more CPU: the same pod, the same container, no restart, no drift."""
    busy.wait_until_ready()
    before = busy.get_only_pod()
    busy.wait_for_response("/start-load")

    def resized() -> Json:
        pod = busy.get_only_pod()
        assert get_pod_cpu(pod, "requests") > 100, (get_pod_cpu(pod, "requests"), get_target(busy))
        return pod

    pod = eventually(resized, timeout=RESIZED_LIMIT, description="the pod has more CPU")
    busy.wait_for_response("/stop-load")

    assert pod["metadata"]["uid"] == before["metadata"]["uid"]
    old, new = (found["status"]["containerStatuses"][0] for found in (before, pod))
    assert new["containerID"] == old["containerID"]
    assert new["restartCount"] == 0
    assert get_pod_cpu(pod, "limits") == 4 * get_pod_cpu(pod, "requests"), (
        "the limit keeps its distance"
    )
    assert busy.space.get_container(busy.name)["resources"]["requests"]["cpu"] == "50m"
    assert busy.wait_until_ready()["restarts"]["total"] == 0


def test_a_new_pod_starts_with_what_is_recommended(busy: AppClient) -> None:
    """The webhook gives it the requests; the Deployment says what the spec says."""
    busy.wait_until_ready()
    eventually(lambda: get_target(busy), timeout=RECOMMENDED_LIMIT, description="a recommendation")
    old = busy.get_only_pod()["metadata"]
    busy.space.kube.delete("Pod", busy.space.name, old["name"])

    def another() -> Json | None:
        return next((pod for pod in busy.list_pods() if pod["metadata"]["uid"] != old["uid"]), None)

    pod = eventually(another, timeout=60, description="there is another pod") or {}

    assert "cpu request" in pod["metadata"]["annotations"]["vpaUpdates"]
    asked = parse_millicores(pod["spec"]["containers"][0]["resources"]["requests"]["cpu"])
    assert 50 <= asked <= 150
    assert busy.space.get_container(busy.name)["resources"]["requests"]["cpu"] == "50m"
    busy.wait_until_ready()
