"""A real browser, and replicas of the app as real processes behind something like a Service."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from hack.localcluster import packages
from hack.localcluster.paths import find_paths
from tests.ui.app_replicas import AppReplicas
from tests.ui.panel_page import PanelPage

ROOT = Path(__file__).parents[2]

PACKAGES = {
    "chromium": "chromium",
    "fonts-noto-cjk": "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
}
"""The font is for the screenshots: without one Chinese is a row of boxes."""

TIMEOUT_MS = 20_000
"""Milliseconds until something must be seen; a machine with other work is slow."""


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium without a window: CHROMIUM names one; else Debian's is installed.

    ``node.test`` leads to this machine: to a browser plain HTTP there is what a node port is, and
    not as trustworthy as 127.0.0.1.
    """
    program = os.environ.get("CHROMIUM")
    if not program:
        packages.ensure_tools(
            find_paths(ROOT, os.environ), PACKAGES, "name a Chromium in CHROMIUM=/path"
        )
        program = shutil.which("chromium")
    arguments = ["--host-resolver-rules=MAP node.test 127.0.0.1", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=program,
            args=arguments,
            chromium_sandbox=os.geteuid() != 0,  # it refuses to have one as root
        )
        yield found
        found.close()


@pytest.fixture
def replicas() -> Iterator[AppReplicas]:
    """Two replicas and the way to them."""
    with AppReplicas("lab-6d5fd5f8f9-xsxkd", "lab-6d5fd5f8f9-q2m8w") as found:
        yield found


@pytest.fixture
def alone() -> Iterator[AppReplicas]:
    """One replica and the way to it."""
    with AppReplicas("lab-6d5fd5f8f9-xsxkd") as found:
        yield found


OpenPage = Callable[..., Page]
OpenPanel = Callable[..., PanelPage]


@pytest.fixture
def new_page(browser: Browser) -> Iterator[OpenPage]:
    """Make a page in a context of its own, which is closed at the end."""
    pages: list[Page] = []

    def new_page(**options: object) -> Page:
        settings = {"locale": "en-US", "viewport": {"width": 1280, "height": 900}, **options}
        context = browser.new_context(**settings)  # type: ignore[arg-type]  # as Playwright says
        context.set_default_timeout(TIMEOUT_MS)
        pages.append(context.new_page())
        return pages[-1]

    yield new_page
    for page in pages:
        page.context.close()


@pytest.fixture
def show(new_page: OpenPage) -> Iterator[OpenPanel]:
    """Open the panel; at the end no page may have had an error or broken its policy."""
    views: list[PanelPage] = []

    def show(url: str, **options: object) -> PanelPage:
        views.append(PanelPage(new_page(**options), url))
        return views[-1]

    yield show
    assert [view.console_errors for view in views] == [[] for _ in views]
