"""What a run of drills came to: a table for a terminal, JSON for programs, a page for people."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from hack.scenarios.chaos.evaluation import FaultResult
from hack.scenarios.chaos.metrics import FaultRun
from hack.scenarios.common.html import render_page
from hack.scenarios.common.shapes import HALF_WIDTH, Drawing
from hack.scenarios.common.svg_chart import draw_timeline

REPORT_FOLDER: Final = Path(".artifacts")
JSON_FILE: Final = "drill.json"
_STYLES = {"as expected": "green", "FAILED": "bold red", "left out": "yellow"}


@dataclass(frozen=True, slots=True)
class ChaosReport:
    """A run of drills.

    Attributes:
        results: of the faults, in order.
        started: the day and the time, for people.
        seconds: how long it took.
        cluster: what it ran on, for people.
        scale: what the times of healing were multiplied by.
    """

    results: tuple[FaultResult, ...]
    started: str
    seconds: float
    cluster: str
    scale: float

    @property
    def has_passed(self) -> bool:
        """Whether everything went as expected."""
        return all(result.passed for result in self.results)

    def count(self, result_text: str) -> int:
        """How many faults ended so."""
        return sum(result.result_text == result_text for result in self.results)


def build_table(results: Sequence[FaultResult]) -> Table:
    """The report in a terminal, in 80 columns: a line for each fault, and one for each half."""
    found = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("FAULT, HEALING", "SERVED AGAIN", "FAILED/SENT"):
        found.add_column(name, no_wrap=True)
    found.add_column("ACTIONS", min_width=12, overflow="fold")
    found.add_column("ENDED AS", min_width=17, overflow="fold")
    for result in results:
        found.add_row(result.fault.name, Text(result.result_text, _STYLES[result.result_text]))
        for run in result.runs:
            healing, *figures = build_row(run)
            found.add_row(f"  {healing}", *figures)
    return found


def build_row(run: FaultRun) -> tuple[str, str, str, str, str]:
    """The figures of a half: healing, served again, failed of sent, actions, how it ended."""
    healing = "with" if run.is_healing_enabled else "without"
    if run.error:
        return (healing, run.recovery_text, "", "", "")
    actions = ", ".join(map(str, run.actions)) or "none"
    return (
        healing,
        run.recovery_text,
        f"{run.requests_failed}/{run.requests_sent}",
        actions,
        run.final_state,
    )


def build_json(run: ChaosReport) -> dict[str, Any]:
    """The report for programs."""
    return {
        "began": run.started,
        "seconds": round(run.seconds, 1),
        "cluster": run.cluster,
        "scale": run.scale,
        "passed": run.has_passed,
        "faults": [
            {
                "name": result.fault.name,
                "title": result.fault.title,
                "told": result.fault.description,
                "result": result.result_text,
                "missed": list(result.deviations),
                "lacked": result.missing_requirement,
                **{
                    ("with" if half.is_healing_enabled else "without"): _run_json(half)
                    for half in result.runs
                },
            }
            for result in run.results
        ],
    }


def _run_json(run: FaultRun) -> dict[str, Any]:
    return {
        "limit": run.timeout,
        "servedAgainAfter": None if run.recovered_after is None else round(run.recovered_after, 1),
        "sent": run.requests_sent,
        "failed": run.requests_failed,
        "actions": [{**asdict(act), "at": round(act.at, 1)} for act in run.actions],
        "diagnoses": list(run.diagnoses),
        "phase": run.phase,
        "reason": run.reason,
        "message": run.message,
        "events": [
            {"at": event.at.isoformat(), "reason": event.reason, "message": event.text}
            for event in run.events
        ],
        "why": run.error,
    }


def render_report(run: ChaosReport) -> str:
    """The report for a browser."""
    experiments = [(result, list(_draw_runs(result))) for result in run.results]
    return render_page(
        Path(__file__).parent, "report.html.j2", run=run, drills=experiments, row=build_row
    )


def _draw_runs(result: FaultResult) -> Iterator[tuple[FaultRun, Drawing]]:
    """The halves beside each other, on axes of the same length."""
    max_length = max((run.timeline.length for run in result.runs), default=0.0)
    for run in result.runs:
        yield run, draw_timeline(run.timeline, HALF_WIDTH, max_length)


def write_report(run: ChaosReport, folder: Path) -> Path:
    """Write the page and the JSON; returns where the page is."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(build_json(run), indent=2, ensure_ascii=False)
    (folder / JSON_FILE).write_text(text + "\n", encoding="utf-8")
    file = folder / "drill.html"
    file.write_text(render_report(run), encoding="utf-8")
    return file
