"""The runner of all scenarios: ``make demo``, ``make lab`` and ``make exam`` are sets of them.

A run holds a lock, checks the cluster, runs each scenario, deletes the namespace, also after
Ctrl-C, writes the report and prints what is still running.
"""

import argparse
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from rich.console import Console

from hack.localcluster.paths import Paths, find_paths
from hack.scenarios.common import namespace, preflight
from hack.scenarios.common.console import ScenarioConsole
from hack.scenarios.common.errors import ScenarioError
from hack.scenarios.common.live_console import LiveConsole
from hack.scenarios.common.plain_console import PlainConsole
from hack.scenarios.common.scenario import Scenario, ScenarioContext, ScenarioResult
from hack.testkit.cli import EXIT_INTERRUPTED
from hack.testkit.errors import ToolError
from hack.testkit.kube_client import ROOT, KubeClient, connect_to_clone_cluster
from hack.testkit.progress import ProgressDisplay

R = TypeVar("R", bound=ScenarioResult)


@dataclass(frozen=True, slots=True)
class ScenarioReport(Generic[R]):
    """The results of one run.

    Attributes:
        results: of the scenarios, in order.
        started: the day and the time, for people.
        seconds: how long the run took.
        cluster: the version and the nodes of the cluster, for people.
    """

    results: tuple[R, ...]
    started: str
    seconds: float
    cluster: str

    @property
    def has_passed(self) -> bool:
        """Whether no scenario failed."""
        return not any(result.has_failed for result in self.results)

    def count(self, result_text: str) -> int:
        """Count the scenarios with this result."""
        return sum(result.result_text == result_text for result in self.results)


