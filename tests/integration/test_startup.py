"""The ways to start the operator, and how far its arm reaches."""

from pathlib import Path

import pytest
import requests

from hack.testkit.forked_operator import run_forked_operator
from hack.testkit.kube_client import KubeClient, temporary_namespace
from hack.testkit.namespace import FAKE_NODES, AppNamespace
from hack.testkit.operator_process import run_operator
from hack.testkit.ports import find_free_port
from hack.testkit.wait import consistently, eventually

pytestmark = pytest.mark.usefixtures("fake_nodes")


def test_kopf_run(space: AppNamespace, tmp_path: Path, name: str) -> None:
    """``kopf run main.py --namespace`` serves as the operator's own command does."""
    with run_operator([space.name], tmp_path / "log", kopf_run=True) as operator:
        space.create_app(name, port=80, **FAKE_NODES)

        space.wait_for_phase(name, "Ready")
        assert eventually(lambda: space.count_events(name).get("Created")) == 1
        assert "finalizers" not in space.get_app(name)["metadata"]
        annotations = space.get_app(name)["metadata"].get("annotations", {})
        assert not [key for key in annotations if key.startswith("kopf")]
        assert operator.stop() == 0


def test_several_namespaces_and_no_other(
    kube: KubeClient, space: AppNamespace, tmp_path: Path
) -> None:
    """The named namespaces are served, and others are left alone."""
    with (
        temporary_namespace(kube, "test-second") as second,
        temporary_namespace(kube, "test-foreign") as third,
        run_forked_operator([space.name, second], tmp_path / "log"),
    ):
        served, foreign = [space, AppNamespace(kube, second)], AppNamespace(kube, third)
        for place in (*served, foreign):
            place.create_app("app", **FAKE_NODES)

        for place in served:
            place.wait_for_phase("app", "Ready")
        consistently(lambda: foreign.find_child("Deployment", "app") is None, seconds=1)
        assert foreign.get_status("app") == {"observedGeneration": -1}
        kube.delete("SelfHealingApp", space.name, "app")


def test_health(space: AppNamespace, tmp_path: Path) -> None:
    """``/healthz`` answers once the operator works, with how far behind it is."""
    port = find_free_port()
    settings = {"SELFHEALING_HEALTH_PORT": str(port)}
    with run_forked_operator([space.name], tmp_path / "log", settings=settings):
        answer = requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5)

        assert answer.ok
        assert answer.json()["selfhealing"]["loopBehindSeconds"] < 5
