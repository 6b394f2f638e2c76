"""``run`` is what ``make lab`` does; ``pages`` keeps the pages fresh."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import yaml
from rich.console import Console

from hack.localcluster.paths import Paths, find_paths
from hack.scenarios.common import namespace, preflight
from hack.scenarios.common.console import Progress
from hack.scenarios.common.open_console import open_console
from hack.scenarios.common.timeline import build_timeline
from hack.scenarios.lab import report
from hack.scenarios.lab.errors import PageError
from hack.scenarios.lab.page_parser import Page
from hack.scenarios.lab.page_set import PageSet
from hack.scenarios.lab.runner import PageResult, PageRunner
from hack.testkit import cli
from hack.testkit.kube_client import KubeClient, connect_to_clone_cluster
from hack.testkit.progress import format_clock

_ROOT = Path(__file__).resolve().parents[3]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is asked; the exit code is 0 only when every step went as its page says."""
    options = _build_parser().parse_args(arguments)
    return cli.run_command(lambda: _COMMANDS[options.do](options), PageError)


def _list_steps(options: argparse.Namespace) -> int:
    pages = PageSet(_ROOT).select_pages(options.step)
    seconds = sum(page.settings.seconds for page in pages)
    names = ", ".join(page.name for page in pages)
    print(f"{len(pages)} steps, about {format_clock(seconds)}: {names}")
    return 0


def _generate_pages(options: argparse.Namespace) -> int:
    book = PageSet(_ROOT)
    if not options.check:
        for path in book.write_generated():
            print(f"wrote {path}")
        return 0
    stale = [path for path, old, new in book.compare_generated() if old != new]
    for path in stale:
        print(f"{path} is not what `make generate` would write", file=sys.stderr)
    return int(bool(stale))


def _run_lab(options: argparse.Namespace) -> int:
    book = PageSet(_ROOT)
    pages = book.select_pages(options.step)
    paths = find_paths(_ROOT, os.environ)
    kube = connect_to_clone_cluster(paths, options.namespace)
    with (
        preflight.run_exclusively(paths, "lab"),
        tempfile.TemporaryDirectory(prefix="lab-") as work,
    ):
        preflight.require_operator(kube)
        namespace.create_namespace(kube, "lab")
        console = Console()
        environment = _shell_environment(paths, kube.namespace, Path(work))
        began, start = datetime.now().astimezone(), time.monotonic()
        try:
            with open_console(console, plain=options.plain) as screen:
                runner = PageRunner(kube, _ROOT, Path(work), screen, environment)
                results = tuple(run_pages(runner, pages, is_requested=bool(options.step)))
        except KeyboardInterrupt:
            print("\nstopped; removing what the lab made ...", file=sys.stderr, flush=True)
            namespace.delete_namespace(kube)
            return cli.EXIT_INTERRUPTED
        if options.capture:
            _capture_outputs(book, results)
            results = tuple(replace(result, stale_lines=()) for result in results)
        run = report.LabReport(
            results,
            f"{began:%Y-%m-%d %H:%M %Z}",
            time.monotonic() - start,
            preflight.describe_cluster(kube),
        )
        file = report.write_report(run, options.report)
        console.print()
        console.print(report.build_table(results))
        if not options.keep:
            namespace.delete_namespace(kube)
        for text in _closing_lines(run, kube, paths, file, options):
            print(text)
    return int(not run.has_passed)


_COMMANDS = {"steps": _list_steps, "run": _run_lab, "pages": _generate_pages}
"""What can be asked for."""


def run_pages(
    runner: PageRunner, pages: Sequence[Page], *, is_requested: bool
) -> Iterator[PageResult]:
    """Play the pages; one that needs what is not there is left out, unless it was asked for."""
    progress = Progress(
        started=time.monotonic(),
        expected=sum(page.settings.seconds for page in pages),
        count=len(pages),
        shown_command=runner.kube.format_command("get selfhealingapps"),
    )
    for number, page in enumerate(pages, 1):
        progress.number = number
        missing = runner.find_missing_requirement(page)
        if missing:
            nothing = build_timeline((), (), 0.0)
            why = f"this cluster lacks what it needs: {missing}"
            runner.console.print_note(f"{page.name}: {why}")
            yield PageResult(page, nothing, error=why, is_skipped=not is_requested)
            continue
        result = runner.run_page(page, progress)
        if not result.has_passed:
            runner.console.print_note(f"FAILED: {result.error}")
        yield result


