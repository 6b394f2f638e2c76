"""What the end-to-end tests share: images on the nodes, and two operators.

Each test can be run by itself. Run together they go in a fixed order (tests/groups.py), because one
lab is played for both operators at the same time.
"""

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import cast

import pytest
import requests

from hack.testkit import failure_dump
from hack.testkit.errors import ToolError
from hack.testkit.fixtures import (
    kube,
    name,
    namespace,
    operator,
    operator_kubeconfig,
    settings,
    space,
)
from hack.testkit.kube_client import KubeClient, temporary_namespace
from hack.testkit.namespace import AppNamespace
from hack.testkit.operator_process import OperatorProcess, run_operator
from hack.testkit.wait import eventually
from tests.e2e.deployed_operator import DeployedOperator, install_operator

__all__ = ["kube", "name", "namespace", "operator", "operator_kubeconfig", "settings", "space"]

ServedNamespace = tuple[AppNamespace, OperatorProcess | DeployedOperator]

IMAGES = ("localhost/selfhealing-demo:dev", "localhost/selfhealing-operator:dev")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, None]:
    """Print what the shared namespaces and operators looked like when a test failed."""
    outcome = yield
    report: pytest.TestReport = outcome.get_result()
    if not (report.failed and isinstance(item, pytest.Function)):
        return
    for fixture in ("by_kopf_run", "in_cluster"):
        if fixture in item.funcargs:
            space, runs = cast("ServedNamespace", item.funcargs[fixture])
            report.sections.append((f"cluster, {fixture}", failure_dump.dump_namespace(space.name)))
            try:
                log = runs.read_log()[-6000:]
            except (ToolError, requests.RequestException) as error:
                log = f"the API server does not show it: {error}"
            report.sections.append((f"operator log, {fixture}", log))


@pytest.fixture(scope="session", autouse=True)
def images(kube: KubeClient) -> None:
    """The images are on the nodes; without them every test would wait for a pull in vain."""

    def has_all_images() -> bool:
        for node in kube.list("Node", None):
            if "kwok.x-k8s.io/node" in node["metadata"].get("annotations", {}):
                continue
            # The kubelet tells of its images every few seconds; some have no name.
            present = [name for found in node["status"]["images"] for name in found["names"] or ()]
            missing = set(IMAGES) - set(present)
            assert not missing, f"{node['metadata']['name']} lacks {missing}: run `make images`"
        return True

    eventually(has_all_images, timeout=20, description="the images are on the nodes")


@pytest.fixture(scope="session")
def shared() -> Iterator[ExitStack]:
    """What several modules use; a test that needs the cluster for itself closes it early."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def by_kopf_run(
    kube: KubeClient, shared: ExitStack, tmp_path_factory: pytest.TempPathFactory
) -> tuple[AppNamespace, OperatorProcess]:
    """A namespace that is served by ``kopf run operator/main.py`` on this machine."""
    log = tmp_path_factory.mktemp("kopf-run") / "operator.log"
    served = shared.enter_context(temporary_namespace(kube, "e2e-kopf-run"))
    process = shared.enter_context(run_operator([served], log, kopf_run=True))
    return AppNamespace(kube, served), process


@pytest.fixture(scope="session")
def in_cluster(kube: KubeClient, shared: ExitStack) -> tuple[AppNamespace, DeployedOperator]:
    """A namespace that is served by the operator of ``deploy/``, running in the cluster."""
    served = shared.enter_context(temporary_namespace(kube, "e2e-in-cluster"))
    deployed = shared.enter_context(install_operator(kube, served))
    return AppNamespace(kube, served), deployed
