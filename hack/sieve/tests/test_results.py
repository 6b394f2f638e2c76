"""The sample is the same for a seed; the table counts what was told of what is planned."""

from hypothesis import given, strategies as st

from hack.sieve.results import Result, build_table, describe_failure, sample_faults
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
    result = Result("apply", str(fault), 1.5, reached, differences)

    assert result == Result.from_json(result.to_json())


def test_the_table() -> None:
    told = [
        Result("apply", "kill-before PATCH pods 1", 1),
        Result("apply", "kill-before PATCH pods 2", 1, is_reached=False),
        Result("apply", "swallow ADDED pods 1", 1, differences=["a"]),
        Result("apply", "swallow ADDED pods 9", 1),
        Result("delete", "freeze pods", 1),
    ]

    table = build_table({"apply": FAULTS, "fail-over": FAULTS[:2]}, told)

    assert "| apply | 2 | 1 | 2 | 2/2 of 2 | 0/0 of 2 | 0/1 of 1 | 0/0 of 2 | 1 |" == table[2]
    assert "| fail-over | 1 | 0 | 0 | 0/0 of 1 | 0/0 of 1 | - | - | 0 |" == table[3]
    assert 4 == len(table)
    assert 1 == len({line.count("|") for line in table})


def test_a_failure_says_how_to_see_it_again() -> None:
    text = describe_failure(Result("apply", "freeze pods", 12.3, differences=["a: 1 instead of 2"]))

    assert 'make sieve STORY=apply FAULT="freeze pods"\n    a: 1 instead of 2' in text