def _capture_outputs(book: PageSet, results: Sequence[PageResult]) -> None:
    """Put what was printed into the pages of the steps that passed, in every language."""
    for result in results:
        if result.has_passed:
            book.capture_outputs(result.page, [typed.output for typed in result.commands])
    for path in book.write_generated():
        print(f"wrote {path}")


def _shell_environment(paths: Paths, namespace: str, work: Path) -> dict[str, str]:
    """The reader's shell: kubectl of the clone, a kubeconfig of its own with the namespace set."""
    config = yaml.safe_load(paths.kubeconfig.read_text(encoding="utf-8"))
    for context in config["contexts"]:
        if context["name"] == config["current-context"]:
            context["context"]["namespace"] = namespace
    kubeconfig = work / "kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(yaml.safe_dump(config), encoding="utf-8")
    path = f"{paths.bin}{os.pathsep}{os.environ.get('PATH', '')}"
    return {"KUBECONFIG": str(kubeconfig), "PATH": path, "no_proxy": "*", "LC_ALL": "C.UTF-8"}


def _closing_lines(
    run: report.LabReport,
    kube: KubeClient,
    paths: Paths,
    file: Path,
    options: argparse.Namespace,
) -> Iterator[str]:
    """How it went, what is still there, and where to look."""
    for result in run.results:
        if not (result.has_passed or result.is_skipped):
            yield f"\n{result.page.name} failed: {result.error}"
        if result.cluster_state:
            yield f"  What there was then is in {file}#{result.page.name}; to see it happen again:"
            yield f"  make lab STEP={result.page.name} KEEP=1"
            yield "  kubectl -n selfhealing-system logs deployment/selfhealing-operator --tail=50"
        if result.stale_lines:
            lines = ", ".join(result.stale_lines)
            yield f"\n{result.page.path} shows other outputs at lines {lines}:"
            yield f"  make lab STEP={result.page.name} CAPTURE=1 writes them anew"
    yield ""
    passed = f"{run.count('passed')} of {len(run.results)} steps passed"
    yield f"{passed} in {format_clock(run.seconds)}."
    yield f"The report: {file}"
    if options.keep:
        yield f"Kept: namespace {kube.namespace}; the next `make lab` removes it."
    else:
        yield f"Removed: namespace {kube.namespace}."
    yield "Still running:"
    yield f"  the local cluster {paths.cluster_name}   `make cluster-down` removes it"
    if preflight.is_operator_installed(kube):
        yield "  the operator in selfhealing-system    `make undeploy` removes it"


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hack.scenarios.lab", description=__doc__)
    commands = parser.add_subparsers(dest="do", required=True)
    steps = commands.add_parser("steps", help="say which pages there are")
    run = commands.add_parser("run", help="carry out the pages")
    for command in (steps, run):
        command.add_argument(
            "--step", action="append", default=[], help="only this one; may be repeated"
        )
    run.add_argument("--namespace", default="lab", help="where (default: lab)")
    run.add_argument("--keep", action="store_true", help="leave the namespace for a look")
    run.add_argument("--plain", action="store_true", help="lines, also in a terminal")
    run.add_argument(
        "--report",
        type=Path,
        default=Path(report.REPORT_FOLDER),
        help=f"the folder of the report (default: {report.REPORT_FOLDER})",
    )
    run.add_argument("--capture", action="store_true", help="write the outputs into the pages")
    pages = commands.add_parser("pages", help="write files and plain manifests into the pages")
    pages.add_argument("--check", action="store_true", help="only look whether they are fresh")
    return parser


if __name__ == "__main__":
    sys.exit(main())
