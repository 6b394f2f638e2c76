"""A cluster that does not know the kind VerticalPodAutoscaler, or does not know it yet.

The operator's way to the API server hides the kind: others may use it meanwhile.
"""

from pathlib import Path

import pytest

from hack.testkit import vpa
from hack.testkit.fault_proxy import FaultProxy, ProxiedRequest, run_fault_proxy
from hack.testkit.forked_operator import run_forked_operator
from hack.testkit.kube_client import Json, KubeClient
from hack.testkit.namespace import FAKE_NODES, AppNamespace
from hack.testkit.wait import consistently, eventually
from selfhealing.controller.optional_kinds import POLL_INTERVAL

pytestmark = pytest.mark.usefixtures("served", "fake_nodes")

KIND = vpa.KIND
GROUP = "autoscaling.k8s.io"
SHORT_TIMEOUT = 2 * POLL_INTERVAL + 5
"""Seconds within which a change is noticed that no watch shows."""

SPEC: Json = {"verticalScaling": {}, **FAKE_NODES}


@pytest.fixture(scope="module")
def served(kube: KubeClient) -> None:
    """The kind is served, in truth."""
    vpa.ensure_vpa_served(kube)


def wait_for_missing_kind(space: AppNamespace, name: str) -> Json:
    """Wait until an app says that the kind is not there; the condition."""

    def probe() -> Json:
        found = space.get_condition(name, "Reconciled")
        assert found.get("reason") == "VerticalPodAutoscalerNotInstalled", found
        return found

    return eventually(probe, timeout=SHORT_TIMEOUT)


def count_requests(proxy: FaultProxy, name: str) -> int:
    """Requests for the kind, and those that write the app's status."""

    def concerns(request: ProxiedRequest) -> bool:
        return GROUP in request.path or (request.is_write and f"{name}/status" in request.path)

    return proxy.count_requests(concerns)


def test_not_installed(space: AppNamespace, tmp_path: Path, name: str) -> None:
    """The app runs and is Ready, says what is missing, and asks for it seldom; then it comes."""
    with run_fault_proxy(tmp_path) as proxy:
        proxy.hide_group(GROUP)
        with run_forked_operator(
            [space.name], tmp_path / "log", kubeconfig=proxy.kubeconfig
        ) as operator:
            space.create_app(name, **SPEC)
            space.wait_for_phase(name, "Ready")
            found = wait_for_missing_kind(space, name)
            assert found["status"] == "False"
            assert f"this cluster has no {GROUP}/v1 {KIND}: install it, or" in found["message"]
            assert space.get_status(name)["ready"] == "1/1"
            assert space.get_condition(name, "Ready")["status"] == "True"
            assert eventually(lambda: space.count_events(name).get(found["reason"])) == 1

            before = count_requests(proxy, name)
            consistently(operator.is_running, seconds=2 * POLL_INTERVAL)
            assert count_requests(proxy, name) - before <= 3

            proxy.hide_group("")
            eventually(lambda: space.find_child(KIND, name), timeout=SHORT_TIMEOUT)
            space.wait_until_reconciled(name)
            assert eventually(lambda: space.count_events(name).get("Reconciled")) == 1

            proxy.hide_group(GROUP)
            wait_for_missing_kind(space, name)
            assert space.get_status(name)["phase"] == "Ready"
            assert "verticalScaling" not in space.get_status(name)

            proxy.hide_group("")
            space.wait_until_reconciled(name, timeout=SHORT_TIMEOUT)
            assert operator.is_running()
            assert "internal error" not in operator.read_log()
            assert space.count_events(name).keys() <= {
                "Created",
                "Ready",
                "Reconciled",
                found["reason"],
            }


def test_left_over_from_before_a_restart(space: AppNamespace, tmp_path: Path, name: str) -> None:
    """One that the spec stopped asking for while no operator ran is removed."""
    with run_forked_operator([space.name], tmp_path / "log") as operator:
        space.create_app(name, **SPEC)
        space.wait_until_reconciled(name)
        with operator.stop_temporarily():
            space.patch_spec(name, verticalScaling=None)

        assert eventually(lambda: space.find_child(KIND, name) is None)
        space.wait_until_reconciled(name)
