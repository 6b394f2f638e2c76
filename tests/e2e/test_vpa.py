"""Requests that follow the use: VPA's recommender, updater and admission controller, for real.

Needs the add-on: ``make cluster ADDONS=vpa``.
"""

from typing import Any

import pytest

from hack.testkit.kube_client import Json, Kube
from hack.testkit.namespace import Space
from hack.testkit.wait import eventually
from tests.e2e.app_client import LabApp

DEMO = "localhost/selfhealing-demo:dev"

RECOMMENDED_LIMIT = 120
"""A first measurement of a pod takes half a minute, the recommender looks every 10 s."""

RESIZED_LIMIT = 240
"""The load must be measured, outweigh what was before it, and be acted on."""

pytestmark = pytest.mark.usefixtures("operator", "vpa")


@pytest.fixture(scope="module")
def vpa(kube: Kube) -> None:
    """All of VPA runs; it is an add-on of the local cluster. Its kind alone recommends nothing."""
    if kube.find("Deployment", "vertical-pod-autoscaler", "vpa-recommender") is None:
        pytest.fail("VPA does not run: make cluster ADDONS=vpa")


def _started(space: Space, name: str, **spec: Any) -> LabApp:  # noqa: ANN401 - fields of the spec
    space.create(
        name,
        image=DEMO,
        imagePullPolicy="IfNotPresent",
        port=5000,
        probes={"readiness": {"httpGet": {"path": "/ready"}, "periodSeconds": 2}},
        service={"type": "NodePort"},
        **spec,
    )
    return LabApp(space, name)


@pytest.fixture(scope="module")
def idle(space: Space, operator: object) -> LabApp:  # noqa: ARG001 - it must run
    """An app that asks for far too much and only wants to be told so."""
    return _started(
        space,
        "idle",
        resources={"requests": {"cpu": "200m", "memory": "300Mi"}},
        verticalScaling={"mode": "Off"},
    )


@pytest.fixture(scope="module")
def busy(space: Space, operator: object) -> LabApp:  # noqa: ARG001 - it must run
    """An app that asked for less CPU than it burns under load, and may be resized."""
    return _started(
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


def _target(app: LabApp) -> dict[str, str]:
    """What the status says the app should ask for."""
    target: dict[str, str] = app.status()["verticalScaling"]["target"]
    return target


def _millicores(quantity: str) -> int:
    return int(quantity[:-1]) if quantity.endswith("m") else int(quantity) * 1000


def _cpu(pod: Json, what: str) -> int:
    """The CPU that the kubelet gives the running container, in millicores."""
    (status,) = pod["status"]["containerStatuses"]
    return _millicores(status["resources"][what]["cpu"])


def test_the_status_shows_what_is_recommended(idle: LabApp) -> None:
    """Measured: an idle app needs little CPU, and memory near what it uses; nothing is changed."""
    idle.ready()
    before = idle.pod()["metadata"]["uid"]

    target = eventually(lambda: _target(idle), timeout=RECOMMENDED_LIMIT, says="a recommendation")

    assert 10 <= _millicores(target["cpu"]) <= 100, target
    assert target["memory"].endswith("Mi"), target
    assert 32 <= int(target["memory"].removesuffix("Mi")) <= 128, target
    assert idle.pod()["metadata"]["uid"] == before
    assert _cpu(idle.pod(), "requests") == 200
    assert idle.ready()["phase"] == "Ready"


def test_a_running_pod_is_resized_in_place(busy: LabApp) -> None:
    """Under load it gets more CPU: the same pod, the same container, no restart, no drift."""
    busy.ready()
    before = busy.pod()
    busy.answers("/start-load")

    def resized() -> Json:
        pod = busy.pod()
        assert _cpu(pod, "requests") > 100, (_cpu(pod, "requests"), _target(busy))
        return pod

    pod = eventually(resized, timeout=RESIZED_LIMIT, says="the pod has more CPU")
    busy.answers("/stop-load")

    assert pod["metadata"]["uid"] == before["metadata"]["uid"]
    old, new = (found["status"]["containerStatuses"][0] for found in (before, pod))
    assert new["containerID"] == old["containerID"]
    assert new["restartCount"] == 0
    assert _cpu(pod, "limits") == 4 * _cpu(pod, "requests"), "the limit keeps its distance"
    assert busy.space.container(busy.name)["resources"]["requests"]["cpu"] == "50m"
    assert busy.ready()["restarts"]["total"] == 0


def test_a_new_pod_starts_with_what_is_recommended(busy: LabApp) -> None:
    """The webhook gives it the requests; the Deployment says what the spec says."""
    busy.ready()
    eventually(lambda: _target(busy), timeout=RECOMMENDED_LIMIT, says="a recommendation")
    old = busy.pod()["metadata"]
    busy.space.kube.delete("Pod", busy.space.name, old["name"])

    def another() -> Json | None:
        return next((pod for pod in busy.pods() if pod["metadata"]["uid"] != old["uid"]), None)

    pod = eventually(another, timeout=60, says="there is another pod") or {}

    assert "cpu request" in pod["metadata"]["annotations"]["vpaUpdates"]
    asked = _millicores(pod["spec"]["containers"][0]["resources"]["requests"]["cpu"])
    assert 50 <= asked <= 150
    assert busy.space.container(busy.name)["resources"]["requests"]["cpu"] == "50m"
    busy.ready()
