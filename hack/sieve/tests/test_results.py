"""The sample is the same for a seed; the table counts what was told of what is planned."""

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from hack.sieve import campaign
from hack.sieve.campaign import run_task
from hack.sieve.docs import PAGES, update_pages
from hack.sieve.results import (
    GROUP_SIZE,
    Result,
    build_table,
    describe_failure,
    describe_seconds,
    group_faults,
    sample_faults,
)
from hack.sieve.runner import Reference
from hack.testkit.errors import ToolError
from hack.testkit.fault_points import Fault, FaultKind, Point, list_faults

FAULTS = list_faults(
    [Point("PATCH", "pods", 1), Point("PATCH", "pods", 2), Point("ADDED", "pods", 1)],
    {"pods", "services"},
    kills_only=False,
)


@given(st.text(max_size=5))
def test_one_fault_of_each_kind(seed: str) -> None:
    chosen = sample_faults(FAULTS, seed)

    assert list(FaultKind) == [fault.kind for fault in chosen]
    assert chosen == sample_faults(FAULTS, seed)
    assert set(chosen) <= set(FAULTS)


def test_no_more_than_there_are() -> None:
    kills = FAULTS[:2]

    assert kills == sample_faults(kills, "")


@given(st.sampled_from(FAULTS), st.booleans(), st.lists(st.text(), max_size=3))
def test_a_result_is_read_as_it_was_written(
    fault: Fault,
    reached: bool,  # noqa: FBT001 - given by name
    differences: list[str],
) -> None:
    result = Result("apply", str(fault), {"tell": 1.5}, reached, tuple(differences))

    assert result == Result.from_json(result.to_json())


TOLD = [
    Result("apply", "kill-before PATCH pods 1"),
    Result("apply", "kill-before PATCH pods 2", is_reached=False),
    Result("apply", "swallow ADDED pods 1", differences=("a",)),
    Result("apply", "swallow ADDED pods 9"),
    Result("delete", "freeze pods"),
]


def test_the_table() -> None:
    table = build_table({"apply": FAULTS, "fail-over": FAULTS[:2]}, TOLD)

    assert [
        "| `apply` | 2/2 of 2 | 0/0 of 2 | 0/1 of 1 | 0/0 of 2 | 1 |",
        "| `fail-over` | 0/0 of 1 | 0/0 of 1 | - | - | 0 |",
    ] == table


def test_a_failure_says_how_to_see_it_again() -> None:
    text = describe_failure(Result("apply", "freeze pods", differences=("a: 1 instead of 2",)))

    assert 'make sieve STORY=apply FAULT="freeze pods"\n    a: 1 instead of 2' in text


def test_how_long_a_fault_takes() -> None:
    told = [Result("apply", "a", {"tell": 1, "end": 2}), Result("apply", "b", {"tell": 2})]

    assert ["apply: 2.5 s a fault; tell 1.5, end 1.0"] == describe_seconds(told)


events = st.builds(
    Point, st.just("ADDED"), st.sampled_from(("pods", "services", "jobs")), st.integers(1, 9)
)


@given(st.lists(events, unique=True), st.lists(st.integers(1, 9), unique=True))
def test_only_lost_events_of_different_resources_share_a_telling(
    lost: list[Point], writes: list[int]
) -> None:
    faults = list_faults(
        [*lost, *(Point("PATCH", "pods", number) for number in writes)], {"pods"}, kills_only=False
    )

    groups = group_faults(faults)

    assert sorted(faults) == sorted(fault for group in groups for fault in group)
    for group in groups:
        assert len(group) == len({fault.point.resource for fault in group}) <= GROUP_SIZE
        assert 1 == len(group) or {FaultKind.SWALLOW} == {fault.kind for fault in group}


SWALLOWS = tuple(Fault(FaultKind.SWALLOW, Point("ADDED", name, 1)) for name in ("a", "b", "c"))
A, B, C = map(str, SWALLOWS)


@pytest.mark.parametrize(
    ("bad", "missed", "told", "expected"),
    [
        ([], [], [[A, B, C]], {}),
        ([{B}], [], [[A, B, C], [A], [B], [C]], {B}),
        ([], [C], [[A, B, C], [C]], {}),
        ([{A, B}], [], [[A, B, C], [A], [B], [C]], {f"{A}; {B}; {C}"}),
    ],
    ids=["equal", "one-differs", "one-is-not-reached", "only-together"],
)
def test_what_a_telling_does_not_decide_is_told_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
    bad: list[set[str]],
    missed: list[str],
    told: list[list[str]],
    expected: set[str],
) -> None:
    tellings = []

    def run(story: str, faults: tuple[Fault, ...], _: Reference) -> list[Result]:
        names = [str(fault) for fault in faults]
        tellings.append(names)
        differs = any(each <= set(names) for each in bad)
        is_alone = len(names) == 1
        return [
            Result(story, name, {}, is_alone or name not in missed, ("x",) if differs else ())
            for name in names
        ]

    monkeypatch.setattr(campaign, "run_with_faults", run)
    results = run_task(("apply", SWALLOWS, Reference([], set(), {}, {})))

    assert told == tellings
    assert set(expected) == {result.fault for result in results if result.differences}
    assert {A, B, C} <= {result.fault for result in results}
    assert all(result.is_reached for result in results)


def test_a_whole_campaign_goes_into_every_page(tmp_path: Path) -> None:
    for path in PAGES:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("a\n<!-- sieve: begin -->\nold\n<!-- sieve: end -->\nb\n")

    planned = {"apply": [FAULTS[0]]}
    with pytest.raises(ToolError, match="0 of 1 faults have been placed"):
        list(update_pages(tmp_path, planned, [], "2026-01-31"))
    pages = list(update_pages(tmp_path, planned, TOLD, "2026-01-31"))

    assert [tmp_path / path for path in PAGES] == pages
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "2026-01-31" in text
        assert "\n| `apply` | 1/1 of 1 | - | - | - | 0 |\n" in text
        assert "old" not in text
        assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1
