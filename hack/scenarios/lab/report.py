"""What a run came to: a table for the terminal, and a page with the timelines for a browser."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.table import Table
from rich.text import Text

from hack.scenarios.common.html import render
from hack.scenarios.common.svg_chart import clock, draw
from hack.scenarios.lab.runner import Result

FOLDER: Final = ".artifacts/lab"
_STYLES = {"passed": "green", "FAILED": "bold red", "left out": "yellow"}


@dataclass(frozen=True, slots=True)
class Run:
    """A run of the lab.

    Attributes:
        results: of the steps, in order.
        began: the day and the time, for people.
        seconds: how long it took.
        cluster: what it ran on, for people.
    """

    results: tuple[Result, ...]
    began: str
    seconds: float
    cluster: str

    @property
    def passed(self) -> bool:
        """Whether no step failed."""
        return all(result.passed or result.skipped for result in self.results)

    def count(self, word: str) -> int:
        """How many steps ended so."""
        return sum(result.word == word for result in self.results)


def table(results: Sequence[Result]) -> Table:
    """The report in a terminal."""
    found = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
    for name in ("STEP", "RESULT", "TIME"):
        found.add_column(name, no_wrap=True)
    found.add_column("SEEN", overflow="fold")
    for result in results:
        found.add_row(
            result.page.name,
            Text(result.word, _STYLES[result.word]),
            "" if result.skipped else clock(result.line.length),
            Text(result.said),
        )
    return found


def page(run: Run) -> str:
    """The report for a browser."""
    drawings = [draw(result.line) for result in run.results]
    steps = list(zip(run.results, drawings, strict=True))
    return render(Path(__file__).parent, "report.html.j2", run=run, steps=steps)


def write(run: Run, folder: Path) -> Path:
    """Write the page; returns where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "report.html"
    file.write_text(page(run), encoding="utf-8")
    return file
