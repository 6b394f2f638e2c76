"""Turns the repository's Markdown into the sources of the site: one folder for each language.

The pages are written for the repository, where a link leads to a file beside them. On the site a
page has another place, a Chinese page may have no twin, and a link may lead to a file that is no
page. Such links become ``site:PATH``, where PATH starts at the root of the site;
``links.resolve_site_links`` makes them relative after both languages are built.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

ROOT: Final = Path(__file__).resolve().parents[2]

LANGUAGES: Final = ("en", "zh")
SITE_SCHEME: Final = "site:"
FILES: Final = "files"
"""The folder of the site with the files of the repository that pages link to."""

_ROOT_PAGES: Final = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
_README: Final = {"README.md": "en", "README.zh-CN.md": "zh"}
"""The front page of the repository by its language; on the site docs/README.md has its place."""

_FENCE: Final = re.compile(r"^ *(```|~~~)")
_FENCE_INFO: Final = re.compile(r"^( *```[a-z]+) \S.*$")
_LINK: Final = re.compile(r"(\]\()([^)\s]+)(\))")
_TWIN_LINE: Final = re.compile(r"^\[(简体中文|English)\]\([^)]+\)$")
_COMMENT: Final = re.compile(r"^<!--.*-->$")
_LIST_ITEM: Final = re.compile(r"^ *([-*]|\d+\.) ")
_CHINESE_END: Final = re.compile(r"[。，：；！？）]$")
_CHINESE_START: Final = re.compile(r"^[\u4e00-\u9fff“（《`\[A-Za-z]")
_BLOCK_START: Final = re.compile(r"^ *([|#>]|[-*] |\d+\. |!\[|<)")


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its file in the repository, its language, and its path in the site's sources."""

    source: str
    language: str
    path: str

    @property
    def url(self) -> str:
        """The path of the page from the root of the site."""
        folder, name = posixpath.split(self.path)
        stem = "index" if name == "README.md" else name.removesuffix(".md")
        prefix = "" if self.language == "en" else self.language
        return posixpath.join(prefix, folder, f"{stem}.html")


@dataclass(frozen=True, slots=True)
class Sources:
    """All pages by their files, and what their links lead to beside pages."""

    pages: Mapping[str, Page]
    root: Path = ROOT

    def twin(self, page: Page) -> Page | None:
        """The same page in the other language."""
        return next(
            (
                other
                for other in self.pages.values()
                if other.path == page.path and other.language != page.language
            ),
            None,
        )

    def find(self, source: str) -> Page | None:
        """The page of a file, or of a folder that has one."""
        if source in _README:
            source = "docs/README.md" if _README[source] == "en" else "docs/zh/README.md"
        return self.pages.get(source) or self.pages.get(posixpath.join(source, "README.md"))


def find_pages(root: Path = ROOT) -> Sources:
    """Find all pages of the repository; docs/zh and docs/lab/zh hold the Chinese ones."""
    pages = [Page(name, "en", name) for name in _ROOT_PAGES if (root / name).is_file()]
    for file in sorted((root / "docs").rglob("*.md")):
        source = file.relative_to(root).as_posix()
        path = file.relative_to(root / "docs")
        is_chinese = "zh" in path.parts
        parts = [part for part in path.parts if part != "zh"]
        pages.append(Page(source, "zh" if is_chinese else "en", "/".join(parts)))
    return Sources({page.source: page for page in pages}, root)


def convert_page(page: Page, text: str, sources: Sources) -> tuple[str, set[str]]:
    """Return the page's source for the site, and the other files that it links to."""
    files: set[str] = set()
    lines: list[str] = []
    for line, is_code in _split_code(text.splitlines()):
        if is_code:
            lines.append(_FENCE_INFO.sub(r"\1", line))
            continue
        if _TWIN_LINE.match(line) or (_COMMENT.match(line) and not any(lines)):
            continue  # a title must come first
        if _LIST_ITEM.match(line) and lines and _is_paragraph(lines[-1]):
            lines.append("")
        converted = _LINK.sub(
            lambda match: match[1] + _convert_link(match[2], page, sources, files) + match[3], line
        )
        if page.language == "zh" and lines and _continues(lines[-1], converted):
            lines[-1] += converted
        else:
            lines.append(converted)
    twin = sources.twin(page)
    other = twin.url if twin else Page("", _other(page.language), "README.md").url
    return "\n".join([*_front_matter(page, other), *lines, ""]), files


def _front_matter(page: Page, twin: str) -> Iterator[str]:
    """The address of the page in the other language, for the theme's language switch."""
    here = posixpath.dirname(page.url) or "."
    yield from ("---", f"twin: {posixpath.relpath(twin, here)}", "---", "")


def _other(language: str) -> str:
    return "zh" if language == "en" else "en"


def _split_code(lines: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it is code or the fence around it."""
    fence = ""
    for line in lines:
        match = _FENCE.match(line)
        if match is None:
            yield line, bool(fence)
        elif not fence:
            fence = match[1]
            yield line, True
        else:
            fence = "" if match[1] == fence else fence
            yield line, True


def _is_paragraph(line: str) -> bool:
    return bool(line.strip()) and not _LIST_ITEM.match(line) and not line.startswith(" ")


def _continues(previous: str, line: str) -> bool:
    """Whether a line of Chinese goes on in the same paragraph, which must not get a space."""
    return bool(
        _CHINESE_END.search(previous)
        and _CHINESE_START.match(line)
        and not _BLOCK_START.match(previous)
        and not _BLOCK_START.match(line)
    )


def _convert_link(target: str, page: Page, sources: Sources, files: set[str]) -> str:
    """Return the target of a link on the site.

    Raises:
        ValueError: it leads to nothing in the repository.
    """
    if re.match(r"[a-z]+:", target) or target.startswith("#"):
        return target
    path, hash_, anchor = unquote(target).partition("#")
    source = posixpath.normpath(posixpath.join(posixpath.dirname(page.source), path))
    there = sources.find(source)
    if there is not None and there.language == page.language:
        here = posixpath.dirname(page.path) or "."
        return quote(posixpath.relpath(there.path, here)) + hash_ + anchor
    if there is not None:
        return SITE_SCHEME + there.url + hash_ + anchor
    if source.startswith("docs/img/"):
        return posixpath.relpath(source.removeprefix("docs/"), posixpath.dirname(page.path) or ".")
    if not (sources.root / source).exists():
        raise ValueError(f"{page.source}: {target} leads to nothing")
    files.add(source)
    return SITE_SCHEME + file_url(source, sources.root)


def file_url(source: str, root: Path = ROOT) -> str:
    """The place of a file or folder of the repository on the site; a browser shows .txt itself."""
    if (root / source).is_dir():
        return posixpath.join(FILES, source, "index.html")
    return posixpath.join(FILES, f"{source}.txt")


def list_folder(source: str, root: Path = ROOT) -> list[str]:
    """The files below a folder of the repository, without what Python leaves there."""
    return sorted(
        file.relative_to(root).as_posix()
        for file in (root / source).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    )
