"""``paused: true``: the operator changes nothing and says so (api.md)."""

import pytest

from hack.testkit.fake_kubelet import Kubelet
from hack.testkit.kube_client import kubectl
from hack.testkit.namespace import FAKE_NODES, Space
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import eventually, stays

pytestmark = pytest.mark.usefixtures("operator", "fake_nodes")


def drift(space: Space, name: str) -> None:
    """Change a field of the Deployment that is the operator's."""
    kubectl("-n", space.name, "set", "env", f"deployment/{name}", "A=theirs")


def value(space: Space, name: str) -> str:
    """The variable that ``drift`` changes."""
    found: str = space.container(name)["env"][0]["value"]
    return found


def test_drift_is_left_and_then_put_back(space: Space, name: str) -> None:
    """While paused drift stays; the end of the pause puts it back."""
    space.create(name, env=[{"name": "A", "value": "ours"}], **FAKE_NODES)
    space.is_(name, "Ready")
    space.edit(name, paused=True)
    space.is_(name, "Paused")

    drift(space, name)
    stays(lambda: value(space, name) == "theirs", seconds=1)
    space.edit(name, paused=False)

    space.is_(name, "Ready")
    assert value(space, name) == "ours"


def test_status_says_so(space: Space, name: str) -> None:
    """Phase, conditions, message and an Event say that the app is paused."""
    space.create(name, **FAKE_NODES)
    space.is_(name, "Ready")
    space.edit(name, paused=True)

    app = space.is_(name, "Paused")

    assert app["status"]["message"].startswith("paused, nothing is changed")
    conditions = {c["type"]: c for c in app["status"]["conditions"]}
    assert conditions["Paused"]["status"] == "True"
    assert conditions["Paused"]["reason"] == "SpecPaused"
    assert conditions["Reconciled"]["status"] == "Unknown"
    assert conditions["Reconciled"]["reason"] == "Paused"
    assert conditions["Ready"]["status"] == "True"
    assert eventually(lambda: space.told(name).get("Paused")) == 1
    space.edit(name, paused=None)
    space.is_(name, "Ready")
    assert space.condition(name, "Paused")["status"] == "False"
    assert space.condition(name, "Reconciled")["status"] == "True"


def test_status_goes_on_while_paused(space: Space, kubelet: Kubelet, name: str) -> None:
    """What happens to the pods is still told and counted."""
    space.create(name, paused=False, **FAKE_NODES)
    space.is_(name, "Ready")
    space.edit(name, paused=True)
    space.is_(name, "Paused")
    pod = space.pods(name)[0]["metadata"]["name"]

    kubelet.ended(pod)
    kubelet.ready(pod, ready=False)

    eventually(lambda: space.status(name)["restarts"]["total"] == 1)
    eventually(lambda: space.status(name)["ready"] == "0/1")
    assert space.condition(name, "Ready")["status"] == "False"
    assert space.status(name)["phase"] == "Paused"


def test_spec_changes_wait(space: Space, name: str) -> None:
    """Changes of the spec, and removed parts of it, wait for the end of the pause."""
    space.create(name, port=80, **FAKE_NODES)
    space.is_(name, "Ready")

    space.edit(name, paused=True, image="demo:v2", port=None)
    space.is_(name, "Paused")
    stays(lambda: space.container(name)["image"] == "demo:v1", seconds=1)
    assert space.find("Service", name) is not None
    space.edit(name, paused=False)

    space.is_(name, "Ready")
    assert space.container(name)["image"] == "demo:v2"
    assert space.find("Service", name) is None


def test_paused_from_the_start(space: Space, name: str) -> None:
    """An app that is made paused has no child until the pause ends."""
    space.create(name, port=80, paused=True, **FAKE_NODES)
    space.is_(name, "Paused")

    stays(lambda: space.find("Deployment", name) is None, seconds=1)
    space.edit(name, paused=False)

    space.is_(name, "Ready")


def test_pause_outlives_the_operator(space: Space, operator: OperatorProcess, name: str) -> None:
    """A restart of the operator does not end a pause."""
    space.create(name, env=[{"name": "A", "value": "ours"}], **FAKE_NODES)
    space.is_(name, "Ready")
    space.edit(name, paused=True)
    space.is_(name, "Paused")

    with operator.away():
        drift(space, name)

    stays(lambda: value(space, name) == "theirs", seconds=1)
    assert space.status(name)["phase"] == "Paused"


def test_deleted_while_paused(space: Space, name: str) -> None:
    """A pause keeps nobody from deleting the app and everything of it."""
    space.create(name, port=80, **FAKE_NODES)
    space.is_(name, "Ready")
    space.edit(name, paused=True)

    space.kube.delete("SelfHealingApp", space.name, name)

    eventually(lambda: space.find("Deployment", name) is None)
    eventually(lambda: space.find("Service", name) is None)
    eventually(lambda: space.pods(name) == [])
