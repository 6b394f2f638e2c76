"""The ways to start the operator, and how far its arm reaches."""

from pathlib import Path

import pytest
import requests

from hack.testkit.kube_client import Kube, namespace_for
from hack.testkit.namespace import FAKE_NODES, Space
from hack.testkit.operator_process import free_port, running
from hack.testkit.wait import eventually, stays

pytestmark = pytest.mark.usefixtures("fake_nodes")


def test_kopf_run(space: Space, tmp_path: Path, name: str) -> None:
    """``kopf run main.py --namespace`` serves as the operator's own command does."""
    with running([space.name], tmp_path / "log", kopf_run=True) as operator:
        space.create(name, port=80, **FAKE_NODES)

        space.is_(name, "Ready")
        assert eventually(lambda: space.told(name).get("Created")) == 1
        assert "finalizers" not in space.app(name)["metadata"]
        annotations = space.app(name)["metadata"].get("annotations", {})
        assert not [key for key in annotations if key.startswith("kopf")]
        assert operator.stop() == 0


def test_several_namespaces_and_no_other(kube: Kube, space: Space, tmp_path: Path) -> None:
    """The named namespaces are served, and others are left alone."""
    with (
        namespace_for(kube, "test-second") as second,
        namespace_for(kube, "test-foreign") as third,
        running([space.name, second], tmp_path / "log"),
    ):
        served, foreign = [space, Space(kube, second)], Space(kube, third)
        for place in (*served, foreign):
            place.create("app", **FAKE_NODES)

        for place in served:
            place.is_("app", "Ready")
        stays(lambda: foreign.find("Deployment", "app") is None, seconds=1)
        assert foreign.status("app") == {}
        kube.delete("SelfHealingApp", space.name, "app")


def test_health(space: Space, tmp_path: Path) -> None:
    """``/healthz`` answers once the operator works, with how far behind it is."""
    port = free_port()
    settings = {"SELFHEALING_HEALTH_PORT": str(port)}
    with running([space.name], tmp_path / "log", settings=settings):
        answer = requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5)

        assert answer.ok
        assert answer.json()["selfhealing"]["loopBehindSeconds"] < 5
