"""What hits the whole cluster: the CRD comes late, the API server dies.

So these run last, and only where there is no SelfHealingApp of anybody else. The operator is
installed exactly as ``make deploy`` does it, for the whole cluster.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from hack.testkit import node_control
from hack.testkit.fixtures import CRD_FILE
from hack.testkit.kube_client import TEST_LABEL, Json, KubeClient, run_kubectl
from hack.testkit.namespace import AppNamespace
from hack.testkit.wait import consistently, eventually
from hack.testkit.yaml_text import parse_yaml
from tests.e2e.app_client import AppClient
from tests.e2e.deployed_operator import (
    SYSTEM_NAMESPACE,
    DeployedOperator,
    apply_manifests,
    load_manifests,
)

pytestmark = pytest.mark.alone

DEMO = "localhost/selfhealing-demo:dev"
API_LIMIT = 120
KIND = "SelfHealingApp"


@pytest.fixture(scope="module")
def alone(kube: KubeClient, shared: ExitStack, namespace: str) -> None:
    """Nobody else uses the cluster; what earlier tests have left may still be going."""
    shared.close()
    others = [
        f"namespace {found['metadata']['name']}"
        for found in kube.list("Namespace", None)
        if found["metadata"]["name"] != namespace
        and found["status"]["phase"] == "Active"
        and (
            TEST_LABEL in found["metadata"]["labels"] or kube.list(KIND, found["metadata"]["name"])
        )
    ]
    if kube.find("Deployment", SYSTEM_NAMESPACE, "selfhealing-operator"):
        others.append(f"the operator in {SYSTEM_NAMESPACE}")
    if others:
        why = f"needs a cluster without others' apps and operators: {', '.join(others)}"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    eventually(lambda: not kube.list(KIND, None), timeout=90, description="the last apps are gone")


@pytest.fixture(scope="module")
def crd(kube: KubeClient, alone: None) -> Iterator[Json]:  # noqa: ARG001 - it must have been asked for
    """The CRD, which is not in the cluster when this module begins and is when it ends."""
    body: Json = parse_yaml(CRD_FILE.read_text())
    name = body["metadata"]["name"]
    kube.delete("CustomResourceDefinition", None, name)
    eventually(
        lambda: kube.find("CustomResourceDefinition", None, name) is None,
        description="the CRD is gone",
    )
    yield body
    kube.apply(body)


@pytest.fixture(scope="module")
def deployed(kube: KubeClient, crd: Json) -> Iterator[DeployedOperator]:
    """The operator of ``make deploy``, started where its CRD is not known."""
    assert crd
    with apply_manifests(kube, load_manifests(), SYSTEM_NAMESPACE) as found:
        yield found


@pytest.fixture(scope="module")
def app(kube: KubeClient, deployed: DeployedOperator, crd: Json, namespace: str) -> AppClient:
    """An app of the demo image; the CRD is applied before it."""
    assert deployed.is_ready()
    kube.apply(crd)
    lab = AppClient(AppNamespace(kube, namespace), "late")
    spec = {"image": DEMO, "port": 5000, "service": {"type": "NodePort"}, "replicas": 2}
    body = lab.space.build_manifest(lab.name, **spec)
    eventually(lambda: kube.try_create(body).ok, timeout=30, description="the new kind is served")
    return lab


def test_the_operator_lives_without_its_crd(deployed: DeployedOperator) -> None:
    """It waits, without restarts, for the kind to appear."""
    consistently(lambda: count_restarts(deployed) == 0, seconds=5, description="no restart")

    assert deployed.is_ready()


def test_a_crd_that_comes_late_is_noticed(app: AppClient, deployed: DeployedOperator) -> None:
    """The operator need not be started again."""
    status = app.wait_until_ready()

    assert status["ready"] == "2/2"
    assert count_restarts(deployed) == 0


def test_the_rights_of_the_whole_cluster_suffice(
    app: AppClient, deployed: DeployedOperator
) -> None:
    """Nothing that it tried was forbidden, as an app came, was changed and went.

    Before the API server dies: one that has just started knows only some of the roles.
    """
    gone = AppClient(app.space, "gone")
    app.space.create_app(gone.name, image=DEMO, port=5000)
    gone.wait_until_ready()
    app.space.patch_spec(gone.name, autoscaling={"minReplicas": 1, "maxReplicas": 2})
    app.space.wait_until_reconciled(gone.name)
    app.space.kube.delete(KIND, app.space.name, gone.name)

    eventually(
        lambda: not app.space.list_pods(gone.name), timeout=60, description="its pods are gone"
    )
    assert not [line for line in deployed.read_log().splitlines() if "orbidden" in line]


def test_the_api_server_may_die(
    app: AppClient, deployed: DeployedOperator, kube: KubeClient
) -> None:
    """When it is back, so is the operator: what went wrong meanwhile is put right."""
    node_control.require_container_nodes(kube)
    app.wait_until_ready()
    before = app.space.get_deployment(app.name)["metadata"]["uid"]

    node_control.kill_api_server(kube)
    eventually(is_crd_served, timeout=API_LIMIT, poll=0.5, description="the API server is back")
    # In the foreground: the garbage collector's watch may not be back. It takes an object that was
    # deleted and made again meanwhile for a changed one, and never collects the old pods.
    kube.delete("Deployment", app.space.name, app.name, propagation="Foreground")

    eventually(
        lambda: get_uid(app) not in ("", before),
        timeout=60,
        description="there is another Deployment",
    )
    assert app.wait_until_ready()["ready"] == "2/2"
    eventually(deployed.is_ready, timeout=API_LIMIT, description="every replica is ready")
    app.space.patch_spec(app.name, replicas=1)
    eventually(
        lambda: app.get_status()["ready"] == "1/1", timeout=60, description="one pod is left"
    )


def is_crd_served() -> bool:
    return run_kubectl("get", "--raw=/readyz", check=False, timeout=10).strip() == "ok"


def get_uid(app: AppClient) -> str:
    found = app.space.find_child("Deployment", app.name)
    return str(found["metadata"]["uid"]) if found else ""


def count_restarts(deployed: DeployedOperator) -> int:
    return sum(
        status["restartCount"]
        for pod in deployed.list_pods()
        for status in pod["status"].get("containerStatuses", ())
    )
