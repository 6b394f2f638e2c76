"""The table of a whole run in the documentation."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hack.scenarios.common.runner import ScenarioReport
from hack.scenarios.exam.docs import (
    DEFAULT_TIMES_ROWS,
    PAGES,
    update_default_times,
    update_pages,
)
from hack.scenarios.exam.evaluation import FaultResult, evaluate_runs
from hack.scenarios.exam.faults import FAULTS, select_faults
from hack.scenarios.exam.report import write_report
from hack.scenarios.exam.tests.builders import HEALED_RUN, UNHEALED_RUN, build_healed_run
from hack.testkit.errors import ToolError

DEFAULT_BEGIN, DEFAULT_END = (f"<!-- exam-default-times: {edge} -->" for edge in ("begin", "end"))
BEGIN, END = "<!-- exam: begin -->", "<!-- exam: end -->"
NAMES = [fault.name for fault in FAULTS]
RUN_WITHOUT_ACTIONS = replace(HEALED_RUN, actions=(), recovered_after=None, reason="")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with pages that have an old table."""
    for path in PAGES:
        page = tmp_path / path
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(f"# Healing\n\n{BEGIN}\nold\n{END}\n\nMore.\n", encoding="utf-8")
    return tmp_path


def write_run_report(root: Path, *results: FaultResult) -> Path:
    """Write the JSON report of a run."""
    run = ScenarioReport(results, "2026-11-27 12:00 UTC", 3241, "Kubernetes v1.36.3, 2 nodes")
    return write_report(run, root, 0.2).with_suffix(".json")


def build_all_results() -> list[FaultResult]:
    """Return the results of all faults, as expected."""
    return [FaultResult(fault=fault, runs=(UNHEALED_RUN, HEALED_RUN)) for fault in FAULTS]


def test_every_language_tells_of_every_fault(root: Path) -> None:
    """The new figures replace the old ones."""
    missed = evaluate_runs(FAULTS[0], (UNHEALED_RUN, RUN_WITHOUT_ACTIONS))
    written = write_run_report(root, missed, *build_all_results()[1:])
    pages = list(update_pages(root, written, NAMES))

    assert [root / path for path in PAGES] == pages

    english, chinese = (page.read_text(encoding="utf-8") for page in pages)
    for text in (english, chinese):
        assert text.startswith(f"# Healing\n\n{BEGIN}\n`make exam`")
        assert text.endswith(f"\n{END}\n\nMore.\n")
        assert len(FAULTS) + 2 == sum(line.startswith("|") for line in text.splitlines())
        assert all(f"`{name}`" in text for name in NAMES)
        assert "2026-11-27 12:00 UTC (Kubernetes" in text.replace("（", " (")

    assert "| 12 s, 3 of 100 | ImagePullFailing (NewVersion, High) | Rollback (Succ" in english
    assert "| 12 秒，3/100 | ImagePullFailing（NewVersion，High） | Rollback（Succ" in chinese
    assert "| nothing | no |" in english
    assert "| 什么都没做 | 否 |" in chinese
    assert "Wrong actions: " in english
    assert "took 12 s" in english


def test_twice_is_as_once(root: Path) -> None:
    """The table stays in its section."""
    written = write_run_report(root, *build_all_results())
    once = [page.read_text(encoding="utf-8") for page in update_pages(root, written, NAMES)]

    assert once == [page.read_text(encoding="utf-8") for page in update_pages(root, written, NAMES)]


@pytest.mark.parametrize(
    "row",
    [[], [FaultResult(fault=FAULTS[4], runs=(UNHEALED_RUN, build_healed_run(error="x")))]],
    ids=["not asked for", "not run"],
)
def test_an_exam_that_is_not_whole(root: Path, row: list[FaultResult]) -> None:
    """The message says what to do; the pages do not change."""
    written = write_run_report(root, *build_all_results()[:4], *row, *build_all_results()[5:])

    with pytest.raises(ToolError, match=f"it lacks {FAULTS[4].name}: make exam, without FAULT"):
        list(update_pages(root, written, NAMES))

    assert all("old" in (root / path).read_text(encoding="utf-8") for path in PAGES)


def test_a_row_that_the_cluster_cannot_have_is_told(root: Path) -> None:
    """It is no reason to publish nothing."""
    left = FaultResult(fault=FAULTS[0], missing_requirement="a worker")
    written = write_run_report(root, left, *build_all_results()[1:])

    english, _ = (page.read_text(encoding="utf-8") for page in update_pages(root, written, NAMES))

    assert "| not run: needs a worker |" in english


def test_no_run(root: Path) -> None:
    """The message says how to make a report."""
    with pytest.raises(ToolError, match="make exam writes it"):
        list(update_pages(root, root / "exam.json", NAMES))


def test_a_page_without_a_place(root: Path) -> None:
    """The message names the page."""
    written = write_run_report(root, *build_all_results())
    page = root / "docs" / "healing.md"
    page.write_text("# Healing\n", encoding="utf-8")
    with pytest.raises(ToolError, match=r"docs/healing\.md has no place for the table"):
        list(update_pages(root, written, NAMES))


def test_the_pages_have_their_place() -> None:
    """The pages of this repository have the section."""
    root = Path(__file__).parents[4]
    for path in PAGES:
        text = (root / path).read_text(encoding="utf-8")

        assert 1 == text.count(BEGIN) == text.count(END)
        assert 1 == text.count(DEFAULT_BEGIN) == text.count(DEFAULT_END)


def test_default_times(root: Path) -> None:
    """When the fault was named and the rollback began, in a section of its own."""
    runs = (UNHEALED_RUN, HEALED_RUN)
    rows = [FaultResult(fault=each, runs=runs) for each in select_faults(DEFAULT_TIMES_ROWS)]
    written = write_run_report(root, *rows)
    for path in PAGES:
        (root / path).write_text(f"{DEFAULT_BEGIN}\nold\n{DEFAULT_END}\n", encoding="utf-8")

    pages = list(update_default_times(root, written))

    assert [root / path for path in PAGES] == pages
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "old" not in text
        assert len(DEFAULT_TIMES_ROWS) + 2 == sum(
            line.startswith("|") for line in text.splitlines()
        )
        assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1
    with pytest.raises(ToolError, match="make exam-default-times writes it"):
        list(update_default_times(root, root / "none.json"))


def test_the_command_has_these_rows() -> None:
    """The target of the Makefile names them."""
    recipe = (Path(__file__).parents[1] / "exam.mk").read_text(encoding="utf-8")

    assert " ".join(f"--fault {row}" for row in DEFAULT_TIMES_ROWS) in recipe


def test_a_half_that_is_told_as_json(root: Path) -> None:
    """The templates use the keys of the report."""
    (fault, *_) = json.loads(
        write_run_report(root, *build_all_results()).read_text(encoding="utf-8")
    )["faults"]

    assert {"limit", "servedAgainAfter", "sent", "failed", "actions"} <= fault["with"].keys()
