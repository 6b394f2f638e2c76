"""The panel as a person sees it: by roles, names and texts."""

from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Locator, Page, expect

from app.panel import words

PICTURES = Path(__file__).parents[2] / ".artifacts" / "panel"

NO_ANSWER = ("net::ERR_", "the server responded with a status of")
"""What a browser itself says of a request that failed, which tests make happen."""


class View:
    """One page in one browser context.

    Attributes:
        troubles: errors and warnings of the console, but for requests that failed.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.troubles: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.goto(url)
        self.words = words(page.evaluate("document.documentElement.lang")[:2])

    def _said(self, message: ConsoleMessage) -> None:
        failed = any(part in message.text for part in NO_ANSWER)
        if message.type in {"error", "warning"} and not failed:
            self.troubles.append(message.text)

    def text(self, key: str, **values: object) -> str:
        """A text that the script writes, with values put in."""
        return str(self.words["script"][key]).format(**values)

    def button(self, path: str) -> Locator:
        """The button of an action, found by its accessible name in its group."""
        for group in self.words["groups"].values():
            if path in group["buttons"]:
                box = self.page.get_by_role("group", name=group["title"], exact=True)
                return box.get_by_role("button", name=group["buttons"][path], exact=True)
        raise LookupError(path)

    def field(self, group: str) -> Locator:
        """The field of a group, found by its label."""
        return self.page.get_by_label(self.words["groups"][group]["field"]["label"])

    def card(self, name: str) -> Locator:
        """A replica's card."""
        return self.page.get_by_role("listitem").filter(
            has=self.page.get_by_role("heading", name=name)
        )

    def last(self) -> Locator:
        """The last line of what happened."""
        return self.page.get_by_role("log").get_by_role("listitem").first

    def press(self, path: str) -> Locator:
        """Press a button and wait for what comes of it; the line that tells it."""
        self.button(path).click()
        asked = self.text("asked", action=self.button(path).text_content())
        expect(self.last()).not_to_contain_text(asked)
        return self.last()

    def connected(self) -> None:
        """Wait until a replica has answered."""
        expect(self.page.locator("#connection")).to_have_attribute("data-mood", "good")

    def violations(self) -> str:
        """What axe-core finds, as a report; empty when nothing."""
        found = Axe().run(self.page)
        return str(found.generate_report()) if found.violations_count else ""

    def picture(self, name: str, *, whole: bool = True) -> None:
        """Keep a screenshot for a person to look at."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=whole, animations="disabled")
