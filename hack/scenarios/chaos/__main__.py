"""What ``make drill`` (``list``, ``run``) and ``make drill-docs`` (``docs``) do."""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console

from hack.localcluster.paths import Paths, find_paths
from hack.scenarios.chaos import docs, report
from hack.scenarios.chaos.environment import SCALE
from hack.scenarios.chaos.evaluation import Result, judged
from hack.scenarios.chaos.experiment import NAME, Play
from hack.scenarios.chaos.faults import FAULTS, Fault, chosen
from hack.scenarios.common import cli, namespace, preflight
from hack.scenarios.common.console import Progress, Screen
from hack.scenarios.common.errors import ShowError
from hack.scenarios.common.kube_client import Kube
from hack.scenarios.common.text import clock_of

_ROOT = Path(__file__).resolve().parents[3]
_HALF_SECONDS = 60
"""What a half takes beside waiting in vain, as a rule."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is asked; the exit code is 0 only when everything went as expected."""
    options = _parser().parse_args(arguments)
    return cli.answered(lambda: _DO[options.do](options))


def _list(options: argparse.Namespace) -> int:
    faults = chosen(options.fault)
    many = "s" if len(faults) > 1 else ""
    print(f"{len(faults)} fault{many}, about {clock_of(sum(map(_seconds, faults)))}:")
    for fault in faults:
        print(f"  {fault.name:<18}{fault.title}")
    return 0


def _run(options: argparse.Namespace) -> int:
    faults = chosen(options.fault)
    paths = find_paths(_ROOT, os.environ)
    kube = Kube(paths, options.namespace)
    with preflight.alone(paths, NAME):
        preflight.check_kind(kube)
        if preflight.operator_there(kube):
            raise ShowError(
                "the operator in the cluster would serve the drill's app: make undeploy"
            )
        namespace.check(kube, NAME)
        console = Console()
        began, start = datetime.now().astimezone(), time.monotonic()
        try:
            with cli.screen(console, plain=options.plain) as screen:
                results = tuple(_played(kube, screen, faults, options))
        except KeyboardInterrupt:
            print("\nstopped; removing what the drill made ...", file=sys.stderr, flush=True)
            namespace.remove(kube)
            return cli.INTERRUPTED
        seconds = time.monotonic() - start
        day = f"{began:%Y-%m-%d %H:%M %Z}"
        run = report.Run(results, day, seconds, preflight.described(kube), SCALE)
        file = report.write(run, options.report)
        console.print()
        console.print(report.table(results))
        namespace.remove(kube)
        for text in _closing(run, kube, paths, file):
            print(text)
    return int(not run.passed)


def _docs(options: argparse.Namespace) -> int:
    names = [fault.name for fault in FAULTS]
    for page in docs.fill(_ROOT, options.report / report.JSON, names):
        print(f"wrote {page.relative_to(_ROOT)}")
    return 0


_DO = {"list": _list, "run": _run, "docs": _docs}
"""What can be asked for."""


def _played(
    kube: Kube, screen: Screen, faults: Sequence[Fault], options: argparse.Namespace
) -> Iterator[Result]:
    """Play the faults; one that needs what is not there is left out."""
    progress = Progress(
        started=time.monotonic(),
        expected=sum(map(_seconds, faults)),
        count=2 * len(faults),
        looking=kube.shown("get selfhealingapps"),
    )
    for fault in faults:
        lacked = fault.lacks(kube) if fault.lacks else ""
        if lacked:
            progress.number += 2
            screen.say(f"{fault.name} is left out: this cluster lacks {lacked}")
            yield Result(fault, lacked=lacked, wanted=bool(options.fault))
            continue
        screen.say(f"{fault.title}. {fault.told}")
        halves = []
        for healing in (False, True):
            progress.number += 1
            progress.step_expected = _seconds(fault) // 2
            logs = options.report / NAME / f"{fault.name}-{'with' if healing else 'without'}"
            halves.append(Play(fault, kube, screen, progress, healing=healing).play(logs))
        result = judged(fault, *halves)
        for text in result.missed:
            screen.say(f"FAILED: {text}")
        yield result


def _seconds(fault: Fault) -> int:
    """How long a fault takes, about: without healing all of its limit, with healing half of it."""
    return 2 * _HALF_SECONDS + fault.limit * 3 // 2


def _closing(run: report.Run, kube: Kube, paths: Paths, file: Path) -> Iterator[str]:
    """How it went, what is still there, and where to look."""
    for result in run.results:
        for text in result.missed:
            yield f"\n{result.fault.name}: {text}"
        if result.missed:
            yield f"  What was seen is in {file}#{result.fault.name}, what the operator logged in"
            yield f"  {file.parent / NAME}; to see it happen again:"
            yield f"  make drill FAULT={result.fault.name}"
    yield ""
    count = f"{run.count('as expected')} of {len(run.results)} drills went as expected"
    yield f"{count}, in {clock_of(run.seconds)}."
    yield f"The report: {file}, for programs {file.with_suffix('.json')}"
    yield f"Removed: namespace {kube.namespace}."
    yield "Still running:"
    yield f"  the local cluster {paths.cluster_name}   `make cluster-down` removes it"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hack.scenarios.chaos", description=__doc__)
    orders = parser.add_subparsers(dest="do", required=True)
    listing = orders.add_parser("list", help="say what can be broken")
    run = orders.add_parser("run", help="break it")
    for order in (listing, run):
        order.add_argument(
            "--fault", action="append", default=[], help="only this one; may be repeated"
        )
    run.add_argument("--namespace", default=NAME, help=f"where (default: {NAME})")
    run.add_argument("--plain", action="store_true", help="lines, also in a terminal")
    telling = orders.add_parser(
        "docs", help="put the figures of a whole run into the documentation"
    )
    for order in (run, telling):
        order.add_argument(
            "--report",
            type=Path,
            default=report.FOLDER,
            help=f"the folder of the report (default: {report.FOLDER})",
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
