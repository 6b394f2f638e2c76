"""Runs rows side by side where they do not disturb each other, and the others alone at the end."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Final

from hack.scenarios.common.cluster_state import ClusterSnapshot
from hack.scenarios.common.console import Progress
from hack.scenarios.exam.environment import HEALING_SCALE
from hack.scenarios.exam.evaluation import FaultResult
from hack.scenarios.exam.fault import Fault
from hack.testkit.progress import format_clock

LANES: Final = 6
"""Rows at the same time: what two cores carry without making the pods start late."""


def run_in_lanes(
    faults: Sequence[Fault],
    run: Callable[[Fault], FaultResult],
    stop: threading.Event,
    lanes: int = LANES,
) -> Iterator[FaultResult]:
    """Run the rows that may run side by side, the longest first; then each other row alone.

    Args:
        faults: the rows.
        run: runs one row; it raises no error of the row, and ends soon once ``stop`` is set.
        stop: is set when the rows must not go on, for example by Ctrl-C.
        lanes: how many rows run at the same time.

    Yields:
        The results, as they come.
    """
    together = sorted(
        (fault for fault in faults if not fault.is_alone),
        key=lambda fault: -fault.due_after(HEALING_SCALE),
    )
    with ThreadPoolExecutor(lanes, thread_name_prefix="lane") as pool:
        waiting: set[Future[FaultResult]] = {pool.submit(run, fault) for fault in together}
        try:
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for each in done:
                    yield each.result()
        except BaseException:
            stop.set()
            for each in waiting:
                each.cancel()
            raise
    for fault in faults:
        if fault.is_alone:
            yield run(fault)


class RowConsole:
    """The console of one half of a row: lines that begin with the time and the name of the row."""

    _lock = threading.Lock()

    def __init__(self, label: str, started: float) -> None:
        self._label = label
        self._started = started

    def begin_step(self, progress: Progress) -> None:
        """Print the title of the step."""
        self.print_note(progress.title)

    def print_note(self, text: str) -> None:
        """Print a text."""
        now = format_clock(time.monotonic() - self._started)
        with self._lock:
            for line in text.splitlines():
                print(f"{now:>6}  {self._label:<22}{line}", flush=True)

    def print_command(self, command: str, output: str) -> None:  # noqa: ARG002 - too long for many rows
        """Print a command."""
        self.print_note(f"$ {command}")

    def show_snapshot(self, snapshot: ClusterSnapshot, progress: Progress) -> None:
        """Print nothing: there are many rows at once."""

    def end_step(self, progress: Progress, summary: str) -> None:  # noqa: ARG002 - the label tells
        """Print the summary."""
        self.print_note(summary)
