import threading

import pytest

from hack.scenarios.exam import lanes
from hack.scenarios.exam.evaluation import FaultResult
from hack.scenarios.exam.fault import Fault
from hack.scenarios.exam.faults import FAULTS

TOGETHER = [fault for fault in FAULTS if not fault.is_alone][:3]
ALONE = [fault for fault in FAULTS if fault.is_alone][:2]


def test_rows_run_side_by_side_and_the_others_alone_at_the_end() -> None:
    together, order = threading.Barrier(3, timeout=20), []

    def run(fault: Fault) -> FaultResult:
        if not fault.is_alone:
            together.wait()  # all three run at the same time, or this breaks
        order.append(fault.name)
        return FaultResult(fault=fault)

    faults = [*ALONE, *TOGETHER]
    results = list(lanes.run_in_lanes(faults, run, threading.Event(), 3))

    assert {fault.name for fault in faults} == {result.name for result in results}
    assert [fault.name for fault in ALONE] == order[3:]


def test_an_interruption_tells_the_rows_to_end() -> None:
    stop, is_running = threading.Event(), threading.Event()

    def run(fault: Fault) -> FaultResult:
        if fault is TOGETHER[0]:
            assert is_running.wait(20)
            raise KeyboardInterrupt
        is_running.set()
        assert stop.wait(20)
        return FaultResult(fault=fault)

    with pytest.raises(KeyboardInterrupt):
        list(lanes.run_in_lanes(TOGETHER[:2], run, stop, 2))

    assert stop.is_set()


def test_a_line_tells_the_row(capsys: pytest.CaptureFixture[str]) -> None:
    console = lanes.RowConsole("2-child on", 0.0)

    console.print_command("kubectl patch", "patched")

    assert "  2-child on            $ kubectl patch\n" in capsys.readouterr().out
