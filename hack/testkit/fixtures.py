"""Fixtures of the layers that need a cluster; their conftest files import them."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.localcluster.locks import hold_lock
from hack.testkit.fake_kubelet import FakeKubelet
from hack.testkit.forked_operator import run_forked_operator
from hack.testkit.kube_client import (
    KUBECONFIG,
    ROOT,
    Json,
    KubeClient,
    find_condition,
    run_kubectl,
    temporary_namespace,
)
from hack.testkit.namespace import AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.wait import eventually
from hack.testkit.yaml_text import parse_yaml

FAKE_NODE_SELECTOR = "type=kwok"
FAKE_NODE_COUNT = "4"
CRD_FILE = ROOT / "crd" / "selfhealingapp.yaml"


def run_once(factory: pytest.TempPathFactory, name: str, action: Callable[[], None]) -> None:
    """Run ``action`` in one of the workers of a run; the others wait until it has ended well."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        action()
        return
    folder = factory.getbasetemp().parent  # of this run, for all its workers
    with hold_lock(folder / f"{name}.lock", seconds=300, resource=name):
        done = folder / f"{name}.done"
        if not done.exists():
            action()
            done.touch()


@pytest.fixture(scope="session")
def kube(tmp_path_factory: pytest.TempPathFactory) -> KubeClient:
    """The API server, with the SelfHealingApp kind installed."""
    kube = KubeClient()
    run_once(tmp_path_factory, "crd", lambda: install_crd(kube))
    return kube


def install_crd(kube: KubeClient) -> None:
    """Apply the CRD, and wait until the API server and kubectl know the kind."""
    crd = parse_yaml(CRD_FILE.read_text())
    kube.apply(crd)
    eventually(
        lambda: (
            find_condition(
                kube.get("CustomResourceDefinition", None, crd["metadata"]["name"]), "Established"
            ).get("status")
            == "True"
        ),
        description="the CRD is served",
    )
    # Discovery and OpenAPI, by which kubectl knows of a kind, follow some seconds later.
    eventually(
        lambda: "SelfHealingApp" in run_kubectl("explain", "sha"),
        description="kubectl knows the kind",
    )


@pytest.fixture(scope="session")
def fake_nodes(kube: KubeClient, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nodes that KWOK plays; they are made when there is none, and left for the next run."""
    run_once(tmp_path_factory, "fake-nodes", lambda: add_fake_nodes(kube))


def add_fake_nodes(kube: KubeClient) -> None:
    """Have KWOK's nodes in the cluster."""
    if not kube.list("Node", None, FAKE_NODE_SELECTOR):
        subprocess.run(
            [sys.executable, "-m", "hack.localcluster", "kwok", FAKE_NODE_COUNT],
            cwd=ROOT,
            check=True,
            timeout=300,
        )


@pytest.fixture(scope="module")
def namespace(kube: KubeClient, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for the tests of one module."""
    stem = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")
    with temporary_namespace(kube, f"test-{stem}") as name:
        yield name


@pytest.fixture(scope="module")
def space(kube: KubeClient, namespace: str) -> AppNamespace:
    """The module's namespace, with words for what is in it."""
    return AppNamespace(kube, namespace)


@pytest.fixture(scope="module")
def kubelet(kube: KubeClient, namespace: str, fake_nodes: None) -> FakeKubelet:  # noqa: ARG001 - it plays theirs
    """The kubelet of the module's pods on fake nodes."""
    return FakeKubelet(kube, namespace)


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """Settings of the module's operator; a module that needs others has a fixture of this name."""
    return {}


@pytest.fixture(scope="module")
def operator_kubeconfig() -> Path:
    """The credentials of the module's operator, an administrator's where no module says more."""
    return KUBECONFIG


@pytest.fixture(scope="module")
def operator(
    namespace: str,
    settings: dict[str, str],
    operator_kubeconfig: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[OperatorProcess]:
    """An operator that serves the module's namespace."""
    log: Path = tmp_path_factory.mktemp("operator") / "operator.log"
    with run_forked_operator(
        [namespace], log, settings=settings, kubeconfig=operator_kubeconfig
    ) as process:
        yield process


@pytest.fixture
def name(kube: KubeClient, namespace: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A name for the app of one test; the app is deleted afterwards."""
    stem = request.node.name.removeprefix("test_").replace("_", "-").lower()
    letters = "".join(c for c in stem if c.isalnum() or c == "-")[:34].strip("-")
    name = f"{letters}-{uuid.uuid4().hex[:5]}"
    yield name
    kube.delete("SelfHealingApp", namespace, name)


def build_app(namespace: str, name: str, spec: Json) -> Json:
    """A SelfHealingApp."""
    return {
        "apiVersion": "selfhealing.dev/v1alpha1",
        "kind": "SelfHealingApp",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
