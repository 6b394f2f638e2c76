"""What hits the whole cluster: the CRD comes late, the API server dies.

So these run last, and only where there is no SelfHealingApp of anybody else. The operator is
installed exactly as ``make deploy`` does it, for the whole cluster.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import yaml

from hack.testkit import node_control
from hack.testkit.fixtures import CRD
from hack.testkit.kube_client import LABEL, Json, Kube, kubectl
from hack.testkit.namespace import Space
from hack.testkit.wait import eventually, stays
from tests.e2e.app_client import LabApp
from tests.e2e.deployed_operator import HOME, DeployedOperator, applied, manifests

DEMO = "localhost/selfhealing-demo:dev"
API_LIMIT = 120
KIND = "SelfHealingApp"


@pytest.fixture(scope="module")
def alone(kube: Kube, shared: ExitStack, namespace: str) -> None:
    """Nobody else uses the cluster; what earlier tests have left may still be going."""
    shared.close()
    others = [
        f"namespace {found['metadata']['name']}"
        for found in kube.list("Namespace", None)
        if found["metadata"]["name"] != namespace
        and found["status"]["phase"] == "Active"
        and (LABEL in found["metadata"]["labels"] or kube.list(KIND, found["metadata"]["name"]))
    ]
    if kube.find("Deployment", HOME, "selfhealing-operator"):
        others.append(f"the operator in {HOME}")
    if others:
        why = f"needs a cluster without others' apps and operators: {', '.join(others)}"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    eventually(lambda: not kube.list(KIND, None), timeout=90, says="the last apps are gone")


@pytest.fixture(scope="module")
def crd(kube: Kube, alone: None) -> Iterator[Json]:  # noqa: ARG001 - it must have been asked for
    """The CRD, which is not in the cluster when this module begins and is when it ends."""
    body: Json = yaml.safe_load(CRD.read_text())
    name = body["metadata"]["name"]
    kube.delete("CustomResourceDefinition", None, name)
    eventually(
        lambda: kube.find("CustomResourceDefinition", None, name) is None, says="the CRD is gone"
    )
    yield body
    kube.apply(body)


@pytest.fixture(scope="module")
def deployed(kube: Kube, crd: Json) -> Iterator[DeployedOperator]:
    """The operator of ``make deploy``, started where its CRD is not known."""
    assert crd
    with applied(kube, manifests(), HOME) as found:
        yield found


@pytest.fixture(scope="module")
def app(kube: Kube, deployed: DeployedOperator, crd: Json, namespace: str) -> LabApp:
    """An app of the demo image; the CRD is applied before it."""
    assert deployed.ready()
    kube.apply(crd)
    lab = LabApp(Space(kube, namespace), "late")
    spec = {"image": DEMO, "port": 5000, "service": {"type": "NodePort"}, "replicas": 2}
    body = lab.space.manifest(lab.name, **spec)
    eventually(lambda: kube.try_create(body).ok, timeout=30, says="the new kind is served")
    return lab


def test_the_operator_lives_without_its_crd(deployed: DeployedOperator) -> None:
    """It waits, without restarts, for the kind to appear."""
    stays(lambda: _restarts(deployed) == 0, seconds=5, says="no restart")

    assert deployed.ready()


def test_a_crd_that_comes_late_is_noticed(app: LabApp, deployed: DeployedOperator) -> None:
    """The operator need not be started again."""
    status = app.ready()

    assert status["ready"] == "2/2"
    assert _restarts(deployed) == 0


def test_the_rights_of_the_whole_cluster_suffice(app: LabApp, deployed: DeployedOperator) -> None:
    """Nothing that it tried was forbidden, as an app came, was changed and went.

    Before the API server dies: one that has just started knows only some of the roles.
    """
    gone = LabApp(app.space, "gone")
    app.space.create(gone.name, image=DEMO, port=5000)
    gone.ready()
    app.space.edit(gone.name, autoscaling={"minReplicas": 1, "maxReplicas": 2})
    app.space.reconciled(gone.name)
    app.space.kube.delete(KIND, app.space.name, gone.name)

    eventually(lambda: not app.space.pods(gone.name), timeout=60, says="its pods are gone")
    assert not [line for line in deployed.text().splitlines() if "orbidden" in line]


def test_the_api_server_may_die(app: LabApp, deployed: DeployedOperator, kube: Kube) -> None:
    """When it is back, so is the operator: what went wrong meanwhile is put right."""
    node_control.need_containers(kube)
    app.ready()
    before = app.space.deployment(app.name)["metadata"]["uid"]

    node_control.kill_api_server(kube)
    eventually(_is_back, timeout=API_LIMIT, poll=0.5, says="the API server is back")
    kube.delete("Deployment", app.space.name, app.name)

    eventually(
        lambda: _uid(app) not in ("", before), timeout=60, says="there is another Deployment"
    )
    assert app.ready()["ready"] == "2/2"
    eventually(deployed.ready, timeout=API_LIMIT, says="every replica is ready")
    app.space.edit(app.name, replicas=1)
    eventually(lambda: app.status()["ready"] == "1/1", timeout=60, says="one pod is left")


def _is_back() -> bool:
    return kubectl("get", "--raw=/readyz", check=False, timeout=10).strip() == "ok"


def _uid(app: LabApp) -> str:
    found = app.space.find("Deployment", app.name)
    return str(found["metadata"]["uid"]) if found else ""


def _restarts(deployed: DeployedOperator) -> int:
    return sum(
        status["restartCount"]
        for pod in deployed.pods()
        for status in pod["status"].get("containerStatuses", ())
    )
