"""The panel in a browser, through a Service, with real pods: the healing lab by its buttons."""

import os

import pytest
from playwright.sync_api import expect

from hack.testkit.fixtures import build_app
from hack.testkit.namespace import AppNamespace
from hack.testkit.wait import eventually
from tests.e2e.app_client import PORT, AppClient
from tests.ui.conftest import OpenPanel, browser, new_page, show
from tests.ui.panel_page import PanelPage

__all__ = ["browser", "new_page", "show"]

IMAGE = os.environ.get("DEMO_IMAGE", "localhost/selfhealing-demo:dev")
HEAL_MS = 90_000

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture(scope="module")
def panel(space: AppNamespace) -> AppClient:
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
                "timeoutSeconds": 6,  # a busy node is not a hang
                "failureThreshold": 2,
            },
            "readiness": {"httpGet": {"path": "/ready"}, "periodSeconds": 1},
        },
        "resources": {"limits": {"memory": "128Mi"}},
        "securityContext": {"readOnlyRootFilesystem": True},
    }
    space.kube.create(build_app(space.name, "panel", spec))
    found = AppClient(space, "panel")
    found.wait_until_ready()
    found.wait_for_response("/ready")
    return found


@pytest.fixture
def view(panel: AppClient, show: OpenPanel) -> PanelPage:
    """The panel at the Service's node port; both pods have answered."""
    panel.wait_until_ready()
    view = show(f"{panel.get_status()['endpoint']}/panel")
    # The Service chooses a pod for each request of the page: it may miss one of two for a while.
    for pod in panel.list_pods():
        expect(view.find_card(pod["metadata"]["name"])).to_be_visible(timeout=HEAL_MS)
    return view


def wait_for_restart(panel: AppClient, view: PanelPage, reason: str) -> None:
    """Wait until the status counts one restart for the reason and the page has seen one."""

    def counted() -> bool:
        block = panel.get_status()["restarts"]
        assert block["byReason"].get(reason) == 1, block
        return True

    eventually(counted, timeout=HEAL_MS / 1000, description=f"one restart: {reason}")
    badge = view.page.get_by_text(view.format_text("restarts_seen", count=1))
    expect(badge).to_be_visible(timeout=HEAL_MS)
    panel.wait_until_ready()


def test_a_leak_ends_at_the_limit(panel: AppClient, view: PanelPage) -> None:
    """The page shows the memory grow, and the pod come back after the kernel killed it."""
    expect(view.page.get_by_text("of 128 MiB").first).to_be_visible()

    line = view.press_button("leak")

    expect(line).to_contain_text("memory grows")
    expect(view.page.get_by_text("leak: ")).to_be_visible()
    view.save_screenshot("cluster-leak")
    wait_for_restart(panel, view, "OOMKilled")


def test_a_crash_is_an_exit_code(panel: AppClient, view: PanelPage) -> None:
    """The other replica goes on answering."""
    view.find_field("crash").fill("7")

    expect(view.press_button("crash")).to_contain_text(view.format_text("crashed"))

    wait_for_restart(panel, view, "Error")
    assert panel.get_status()["restarts"]["last"]["exitCode"] == 7


def test_a_hang_is_ended_by_the_liveness_probe(panel: AppClient, view: PanelPage) -> None:
    expect(view.press_button("hang")).to_contain_text("hanging from now on")

    wait_for_restart(panel, view, "LivenessProbe")
