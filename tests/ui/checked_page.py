"""A page in a browser: what it logs, what axe-core finds, and how it looks."""

from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Page

ARTIFACTS = Path(__file__).parents[2] / ".artifacts"

FAILED_REQUEST_MESSAGES = ("net::ERR_", "the server responded with a status of")
"""What a browser itself says of a request that failed, which tests make happen."""


class CheckedPage:
    """One page in one browser context.

    Attributes:
        console_errors: errors and warnings of the console, but for requests that failed.
        folder: the folder of its screenshots in ``.artifacts``.
    """

    folder = ""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.console_errors: list[str] = []
        page.on("console", self._record_message)
        page.on("pageerror", lambda error: self.console_errors.append(str(error)))
        page.goto(url)

    def _record_message(self, message: ConsoleMessage) -> None:
        failed = any(part in message.text for part in FAILED_REQUEST_MESSAGES)
        if message.type in {"error", "warning"} and not failed:
            self.console_errors.append(message.text)

    def find_violations(self) -> str:
        """What axe-core finds, as a report; empty when nothing."""
        found = Axe().run(self.page)
        return str(found.generate_report()) if found.violations_count else ""

    def save_screenshot(self, name: str, *, whole: bool = True) -> None:
        """Keep a screenshot for a person to look at."""
        folder = ARTIFACTS / self.folder
        folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=folder / f"{name}.png", full_page=whole, animations="disabled")
