"""The panel as a person sees it: by roles, names and texts."""

from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Locator, Page, expect

from app.panel import words

SCREENSHOTS = Path(__file__).parents[2] / ".artifacts" / "panel"

FAILED_REQUEST_MESSAGES = ("net::ERR_", "the server responded with a status of")
"""What a browser itself says of a request that failed, which tests make happen."""


class PanelPage:
    """One page in one browser context.

    Attributes:
        troubles: errors and warnings of the console, but for requests that failed.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.console_errors: list[str] = []
        page.on("console", self._record_message)
        page.on("pageerror", lambda error: self.console_errors.append(str(error)))
        page.goto(url)
        self.words = words(page.evaluate("document.documentElement.lang")[:2])

    def _record_message(self, message: ConsoleMessage) -> None:
        failed = any(part in message.text for part in FAILED_REQUEST_MESSAGES)
        if message.type in {"error", "warning"} and not failed:
            self.console_errors.append(message.text)

    def format_text(self, key: str, **values: object) -> str:
        """A text that the script writes, with values put in."""
        return str(self.words["script"][key]).format(**values)

    def find_button(self, path: str) -> Locator:
        """The button of an action, found by its accessible name in its group."""
        for group in self.words["groups"].values():
            if path in group["buttons"]:
                box = self.page.get_by_role("group", name=group["title"], exact=True)
                return box.get_by_role("button", name=group["buttons"][path], exact=True)
        raise LookupError(path)

    def find_field(self, group: str) -> Locator:
        """The field of a group, found by its label."""
        return self.page.get_by_label(self.words["groups"][group]["field"]["label"])

    def find_card(self, name: str) -> Locator:
        """A replica's card."""
        return self.page.get_by_role("listitem").filter(
            has=self.page.get_by_role("heading", name=name)
        )

    def last_log_entry(self) -> Locator:
        """The last line of what happened."""
        return self.page.get_by_role("log").get_by_role("listitem").first

    def press_button(self, path: str) -> Locator:
        """Press a button and wait for what comes of it; the line that tells it."""
        self.find_button(path).click()
        pending_text = self.format_text("asked", action=self.find_button(path).text_content())
        expect(self.last_log_entry()).not_to_contain_text(pending_text)
        return self.last_log_entry()

    def wait_until_connected(self) -> None:
        """Wait until a replica has answered."""
        expect(self.page.locator("#connection")).to_have_attribute("data-mood", "good")

    def find_violations(self) -> str:
        """What axe-core finds, as a report; empty when nothing."""
        found = Axe().run(self.page)
        return str(found.generate_report()) if found.violations_count else ""

    def save_screenshot(self, name: str, *, whole: bool = True) -> None:
        """Keep a screenshot for a person to look at."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(
            path=SCREENSHOTS / f"{name}.png", full_page=whole, animations="disabled"
        )
