"""``python -m hack.scenarios.exam``: the commands of ``make exam``, ``drill`` and ``exam-docs``."""

import argparse
import sys
from collections.abc import Sequence

from hack.scenarios.common.runner import add_report_option, add_run_options, run_scenarios
from hack.scenarios.exam import docs, lanes
from hack.scenarios.exam.environment import HEALING_SCALE
from hack.scenarios.exam.experiment import Timing
from hack.scenarios.exam.faults import FAULTS, UNINJECTABLE, select_faults
from hack.scenarios.exam.report import JSON_FILE, REPORT_FOLDER
from hack.scenarios.exam.scenarios import ExamSet, estimate_seconds
from hack.testkit import cli
from hack.testkit.kube_client import ROOT
from hack.testkit.progress import format_clock


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code of a run is 0 only if it went as expected."""
    options = _build_parser().parse_args(arguments)
    return cli.run_command(lambda: _COMMANDS[options.do](options))


def _list_faults(options: argparse.Namespace) -> int:
    faults = select_faults(options.fault, drills=options.drills)
    many = "s" if len(faults) > 1 else ""
    seconds = estimate_seconds(faults, Timing(options.scale))
    print(f"{len(faults)} row{many}, about {format_clock(seconds)}:")
    for fault in faults:
        print(f"  {fault.name:<22}{fault.title}")
    if not options.fault and not options.drills:
        print("Not injected here:")
        for each in UNINJECTABLE:
            print(f"  {each.number:<22}{each.title}: {each.reason}")
    return 0


def _run_faults(options: argparse.Namespace) -> int:
    return run_scenarios(ExamSet(options))


def _update_docs(options: argparse.Namespace) -> int:
    names = [fault.name for fault in FAULTS]
    pages = list(docs.update_pages(ROOT, options.report / JSON_FILE, names))
    default_times = options.report / docs.DEFAULT_TIMES_FOLDER / JSON_FILE
    if default_times.exists():
        pages += docs.update_default_times(ROOT, default_times)
    for page in dict.fromkeys(pages):
        print(f"wrote {page.relative_to(ROOT)}")
    return 0


_COMMANDS = {"list": _list_faults, "run": _run_faults, "docs": _update_docs}


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hack.scenarios.exam", description=__doc__)
    commands = parser.add_subparsers(dest="do", required=True)
    list_command = commands.add_parser("list", help="list the rows")
    run_command = commands.add_parser("run", help="inject the faults")
    for command in (list_command, run_command):
        command.add_argument(
            "--fault",
            action="append",
            default=[],
            help="only this row (14-child) or number (14); may be repeated",
        )
        command.add_argument("--drills", action="store_true", help="only the rows of make drill")
        command.add_argument(
            "--scale",
            type=_parse_scale,
            default=HEALING_SCALE,
            help=f"the factor of healing's times (default: {HEALING_SCALE})",
        )
    run_command.add_argument("--fresh", action="store_true", help="run also what has passed")
    run_command.add_argument("--lanes", type=int, default=lanes.LANES, help="rows at the same time")
    add_run_options(run_command, ExamSet.name, report=REPORT_FOLDER, can_keep=False)
    docs_command = commands.add_parser(
        "docs", help="put the figures of a whole run into the documentation"
    )
    add_report_option(docs_command, REPORT_FOLDER)
    return parser


def _parse_scale(text: str) -> float:
    """Parse the factor of healing's times: above 0 and at most 1."""
    scale = float(text)
    if not 0 < scale <= 1:
        raise argparse.ArgumentTypeError("a number above 0 and at most 1")
    return scale


if __name__ == "__main__":
    sys.exit(main())
