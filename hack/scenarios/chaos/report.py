"""What a run of drills came to: a table for a terminal, JSON for programs, a page for people."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from hack.scenarios.chaos.evaluation import Result
from hack.scenarios.chaos.metrics import Half
from hack.scenarios.common.html import render
from hack.scenarios.common.shapes import HALF, Drawing
from hack.scenarios.common.svg_chart import draw

FOLDER: Final = Path(".artifacts")
JSON: Final = "drill.json"
_STYLES = {"as expected": "green", "FAILED": "bold red", "left out": "yellow"}


@dataclass(frozen=True, slots=True)
class Run:
    """A run of drills.

    Attributes:
        results: of the faults, in order.
        began: the day and the time, for people.
        seconds: how long it took.
        cluster: what it ran on, for people.
        scale: what the times of healing were multiplied by.
    """

    results: tuple[Result, ...]
    began: str
    seconds: float
    cluster: str
    scale: float

    @property
    def passed(self) -> bool:
        """Whether everything went as expected."""
        return all(result.passed for result in self.results)

    def count(self, word: str) -> int:
        """How many faults ended so."""
        return sum(result.word == word for result in self.results)


def table(results: Sequence[Result]) -> Table:
    """The report in a terminal, in 80 columns: a line for each fault, and one for each half."""
    found = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("FAULT, HEALING", "SERVED AGAIN", "FAILED/SENT"):
        found.add_column(name, no_wrap=True)
    found.add_column("ACTIONS", min_width=12, overflow="fold")
    found.add_column("ENDED AS", min_width=17, overflow="fold")
    for result in results:
        found.add_row(result.fault.name, Text(result.word, _STYLES[result.word]))
        for half in result.halves:
            healing, *figures = row(half)
            found.add_row(f"  {healing}", *figures)
    return found


def row(half: Half) -> tuple[str, str, str, str, str]:
    """The figures of a half: healing, served again, failed of sent, actions, how it ended."""
    healing = "with" if half.healing else "without"
    if half.why:
        return (healing, half.served, "", "", "")
    done = ", ".join(map(str, half.acts)) or "none"
    return (healing, half.served, f"{half.failed}/{half.sent}", done, half.ended)


def data(run: Run) -> dict[str, Any]:
    """The report for programs."""
    return {
        "began": run.began,
        "seconds": round(run.seconds, 1),
        "cluster": run.cluster,
        "scale": run.scale,
        "passed": run.passed,
        "faults": [
            {
                "name": result.fault.name,
                "title": result.fault.title,
                "told": result.fault.told,
                "result": result.word,
                "missed": list(result.missed),
                "lacked": result.lacked,
                **{("with" if half.healing else "without"): _half(half) for half in result.halves},
            }
            for result in run.results
        ],
    }


def _half(half: Half) -> dict[str, Any]:
    return {
        "limit": half.limit,
        "servedAgainAfter": None if half.after is None else round(half.after, 1),
        "sent": half.sent,
        "failed": half.failed,
        "actions": [{**asdict(act), "at": round(act.at, 1)} for act in half.acts],
        "diagnoses": list(half.diagnoses),
        "phase": half.phase,
        "reason": half.reason,
        "message": half.message,
        "events": [
            {"at": event.at.isoformat(), "reason": event.reason, "message": event.text}
            for event in half.events
        ],
        "why": half.why,
    }


def page(run: Run) -> str:
    """The report for a browser."""
    drills = [(result, list(_drawn(result))) for result in run.results]
    return render(Path(__file__).parent, "report.html.j2", run=run, drills=drills, row=row)


def _drawn(result: Result) -> Iterator[tuple[Half, Drawing]]:
    """The halves beside each other, on axes of the same length."""
    longest = max((half.line.length for half in result.halves), default=0.0)
    for half in result.halves:
        yield half, draw(half.line, HALF, longest)


def write(run: Run, folder: Path) -> Path:
    """Write the page and the JSON; returns where the page is."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(data(run), indent=2, ensure_ascii=False)
    (folder / JSON).write_text(text + "\n", encoding="utf-8")
    file = folder / "drill.html"
    file.write_text(page(run), encoding="utf-8")
    return file
