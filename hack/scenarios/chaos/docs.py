"""Writes the figures of the last whole run into the documentation of every language."""

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hack.scenarios.common.errors import ScenarioError
from hack.testkit import markdown_section

PAGES: Final = {"docs/healing.md": "table.en.md.j2", "docs/zh/healing.md": "table.zh.md.j2"}
"""The template of each page."""


def update_pages(root: Path, report: Path, faults: Collection[str]) -> Iterator[Path]:
    """Write the table into each page and yield the pages.

    Args:
        root: the folder to which the paths of the pages are relative.
        report: the JSON report of a run.
        faults: the names of all faults; each must be in the report with the result "as expected".

    Raises:
        ToolError: the report is missing or incomplete, or a page has no section for the table.
    """
    run = _load_report(report, faults)
    templates = Environment(  # noqa: S701 - Markdown from our own report, no page for a browser
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for path, template in PAGES.items():
        page = root / path
        markdown_section.replace_section(
            page, "drill", templates.get_template(template).render(run=run)
        )
        yield page


def _load_report(report: Path, faults: Collection[str]) -> Mapping[str, Any]:
    if not report.exists():
        raise ScenarioError(f"there is no {report}: make drill writes it")
    run: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    passed = {fault["name"] for fault in run["faults"] if fault["result"] == "as expected"}
    if missing := sorted(set(faults) - passed):
        raise ScenarioError(
            f"{report} is not of a whole run that went as expected, it lacks"
            f" {', '.join(missing)}: make drill, without FAULT"
        )
    return run
