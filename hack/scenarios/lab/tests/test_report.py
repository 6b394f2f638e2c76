"""The report is complete, self-contained and escapes what a cluster prints."""

import re
from pathlib import Path

from rich.console import Console

from hack.scenarios.common.runner import ScenarioReport
from hack.scenarios.common.tests.builders import build_pod, build_sample
from hack.scenarios.common.tests.html_elements import parse_html
from hack.scenarios.common.timeline import Mark, build_timeline
from hack.scenarios.lab.page_parser import parse_page
from hack.scenarios.lab.page_scenario import ExecutedCommand, PageResult
from hack.scenarios.lab.report import build_table, render_report, write_report

TEXT = (
    "# 2. Some <b>step</b>\n\n<!-- lab page: {seconds: 5} -->\n\n```sh\ncurl $URL | jq '<x>'\n```\n"
)
PAGE = parse_page(Path("docs/lab/02-some-step.md"), TEXT)
TIMELINE = build_timeline(
    [
        build_sample(0, build_pod("web-1", "0/1", "Pending"), ready="0/1"),
        build_sample(4, build_pod("web-1"), ready="1/1", autoscaling={"cpu": "70%/50%"}),
        build_sample(9, build_pod("web-1", restarts=1), ready="1/1", restarts={"total": 1}),
    ],
    [Mark(1, "curl <x>")],
    12,
)
COMMANDS = ExecutedCommand(PAGE.commands[0], 1, "<script>alert(1)</script>", 3, 8)
PASSED = PageResult(PAGE, TIMELINE, (COMMANDS,))
FAILED = PageResult(
    PAGE,
    TIMELINE,
    (COMMANDS,),
    failures=("it does not show 'a<b'",),
    cluster_state="$ kubectl\n<none>",
)
SKIPPED = PageResult(PAGE, build_timeline((), (), 0), missing_requirement="more")


def build_report(*results: PageResult) -> ScenarioReport[PageResult]:
    return ScenarioReport(results, "2026-11-23 12:00", 75, "Kubernetes v1, 2 nodes")


def test_the_page_is_well_formed_and_draws_each_step_that_was_played() -> None:
    found = parse_html(render_report(build_report(PASSED, FAILED, SKIPPED)))

    assert [] == found.open
    drawings = [attrs for tag, attrs in found.found if tag == "svg" and attrs.get("role") == "img"]
    assert 2 == len(drawings)
    classes = [attrs.get("class") for tag, attrs in found.found if tag in ("rect", "path")]
    assert {"starting", "serving", "restart", "curve cpu", "curve goal"} <= set(classes)


def test_the_page_needs_no_network_and_runs_no_script() -> None:
    text = render_report(build_report(PASSED, FAILED, SKIPPED))

    assert not re.search(r"https?://|<script|<link|@import|url\(", text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "prefers-color-scheme: dark" in text


def test_results_are_counted() -> None:
    assert (1, 1, 1) == tuple(
        build_report(PASSED, FAILED, SKIPPED).count(word)
        for word in ("passed", "FAILED", "left out")
    )
    assert build_report(PASSED, SKIPPED).has_passed
    assert not build_report(PASSED, FAILED).has_passed


def test_a_failure_opens_its_transcript_and_says_what_there_was() -> None:
    text = render_report(build_report(FAILED))

    assert "<details open>" in text
    assert "What there was when it failed" in text
    assert "a&lt;b" in text


def test_an_output_of_another_kind_than_in_the_page_is_told() -> None:
    text = render_report(
        build_report(PageResult(PAGE, TIMELINE, (COMMANDS,), stale_lines=("12", "30")))
    )

    assert "at lines 12, 30" in text


def test_the_table_names_step_result_time_and_what_was_seen() -> None:
    console = Console(width=100, color_system=None)
    with console.capture() as captured:
        console.print(build_table([PASSED, FAILED, SKIPPED]))

    lines = [line.split() for line in captured.get().splitlines()]
    assert ["STEP", "RESULT", "TIME", "SEEN"] == lines[0]
    assert ["some-step", "passed", "12", "s", "1", "pod,", "1", "restart,"] == lines[1][:8]
    assert ["some-step", "FAILED"] == lines[2][:2]
    assert [
        "some-step",
        "left",
        "out",
        "this",
        "cluster",
        "lacks",
        "what",
        "it",
        "needs:",
        "more",
    ] == lines[3]


def test_the_page_is_written_where_it_is_looked_for(tmp_path: Path) -> None:
    file = write_report(build_report(PASSED), tmp_path / "a" / "b")

    assert file.read_text(encoding="utf-8") == render_report(build_report(PASSED))
