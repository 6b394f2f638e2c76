"""The report: complete, self-contained, and safe with whatever a cluster prints."""

import json
import re
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from hack.scenarios.chaos.evaluation import Result, judged
from hack.scenarios.chaos.faults import chosen
from hack.scenarios.chaos.report import Run, data, page, table, write
from hack.scenarios.chaos.tests.builders import HEALED, WITHOUT, healed
from hack.scenarios.common.tests.html_elements import elements

FAULT, NODE = chosen(["bad-image", "node-killed"])
PASSED = judged(FAULT, WITHOUT, HEALED)
FAILED = judged(replace(FAULT, name="worse"), WITHOUT, healed(acts=(), after=None))
BROKEN = judged(replace(FAULT, name="broken"), WITHOUT, healed(why="no <leader>"))
LEFT = Result(NODE, lacked="a worker")


def run(*results: Result) -> Run:
    return Run(results, "2026-11-23 12:00", 75, "Kubernetes v1, 2 nodes", 0.2)


def test_the_page_is_well_formed_and_draws_each_half_that_was_played() -> None:
    found = elements(page(run(PASSED, FAILED, BROKEN, LEFT)))

    assert [] == found.open
    drawings = [attrs for tag, attrs in found.found if tag == "svg" and attrs.get("role") == "img"]
    assert 5 == len(drawings)
    classes = {attrs.get("class") for _, attrs in found.found}
    assert {"mark fault", "mark action", "curve failures", "failing"} <= classes


def test_halves_are_drawn_on_axes_of_the_same_length() -> None:
    text = page(run(PASSED))

    assert 2 == len(re.findall(r">1:00</text>", text))


def test_the_page_needs_no_network_and_runs_no_script() -> None:
    text = page(run(PASSED, FAILED, BROKEN, LEFT))

    assert not re.search(r"https?://|<script|<link|@import|url\(", text)
    assert "&lt;i&gt;bad" in text
    assert "no &lt;leader&gt;" in text
    assert "back to &lt;v1&gt;" in text


def test_what_was_missed_is_told() -> None:
    text = page(run(FAILED, LEFT))

    assert "Rollback was to be done, but it was nothing" in text
    assert "this cluster lacks a worker" in text


def test_the_run_passes_unless_something_was_missed() -> None:
    assert run(PASSED, LEFT).passed
    assert not run(PASSED, FAILED).passed
    assert (1, 1, 1) == tuple(
        run(PASSED, FAILED, LEFT).count(word) for word in ("as expected", "FAILED", "left out")
    )


def test_the_table_has_a_line_for_each_half_and_fits_a_small_terminal() -> None:
    console = Console(width=80, color_system=None)
    with console.capture() as captured:
        console.print(table([PASSED, LEFT]))

    assert [
        "FAULT, HEALING  SERVED AGAIN     FAILED/SENT  ACTIONS          ENDED AS",
        "bad-image       as expected",
        "  without       not within 75 s  0/600        none             Degraded,",
        "                                                               ImagePullBackOff",
        "  with          12 s             3/100        Rollback Helped  Degraded,",
        "                                                               RolledBack",
        "node-killed     left out",
    ] == [line.rstrip() for line in captured.get().splitlines()]


def test_programs_read_the_figures() -> None:
    found = json.loads(json.dumps(data(run(PASSED, LEFT))))

    passed, left = found["faults"]
    assert (True, 0.2) == (found["passed"], found["scale"])
    assert (None, 12.3) == (
        passed["without"]["servedAgainAfter"],
        passed["with"]["servedAgainAfter"],
    )
    assert "Rollback" == passed["with"]["actions"][0]["remedy"]
    assert "Degraded" == passed["with"]["events"][0]["reason"]
    assert "a worker" == left["lacked"]
    assert "with" not in left


def test_both_are_written_where_they_are_looked_for(tmp_path: Path) -> None:
    file = write(run(PASSED), tmp_path / "a")

    assert file.read_text(encoding="utf-8") == page(run(PASSED))
    assert data(run(PASSED)) == json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
