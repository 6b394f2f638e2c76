"""``python -m hack.scenarios.lab``: the commands of ``make lab`` and ``make generate``."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hack.scenarios.common.runner import add_run_options, run_scenarios
from hack.scenarios.lab.errors import PageError
from hack.scenarios.lab.page_set import PageSet
from hack.scenarios.lab.report import REPORT_FOLDER
from hack.scenarios.lab.scenarios import LabSet
from hack.testkit import cli
from hack.testkit.kube_client import ROOT
from hack.testkit.progress import format_clock


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0 only if every step went as its page says."""
    options = _build_parser().parse_args(arguments)
    return cli.run_command(lambda: _COMMANDS[options.do](options), PageError)


def _list_steps(options: argparse.Namespace) -> int:
    pages = PageSet(ROOT).select_pages(options.step)
    seconds = sum(page.settings.seconds for page in pages)
    names = ", ".join(page.name for page in pages)
    print(f"{len(pages)} steps, about {format_clock(seconds)}: {names}")
    return 0


def _run_lab(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="lab-") as work_folder:
        return run_scenarios(LabSet(options, Path(work_folder)))


def _generate_pages(options: argparse.Namespace) -> int:
    page_set = PageSet(ROOT)
    if not options.check:
        for path in page_set.write_generated():
            print(f"wrote {path}")
        return 0
    stale = [path for path, old, new in page_set.compare_generated() if old != new]
    for path in stale:
        print(f"{path} is not what `make generate` would write", file=sys.stderr)
    return int(bool(stale))


_COMMANDS = {"steps": _list_steps, "run": _run_lab, "pages": _generate_pages}


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hack.scenarios.lab", description=__doc__)
    commands = parser.add_subparsers(dest="do", required=True)
    steps = commands.add_parser("steps", help="list the pages")
    run = commands.add_parser("run", help="run the commands of the pages and check them")
    for command in (steps, run):
        command.add_argument(
            "--step", action="append", default=[], help="only this one; may be repeated"
        )
    add_run_options(run, LabSet.name, report=REPORT_FOLDER)
    run.add_argument("--capture", action="store_true", help="write the outputs into the pages")
    run.add_argument("--ui", action="store_true", help="open the dashboard while the pages run")
    pages = commands.add_parser("pages", help="write files and plain manifests into the pages")
    pages.add_argument("--check", action="store_true", help="only check that they are up to date")
    return parser


if __name__ == "__main__":
    sys.exit(main())
