"""Deleting the resource deletes everything, through ownership alone (api.md)."""

import uuid

import pytest

from hack.testkit.kube_client import Json, Kube, kubectl, namespace_for
from hack.testkit.namespace import FAKE_NODES, KIND, NOWHERE, Space
from hack.testkit.operator_process import OperatorProcess, running
from hack.testkit.wait import eventually, stays

pytestmark = pytest.mark.usefixtures("operator", "fake_nodes")

KINDS = ("Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget")
SPEC: Json = {"port": 80, "autoscaling": {"minReplicas": 2, "maxReplicas": 3}, **FAKE_NODES}


def gone(space: Space, name: str) -> None:
    """Wait until nothing of an app is left."""

    def probe() -> bool:
        left = [kind for kind in (KIND, *KINDS) if space.find(kind, name) is not None]
        assert not left, left
        assert space.pods(name) == []
        return True

    eventually(probe, says=f"nothing is left of {name}")


def test_with_the_operator_stopped(space: Space, operator: OperatorProcess, name: str) -> None:
    """A stopped operator never blocks a deletion, and there is nothing left to clean up."""
    space.create(name, **SPEC)
    space.is_(name, "Ready")

    with operator.away():
        kubectl("-n", space.name, "delete", f"sha/{name}", "--timeout=20s")
        gone(space, name)

    stays(lambda: space.find("Deployment", name) is None, seconds=1)


def test_with_the_operator_running(space: Space, operator: OperatorProcess, name: str) -> None:
    """A running operator does not make again what the garbage collector takes away."""
    space.create(name, **SPEC)
    space.is_(name, "Ready")
    since = space.service(name)

    space.kube.delete(KIND, space.name, name)
    gone(space, name)

    made = {s["metadata"]["uid"] for s in space.kube.history("Service", space.name, name, since)}
    assert made <= {since["metadata"]["uid"]}
    assert f"{name}: a fault" not in operator.text()


def test_in_the_foreground(space: Space, name: str) -> None:
    """``--cascade=foreground`` waits for the children, and ends."""
    space.create(name, **SPEC)
    space.is_(name, "Ready")

    kubectl("-n", space.name, "delete", f"sha/{name}", "--cascade=foreground", "--timeout=20s")

    gone(space, name)


def test_while_being_reconciled(space: Space, operator: OperatorProcess) -> None:
    """Apps that are deleted while their children are being made leave nothing behind."""
    names = [f"brief-{i}-{uuid.uuid4().hex[:4]}" for i in range(10)]
    for name in names:
        space.create(name, **SPEC)
        space.kube.delete(KIND, space.name, name)

    for name in names:
        gone(space, name)
    stays(lambda: not any(space.find("Service", name) for name in names), seconds=1)
    assert "a fault of the operator" not in operator.text()


def test_with_its_namespace(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A namespace ends quickly with apps in it, and the operator takes no harm."""
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    with namespace_for(kube, "test-ending") as ending, running([ending], log) as operator:
        space = Space(kube, ending)
        for i in range(3):
            space.create(f"app-{i}", **SPEC)
        for i in range(3):
            space.is_(f"app-{i}", "Ready")

        kube.delete("Namespace", None, ending)

        eventually(
            lambda: kube.find("Namespace", None, ending) is None, timeout=60, says="it is gone"
        )
        assert operator.alive()
        assert "a fault of the operator" not in operator.text()


def test_app_of_a_namespace_that_is_ending(
    kube: Kube, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A child that is deleted in an ending namespace is not mourned with errors."""
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    finalizers = ["selfhealing.dev/test"]
    with namespace_for(kube, "test-held") as ending, running([ending], log) as operator:
        space = Space(kube, ending)
        meta = {"name": "held", "namespace": ending, "finalizers": finalizers}
        kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
        app = space.manifest("app", port=80, **NOWHERE)
        app["metadata"]["finalizers"] = finalizers
        kube.create(app)
        space.reconciled("app")

        kube.delete("Namespace", None, ending)
        eventually(lambda: space.find("Deployment", "app") is None)
        stays(operator.alive, seconds=1)

        for kind, name in ((KIND, "app"), ("ConfigMap", "held")):
            kube.merge(kind, ending, name, {"metadata": {"finalizers": None}})
        eventually(lambda: kube.find("Namespace", None, ending) is None, timeout=60)
        assert "a fault of the operator" not in operator.text()
