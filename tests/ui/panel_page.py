"""The panel as a person sees it: by roles, names and texts."""

from playwright.sync_api import Locator, Page, expect

from app.panel import words
from tests.ui.checked_page import CheckedPage


class PanelPage(CheckedPage):
    """The panel in one browser context."""

    folder = "panel"

    def __init__(self, page: Page, url: str) -> None:
        super().__init__(page, url)
        self.words = words(page.evaluate("document.documentElement.lang")[:2])

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
