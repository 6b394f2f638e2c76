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
from hack.scenarios.chaos.environment import HEALING_SCALE
from hack.scenarios.chaos.evaluation import FaultResult, evaluate_runs
from hack.scenarios.chaos.experiment import SCENARIO_NAME, Experiment
from hack.scenarios.chaos.faults import FAULTS, Fault, select_faults
from hack.scenarios.common import namespace, preflight
from hack.scenarios.common.console import Progress, ScenarioConsole
from hack.scenarios.common.errors import ScenarioError
from hack.scenarios.common.open_console import open_console
from hack.testkit import cli
from hack.testkit.kube_client import KubeClient, connect_to_clone_cluster
from hack.testkit.progress import format_clock

_ROOT = Path(__file__).resolve().parents[3]
_RUN_OVERHEAD_SECONDS = 60
"""What a half takes beside waiting in vain, as a rule."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is asked; the exit code is 0 only when everything went as expected."""
    options = _build_parser().parse_args(arguments)
    return cli.run_command(lambda: _COMMANDS[options.do](options))


def _list_faults(options: argparse.Namespace) -> int:
    faults = select_faults(options.fault)
    many = "s" if len(faults) > 1 else ""
    print(f"{len(faults)} fault{many}, about {format_clock(sum(map(_estimate_seconds, faults)))}:")
    for fault in faults:
        print(f"  {fault.name:<18}{fault.title}")
    return 0


def _run_faults(options: argparse.Namespace) -> int:
    faults = select_faults(options.fault)
    paths = find_paths(_ROOT, os.environ)
    kube = connect_to_clone_cluster(paths, options.namespace)
    with preflight.run_exclusively(paths, SCENARIO_NAME):
        preflight.require_crd(kube)
        if preflight.is_operator_installed(kube):
            raise ScenarioError(
                "the operator in the cluster would serve the drill's app: make undeploy"
            )
        namespace.has_leftover_namespace(kube, SCENARIO_NAME)
        console = Console()
        began, start = datetime.now().astimezone(), time.monotonic()
        try:
            with open_console(console, plain=options.plain) as screen:
                results = tuple(_run_each(kube, screen, faults, options))
        except KeyboardInterrupt:
            print("\nstopped; removing what the drill made ...", file=sys.stderr, flush=True)
            namespace.delete_namespace(kube)
            return cli.EXIT_INTERRUPTED
        seconds = time.monotonic() - start
        day = f"{began:%Y-%m-%d %H:%M %Z}"
        run = report.ChaosReport(
            results, day, seconds, preflight.describe_cluster(kube), HEALING_SCALE
        )
        file = report.write_report(run, options.report)
        console.print()
        console.print(report.build_table(results))
        namespace.delete_namespace(kube)
        for text in _closing_lines(run, kube, paths, file):
            print(text)
    return int(not run.has_passed)


def _update_docs(options: argparse.Namespace) -> int:
    names = [fault.name for fault in FAULTS]
    for page in docs.update_pages(_ROOT, options.report / report.JSON_FILE, names):
        print(f"wrote {page.relative_to(_ROOT)}")
    return 0


_COMMANDS = {"list": _list_faults, "run": _run_faults, "docs": _update_docs}
"""What can be asked for."""


def _run_each(
    kube: KubeClient,
    screen: ScenarioConsole,
    faults: Sequence[Fault],
    options: argparse.Namespace,
) -> Iterator[FaultResult]:
    """Play the faults; one that needs what is not there is left out."""
    progress = Progress(
        started=time.monotonic(),
        expected=sum(map(_estimate_seconds, faults)),
        count=2 * len(faults),
        shown_command=kube.format_command("get selfhealingapps"),
    )
    for fault in faults:
        missing = fault.find_missing_requirement(kube) if fault.find_missing_requirement else ""
        if missing:
            progress.number += 2
            screen.print_note(f"{fault.name} is left out: this cluster lacks {missing}")
            yield FaultResult(fault, missing_requirement=missing, is_requested=bool(options.fault))
            continue
        screen.print_note(f"{fault.title}. {fault.description}")
        runs = []
        for healing in (False, True):
            progress.number += 1
            progress.step_expected = _estimate_seconds(fault) // 2
            logs = (
                options.report / SCENARIO_NAME / f"{fault.name}-{'with' if healing else 'without'}"
            )
            runs.append(
                Experiment(fault, kube, screen, progress, is_healing_enabled=healing).run(logs)
            )
        result = evaluate_runs(fault, *runs)
        for text in result.deviations:
            screen.print_note(f"FAILED: {text}")
        yield result


def _estimate_seconds(fault: Fault) -> int:
    """How long a fault takes, about: without healing all of its limit, with healing half of it."""
    return 2 * _RUN_OVERHEAD_SECONDS + fault.timeout * 3 // 2


def _closing_lines(
    run: report.ChaosReport, kube: KubeClient, paths: Paths, file: Path
) -> Iterator[str]:
    """How it went, what is still there, and where to look."""
    for result in run.results:
        for text in result.deviations:
            yield f"\n{result.fault.name}: {text}"
        if result.deviations:
            yield f"  What was seen is in {file}#{result.fault.name}, what the operator logged in"
            yield f"  {file.parent / SCENARIO_NAME}; to see it happen again:"
            yield f"  make drill FAULT={result.fault.name}"
    yield ""
    count = f"{run.count('as expected')} of {len(run.results)} drills went as expected"
    yield f"{count}, in {format_clock(run.seconds)}."
    yield f"The report: {file}, for programs {file.with_suffix('.json')}"
    yield f"Removed: namespace {kube.namespace}."
    yield "Still running:"
    yield f"  the local cluster {paths.cluster_name}   `make cluster-down` removes it"


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hack.scenarios.chaos", description=__doc__)
    commands = parser.add_subparsers(dest="do", required=True)
    list_command = commands.add_parser("list", help="say what can be broken")
    run_command = commands.add_parser("run", help="break it")
    for command in (list_command, run_command):
        command.add_argument(
            "--fault", action="append", default=[], help="only this one; may be repeated"
        )
    run_command.add_argument(
        "--namespace", default=SCENARIO_NAME, help=f"where (default: {SCENARIO_NAME})"
    )
    run_command.add_argument("--plain", action="store_true", help="lines, also in a terminal")
    docs_command = commands.add_parser(
        "docs", help="put the figures of a whole run into the documentation"
    )
    for command in (run_command, docs_command):
        command.add_argument(
            "--report",
            type=Path,
            default=report.REPORT_FOLDER,
            help=f"the folder of the report (default: {report.REPORT_FOLDER})",
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
