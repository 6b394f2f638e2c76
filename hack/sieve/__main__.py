"""``make sieve``: every story with every fault; goes on where an earlier run stopped."""

import argparse
import json
import logging
import random
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from hack.sieve.campaign import record_references, run_tasks
from hack.sieve.docs import update_pages
from hack.sieve.results import (
    SEPARATOR,
    TABLE_HEADER,
    Result,
    build_table,
    describe_failure,
    describe_seconds,
    group_faults,
)
from hack.sieve.stories import STORIES
from hack.testkit.cli import run_command
from hack.testkit.fault_points import Fault, FaultKind
from hack.testkit.kube_client import ROOT, unusable_reason

FOLDER = ROOT / ".artifacts" / "sieve"
RESULTS = FOLDER / "results.jsonl"
PLAN = FOLDER / "plan.json"
TABLE = FOLDER / "table.md"

JOBS = 12
"""Stories at the same time: they wait most of the time, for pods, for a probation, for an end."""

MINUTES = 25
"""How long stories are begun; those that are left are told by the next run."""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make sieve", description=__doc__)
    parser.add_argument("--story", action="append", choices=STORIES, help="only this one")
    parser.add_argument(
        "--fault",
        type=_parse_faults,
        help='only this one: "swallow ADDED pods 1"; several in one telling, with "; " between',
    )
    parser.add_argument("--jobs", type=int, default=JOBS, help="stories at the same time")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="begin none after that")
    parser.add_argument("--sample", type=int, help="at most so many tellings")
    parser.add_argument("--fresh", action="store_true", help="forget the results of earlier runs")
    parser.add_argument(
        "--docs", action="store_true", help="only put the table of a whole run into docs/"
    )
    return parser.parse_args(arguments)


def _parse_faults(text: str) -> tuple[Fault, ...]:
    return tuple(map(Fault.parse, text.split(SEPARATOR)))


def read_results() -> list[Result]:
    """Return the results of earlier runs, the last one of each fault."""
    if not RESULTS.exists():
        return []
    lines = RESULTS.read_text(encoding="utf-8").splitlines()
    results = [Result.from_json(json.loads(line)) for line in lines]
    return list({(each.story, each.fault): each for each in results}.values())


def write_plan(planned: Mapping[str, Sequence[Fault]]) -> None:
    """Keep which faults there are, for the documentation."""
    plan = {story: list(map(str, faults)) for story, faults in planned.items()}
    PLAN.write_text(json.dumps(plan), encoding="utf-8")


def update_docs() -> int:
    """Put the table of a whole run into the documentation.

    Raises:
        ToolError: no whole run was made.
    """
    plan = json.loads(PLAN.read_text(encoding="utf-8")) if PLAN.exists() else {}
    planned = {story: list(map(Fault.parse, faults)) for story, faults in plan.items()}
    day = datetime.fromtimestamp(PLAN.stat().st_mtime if plan else 0, UTC)
    for page in update_pages(ROOT, planned, read_results(), f"{day:%Y-%m-%d}"):
        print(f"wrote {page.relative_to(ROOT)}")
    return 0


def main() -> int:
    """Tell the stories that have not been told yet; return 1 when one ended differently."""
    arguments = parse_arguments()
    if arguments.docs:
        return update_docs()
    if reason := unusable_reason():
        print(reason, file=sys.stderr)
        return 1
    until = time.monotonic() + 60 * arguments.minutes
    logging.disable(logging.ERROR)  # of the proxy, about requests of operators that were killed
    FOLDER.mkdir(parents=True, exist_ok=True)
    if arguments.fresh:
        RESULTS.unlink(missing_ok=True)
    known = read_results()
    results = {(each.story, each.fault): each for each in known if SEPARATOR not in each.fault}
    stories = arguments.story or list(STORIES)
    print(f"==> undisturbed: {', '.join(stories)}", flush=True)
    references = record_references(stories, arguments.jobs)
    planned = {story: references[story].list_faults(story) for story in stories}
    if not arguments.story:
        write_plan(planned)
    tasks = [
        (story, group, references[story])
        for story, faults in planned.items()
        for group in (
            [arguments.fault]
            if arguments.fault
            else group_faults([f for f in faults if not is_told_well(results.get((story, str(f))))])
        )
    ]
    tasks += [  # what made a difference only together
        (each.story, _parse_faults(each.fault), references[each.story])
        for each in known
        if SEPARATOR in each.fault and each.story in stories and not arguments.fault
    ]
    # A run that is stopped has seen something of everything; the events are most of the points.
    random.shuffle(tasks)
    tasks.sort(key=lambda task: task[1][0].kind is FaultKind.SWALLOW)
    tasks = tasks[: arguments.sample]
    total = sum(len(faults) for _, faults, _ in tasks)
    print(f"==> {total} faults in {len(tasks)} tellings, {arguments.jobs} at a time", flush=True)
    told: list[Result] = []

    def on_result(result: Result) -> None:
        told.append(result)
        results[result.story, result.fault] = result
        append_result(result)
        verdict = "DIFFERS" if result.differences else "equal"
        reached = "" if result.is_reached else ", not reached"
        where = f"{result.story}: {result.fault}"
        print(f"{len(told)}/{total} {where}: {verdict}{reached}", flush=True)
        for line in result.differences:
            print(f"    {line}", flush=True)

    run_tasks(tasks, arguments.jobs, on_result, until)
    failed = [each for each in results.values() if each.differences and each.story in stories]
    table = [*TABLE_HEADER, *build_table(planned, results.values())]
    report = "\n".join([*table, "", *map(describe_failure, failed)])
    TABLE.write_text(report + "\n", encoding="utf-8")
    print("\n".join([report, *describe_seconds(told)]))
    left = sum(
        (story, str(fault)) not in results for story, faults in planned.items() for fault in faults
    )
    if left:
        print(f"{left} faults are left: the next run places them.")
    return 1 if failed else 0


def is_told_well(result: Result | None) -> bool:
    """Whether a fault need not be placed again."""
    return result is not None and not result.differences


def append_result(result: Result) -> None:
    """Keep a result for the next run."""
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(result.to_json()) + "\n")


if __name__ == "__main__":
    sys.exit(run_command(main))
