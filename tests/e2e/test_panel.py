"""The panel in a browser, through a Service, with real pods: the healing lab by its buttons."""

import os

import pytest
from playwright.sync_api import expect

from hack.testkit.fixtures import app
from hack.testkit.namespace import Space
from hack.testkit.wait import eventually
from tests.e2e.app_client import PORT, LabApp
from tests.ui.conftest import Open, browser, show
from tests.ui.panel_page import View

__all__ = ["browser", "show"]

IMAGE = os.environ.get("DEMO_IMAGE", "localhost/selfhealing-demo:dev")
HEAL_MS = 90_000

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture(scope="module")
def panel(space: Space) -> LabApp:
    """Two replicas with a memory limit, and a root file system that nobody can write to."""
    spec = {
        "image": IMAGE,
        "port": PORT,
        "replicas": 2,
        "service": {"type": "NodePort"},
        "probes": {
            "liveness": {
                "httpGet": {"path": "/health"},
                "initialDelaySeconds": 2,
                "periodSeconds": 2,
                "timeoutSeconds": 2,
                "failureThreshold": 2,
            },
            "readiness": {"httpGet": {"path": "/ready"}, "periodSeconds": 1},
        },
        "resources": {"limits": {"memory": "128Mi"}},
        "securityContext": {"readOnlyRootFilesystem": True},
    }
    space.kube.create(app(space.name, "panel", spec))
    found = LabApp(space, "panel")
    found.ready()
    found.answers("/ready")
    return found


@pytest.fixture
def view(panel: LabApp, show: Open) -> View:
    """The panel at the Service's node port; both pods have answered."""
    panel.ready()
    view = show(f"{panel.status()['endpoint']}/panel")
    for pod in panel.pods():
        expect(view.card(pod["metadata"]["name"])).to_be_visible()
    return view


def _restarted(panel: LabApp, view: View, reason: str) -> None:
    """Wait until the status counts one restart for the reason and the page has seen one."""

    def counted() -> bool:
        block = panel.status()["restarts"]
        assert block["byReason"].get(reason) == 1, block
        return True

    eventually(counted, timeout=HEAL_MS / 1000, says=f"one restart: {reason}")
    badge = view.page.get_by_text(view.text("restarts_seen", count=1))
    expect(badge).to_be_visible(timeout=HEAL_MS)
    panel.ready()


def test_a_leak_ends_at_the_limit(panel: LabApp, view: View) -> None:
    """The page shows the memory grow, and the pod come back after the kernel killed it."""
    expect(view.page.get_by_text("of 128 MiB").first).to_be_visible()

    line = view.press("leak")

    expect(line).to_contain_text("memory grows")
    expect(view.page.get_by_text("leak: ")).to_be_visible()
    view.picture("cluster-leak")
    _restarted(panel, view, "OOMKilled")


def test_a_crash_is_an_exit_code(panel: LabApp, view: View) -> None:
    """The other replica goes on answering."""
    view.field("crash").fill("7")

    expect(view.press("crash")).to_contain_text(view.text("crashed"))

    _restarted(panel, view, "Error")
    assert panel.status()["restarts"]["last"]["exitCode"] == 7


def test_a_hang_is_ended_by_the_liveness_probe(panel: LabApp, view: View) -> None:
    expect(view.press("hang")).to_contain_text("hanging from now on")

    _restarted(panel, view, "LivenessProbe")
