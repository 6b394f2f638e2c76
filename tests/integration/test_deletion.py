"""Deleting the resource deletes everything, through ownership alone (api.md)."""

import uuid

import pytest

from hack.testkit.forked_operator import run_forked_operator
from hack.testkit.kube_client import Json, KubeClient, run_kubectl, temporary_namespace
from hack.testkit.namespace import FAKE_NODES, KIND, UNSCHEDULABLE, AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import consistently, eventually

pytestmark = pytest.mark.usefixtures("operator", "fake_nodes")

KINDS = ("Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget")
SPEC: Json = {"port": 80, "autoscaling": {"minReplicas": 2, "maxReplicas": 3}, **FAKE_NODES}


def wait_until_deleted(space: AppNamespace, name: str) -> None:
    """Wait until nothing of an app is left."""

    def probe() -> bool:
        left = [kind for kind in (KIND, *KINDS) if space.find_child(kind, name) is not None]
        assert not left, left
        assert space.list_pods(name) == []
        return True

    eventually(probe, description=f"nothing is left of {name}")


def test_with_the_operator_stopped(
    space: AppNamespace, operator: OperatorProcess, name: str
) -> None:
    """A stopped operator never blocks a deletion, and there is nothing left to clean up."""
    space.create_app(name, **SPEC)
    space.wait_for_phase(name, "Ready")

    with operator.stop_temporarily():
        run_kubectl("-n", space.name, "delete", f"sha/{name}", "--timeout=20s")
        wait_until_deleted(space, name)

    consistently(lambda: space.find_child("Deployment", name) is None, seconds=1)


def test_with_the_operator_running(
    space: AppNamespace, operator: OperatorProcess, name: str
) -> None:
    """A running operator does not make again what the garbage collector takes away."""
    space.create_app(name, **SPEC)
    space.wait_for_phase(name, "Ready")
    since = space.get_service(name)

    space.kube.delete(KIND, space.name, name)
    wait_until_deleted(space, name)

    made = {
        s["metadata"]["uid"] for s in space.kube.watch_history("Service", space.name, name, since)
    }
    assert made <= {since["metadata"]["uid"]}
    assert "internal error" not in operator.read_log()


def test_in_the_foreground(space: AppNamespace, name: str) -> None:
    """``--cascade=foreground`` waits for the children, and ends."""
    space.create_app(name, **SPEC)
    space.wait_for_phase(name, "Ready")

    run_kubectl("-n", space.name, "delete", f"sha/{name}", "--cascade=foreground", "--timeout=20s")

    wait_until_deleted(space, name)


def test_while_being_reconciled(space: AppNamespace, operator: OperatorProcess) -> None:
    """Apps that are deleted while their children are being made leave nothing behind."""
    names = [f"brief-{i}-{uuid.uuid4().hex[:4]}" for i in range(10)]
    for name in names:
        space.create_app(name, **SPEC)
        space.kube.delete(KIND, space.name, name)

    for name in names:
        wait_until_deleted(space, name)
    consistently(lambda: not any(space.find_child("Service", name) for name in names), seconds=1)
    assert "internal error" not in operator.read_log()


def test_with_its_namespace(kube: KubeClient, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A namespace ends quickly with apps in it, and the operator takes no harm."""
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    with (
        temporary_namespace(kube, "test-ending") as ending,
        run_forked_operator([ending], log) as operator,
    ):
        space = AppNamespace(kube, ending)
        for i in range(3):
            space.create_app(f"app-{i}", **SPEC)
        for i in range(3):
            space.wait_for_phase(f"app-{i}", "Ready")

        kube.delete("Namespace", None, ending)

        eventually(
            lambda: kube.find("Namespace", None, ending) is None,
            timeout=60,
            description="it is gone",
        )
        assert operator.is_running()
        assert "internal error" not in operator.read_log()


def test_app_of_a_namespace_that_is_ending(
    kube: KubeClient, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A child that is deleted in an ending namespace is not mourned with errors."""
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    finalizers = ["selfhealing.dev/test"]
    with (
        temporary_namespace(kube, "test-held") as ending,
        run_forked_operator([ending], log) as operator,
    ):
        space = AppNamespace(kube, ending)
        meta = {"name": "held", "namespace": ending, "finalizers": finalizers}
        kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
        app = space.build_manifest("app", port=80, **UNSCHEDULABLE)
        app["metadata"]["finalizers"] = finalizers
        kube.create(app)
        space.wait_until_reconciled("app")

        kube.delete("Namespace", None, ending)
        eventually(lambda: space.find_child("Deployment", "app") is None)
        consistently(operator.is_running, seconds=1)

        for kind, name in ((KIND, "app"), ("ConfigMap", "held")):
            kube.merge_patch(kind, ending, name, {"metadata": {"finalizers": None}})
        eventually(lambda: kube.find("Namespace", None, ending) is None, timeout=60)
        assert "internal error" not in operator.read_log()
