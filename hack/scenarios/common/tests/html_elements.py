"""The elements of a page, for tests of reports."""

from html.parser import HTMLParser


class PageElements(HTMLParser):
    """The elements of a page; what is not closed stays open."""

    VOID = frozenset({"meta", "br", "line", "rect", "circle", "path", "i"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that opens."""
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID - {"i", "rect", "path"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that is closed at once."""
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Check that what closes was open."""
        assert self.open.pop() == tag


def parse_html(text: str) -> PageElements:
    """Read a page."""
    parser = PageElements()
    parser.feed(text)
    parser.close()
    return parser
