"""``python -m hack.scenarios.chaos``: the commands of ``make drill`` and ``make drill-docs``."""

import argparse
import sys
from collections.abc import Sequence

from hack.scenarios.chaos import docs
from hack.scenarios.chaos.faults import FAULTS, select_faults
from hack.scenarios.chaos.report import JSON_FILE, REPORT_FOLDER
from hack.scenarios.chaos.scenarios import ChaosSet, estimate_seconds
from hack.scenarios.common.runner import add_report_option, add_run_options, run_scenarios
from hack.testkit import cli
from hack.testkit.kube_client import ROOT
from hack.testkit.progress import format_clock


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0 only if every fault went as expected."""
    options = _build_parser().parse_args(arguments)
    return cli.run_command(lambda: _COMMANDS[options.do](options))


def _list_faults(options: argparse.Namespace) -> int:
    faults = select_faults(options.fault)
    many = "s" if len(faults) > 1 else ""
    print(f"{len(faults)} fault{many}, about {format_clock(sum(map(estimate_seconds, faults)))}:")
    for fault in faults:
        print(f"  {fault.name:<18}{fault.title}")
    return 0


def _run_faults(options: argparse.Namespace) -> int:
    return run_scenarios(ChaosSet(options))


def _update_docs(options: argparse.Namespace) -> int:
    names = [fault.name for fault in FAULTS]
    for page in docs.update_pages(ROOT, options.report / JSON_FILE, names):
        print(f"wrote {page.relative_to(ROOT)}")
    return 0


_COMMANDS = {"list": _list_faults, "run": _run_faults, "docs": _update_docs}


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hack.scenarios.chaos", description=__doc__)
    commands = parser.add_subparsers(dest="do", required=True)
    list_command = commands.add_parser("list", help="list the faults")
    run_command = commands.add_parser("run", help="inject the faults")
    for command in (list_command, run_command):
        command.add_argument(
            "--fault", action="append", default=[], help="only this one; may be repeated"
        )
    add_run_options(run_command, ChaosSet.name, report=REPORT_FOLDER, can_keep=False)
    docs_command = commands.add_parser(
        "docs", help="put the figures of a whole run into the documentation"
    )
    add_report_option(docs_command, REPORT_FOLDER)
    return parser


if __name__ == "__main__":
    sys.exit(main())
