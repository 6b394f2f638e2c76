"""The label of a Namespace decides on log lines; a Role in that namespace is enough to read it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hack.testkit.fake_kubelet import FakeKubelet
from hack.testkit.forked_operator import run_forked_operator
from hack.testkit.healing import create_stable_app, get_healing_status, wait_for_outcomes
from hack.testkit.kube_client import KubeClient
from hack.testkit.namespace import AppNamespace
from hack.testkit.operator_process import OperatorProcess
from hack.testkit.service_account import create_service_account, list_operator_permissions

LABEL = "selfhealing.dev/evidence-logs"


@pytest.fixture(scope="module")
def operator(
    kube: KubeClient, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """An operator with the rights of an installation for this namespace only."""
    folder: Path = tmp_path_factory.mktemp("operator")
    config = create_service_account(
        kube, namespace, "operator", list_operator_permissions(), folder
    )
    settings = {"SELFHEALING_HEALING_SCALE": "0.05", "SELFHEALING_LEADER_ELECTION": "off"}
    with run_forked_operator(
        [namespace], folder / "log", kubeconfig=config, settings=settings
    ) as process:
        yield process


@pytest.mark.usefixtures("fake_nodes")
def test_the_switch_of_the_namespace(
    space: AppNamespace, kubelet: FakeKubelet, operator: OperatorProcess, name: str
) -> None:
    """Without it nobody asks for the logs; then the label lets them in for every app.

    A fake node has no logs: the evidence says that they were asked for in vain.
    """
    first = replace_crashing_pod(space, kubelet, f"{name[:40]}-1")
    space.kube.merge_patch("Namespace", None, space.name, {"metadata": {"labels": {LABEL: "true"}}})
    operator.kill()  # instead of a minute, for which the labels are kept
    operator.start()
    second = replace_crashing_pod(space, kubelet, f"{name[:40]}-2")

    assert "\n- log lines: not asked for (spec.healing.evidence.logs)\n" in first
    assert "log of container app: " in second
    assert "log lines" not in second
    assert "labels of the namespace" not in operator.read_log()


def replace_crashing_pod(space: AppNamespace, kubelet: FakeKubelet, name: str) -> str:
    """Let one of three pods crash until it is replaced; return the evidence."""
    pods = create_stable_app(space, name)
    kubelet.report_restart(
        pods[0], "Error", 3, times=3, uptime=timedelta(seconds=5), backs_off=True
    )
    wait_for_outcomes(space, name, ("ReplacePod", "Succeeded"))
    (action,) = get_healing_status(space, name)["history"]
    text: str = space.get_child("ConfigMap", f"{name}-evidence")["data"][action["evidence"]]
    return text
