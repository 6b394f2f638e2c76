"""Writes the table of the last whole campaign into the documentation of every language."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hack.sieve.results import Result, build_table, select_planned
from hack.testkit.errors import ToolError
from hack.testkit.fault_points import Fault, FaultKind
from hack.testkit.markdown_section import replace_section

SECTION: Final = "sieve"

PAGES: Final = {
    "docs/crash-consistency.md": "table.en.md.j2",
    "docs/zh/crash-consistency.md": "table.zh.md.j2",
}
"""The template of each page."""


def update_pages(
    root: Path, planned: Mapping[str, Sequence[Fault]], results: Sequence[Result], day: str
) -> Iterator[Path]:
    """Write the table into each page and yield the pages.

    Args:
        root: the folder to which the paths of the pages are relative.
        planned: the faults of each story.
        results: of all of them.
        day: when they were placed.

    Raises:
        ToolError: a fault has not been placed, or a page has no section for the table.
    """
    told = select_planned(planned, results)
    total = sum(map(len, planned.values()))
    if not total or len(told) < total:
        raise ToolError(f"{len(told)} of {total} faults have been placed: make sieve goes on")
    templates = Environment(  # noqa: S701 - Markdown from our own results, no page for a browser
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for path, template in PAGES.items():
        text = templates.get_template(template).render(
            day=day,
            told=total,
            differ=sum(bool(result.differences) for result in told),
            kinds=list(FaultKind),
            rows=build_table(planned, told),
        )
        replace_section(root / path, SECTION, text)
        yield root / path
