"""The report: complete, self-contained, and safe with whatever a cluster prints."""

import re
from pathlib import Path

from rich.console import Console

from hack.scenarios.common.tests.builders import look, pod
from hack.scenarios.common.tests.html_elements import elements
from hack.scenarios.common.timeline import Mark, timeline
from hack.scenarios.lab.page_parser import parse
from hack.scenarios.lab.report import Run, page, table, write
from hack.scenarios.lab.runner import Result, Typed

TEXT = (
    "# 2. Some <b>step</b>\n\n<!-- lab page: {seconds: 5} -->\n\n```sh\ncurl $URL | jq '<x>'\n```\n"
)
PAGE = parse(Path("docs/lab/02-some-step.md"), TEXT)
LINE = timeline(
    [
        look(0, pod("web-1", "0/1", "Pending"), ready="0/1"),
        look(4, pod("web-1"), ready="1/1", autoscaling={"cpu": "70%/50%"}),
        look(9, pod("web-1", restarts=1), ready="1/1", restarts={"total": 1}),
    ],
    [Mark(1, "curl <x>")],
    12,
)
TYPED = Typed(PAGE.commands[0], 1, "<script>alert(1)</script>", 3, 8)
PASSED = Result(PAGE, LINE, (TYPED,))
FAILED = Result(PAGE, LINE, (TYPED,), why="it does not show 'a<b'", remains="$ kubectl\n<none>")
LEFT = Result(PAGE, timeline((), (), 0), why="it needs: more", skipped=True)


def run(*results: Result) -> Run:
    return Run(results, "2026-11-23 12:00", 75, "Kubernetes v1, 2 nodes")


def test_the_page_is_well_formed_and_draws_each_step_that_was_played() -> None:
    found = elements(page(run(PASSED, FAILED, LEFT)))

    assert [] == found.open
    drawings = [attrs for tag, attrs in found.found if tag == "svg" and attrs.get("role") == "img"]
    assert 2 == len(drawings)
    classes = [attrs.get("class") for tag, attrs in found.found if tag in ("rect", "path")]
    assert {"starting", "serving", "restart", "curve cpu", "curve goal"} <= set(classes)


def test_the_page_needs_no_network_and_runs_no_script() -> None:
    text = page(run(PASSED, FAILED, LEFT))

    assert not re.search(r"https?://|<script|<link|@import|url\(", text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "prefers-color-scheme: dark" in text


def test_results_are_counted() -> None:
    assert (1, 1, 1) == tuple(
        run(PASSED, FAILED, LEFT).count(word) for word in ("passed", "FAILED", "left out")
    )
    assert run(PASSED, LEFT).passed
    assert not run(PASSED, FAILED).passed


def test_a_failure_opens_its_transcript_and_says_what_there_was() -> None:
    text = page(run(FAILED))

    assert "<details open>" in text
    assert "What there was when it failed" in text
    assert "a&lt;b" in text


def test_an_output_of_another_kind_than_in_the_page_is_told() -> None:
    text = page(run(Result(PAGE, LINE, (TYPED,), stale=("12", "30"))))

    assert "at lines 12, 30" in text


def test_the_table_names_step_result_time_and_what_was_seen() -> None:
    console = Console(width=100, color_system=None)
    with console.capture() as captured:
        console.print(table([PASSED, FAILED, LEFT]))

    lines = [line.split() for line in captured.get().splitlines()]
    assert ["STEP", "RESULT", "TIME", "SEEN"] == lines[0]
    assert ["some-step", "passed", "12", "s", "1", "pod,", "1", "restart,"] == lines[1][:8]
    assert ["some-step", "FAILED"] == lines[2][:2]
    assert ["some-step", "left", "out", "it", "needs:", "more"] == lines[3]


def test_the_page_is_written_where_it_is_looked_for(tmp_path: Path) -> None:
    file = write(run(PASSED), tmp_path / "a" / "b")

    assert file.read_text(encoding="utf-8") == page(run(PASSED))
