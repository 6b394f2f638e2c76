from typing import Any

from hack.testkit.summary import format_summary


def build_test(seconds: float, *, outcome: str = "passed", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - as in a record
    return {
        "unit": "integration/drift",
        "outcome": outcome,
        "started": 100.0,
        "ended": 100.0 + seconds,
        "seconds": seconds,
        "reruns": 0,
        **more,
    }


def test_layers_are_summed_over_records() -> None:
    record = {
        "tests": {
            "tests/unit/api/test_a.py::test_1": build_test(1.0),
            "tests/integration/test_drift.py::test_2": build_test(70.0),
        }
    }
    alone = {"tests": {"tests/integration/test_status.py::test_3": build_test(5.0)}}

    lines = format_summary([record, alone])

    assert "integration       2    1:15    1:15  2 passed" in lines
    assert "unit              1    0:01    0:01  1 passed" in lines
    assert "    70.0 s  tests/integration/test_drift.py::test_2" in lines


def test_reruns_and_failures_are_named() -> None:
    record = {
        "tests": {
            "tests/e2e/test_a.py::test_1": build_test(1.0, reruns=1),
            "tests/e2e/test_a.py::test_2": build_test(1.0, outcome="failed"),
        }
    }

    lines = format_summary([record])

    assert lines[lines.index("rerun:") + 1] == "  tests/e2e/test_a.py::test_1"
    assert lines[lines.index("failed:") + 1] == "  tests/e2e/test_a.py::test_2"


def test_nothing_recorded_is_an_empty_table() -> None:
    assert len(format_summary([])) == 2
