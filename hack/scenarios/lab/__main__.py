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
from hack.scenarios.common import cli, namespace, preflight
from hack.scenarios.common.console import Progress
from hack.scenarios.common.kube_client import Kube
from hack.scenarios.common.text import clock_of
from hack.scenarios.common.timeline import timeline
from hack.scenarios.lab import report
from hack.scenarios.lab.errors import PageError
from hack.scenarios.lab.page_parser import Page
from hack.scenarios.lab.page_set import Book
from hack.scenarios.lab.runner import Result, Stage

_ROOT = Path(__file__).resolve().parents[3]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is asked; the exit code is 0 only when every step went as its page says."""
    options = _parser().parse_args(arguments)
    return cli.answered(lambda: _DO[options.do](options), PageError)


def _steps(options: argparse.Namespace) -> int:
    pages = Book(_ROOT).chosen(options.step)
    seconds = sum(page.about.seconds for page in pages)
    print(
        f"{len(pages)} steps, about {clock_of(seconds)}: {', '.join(page.name for page in pages)}"
    )
    return 0


def _pages(options: argparse.Namespace) -> int:
    book = Book(_ROOT)
    if not options.check:
        for path in book.generate():
            print(f"wrote {path}")
        return 0
    stale = [path for path, old, new in book.generated() if old != new]
    for path in stale:
        print(f"{path} is not what `make generate` would write", file=sys.stderr)
    return int(bool(stale))


def _lab(options: argparse.Namespace) -> int:
    book = Book(_ROOT)
    pages = book.chosen(options.step)
    paths = find_paths(_ROOT, os.environ)
    kube = Kube(paths, options.namespace)
    with preflight.alone(paths, "lab"), tempfile.TemporaryDirectory(prefix="lab-") as work:
        preflight.check(kube)
        namespace.make(kube, "lab")
        console = Console()
        environment = _environment(paths, kube.namespace, Path(work))
        began, start = datetime.now().astimezone(), time.monotonic()
        try:
            with cli.screen(console, plain=options.plain) as screen:
                stage = Stage(kube, _ROOT, Path(work), screen, environment)
                results = tuple(play(stage, pages, named=bool(options.step)))
        except KeyboardInterrupt:
            print("\nstopped; removing what the lab made ...", file=sys.stderr, flush=True)
            namespace.remove(kube)
            return cli.INTERRUPTED
        if options.capture:
            _capture(book, results)
            results = tuple(replace(result, stale=()) for result in results)
        run = report.Run(
            results,
            f"{began:%Y-%m-%d %H:%M %Z}",
            time.monotonic() - start,
            preflight.described(kube),
        )
        file = report.write(run, options.report)
        console.print()
        console.print(report.table(results))
        if not options.keep:
            namespace.remove(kube)
        for text in _closing(run, kube, paths, file, options):
            print(text)
    return int(not run.passed)


_DO = {"steps": _steps, "run": _lab, "pages": _pages}
"""What can be asked for."""


def play(stage: Stage, pages: Sequence[Page], *, named: bool) -> Iterator[Result]:
    """Play the pages; one that needs what is not there is left out, unless it was asked for."""
    progress = Progress(
        started=time.monotonic(),
        expected=sum(page.about.seconds for page in pages),
        count=len(pages),
        looking=stage.kube.shown("get selfhealingapps"),
    )
    for number, page in enumerate(pages, 1):
        progress.number = number
        missing = stage.missing(page)
        if missing:
            nothing = timeline((), (), 0.0)
            why = f"this cluster lacks what it needs: {missing}"
            stage.screen.say(f"{page.name}: {why}")
            yield Result(page, nothing, why=why, skipped=not named)
            continue
        result = stage.play(page, progress)
        if not result.passed:
            stage.screen.say(f"FAILED: {result.why}")
        yield result


def _capture(book: Book, results: Sequence[Result]) -> None:
    """Put what was printed into the pages of the steps that passed, in every language."""
    for result in results:
        if result.passed:
            book.capture(result.page, [typed.output for typed in result.typed])
    for path in book.generate():
        print(f"wrote {path}")


def _environment(paths: Paths, space: str, work: Path) -> dict[str, str]:
    """The reader's shell: kubectl of the clone, a kubeconfig of its own with the namespace set."""
    config = yaml.safe_load(paths.kubeconfig.read_text(encoding="utf-8"))
    for context in config["contexts"]:
        if context["name"] == config["current-context"]:
            context["context"]["namespace"] = space
    own = work / "kubeconfig"
    own.touch(mode=0o600)
    own.write_text(yaml.safe_dump(config), encoding="utf-8")
    path = f"{paths.bin}{os.pathsep}{os.environ.get('PATH', '')}"
    return {"KUBECONFIG": str(own), "PATH": path, "no_proxy": "*", "LC_ALL": "C.UTF-8"}


def _closing(
    run: report.Run, kube: Kube, paths: Paths, file: Path, options: argparse.Namespace
) -> Iterator[str]:
    """How it went, what is still there, and where to look."""
    for result in run.results:
        if not (result.passed or result.skipped):
            yield f"\n{result.page.name} failed: {result.why}"
        if result.remains:
            yield f"  What there was then is in {file}#{result.page.name}; to see it happen again:"
            yield f"  make lab STEP={result.page.name} KEEP=1"
            yield "  kubectl -n selfhealing-system logs deployment/selfhealing-operator --tail=50"
        if result.stale:
            yield f"\n{result.page.path} shows other outputs at lines {', '.join(result.stale)}:"
            yield f"  make lab STEP={result.page.name} CAPTURE=1 writes them anew"
    yield ""
    yield f"{run.count('passed')} of {len(run.results)} steps passed in {clock_of(run.seconds)}."
    yield f"The report: {file}"
    if options.keep:
        yield f"Kept: namespace {kube.namespace}; the next `make lab` removes it."
    else:
        yield f"Removed: namespace {kube.namespace}."
    yield "Still running:"
    yield f"  the local cluster {paths.cluster_name}   `make cluster-down` removes it"
    if preflight.operator_there(kube):
        yield "  the operator in selfhealing-system    `make undeploy` removes it"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hack.scenarios.lab", description=__doc__)
    orders = parser.add_subparsers(dest="do", required=True)
    steps = orders.add_parser("steps", help="say which pages there are")
    run = orders.add_parser("run", help="carry out the pages")
    for order in (steps, run):
        order.add_argument(
            "--step", action="append", default=[], help="only this one; may be repeated"
        )
    run.add_argument("--namespace", default="lab", help="where (default: lab)")
    run.add_argument("--keep", action="store_true", help="leave the namespace for a look")
    run.add_argument("--plain", action="store_true", help="lines, also in a terminal")
    run.add_argument(
        "--report",
        type=Path,
        default=Path(report.FOLDER),
        help=f"the folder of the report (default: {report.FOLDER})",
    )
    run.add_argument("--capture", action="store_true", help="write the outputs into the pages")
    pages = orders.add_parser("pages", help="write files and plain manifests into the pages")
    pages.add_argument("--check", action="store_true", help="only look whether they are fresh")
    return parser


if __name__ == "__main__":
    sys.exit(main())
