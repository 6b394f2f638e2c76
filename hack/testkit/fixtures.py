"""Fixtures of the layers that need a cluster; their conftest files import them."""

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hack.testkit.fake_kubelet import Kubelet
from hack.testkit.kube_client import ROOT, Json, Kube, condition, kubectl, namespace_for
from hack.testkit.namespace import Space
from hack.testkit.operator_process import OperatorProcess, running
from hack.testkit.wait import eventually

FAKE_LABEL = "type=kwok"
FAKE_COUNT = "4"
CRD = ROOT / "crd" / "selfhealingapp.yaml"


@pytest.fixture(scope="session")
def kube() -> Kube:
    """The API server, with the SelfHealingApp kind installed."""
    kube = Kube()
    crd = yaml.safe_load(CRD.read_text())
    kube.apply(crd)
    eventually(
        lambda: (
            condition(
                kube.get("CustomResourceDefinition", None, crd["metadata"]["name"]), "Established"
            ).get("status")
            == "True"
        ),
        says="the CRD is served",
    )
    # Discovery and OpenAPI, by which kubectl knows of a kind, follow some seconds later.
    eventually(lambda: "SelfHealingApp" in kubectl("explain", "sha"), says="kubectl knows the kind")
    return kube


@pytest.fixture(scope="session")
def fake_nodes(kube: Kube) -> None:
    """Nodes that KWOK plays; they are made when there is none, and left for the next run."""
    if not kube.list("Node", None, FAKE_LABEL):
        subprocess.run(
            [sys.executable, "-m", "hack.localcluster", "kwok", FAKE_COUNT],
            cwd=ROOT,
            check=True,
            timeout=300,
        )


@pytest.fixture(scope="module")
def namespace(kube: Kube, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for the tests of one module."""
    stem = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")
    with namespace_for(kube, f"test-{stem}") as name:
        yield name


@pytest.fixture(scope="module")
def space(kube: Kube, namespace: str) -> Space:
    """The module's namespace, with words for what is in it."""
    return Space(kube, namespace)


@pytest.fixture(scope="module")
def kubelet(kube: Kube, namespace: str, fake_nodes: None) -> Kubelet:  # noqa: ARG001 - it plays theirs
    """The kubelet of the module's pods on fake nodes."""
    return Kubelet(kube, namespace)


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """Settings of the module's operator; a module that needs others has a fixture of this name."""
    return {}


@pytest.fixture(scope="module")
def operator(
    namespace: str, settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """An operator that serves the module's namespace."""
    log: Path = tmp_path_factory.mktemp("operator") / "operator.log"
    with running([namespace], log, settings=settings) as process:
        yield process


@pytest.fixture
def name(kube: Kube, namespace: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A name for the app of one test; the app is deleted afterwards."""
    stem = request.node.name.removeprefix("test_").replace("_", "-").lower()
    letters = "".join(c for c in stem if c.isalnum() or c == "-")[:34].strip("-")
    name = f"{letters}-{uuid.uuid4().hex[:5]}"
    yield name
    kube.delete("SelfHealingApp", namespace, name)


def app(namespace: str, name: str, spec: Json) -> Json:
    """A SelfHealingApp."""
    return {
        "apiVersion": "selfhealing.dev/v1alpha1",
        "kind": "SelfHealingApp",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
