"""The report is complete, self-contained and escapes what a cluster prints."""

import json
import re
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from hack.scenarios.common.runner import ScenarioReport
from hack.scenarios.common.tests.html_elements import parse_html
from hack.scenarios.exam.evaluation import FaultResult, evaluate_runs
from hack.scenarios.exam.faults import select_faults
from hack.scenarios.exam.report import (
    build_json,
    build_table,
    render_report,
    write_report,
)
from hack.scenarios.exam.tests.builders import HEALED_RUN, UNHEALED_RUN, build_healed_run

FAULT, NODE = select_faults(["1-spec", "26-cluster"])
PASSED = evaluate_runs(FAULT, (UNHEALED_RUN, HEALED_RUN))
FAILED = evaluate_runs(
    replace(FAULT, variant="worse"),
    (UNHEALED_RUN, build_healed_run(actions=(), recovered_after=None)),
)
ERRORED = evaluate_runs(
    replace(FAULT, variant="broken"), (UNHEALED_RUN, build_healed_run(error="no <leader>"))
)
SKIPPED = FaultResult(fault=NODE, missing_requirement="a worker")


def build_report(*results: FaultResult) -> ScenarioReport[FaultResult]:
    return ScenarioReport(results, "2026-11-23 12:00", 75, "Kubernetes v1, 2 nodes")


def test_the_page_is_well_formed_and_draws_each_half_that_was_played() -> None:
    found = parse_html(render_report(build_report(PASSED, FAILED, ERRORED, SKIPPED), 0.2))

    assert [] == found.open
    drawings = [attrs for tag, attrs in found.found if tag == "svg" and attrs.get("role") == "img"]
    assert 5 == len(drawings)
    classes = {attrs.get("class") for _, attrs in found.found}
    assert {"mark fault", "mark action", "curve failures", "failing"} <= classes


def test_halves_are_drawn_on_axes_of_the_same_length() -> None:
    text = render_report(build_report(PASSED), 0.2)

    assert 2 == len(re.findall(r">1:00</text>", text))


def test_the_page_needs_no_network_and_runs_no_script() -> None:
    text = render_report(build_report(PASSED, FAILED, ERRORED, SKIPPED), 0.2)

    assert not re.search(r"https?://|<script|<link|@import|url\(", text)
    assert "&lt;i&gt;bad" in text
    assert "no &lt;leader&gt;" in text
    assert "back to &lt;v1&gt;" in text


def test_what_was_missed_is_told() -> None:
    text = render_report(build_report(FAILED, SKIPPED), 0.2)

    assert "Rollback was to be done, but nothing was" in text
    assert "this cluster lacks a worker" in text


def test_the_run_passes_unless_something_was_missed() -> None:
    assert build_report(PASSED, SKIPPED).has_passed
    assert not build_report(PASSED, FAILED).has_passed
    assert (1, 1, 1) == tuple(
        build_report(PASSED, FAILED, SKIPPED).count(word)
        for word in ("as expected", "FAILED", "left out")
    )


def test_the_table_has_a_line_for_each_half_and_fits_a_small_terminal() -> None:
    console = Console(width=80, color_system=None)
    with console.capture() as captured:
        console.print(build_table([PASSED, SKIPPED]))

    assert [
        "FAULT, HEALING  SERVED AGAIN     FAILED/SENT  ACTIONS          ENDED AS",
        "1-spec          as expected",
        "  without       not within 75 s  0/600        none             Degraded,",
        "                                                               ImagePullBackOff",
        "  with          12 s             3/100        Rollback         Degraded,",
        "                                              Succeeded        RolledBack",
        "26-cluster      left out",
    ] == [line.rstrip() for line in captured.get().splitlines()]


def test_programs_read_the_figures() -> None:
    found = json.loads(json.dumps(build_json(build_report(PASSED, SKIPPED), 0.2)))

    passed, left = found["faults"]
    assert (True, 0.2) == (found["passed"], found["scale"])
    assert (None, 12.3) == (
        passed["without"]["servedAgainAfter"],
        passed["with"]["servedAgainAfter"],
    )
    assert "Rollback" == passed["with"]["actions"][0]["remediation"]
    assert "Degraded" == passed["with"]["events"][0]["reason"]
    assert "a worker" == left["lacked"]
    assert "with" not in left


def test_both_are_written_where_they_are_looked_for(tmp_path: Path) -> None:
    file = write_report(build_report(PASSED), tmp_path / "a", 0.2)

    assert file.read_text(encoding="utf-8") == render_report(build_report(PASSED), 0.2)
    assert build_json(build_report(PASSED), 0.2) == json.loads(
        file.with_suffix(".json").read_text(encoding="utf-8")
    )
