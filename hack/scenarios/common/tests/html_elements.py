"""The elements of a page, for tests of reports."""

from html.parser import HTMLParser


class PageElements(HTMLParser):
    """The elements of a page; ``open`` holds those that are not closed."""

    VOID = frozenset({"meta", "br", "line", "rect", "circle", "path", "i"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record an element that opens."""
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID - {"i", "rect", "path"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record an empty element."""
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Check that the closing element was open."""
        assert self.open.pop() == tag


def parse_html(text: str) -> PageElements:
    """Parse a page."""
    parser = PageElements()
    parser.feed(text)
    parser.close()
    return parser
