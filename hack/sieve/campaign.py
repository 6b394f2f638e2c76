"""Tells many stories side by side, within a time."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from hack.sieve.results import SEPARATOR, Result
from hack.sieve.runner import Reference, record_reference, run_with_faults
from hack.testkit.fault_points import Fault

Task = tuple[str, Sequence[Fault], Reference]
"""A story, the faults of one telling, and how the story goes without them."""


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

    def run(task: Task) -> list[Result]:
        return run_task(task) if time.monotonic() < until else []

    with ThreadPoolExecutor(jobs, "story") as pool:
        running = [pool.submit(run, task) for task in tasks]
        try:
            for done in as_completed(running):
                for result in done.result():
                    on_result(result)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def run_task(task: Task) -> list[Result]:
    """Tell a story with its faults; one by one those of which the first telling does not decide.

    That is each of them if it ends differently, and each whose point did not come: an earlier fault
    may have kept it away.
    """
    story, faults, reference = task
    together = run_with_faults(story, faults, reference)
    if len(faults) == 1:
        return together
    differences = together[0].differences
    results = []
    for fault, result in zip(faults, together, strict=True):
        is_decided = result.is_reached and not differences
        results += [result] if is_decided else run_with_faults(story, [fault], reference)
    if differences and not any(result.differences for result in results):
        names = SEPARATOR.join(map(str, faults))
        results.append(Result(story, names, differences=differences))
    return results
