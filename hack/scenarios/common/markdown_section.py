"""The place in a Markdown page where figures stand that a program has measured."""

from pathlib import Path

from hack.scenarios.common.errors import ScenarioError


def replace_section(page: Path, name: str, text: str) -> None:
    """Put ``text``, which ends its last line, between the two comments of ``name``.

    Raises:
        ShowError: the page does not have both; it stays as it is.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, has_begin, rest = page.read_text(encoding="utf-8").partition(begin)
    _, has_end, after = rest.partition(end)
    if not (has_begin and has_end):
        raise ScenarioError(f"{page} has no place for the table: {begin} and {end}")
    page.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")
