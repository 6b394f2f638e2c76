"""The report of a run of the lab: a table for the terminal and a page with timelines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.table import Table
from rich.text import Text

from hack.scenarios.common.html import render_page
from hack.scenarios.common.report import style_result, write_file
from hack.scenarios.common.runner import ScenarioReport
from hack.scenarios.common.svg_chart import draw_timeline
from hack.scenarios.lab.page_scenario import PageResult
from hack.testkit.progress import format_duration

REPORT_FOLDER: Final = ".artifacts/lab"


def build_table(results: Sequence[PageResult]) -> Table:
    """Return the table for the terminal."""
    found = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
    for name in ("STEP", "RESULT", "TIME"):
        found.add_column(name, no_wrap=True)
    found.add_column("SEEN", overflow="fold")
    for result in results:
        found.add_row(
            result.name,
            style_result(result),
            "" if result.missing_requirement else format_duration(result.timeline.length),
            Text(result.summary),
        )
    return found


def render_report(run: ScenarioReport[PageResult]) -> str:
    """Return the page for a browser."""
    return render_page(
        Path(__file__).parent,
        "report.html.j2",
        run=run,
        scenarios=[(result, [draw_timeline(result.timeline)]) for result in run.results],
        marks=[("typed", "a command was typed")],
    )


def write_report(run: ScenarioReport[PageResult], folder: Path) -> Path:
    """Write the page and return its path."""
    return write_file(folder, "report.html", render_report(run))
