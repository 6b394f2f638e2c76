"""The operator is there before the SelfHealingApp kind is.

The CRD of the cluster is not touched: the operator's way to the API server hides it. That the CRD
itself comes late is a test of the e2e layer, which has a cluster to itself.
"""

from pathlib import Path

import pytest

from hack.testkit.fault_proxy import api_proxy
from hack.testkit.namespace import FAKE_NODES, Space
from hack.testkit.operator_process import running
from hack.testkit.wait import eventually, stays

pytestmark = pytest.mark.usefixtures("fake_nodes")


def test_operator_of_a_namespace_waits_for_the_kind(
    space: Space, tmp_path: Path, name: str
) -> None:
    """An operator that may not watch CRDs says what is missing, waits, and then serves."""
    with api_proxy(tmp_path) as proxy:
        proxy.hide("selfhealing.dev")
        with running(
            [space.name], tmp_path / "log", kubeconfig=proxy.kubeconfig, ready=False
        ) as operator:
            eventually(lambda: "SelfHealingApp is not known" in operator.text(), timeout=30)
            space.create(name, **FAKE_NODES)
            stays(operator.alive, seconds=1)

            proxy.hide("")

            space.is_(name, "Ready")
            assert operator.alive()


def test_stopped_while_it_waits(space: Space, tmp_path: Path) -> None:
    """An operator that waits for the kind stops when it is asked to."""
    with api_proxy(tmp_path) as proxy:
        proxy.hide("selfhealing.dev")
        with running(
            [space.name], tmp_path / "log", kubeconfig=proxy.kubeconfig, ready=False
        ) as operator:
            eventually(lambda: "SelfHealingApp is not known" in operator.text(), timeout=30)

            assert operator.stop() == 0
