"""``paused: true``: the operator changes nothing and says so (api.md)."""

import pytest

from hack.testkit.fake_kubelet import FakeKubelet
from hack.testkit.kube_client import run_kubectl
from hack.testkit.namespace import FAKE_NODES, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import consistently, eventually

pytestmark = pytest.mark.usefixtures("operator", "fake_nodes")


def change_variable(space: AppNamespace, name: str) -> None:
    """Change a field of the Deployment that is the operator's."""
    run_kubectl("-n", space.name, "set", "env", f"deployment/{name}", "A=theirs")


def get_variable(space: AppNamespace, name: str) -> str:
    """The variable that ``drift`` changes."""
    found: str = space.get_container(name)["env"][0]["value"]
    return found


def test_drift_is_left_and_then_put_back(space: AppNamespace, name: str) -> None:
    """While paused drift stays; the end of the pause puts it back."""
    space.create_app(name, env=[{"name": "A", "value": "ours"}], **FAKE_NODES)
    space.wait_for_phase(name, "Ready")
    space.patch_spec(name, paused=True)
    space.wait_for_phase(name, "Paused")

    change_variable(space, name)
    consistently(lambda: get_variable(space, name) == "theirs", seconds=1)
    space.patch_spec(name, paused=False)

    space.wait_for_phase(name, "Ready")
    assert get_variable(space, name) == "ours"


def test_status_says_so(space: AppNamespace, name: str) -> None:
    """Phase, conditions, message and an Event say that the app is paused."""
    space.create_app(name, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")
    space.patch_spec(name, paused=True)

    app = space.wait_for_phase(name, "Paused")

    assert app["status"]["message"].startswith("paused, nothing is changed")
    conditions = {c["type"]: c for c in app["status"]["conditions"]}
    assert conditions["Paused"]["status"] == "True"
    assert conditions["Paused"]["reason"] == "SpecPaused"
    assert conditions["Reconciled"]["status"] == "Unknown"
    assert conditions["Reconciled"]["reason"] == "Paused"
    assert conditions["Ready"]["status"] == "True"
    assert eventually(lambda: space.count_events(name).get("Paused")) == 1
    space.patch_spec(name, paused=None)
    space.wait_for_phase(name, "Ready")
    assert space.get_condition(name, "Paused")["status"] == "False"
    assert space.get_condition(name, "Reconciled")["status"] == "True"


def test_status_goes_on_while_paused(space: AppNamespace, kubelet: FakeKubelet, name: str) -> None:
    """What happens to the pods is still told and counted."""
    space.create_app(name, paused=False, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")
    space.patch_spec(name, paused=True)
    space.wait_for_phase(name, "Paused")
    pod = space.list_pods(name)[0]["metadata"]["name"]

    kubelet.report_restart(pod)
    kubelet.set_ready(pod, ready=False)

    eventually(lambda: space.get_status(name)["restarts"]["total"] == 1)
    eventually(lambda: space.get_status(name)["ready"] == "0/1")
    assert space.get_condition(name, "Ready")["status"] == "False"
    assert space.get_status(name)["phase"] == "Paused"


def test_spec_changes_wait(space: AppNamespace, name: str) -> None:
    """Changes of the spec, and removed parts of it, wait for the end of the pause."""
    space.create_app(name, port=80, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")

    space.patch_spec(name, paused=True, image="demo:v2", port=None)
    space.wait_for_phase(name, "Paused")
    consistently(lambda: space.get_container(name)["image"] == "demo:v1", seconds=1)
    assert space.find_child("Service", name) is not None
    space.patch_spec(name, paused=False)

    space.wait_for_phase(name, "Ready")
    assert space.get_container(name)["image"] == "demo:v2"
    assert space.find_child("Service", name) is None


def test_paused_from_the_start(space: AppNamespace, name: str) -> None:
    """An app that is made paused has no child until the pause ends."""
    space.create_app(name, port=80, paused=True, **FAKE_NODES)
    space.wait_for_phase(name, "Paused")

    consistently(lambda: space.find_child("Deployment", name) is None, seconds=1)
    space.patch_spec(name, paused=False)

    space.wait_for_phase(name, "Ready")


def test_pause_outlives_the_operator(
    space: AppNamespace, operator: OperatorProcess, name: str
) -> None:
    """A restart of the operator does not end a pause."""
    space.create_app(name, env=[{"name": "A", "value": "ours"}], **FAKE_NODES)
    space.wait_for_phase(name, "Ready")
    space.patch_spec(name, paused=True)
    space.wait_for_phase(name, "Paused")

    with operator.stop_temporarily():
        change_variable(space, name)

    consistently(lambda: get_variable(space, name) == "theirs", seconds=1)
    assert space.get_status(name)["phase"] == "Paused"


def test_deleted_while_paused(space: AppNamespace, name: str) -> None:
    """A pause keeps nobody from deleting the app and everything of it."""
    space.create_app(name, port=80, **FAKE_NODES)
    space.wait_for_phase(name, "Ready")
    space.patch_spec(name, paused=True)

    space.kube.delete("SelfHealingApp", space.name, name)

    eventually(lambda: space.find_child("Deployment", name) is None)
    eventually(lambda: space.find_child("Service", name) is None)
    eventually(lambda: space.list_pods(name) == [])
