"""Writes the figures of the last whole exam into the documentation of every language."""

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hack.scenarios.common.errors import ScenarioError
from hack.testkit import markdown_section

ENGLISH: Final = "table.en.md.j2"
CHINESE_PAGE: Final = "docs/zh/healing.md"
ENGLISH_PAGE: Final = "docs/healing.md"
PAGES: Final = {ENGLISH_PAGE: ENGLISH, CHINESE_PAGE: "table.zh.md.j2"}
"""The template of each page."""

SECTION: Final = "exam"

DEFAULT_TIMES_ROWS: Final = ("1-spec", "2-spec", "11-spec")
"""The rows of ``make exam-default-times``: a bad version that is certain, of three kinds."""

DEFAULT_TIMES_FOLDER: Final = "default-times"
"""Where their report is, in the folder of reports."""

DEFAULT_TIMES_PAGES: Final = {
    ENGLISH_PAGE: "default_times.en.md.j2",
    CHINESE_PAGE: "default_times.zh.md.j2",
}
DEFAULT_TIMES_SECTION: Final = "exam-default-times"


def render_table(run: Mapping[str, Any], template: str) -> str:
    """Return the figures of a run, whole or not, as Markdown."""
    templates = Environment(  # noqa: S701 - Markdown from our own report, no page for a browser
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template(template).render(run=run)


def update_pages(root: Path, report: Path, faults: Collection[str]) -> Iterator[Path]:
    """Write the table into each page and yield the pages.

    Args:
        root: the folder to which the paths of the pages are relative.
        report: the JSON report of a run.
        faults: the names of all rows; each must have been run, whether as expected or not: a row
            that missed something is told as such.

    Raises:
        ToolError: the report is missing or incomplete, or a page has no section for the table.
    """
    yield from _write_sections(root, SECTION, PAGES, _load_report(report, faults))


def update_default_times(root: Path, report: Path) -> Iterator[Path]:
    """Write the figures of ``make exam-default-times`` into each page, as ``update_pages`` does."""
    run = _load_report(report, DEFAULT_TIMES_ROWS, "make exam-default-times")
    yield from _write_sections(root, DEFAULT_TIMES_SECTION, DEFAULT_TIMES_PAGES, run)


def _write_sections(
    root: Path, section: str, pages: Mapping[str, str], run: Mapping[str, Any]
) -> Iterator[Path]:
    for path, template in pages.items():
        page = root / path
        markdown_section.replace_section(page, section, render_table(run, template))
        yield page


def _load_report(
    report: Path, faults: Collection[str], command: str = "make exam"
) -> Mapping[str, Any]:
    if not report.exists():
        raise ScenarioError(f"there is no {report}: {command} writes it")
    run: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    complete = {
        fault["name"]
        for fault in run["faults"]
        if fault["lacked"] or ("with" in fault and not fault["with"]["why"])
    }
    if missing := sorted(set(faults) - complete):
        raise ScenarioError(
            f"{report} is not of a whole run, it lacks {', '.join(missing)}:"
            f" {command}, without FAULT"
        )
    return run
