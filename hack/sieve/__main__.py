"""``make sieve``: every story with every fault; goes on where an earlier run stopped."""

import argparse
import json
import logging
import math
import random
import sys
from pathlib import Path

from hack.sieve.campaign import record_references, run_tasks
from hack.sieve.results import Result, build_table, describe_failure
from hack.sieve.stories import STORIES
from hack.testkit.cli import run_command
from hack.testkit.fault_points import Fault, FaultKind
from hack.testkit.kube_client import ROOT, unusable_reason

FOLDER = ROOT / ".artifacts" / "sieve"
RESULTS = FOLDER / "results.jsonl"
TABLE = FOLDER / "table.md"


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make sieve", description=__doc__)
    parser.add_argument("--story", action="append", choices=STORIES, help="only this one")
    parser.add_argument("--fault", type=Fault.parse, help='only this one: "swallow ADDED pods 1"')
    parser.add_argument("--jobs", type=int, default=4, help="stories at the same time")
    parser.add_argument("--fresh", action="store_true", help="forget the results of earlier runs")
    return parser.parse_args()


def read_results() -> list[Result]:
    """Return the results of earlier runs."""
    if not RESULTS.exists():
        return []
    lines = RESULTS.read_text(encoding="utf-8").splitlines()
    return [Result.from_json(json.loads(line)) for line in lines]


def main() -> int:
    """Tell the stories that have not been told yet; return 1 when one ended differently."""
    arguments = parse_arguments()
    if reason := unusable_reason():
        print(reason, file=sys.stderr)
        return 1
    logging.disable(logging.ERROR)  # of the proxy, about requests of operators that were killed
    FOLDER.mkdir(parents=True, exist_ok=True)
    if arguments.fresh:
        RESULTS.unlink(missing_ok=True)
    results = {(each.story, each.fault): each for each in read_results()}
    stories = arguments.story or list(STORIES)
    print(f"==> undisturbed: {', '.join(stories)}", flush=True)
    references = record_references(stories, arguments.jobs)
    planned = {story: references[story].list_faults(story) for story in stories}
    if arguments.fault:
        planned = {story: [arguments.fault] for story in stories}
    tasks = [
        (story, fault, references[story])
        for story, faults in planned.items()
        for fault in faults
        if arguments.fault or not is_told_well(results.get((story, str(fault))))
    ]
    # A run that is stopped has seen something of everything; the events are most of the points.
    random.shuffle(tasks)
    tasks.sort(key=lambda task: task[1].kind is FaultKind.SWALLOW)
    print(f"==> {len(tasks)} faults to place, {arguments.jobs} at a time", flush=True)
    count = 0

    def on_result(result: Result) -> None:
        nonlocal count
        count += 1
        results[result.story, result.fault] = result
        append(RESULTS, json.dumps(result.to_json()))
        verdict = "DIFFERS" if result.differences else "equal"
        reached = "" if result.is_reached else ", not reached"
        where = f"{result.story}: {result.fault}"
        print(f"{count}/{len(tasks)} {where}: {verdict}{reached}", flush=True)
        for line in result.differences:
            print(f"    {line}", flush=True)

    run_tasks(tasks, arguments.jobs, on_result, math.inf)
    failed = [each for each in results.values() if each.differences and each.story in stories]
    table = build_table(planned, results.values())
    report = "\n".join([*table, "", *map(describe_failure, failed)])
    TABLE.write_text(report + "\n", encoding="utf-8")
    print(report)
    return 1 if failed else 0


def is_told_well(result: Result | None) -> bool:
    """Whether a fault need not be placed again."""
    return result is not None and not result.differences


def append(path: Path, line: str) -> None:
    """Append a line to a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


if __name__ == "__main__":
    sys.exit(run_command(main))
