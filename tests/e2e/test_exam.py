"""The quickest rows of the exam, each with healing alone; `make exam` has all of them.

The rows, and what is expected of them, are those of hack/scenarios/exam. They run side by side, in
namespaces of their own. Every time of healing is a tenth of what it says, and an app must stay
healthy for a quarter of a minute instead of a minute.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from hack.scenarios.common.scenario import ScenarioContext
from hack.scenarios.exam.evaluation import FaultResult, evaluate_runs
from hack.scenarios.exam.experiment import Experiment, Timing
from hack.scenarios.exam.faults import select_faults
from hack.scenarios.exam.lanes import RowConsole
from hack.testkit.kube_client import KubeClient

TIMING: Final = Timing(scale=0.1, hold_seconds=15)

SIDE_BY_SIDE: Final = 3

QUICKEST: Final = (
    "1-spec",
    "1-child",
    "2-spec",
    "2-child",
    "11-spec",
    "11-child",
    "14-spec",
    "15-spec-podsecurity",
    "15-cluster",
    "17-spec",
    "18-child",
    "31-spec",
)


def run_row(kube: KubeClient, row: str, folder: Path, stop: threading.Event) -> FaultResult:
    """Run a row with healing."""
    (fault,) = select_faults([row])
    client = kube.for_namespace(f"e2e-{row}")
    context = ScenarioContext(client, RowConsole(row, time.monotonic()))
    return evaluate_runs(fault, Experiment(fault, {True: context}, TIMING, stop).run(folder / row))


@pytest.fixture(scope="module")
def results(
    kube: KubeClient, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[FaultResult]]]:
    """The results of the rows that are selected, as they come."""
    folder, stop = tmp_path_factory.mktemp("exam"), threading.Event()
    names = {item.name for item in request.session.items}
    selected = [row for row in QUICKEST if f"test_row[{row}]" in names]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        try:
            yield {row: pool.submit(run_row, kube, row, folder, stop) for row in selected}
        finally:
            stop.set()


@pytest.mark.parametrize("row", QUICKEST)
def test_row(results: Mapping[str, Future[FaultResult]], row: str) -> None:
    """It is named with its true cause, healed where it can be, and nothing else is touched."""
    result = results[row].result()

    run = result.runs[0]
    assert () == result.failures, (run.actions, run.diagnoses, run.message)
