"""The dashboard of ``kubectl selfheal`` in a browser: what an on-call engineer does with it."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from selfhealing.kube.errors import UnavailableError
from selfhealing.plugin import dashboard as package
from selfhealing.plugin.dashboard.routes import Dashboard, Scope
from selfhealing.plugin.dashboard.server import DashboardServer
from tests.dashboard_cluster import DashboardCluster
from tests.ui.checked_page import CheckedPage
from tests.ui.conftest import TIMEOUT_MS, OpenPage

expect.set_options(timeout=TIMEOUT_MS)

WORDS = Path(package.__file__).parent / "site" / "words"
TOKEN = "t0k-" + "a" * 39


class DashboardPage(CheckedPage):
    """The dashboard in one browser context."""

    folder = "dashboard"

    def __init__(self, page: Page, url: str, language: str) -> None:
        self.words: dict[str, Any] = json.loads((WORDS / f"{language}.json").read_text())
        super().__init__(page, url)

    def find_app(self, name: str) -> Locator:
        """The card of an app in the overview."""
        return self.page.get_by_role("listitem").filter(
            has=self.page.get_by_role("link", name=f"shop/{name}", exact=True)
        )

    def find_button(self, operation: str, subject: str = "") -> Locator:
        """The button of an operation of the app that is shown."""
        text = self.words["operations"][operation]["button"].format(subject=subject)
        return self.page.get_by_role("main").get_by_role("button", name=text, exact=True)

    def dialog(self) -> Locator:
        """The dialog that is open."""
        return self.page.get_by_role("dialog")


Show = Callable[..., DashboardPage]


@pytest.fixture
def cluster() -> DashboardCluster:
    return DashboardCluster()


@pytest.fixture
def url(cluster: DashboardCluster) -> Iterator[str]:
    """The address of a dashboard of that cluster."""
    with ThreadPoolExecutor(2) as executor:
        dashboard = Dashboard(cluster, Scope("kind-lab", None), TOKEN, executor)
        with DashboardServer(dashboard, 0) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            yield server.url
            server.shutdown()
            thread.join()


@pytest.fixture
def show(url: str, new_page: OpenPage) -> Iterator[Show]:
    """Open the dashboard; at the end no page may have had an error or broken its policy."""
    views: list[DashboardPage] = []

    def show(
        app: str = "", language: str = "en", token: str = TOKEN, **options: object
    ) -> DashboardPage:
        page = new_page(**options)
        if app:  # the address of an app does not have the token: it is in the session
            page.goto(f"{url}#token={token}")
            expect(page.locator("#live")).to_be_visible()
        address = f"{url}?lang={language}" + (f"#/shop/{app}" if app else f"#token={token}")
        views.append(DashboardPage(page, address, language))
        return views[-1]

    yield show
    assert [view.console_errors for view in views] == [[] for _ in views]


def test_the_token_leaves_the_address_and_is_sent_with_each_request(show: Show, url: str) -> None:
    """It is in no path, and not in what a page of another origin can read; it is in no cookie."""
    view = show()
    expect(view.find_app("web")).to_be_visible()

    assert view.page.url == f"{url}?lang=en"
    assert view.page.context.cookies() == []
    view.page.reload()
    expect(view.find_app("web")).to_be_visible()


def test_a_wrong_token_shows_nothing(show: Show) -> None:
    view = show(token="wrong")  # noqa: S106 - it is none

    expect(view.page.get_by_role("status")).to_have_text(view.words["no_token"])
    expect(view.page.locator("#view").get_by_role("listitem")).to_have_count(0)


def test_an_app_is_found_opened_and_left_again(show: Show) -> None:
    view = show()
    expect(view.page.get_by_role("heading", level=3)).to_have_count(5)
    view.page.get_by_role("searchbox").fill("quarantined")
    expect(view.page.get_by_role("heading", level=3)).to_have_text(["✖shop/cart"])
    view.page.get_by_role("searchbox").fill("")

    view.page.get_by_role("link", name="shop/web").click()
    expect(view.page).to_have_title(re.compile("^web · "))
    expect(view.page.locator(".tree").get_by_text("web-new-1", exact=True)).to_be_visible()
    expect(view.page.locator(".tree").get_by_text("Revision 7")).to_be_visible()
    expect(view.page.get_by_role("img", name=re.compile("^Time line of web"))).to_be_visible()

    view.page.get_by_role("link", name="← All apps").click()
    view.page.get_by_role("link", name="shop/payments").click()
    expect(view.page.get_by_text(view.words["actions_none"])).to_be_visible()


def test_an_approval_is_asked_for_carried_out_and_told(
    show: Show, cluster: DashboardCluster
) -> None:
    view = show("web")
    texts = view.words["operations"]["approve"]
    button = view.find_button("approve", "Rollback")

    button.click()
    expect(view.dialog()).to_contain_text("Approve Rollback for web?")
    assert view.find_violations() == ""
    view.page.keyboard.press("Escape")
    expect(view.dialog()).to_have_count(0)
    assert cluster.patches == []

    button.click()
    view.dialog().get_by_role("button", name="Approve Rollback").click()
    expect(view.dialog().get_by_role("status")).to_have_text(texts["done"])
    view.dialog().get_by_role("button", name=view.words["close"]).click()
    annotations = {"selfhealing.dev/approve": "3"}
    assert cluster.patches == [{"metadata": {"resourceVersion": "1", "annotations": annotations}}]


def test_a_pause_is_seen_at_once_and_a_refusal_is_told(
    show: Show, cluster: DashboardCluster
) -> None:
    view = show("web")
    view.find_button("pause").click()
    view.dialog().get_by_role("button", name="Pause").click()
    expect(view.dialog().get_by_role("status")).to_have_text(
        view.words["operations"]["pause"]["done"]
    )
    view.dialog().get_by_role("button", name="Close").click()
    view.find_button("unpause").click()

    cluster.objects["SelfHealingApp"].clear()
    view.dialog().get_by_role("button", name="End the pause").click()

    expect(view.dialog().get_by_role("status")).to_contain_text("It was not done: there is no")


def test_evidence_and_messages_are_text(show: Show) -> None:
    """What the cluster says may try to be HTML; it is shown as it is."""
    view = show("web")
    view.page.get_by_role("button", name=re.compile("^Evidence of Rollback")).click()
    expect(view.dialog().locator("pre")).to_contain_text("pod web-old-1 <b>log</b>")
    view.page.keyboard.press("Escape")

    expect(view.page.locator(".message").first).to_contain_text('<img src=x onerror="window.')
    assert view.page.evaluate("window.broken") is None
    assert view.page.locator("#view img").count() == 0


def test_a_cluster_that_does_not_answer_is_told_and_asked_again(
    show: Show, cluster: DashboardCluster
) -> None:
    """What was read last stays."""
    view = show()
    expect(view.find_app("web")).to_be_visible()

    cluster.error = UnavailableError(0, "NoAnswer", "no answer from the API server")
    expect(view.page.get_by_role("status")).to_contain_text("no answer from the API server")
    expect(view.find_app("web")).to_be_visible()

    cluster.error = None
    view.page.get_by_role("button", name=view.words["retry"]).click()
    expect(view.page.locator("#connection")).to_have_attribute("data-mood", "good")


@pytest.mark.parametrize(
    ("language", "width", "scheme"),
    [("en", 1280, "light"), ("zh", 1280, "dark"), ("en", 390, "dark"), ("zh", 390, "light")],
)
def test_it_fits_is_accessible_and_looks_as_the_picture_shows(
    show: Show, language: str, width: int, scheme: str
) -> None:
    """No sideways scrolling, nothing that axe-core finds, and pictures for people to look at."""
    kind = "phone" if width < 500 else "desktop"
    options = {
        "viewport": {"width": width, "height": 800},
        "color_scheme": scheme,
        "device_scale_factor": 2 if width < 500 else 1,
    }
    for app in ("", "web"):
        view = show(app, language, **options)
        expect(view.page.locator("#live")).to_be_visible()
        expect(view.page.get_by_role("heading", level=1)).to_have_text(view.words["title"])

        assert view.page.evaluate("document.documentElement.scrollWidth") <= width
        assert view.find_violations() == ""
        view.save_screenshot(f"{app or 'overview'}-{language}-{kind}-{scheme}")
