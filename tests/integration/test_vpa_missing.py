"""A cluster that does not know the kind VerticalPodAutoscaler, or does not know it yet.

The operator's way to the API server hides the kind: others may use it meanwhile.
"""

from pathlib import Path

import pytest

from hack.testkit import vpa
from hack.testkit.fault_proxy import ApiProxy, Passed, api_proxy
from hack.testkit.kube_client import Json, Kube
from hack.testkit.namespace import FAKE_NODES, Space
from hack.testkit.operator_process import running
from hack.testkit.wait import eventually, stays
from selfhealing.controller.optional_kinds import PACE

pytestmark = pytest.mark.usefixtures("served", "fake_nodes")

KIND = vpa.KIND
GROUP = "autoscaling.k8s.io"
SOON = 2 * PACE + 5
"""Seconds within which a change is noticed that no watch shows."""

SPEC: Json = {"verticalScaling": {}, **FAKE_NODES}


@pytest.fixture(scope="module")
def served(kube: Kube) -> None:
    """The kind is served, in truth."""
    vpa.serve(kube)


def missing(space: Space, name: str) -> Json:
    """Wait until an app says that the kind is not there; the condition."""

    def probe() -> Json:
        found = space.condition(name, "Reconciled")
        assert found.get("reason") == "VerticalPodAutoscalerNotInstalled", found
        return found

    return eventually(probe, timeout=SOON)


def asked(proxy: ApiProxy, name: str) -> int:
    """Requests for the kind, and those that write the app's status."""

    def concerns(request: Passed) -> bool:
        return GROUP in request.path or (request.writes and f"{name}/status" in request.path)

    return proxy.count(concerns)


def test_not_installed(space: Space, tmp_path: Path, name: str) -> None:
    """The app runs and is Ready, says what is missing, and asks for it seldom; then it comes."""
    with api_proxy(tmp_path) as proxy:
        proxy.hide(GROUP)
        with running([space.name], tmp_path / "log", kubeconfig=proxy.kubeconfig) as operator:
            space.create(name, **SPEC)
            space.is_(name, "Ready")
            found = missing(space, name)
            assert found["status"] == "False"
            assert f"this cluster has no {GROUP}/v1 {KIND}: install it, or" in found["message"]
            assert space.status(name)["ready"] == "1/1"
            assert space.condition(name, "Ready")["status"] == "True"
            assert eventually(lambda: space.told(name).get(found["reason"])) == 1

            before = asked(proxy, name)
            stays(operator.alive, seconds=2 * PACE)
            assert asked(proxy, name) - before <= 3

            proxy.hide("")
            eventually(lambda: space.find(KIND, name), timeout=SOON)
            space.reconciled(name)
            assert eventually(lambda: space.told(name).get("Reconciled")) == 1

            proxy.hide(GROUP)
            missing(space, name)
            assert space.status(name)["phase"] == "Ready"
            assert "verticalScaling" not in space.status(name)

            proxy.hide("")
            space.reconciled(name, timeout=SOON)
            assert operator.alive()
            assert f"{name}: a fault" not in operator.text()
            assert space.told(name).keys() <= {"Created", "Ready", "Reconciled", found["reason"]}


def test_left_over_from_before_a_restart(space: Space, tmp_path: Path, name: str) -> None:
    """One that the spec stopped asking for while no operator ran is removed."""
    with running([space.name], tmp_path / "log") as operator:
        space.create(name, **SPEC)
        space.reconciled(name)
        with operator.away():
            space.edit(name, verticalScaling=None)

        assert eventually(lambda: space.find(KIND, name) is None)
        space.reconciled(name)