class ScenarioSet(ABC, Generic[R]):
    """Scenarios that one command runs, and what is particular to the command.

    Attributes:
        name: the name of the make target, the lock and the label of the namespace.
        options: the options of the command; see ``add_run_options``.
    """

    name: ClassVar[str]
    is_confined_to_namespace: ClassVar[bool] = False
    """Whether runs in several namespaces of a cluster do not disturb each other."""
    removed_text: ClassVar[str] = ""
    """What is removed beside the namespace, for people."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    @abstractmethod
    def list_scenarios(self) -> Sequence[Scenario[R]]:
        """Return the selected scenarios; there may be no cluster yet.

        Raises:
            ToolError: a name is unknown.
        """

    @property
    def is_selection(self) -> bool:
        """Whether the user asked for scenarios by name."""
        return False

    @abstractmethod
    def prepare(self, kube: KubeClient) -> None:
        """Check the cluster and the namespace, and create what all scenarios share.

        Raises:
            ToolError: the scenarios cannot run.
        """

    def run_all(self, selected: Sequence[Scenario[R]], context: ScenarioContext) -> Iterator[R]:
        """Run the scenarios and yield their results, in order.

        Raises:
            ScenarioError: a scenario has ended the run.
        """
        return run_each(selected, context, is_selection=self.is_selection)

    def describe_namespaces(self, kube: KubeClient) -> str:
        """Return what ``delete_namespaces`` deletes, for people."""
        return f"namespace {kube.namespace}"

    def delete_namespaces(self, kube: KubeClient) -> None:
        """Delete what the scenarios have left, also after Ctrl-C."""
        namespace.delete_namespace(kube)

    def is_successful(self, report: ScenarioReport[R]) -> bool:
        """Return whether the command ends with 0."""
        return report.has_passed

    def process_results(self, results: tuple[R, ...]) -> tuple[R, ...]:
        """Use the results before the report is written, and return those of the report."""
        return results

    @abstractmethod
    def publish(self, report: ScenarioReport[R], console: Console) -> Path | None:
        """Write the report and print the table; return the page, if there is one."""

    @abstractmethod
    def summary_lines(self, report: ScenarioReport[R], page: Path | None) -> Iterator[str]:
        """Yield what went wrong and how to repeat it, and the counts."""

    def abort_lines(self, kube: KubeClient) -> Iterator[str]:  # noqa: ARG002 - an override uses it
        """Yield what to look at when a scenario has ended the run."""
        yield from ()

    def next_step_lines(self) -> Iterator[str]:
        """Yield how to go on after the run."""
        yield from ()


def run_scenarios(scenarios: ScenarioSet[R]) -> int:
    """Run a set of scenarios and return the exit code: 0 only if none failed.

    Raises:
        ToolError: they cannot run.
    """
    options = scenarios.options
    paths = find_paths(ROOT, os.environ)
    selected = scenarios.list_scenarios()
    kube = connect_to_clone_cluster(paths, options.namespace)
    confined_to = options.namespace if scenarios.is_confined_to_namespace else ""
    with preflight.run_exclusively(paths, scenarios.name, confined_to):
        scenarios.prepare(kube)
        console = Console()
        started, start = datetime.now().astimezone(), time.monotonic()
        try:
            with open_console(console, plain=options.plain) as scenario_console:
                context = ScenarioContext(
                    kube,
                    scenario_console,
                    expected_seconds=sum(each.expected_seconds for each in selected),
                    step_count=sum(each.step_count for each in selected),
                )
                results = tuple(scenarios.run_all(selected, context))
        except ToolError as error:
            print(f"\nerror: {error}\n", file=sys.stderr)
            for line in scenarios.abort_lines(kube):
                print(line, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print(
                f"\nstopped; removing what the {scenarios.name} made ...",
                file=sys.stderr,
                flush=True,
            )
            scenarios.delete_namespaces(kube)
            return EXIT_INTERRUPTED
        report = ScenarioReport(
            scenarios.process_results(results),
            f"{started:%Y-%m-%d %H:%M %Z}",
            time.monotonic() - start,
            preflight.describe_cluster(kube),
        )
        page = scenarios.publish(report, console)
        if not options.keep:
            scenarios.delete_namespaces(kube)
        for line in (
            *scenarios.summary_lines(report, page),
            *_remaining_lines(scenarios, kube, paths),
            *scenarios.next_step_lines(),
        ):
            print(line)
    return int(not scenarios.is_successful(report))


def run_each(
    selected: Sequence[Scenario[R]], context: ScenarioContext, *, is_selection: bool
) -> Iterator[R]:
    """Run scenarios one after the other; leave out those for which the cluster lacks something.

    Args:
        selected: the scenarios.
        context: the cluster and the console.
        is_selection: whether the user named them; then none may be left out.

    Raises:
        ScenarioError: a scenario has ended the run; the message names its step.
    """
    for scenario in selected:
        missing = scenario.find_missing_requirement(context)
        if missing:
            context.progress.number += scenario.step_count
            result = scenario.build_skipped(missing, is_requested=is_selection)
            context.explain(f"{scenario.name}: {result.problem}")
            yield result
            continue
        try:
            result = scenario.run(context)
        except ToolError as error:
            step = f"step {context.progress.number}, {context.progress.title!r}"
            raise ScenarioError(f"{step}: {error}") from error
        for failure in result.failures:
            context.explain(f"FAILED: {failure}")
        yield result


@contextmanager
def open_console(console: Console, *, plain: bool) -> Iterator[ScenarioConsole]:
    """Return a live view where the terminal can show one; otherwise, or if ``plain``, lines."""
    with ProgressDisplay(console, plain=plain) as display:
        yield LiveConsole(display) if display.is_live else PlainConsole()


def add_run_options(
    parser: argparse.ArgumentParser, name: str, *, report: str = "", can_keep: bool = True
) -> None:
    """Add the options that every set of scenarios has.

    Args:
        parser: the parser of the command that runs scenarios.
        name: the default namespace.
        report: the default folder of the report; empty if there is none.
        can_keep: whether the namespace may be left for a look.
    """
    parser.add_argument("--namespace", default=name, help=f"where (default: {name})")
    parser.add_argument("--plain", action="store_true", help="lines, also in a terminal")
    if can_keep:
        parser.add_argument("--keep", action="store_true", help="leave the namespace for a look")
    else:
        parser.set_defaults(keep=False)
    if report:
        add_report_option(parser, report)


def add_report_option(parser: argparse.ArgumentParser, folder: str) -> None:
    """Add the option that names the folder of the report."""
    parser.add_argument(
        "--report",
        type=Path,
        default=Path(folder),
        help=f"the folder of the report (default: {folder})",
    )


def _remaining_lines(scenarios: ScenarioSet[R], kube: KubeClient, paths: Paths) -> Iterator[str]:
    """Yield what is still there, and how to remove it."""
    if scenarios.options.keep:
        yield f"Kept: namespace {kube.namespace}; the next `make {scenarios.name}` removes it."
    else:
        yield f"Removed: {scenarios.removed_text}{scenarios.describe_namespaces(kube)}."
    yield "Still running:"
    yield f"  the local cluster {paths.cluster_name}   `make cluster-down` removes it"
    if preflight.is_operator_installed(kube):
        yield "  the operator in selfhealing-system    `make undeploy` removes it"
