"""The pages of the lab as files."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from hack.scenarios.lab.errors import PageError
from hack.scenarios.lab.page_generator import (
    CHINESE,
    ENGLISH,
    insert_included_texts,
    insert_links,
    insert_outputs,
    insert_shared_blocks,
    page_title,
)
from hack.scenarios.lab.page_parser import Page, parse_blocks, parse_page
from hack.scenarios.lab.repeat_notes import (
    CHINESE_NOTES,
    ENGLISH_NOTES,
    insert_repeat_notes,
    remove_repeat_notes,
)

PAGES_FOLDER: Final = Path("docs/lab")


class PageSet:
    """All pages of the lab, by number."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def list_pages(self) -> tuple[Page, ...]:
        """Return the English pages.

        Raises:
            PageError: a page is invalid.
        """
        files = sorted((self._root / PAGES_FOLDER).glob("[0-9][0-9]-*.md"))
        return tuple(self._parse_file(file.relative_to(self._root)) for file in files)

    def select_pages(self, steps: Sequence[str]) -> tuple[Page, ...]:
        """Return the named pages, or all of them without a name.

        Raises:
            PageError: a name is unknown; the message lists the known names.
        """
        pages = self.list_pages()
        known = {page.name: page for page in pages}
        unknown = [step for step in steps if step not in known]
        if unknown:
            raise PageError(f"there is no step {', '.join(unknown)}; there are: {', '.join(known)}")
        return tuple(page for page in pages if not steps or page.name in steps)

    def capture_outputs(self, page: Page, outputs: Sequence[str]) -> bool:
        """Write outputs into a page; return whether it changed."""
        new = insert_outputs(page, outputs)
        if new != page.text:
            (self._root / page.path).write_text(new, encoding="utf-8")
        return new != page.text

    def compare_generated(self) -> Iterator[tuple[Path, str, str]]:
        """Yield each file, its text and the text that it should have."""
        pages = self.list_pages()
        old = {page.path: page.text for page in pages}
        new = {}
        for page in pages:
            bare = parse_page(page.path, remove_repeat_notes(page.text))
            english = parse_page(page.path, insert_included_texts(bare, self._read))
            new[page.path] = insert_repeat_notes(
                english, english.text, english.blocks, ENGLISH_NOTES
            )
            path = PAGES_FOLDER / CHINESE.folder / page.path.name
            old[path] = self._read_translation(page, path)
            text = insert_shared_blocks(english, path, remove_repeat_notes(old[path]))
            new[path] = insert_repeat_notes(english, text, parse_blocks(path, text), CHINESE_NOTES)
        for language in (ENGLISH, CHINESE):
            paths = [PAGES_FOLDER / language.folder / page.path.name for page in pages]
            links = [None, *((path.name, page_title(new[path])) for path in paths), None]
            for number, path in enumerate(paths):
                near = (links[number], links[number + 2])
                yield path, old[path], insert_links(new[path], language, path.name, near)

    def write_generated(self) -> Iterator[Path]:
        """Write the generated parts of all pages; yield the files that changed."""
        for path, old, new in list(self.compare_generated()):
            if old != new:
                (self._root / path).write_text(new, encoding="utf-8")
                yield path

    def _read_translation(self, english: Page, path: Path) -> str:
        if not (self._root / path).exists():
            raise PageError(f"{path}: {english.path} has no twin in this language")
        return self._read(str(path))

    def _read(self, name: str) -> str:
        return (self._root / name).read_text(encoding="utf-8")

    def _parse_file(self, path: Path) -> Page:
        return parse_page(path, self._read(str(path)))
