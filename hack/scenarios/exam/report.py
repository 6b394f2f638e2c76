"""The report of an exam: a table for a terminal, Markdown, JSON for programs, a page for people."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from hack.scenarios.common.html import render_page
from hack.scenarios.common.report import style_result, write_file
from hack.scenarios.common.runner import ScenarioReport
from hack.scenarios.common.shapes import HALF_WIDTH, Drawing
from hack.scenarios.common.svg_chart import draw_timeline
from hack.scenarios.exam import docs
from hack.scenarios.exam.evaluation import FaultResult, count_bars
from hack.scenarios.exam.faults import UNINJECTABLE
from hack.scenarios.exam.metrics import FaultRun

REPORT_FOLDER: Final = ".artifacts"
JSON_FILE: Final = "exam.json"
MARKDOWN_FILE: Final = "exam.md"
_MARKS: Final = (
    ("fault", "the fault was injected"),
    ("action", "the operator acted"),
    ("well", "fully serving again"),
    ("typed", "the fault was removed"),
)
"""The classes of marks on a timeline and what they stand for."""


def build_table(results: Sequence[FaultResult]) -> Table:
    """Return the table for a terminal of 80 columns: a line for each row and for each half."""
    found = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("FAULT, HEALING", "SERVED AGAIN", "FAILED/SENT"):
        found.add_column(name, no_wrap=True)
    found.add_column("ACTIONS", min_width=12, overflow="fold")
    found.add_column("ENDED AS", min_width=17, overflow="fold")
    for result in results:
        found.add_row(result.fault.name, style_result(result))
        for run in result.runs:
            healing, *figures = build_row(run)
            found.add_row(f"  {healing}", *figures)
    return found


def build_row(run: FaultRun) -> tuple[str, str, str, str, str]:
    """Return the cells of a half: healing, recovery, failed of sent, actions, final state."""
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


def build_json(run: ScenarioReport[FaultResult], scale: float) -> dict[str, Any]:
    """Return the report for programs."""
    bars = count_bars(run.results)
    return {
        "began": run.started,
        "seconds": round(run.seconds, 1),
        "cluster": run.cluster,
        "scale": scale,
        "passed": run.has_passed,
        "bars": {**asdict(bars), "reached": bars.are_reached},
        "faults": [_result_json(result) for result in run.results],
        "leftOut": [asdict(each) for each in UNINJECTABLE],
    }


def _result_json(result: FaultResult) -> dict[str, Any]:
    expected = result.fault.expected
    return {
        "name": result.fault.name,
        "number": result.fault.number,
        "way": result.fault.way.value,
        "title": result.fault.title,
        "drill": result.fault.is_drill,
        "expected": {
            "diagnoses": list(expected.types),
            "causes": list(expected.causes),
            "event": expected.event,
            "remediations": list(expected.remediations),
            "healable": expected.is_healable,
        },
        "result": result.result_text,
        "named": result.is_named,
        "toName": expected.names_something,
        "healed": result.is_healed,
        "wrongActions": [str(act) for act in result.wrong_actions],
        "lostRequests": result.lost_requests,
        "missed": list(result.failures),
        "lacked": result.missing_requirement,
        "attempt": result.attempt,
        "seconds": result.seconds,
        **{
            ("with" if half.is_healing_enabled else "without"): _run_json(half)
            for half in result.runs
        },
    }


def _run_json(run: FaultRun) -> dict[str, Any]:
    return {
        "limit": run.timeout,
        "healthy": run.is_healthy,
        "problems": list(run.problems),
        "servedAgainAfter": None if run.recovered_after is None else round(run.recovered_after, 1),
        "sent": run.requests_sent,
        "failed": run.requests_failed,
        "lost": run.requests_lost,
        "actions": [{**asdict(act), "at": round(act.at, 1)} for act in run.actions],
        "diagnoses": [
            {**asdict(found), "at": round(found.at, 1), "seconds": round(found.seconds, 1)}
            for found in run.diagnoses
        ],
        "phase": run.phase,
        "reason": run.reason,
        "message": run.message,
        "events": [
            {"at": event.at.isoformat(), "reason": event.reason, "message": event.text}
            for event in run.events
        ],
        "why": run.error,
    }


def render_report(run: ScenarioReport[FaultResult], scale: float) -> str:
    """Return the page for a browser."""
    return render_page(
        Path(__file__).parent,
        "report.html.j2",
        run=run,
        bars=count_bars(run.results),
        scenarios=[(result, list(_draw_runs(result))) for result in run.results],
        row=build_row,
        scale=scale,
        marks=_MARKS,
    )


def _draw_runs(result: FaultResult) -> Iterator[tuple[FaultRun, Drawing]]:
    """Yield each half with its drawing; the drawings have axes of the same length."""
    max_length = max((run.timeline.length for run in result.runs), default=0.0)
    for run in result.runs:
        yield run, draw_timeline(run.timeline, HALF_WIDTH, max_length)


def write_report(run: ScenarioReport[FaultResult], folder: Path, scale: float) -> Path:
    """Write the page, the Markdown and the JSON, and return the path of the page."""
    found = build_json(run, scale)
    text = json.dumps(found, indent=2, ensure_ascii=False)
    write_file(folder, JSON_FILE, text + "\n")
    write_file(folder, MARKDOWN_FILE, docs.render_table(found, docs.ENGLISH))
    return write_file(folder, "exam.html", render_report(run, scale))
