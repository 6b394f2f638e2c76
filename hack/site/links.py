"""Checks the built site: every link and every image leads somewhere, and none to another host."""

import posixpath
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from hack.site.pages import SITE_SCHEME

_SITE_LINK: Final = re.compile(rf'"{SITE_SCHEME}([^"]*)"')

_LOADING: Final = {
    ("script", "src"),
    ("img", "src"),
    ("source", "src"),
    ("iframe", "src"),
    ("link", "href"),
}
"""What a browser loads without a click; it must not need the internet."""

_STYLE_URL: Final = re.compile(r"url\(\s*[\"']?(?:https?:)?//|@import")


class _PageParser(HTMLParser):
    """Collects the links and the anchors of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[tuple[str, str, str]] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the tag names and what it refers to."""
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            if name in ("href", "src") and value is not None:
                self.links.append((tag, name, value))


def resolve_site_links(folder: Path) -> None:
    """Make the links of the form ``site:PATH`` in all pages relative."""
    for file in folder.rglob("*.html"):
        text = file.read_text(encoding="utf-8")
        here = posixpath.dirname(file.relative_to(folder).as_posix()) or "."
        resolved = _SITE_LINK.sub(
            lambda match, here=here: f'"{_relative(match[1], here)}"',  # type: ignore[misc]
            text,
        )
        if resolved != text:
            file.write_text(resolved, encoding="utf-8")


def _relative(target: str, here: str) -> str:
    path, hash_, anchor = target.partition("#")
    return posixpath.relpath(path, here) + hash_ + anchor


def check_site(folder: Path) -> list[str]:
    """Return what is wrong with the links of all pages below ``folder``, sorted."""
    pages = {file: _parse(file) for file in sorted(folder.rglob("*.html"))}
    problems = [
        f"{file.relative_to(folder)}: {problem}"
        for file, page in pages.items()
        for problem in _check_page(file, page, pages, folder)
    ]
    styles = [
        f"{file.relative_to(folder)}: loads from another host"
        for file in sorted(folder.rglob("*.css"))
        if _STYLE_URL.search(file.read_text(encoding="utf-8"))
    ]
    return problems + styles


def _parse(file: Path) -> _PageParser:
    parser = _PageParser()
    parser.feed(file.read_text(encoding="utf-8"))
    return parser


def _check_page(
    file: Path, page: _PageParser, pages: dict[Path, _PageParser], folder: Path
) -> Iterator[str]:
    for tag, attribute, value in page.links:
        parts = urlsplit(value)
        if parts.scheme == "data":
            continue
        if parts.scheme or parts.netloc:
            if (tag, attribute) in _LOADING:
                yield f"{value} is loaded from another host"
            elif parts.scheme not in ("http", "https", "mailto"):
                yield f"{value} has no known scheme"
            continue
        there = (file.parent / unquote(parts.path)).resolve() if parts.path else file
        if there.is_dir():
            there /= "index.html"
        if not there.is_relative_to(folder) or not there.is_file():
            yield f"{value} leads to nothing"
        elif parts.fragment and there in pages:
            anchor = unquote(parts.fragment)
            # The theme's own anchors: the top of the page, and the search that a script opens.
            if anchor not in pages[there].anchors and not anchor.startswith("__"):
                yield f"{value} names no heading"
