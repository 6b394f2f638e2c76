"""Tells many stories side by side, within a time."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from hack.sieve.results import Result
from hack.sieve.runner import Reference, record_reference, run_with_fault
from hack.testkit.fault_points import Fault

Task = tuple[str, Fault, Reference]


def record_references(stories: Sequence[str], jobs: int) -> dict[str, Reference]:
    """Tell each story undisturbed.

    Raises:
        AssertionError: one does not come to its end.
    """
    with ThreadPoolExecutor(jobs, "story") as pool:
        return dict(zip(stories, pool.map(record_reference, stories), strict=True))


def run_tasks(
    tasks: Iterable[Task], jobs: int, on_result: Callable[[Result], None], until: float
) -> None:
    """Run stories with faults, ``jobs`` at a time; begin none after ``until`` (monotonic)."""

    def run(task: Task) -> Result | None:
        return run_with_fault(*task) if time.monotonic() < until else None

    with ThreadPoolExecutor(jobs, "story") as pool:
        running = [pool.submit(run, task) for task in tasks]
        try:
            for done in as_completed(running):
                if (result := done.result()) is not None:
                    on_result(result)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
