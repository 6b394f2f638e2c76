"""What the end-to-end tests share: images on the nodes, two operators, an order.

Each test can be run alone. Run together they go in a fixed order, because one lab is played for
both operators at the same time and the tests that need the cluster for themselves come last.
"""

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import pytest
import requests

from hack.testkit import failure_dump
from hack.testkit.fixtures import kube, name, namespace, operator, settings, space
from hack.testkit.kube_client import Kube, namespace_for
from hack.testkit.namespace import Space
from hack.testkit.operator_process import OperatorProcess, running
from hack.testkit.wait import eventually
from tests.e2e.deployed_operator import DeployedOperator, install

__all__ = ["kube", "name", "namespace", "operator", "settings", "space"]

Served = tuple[Space, OperatorProcess | DeployedOperator]

IMAGES = ("localhost/selfhealing-demo:dev", "localhost/selfhealing-operator:dev")
ORDER = (
    "test_lab",
    "test_deployed",
    "test_restarts",
    "test_healing",
    "test_disruption",
    "test_vertical",
    "test_examples",
    "test_metrics_stack",
    "test_vpa",
    "test_guide",
    "test_panel",
    "test_load",
    "test_alone",
    "test_node_failure",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of this folder into their order, whatever else is shuffled."""
    here = Path(__file__).parent
    places = [index for index, item in enumerate(items) if item.path.is_relative_to(here)]
    found = sorted((items[index] for index in places), key=_place)
    for index, item in zip(places, found, strict=True):
        items[index] = item


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, None]:
    """Print what the shared namespaces and operators looked like when a test failed."""
    outcome = yield
    report: pytest.TestReport = outcome.get_result()
    if not (report.failed and isinstance(item, pytest.Function)):
        return
    for fixture in ("by_kopf_run", "in_cluster"):
        if fixture in item.funcargs:
            space, runs = cast("Served", item.funcargs[fixture])
            report.sections.append((f"cluster, {fixture}", failure_dump.of_namespace(space.name)))
            try:
                log = runs.text()[-6000:]
            except (AssertionError, requests.RequestException) as error:
                log = f"the API server does not show it: {error}"
            report.sections.append((f"operator log, {fixture}", log))


def _place(item: pytest.Item) -> tuple[int, int, str]:
    stem = item.path.stem
    line = item.reportinfo()[1] or 0
    return ORDER.index(stem) if stem in ORDER else -1, line, item.name


@pytest.fixture(scope="session", autouse=True)
def images(kube: Kube) -> None:
    """The images are on the nodes; without them every test would wait for a pull in vain."""

    def all_there() -> bool:
        for node in kube.list("Node", None):
            if "kwok.x-k8s.io/node" in node["metadata"].get("annotations", {}):
                continue
            # The kubelet tells of its images every few seconds; some have no name.
            held = [name for found in node["status"]["images"] for name in found["names"] or ()]
            missing = set(IMAGES) - set(held)
            assert not missing, f"{node['metadata']['name']} lacks {missing}: run `make images`"
        return True

    eventually(all_there, timeout=20, says="the images are on the nodes")


@pytest.fixture(scope="session")
def shared() -> Iterator[ExitStack]:
    """What several modules use; a test that needs the cluster for itself closes it early."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def by_kopf_run(
    kube: Kube, shared: ExitStack, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Space, OperatorProcess]:
    """A namespace that is served by ``kopf run operator/main.py`` on this machine."""
    log = tmp_path_factory.mktemp("kopf-run") / "operator.log"
    served = shared.enter_context(namespace_for(kube, "e2e-kopf-run"))
    process = shared.enter_context(running([served], log, kopf_run=True))
    return Space(kube, served), process


@pytest.fixture(scope="session")
def in_cluster(kube: Kube, shared: ExitStack) -> tuple[Space, DeployedOperator]:
    """A namespace that is served by the operator of ``deploy/``, running in the cluster."""
    served = shared.enter_context(namespace_for(kube, "e2e-in-cluster"))
    deployed = shared.enter_context(install(kube, served))
    return Space(kube, served), deployed
