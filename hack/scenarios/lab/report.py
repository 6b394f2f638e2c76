"""What a run came to: a table for the terminal, and a page with the timelines for a browser."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.table import Table
from rich.text import Text

from hack.scenarios.common.html import render_page
from hack.scenarios.common.svg_chart import draw_timeline
from hack.scenarios.lab.runner import PageResult
from hack.testkit.progress import format_duration

REPORT_FOLDER: Final = ".artifacts/lab"
_STYLES = {"passed": "green", "FAILED": "bold red", "left out": "yellow"}


@dataclass(frozen=True, slots=True)
class LabReport:
    """A run of the lab.

    Attributes:
        results: of the steps, in order.
        started: the day and the time, for people.
        seconds: how long it took.
        cluster: what it ran on, for people.
    """

    results: tuple[PageResult, ...]
    started: str
    seconds: float
    cluster: str

    @property
    def has_passed(self) -> bool:
        """Whether no step failed."""
        return all(result.has_passed or result.is_skipped for result in self.results)

    def count(self, result_text: str) -> int:
        """How many steps ended so."""
        return sum(result.result_text == result_text for result in self.results)


def build_table(results: Sequence[PageResult]) -> Table:
    """The report in a terminal."""
    found = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
    for name in ("STEP", "RESULT", "TIME"):
        found.add_column(name, no_wrap=True)
    found.add_column("SEEN", overflow="fold")
    for result in results:
        found.add_row(
            result.page.name,
            Text(result.result_text, _STYLES[result.result_text]),
            "" if result.is_skipped else format_duration(result.timeline.length),
            Text(result.summary),
        )
    return found


def render_report(run: LabReport) -> str:
    """The report for a browser."""
    drawings = [draw_timeline(result.timeline) for result in run.results]
    steps = list(zip(run.results, drawings, strict=True))
    return render_page(Path(__file__).parent, "report.html.j2", run=run, steps=steps)


def write_report(run: LabReport, folder: Path) -> Path:
    """Write the page; returns where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "report.html"
    file.write_text(render_report(run), encoding="utf-8")
    return file
