"""Sections of a Markdown page that a program writes."""

from pathlib import Path

from hack.testkit.errors import ToolError


def replace_section(page: Path, name: str, text: str) -> None:
    """Write ``text`` between the begin and the end comment of the section ``name``.

    Args:
        page: the Markdown file.
        name: the name in both comments.
        text: the new content; it ends with a newline.

    Raises:
        ToolError: the page lacks one of the comments; it is not changed.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, has_begin, rest = page.read_text(encoding="utf-8").partition(begin)
    _, has_end, after = rest.partition(end)
    if not (has_begin and has_end):
        raise ToolError(f"{page} has no place for the table: {begin} and {end}")
    page.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")
