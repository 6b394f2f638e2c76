"""The operator is there before the SelfHealingApp kind is.

The CRD of the cluster is not touched: the operator's way to the API server hides it. That the CRD
itself comes late is a test of the e2e layer, which has a cluster to itself.
"""

from pathlib import Path

import pytest

from hack.testkit.fault_proxy import run_fault_proxy
from hack.testkit.forked_operator import run_forked_operator
from hack.testkit.namespace import FAKE_NODES, AppNamespace
from hack.testkit.wait import consistently, eventually

pytestmark = pytest.mark.usefixtures("fake_nodes")


def test_operator_of_a_namespace_waits_for_the_kind(
    space: AppNamespace, tmp_path: Path, name: str
) -> None:
    """An operator that may not watch CRDs says what is missing, waits, and then serves."""
    with run_fault_proxy(tmp_path) as proxy:
        proxy.hide_group("selfhealing.dev")
        with run_forked_operator(
            [space.name], tmp_path / "log", kubeconfig=proxy.kubeconfig, wait_for_sync=False
        ) as operator:
            eventually(lambda: "SelfHealingApp is not known" in operator.read_log(), timeout=30)
            space.create_app(name, **FAKE_NODES)
            consistently(operator.is_running, seconds=1)

            proxy.hide_group("")

            space.wait_for_phase(name, "Ready")
            assert operator.is_running()


def test_stopped_while_it_waits(space: AppNamespace, tmp_path: Path) -> None:
    """An operator that waits for the kind stops when it is asked to."""
    with run_fault_proxy(tmp_path) as proxy:
        proxy.hide_group("selfhealing.dev")
        with run_forked_operator(
            [space.name], tmp_path / "log", kubeconfig=proxy.kubeconfig, wait_for_sync=False
        ) as operator:
            eventually(lambda: "SelfHealingApp is not known" in operator.read_log(), timeout=30)

            assert operator.stop() == 0
