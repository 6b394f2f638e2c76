"""Writes the figures of the last whole exam into the documentation of every language."""

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hack.scenarios.common.errors import ScenarioError
from hack.testkit import markdown_section

ENGLISH: Final = "table.en.md.j2"
PAGES: Final = {"docs/healing.md": ENGLISH, "docs/zh/healing.md": "table.zh.md.j2"}
"""The template of each page."""

SECTION: Final = "exam"


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
    run = _load_report(report, faults)
    for path, template in PAGES.items():
        page = root / path
        markdown_section.replace_section(page, SECTION, render_table(run, template))
        yield page


def _load_report(report: Path, faults: Collection[str]) -> Mapping[str, Any]:
    if not report.exists():
        raise ScenarioError(f"there is no {report}: make exam writes it")
    run: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    complete = {
        fault["name"]
        for fault in run["faults"]
        if fault["lacked"] or ("with" in fault and not fault["with"]["why"])
    }
    if missing := sorted(set(faults) - complete):
        raise ScenarioError(
            f"{report} is not of a whole exam, it lacks {', '.join(missing)}:"
            " make exam, without FAULT"
        )
    return run
