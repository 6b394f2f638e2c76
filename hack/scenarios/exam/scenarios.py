"""The scenarios of ``make exam``: the rows of the table, side by side, each with its two halves."""

import argparse
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from hack.scenarios.common import namespace, preflight
from hack.scenarios.common.errors import ScenarioError
from hack.scenarios.common.runner import ScenarioReport, ScenarioSet
from hack.scenarios.common.scenario import Scenario, ScenarioContext
from hack.scenarios.exam import lanes, report as exam_report
from hack.scenarios.exam.environment import SCENARIO_NAME
from hack.scenarios.exam.evaluation import (
    FaultResult,
    count_bars,
    describe_run,
    evaluate_runs,
)
from hack.scenarios.exam.experiment import Experiment, Timing
from hack.scenarios.exam.fault import Fault
from hack.scenarios.exam.faults import FAULTS, select_faults
from hack.scenarios.exam.results_store import ResultsStore, hash_sources
from hack.testkit.kube_client import ROOT, KubeClient
from hack.testkit.progress import format_clock

ROW_OVERHEAD_SECONDS = 45
"""Seconds that a row takes beside the observation: the app is deployed, proved and deleted."""

_DELETE_TIMEOUT = 120


def estimate_seconds(faults: Sequence[Fault], timing: Timing) -> int:
    """Estimate how long the rows take, those that may run side by side in lanes."""
    together, alone = 0.0, 0.0
    for fault in faults:
        seconds = ROW_OVERHEAD_SECONDS + timing.length(fault)
        if fault.is_alone:
            alone += seconds
        else:
            together += seconds
    return round(max(together / lanes.LANES, min(together, 150)) + alone)


@dataclass(frozen=True)
class FaultScenario(Scenario[FaultResult]):
    """A row of the table.

    Attributes:
        fault: the row.
        logs: the folder of the operators' logs.
        timing: its times.
        stop: is set when the row must end.
    """

    fault: Fault
    logs: Path
    timing: Timing
    stop: threading.Event

    @property
    def name(self) -> str:  # type: ignore[override]
        """The name of the row."""
        return self.fault.name

    @property
    def title(self) -> str:  # type: ignore[override]
        """The title of the fault."""
        return self.fault.title

    @property
    def expected_seconds(self) -> int:  # type: ignore[override]
        """The estimate for the row by itself."""
        return estimate_seconds([self.fault], self.timing)

    def find_missing_requirement(self, context: ScenarioContext) -> str:
        """Return what the fault needs and the cluster lacks; empty if nothing."""
        find = self.fault.find_missing_requirement
        return find(context.kube) if find else ""

    def build_skipped(self, missing: str, *, is_requested: bool) -> FaultResult:
        """Return the result of a row for which the cluster lacks something."""
        return FaultResult(fault=self.fault, missing_requirement=missing, is_requested=is_requested)

    def run(self, context: ScenarioContext) -> FaultResult:
        """Inject the fault with healing and, beside it, without, and compare."""
        began, prefix = time.monotonic(), context.kube.namespace
        contexts = {}
        for healing, half in ((True, "on"), (False, "off")):
            console = lanes.RowConsole(f"{self.name} {half}", context.progress.started)
            kube = context.kube.for_namespace(f"{prefix}-{self.name}-{half}")
            contexts[healing] = ScenarioContext(kube, console)
        runs = Experiment(self.fault, contexts, self.timing, self.stop).run(self.logs / self.name)
        for run in runs:
            contexts[run.is_healing_enabled].explain(describe_run(run))
        return evaluate_runs(self.fault, runs, seconds=time.monotonic() - began)


class ExamSet(ScenarioSet[FaultResult]):
    """``make exam`` and ``make drill``: the options select rows."""

    name = SCENARIO_NAME

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options)
        options.plain = True  # no one view has room for many rows
        self._stop = threading.Event()
        self._timing = Timing(options.scale)
        self._store = ResultsStore(
            options.report / self.name / "rows", hash_sources(ROOT), options.scale
        )

    @property
    def is_selection(self) -> bool:
        """Whether rows were named."""
        return bool(self.options.fault)

    def list_scenarios(self) -> Sequence[FaultScenario]:
        """Return the selected rows.

        Raises:
            ScenarioError: a name is unknown.
        """
        logs = self.options.report / self.name
        return [
            FaultScenario(fault, logs, self._timing, self._stop)
            for fault in select_faults(self.options.fault, drills=self.options.drills)
        ]

    def prepare(self, kube: KubeClient) -> None:
        """Check that only the operators of the rows would serve the apps.

        Raises:
            ScenarioError: the operator is installed, or a namespace belongs to somebody else.
        """
        preflight.require_crd(kube)
        if preflight.is_operator_installed(kube):
            raise ScenarioError(
                "the operator in the cluster would serve the exam's apps: make undeploy"
            )
        if self.options.fresh:
            self._store.forget()

    def run_all(
        self, selected: Sequence[Scenario[FaultResult]], context: ScenarioContext
    ) -> Iterator[FaultResult]:
        """Run the rows in lanes; those that have passed with the same source are not run again."""
        scenarios = {each.name: each for each in selected if isinstance(each, FaultScenario)}
        results = dict(self._find_known(scenarios, context))
        rest = [scenarios[name] for name in scenarios if name not in results]
        context.explain(self._describe_plan(rest, len(results)))

        def run(fault: Fault) -> FaultResult:
            result = scenarios[fault.name].run(context)
            attempt = self._store.count_attempts(fault) + 1
            return evaluate_runs(fault, result.runs, attempt=attempt, seconds=result.seconds)

        faults = [scenario.fault for scenario in rest]
        for result in lanes.run_in_lanes(faults, run, self._stop, self.options.lanes):
            results[result.name] = result
            self._store.save(result)
            for failure in result.failures:
                context.explain(f"FAILED {result.name}: {failure}")
            context.explain(
                f"{len(results)} of {len(scenarios)} rows, {result.name} {result.result_text}"
            )
        yield from (results[name] for name in scenarios)

    def _find_known(
        self, scenarios: dict[str, FaultScenario], context: ScenarioContext
    ) -> Iterator[tuple[str, FaultResult]]:
        """Yield the results of the rows that need not, or cannot, be run."""
        for name, scenario in scenarios.items():
            if missing := scenario.find_missing_requirement(context):
                yield name, scenario.build_skipped(missing, is_requested=self.is_selection)
            elif not self.is_selection:
                known = self._store.load(scenario.fault)
                if known is not None and known.has_passed:
                    yield name, known

    def _describe_plan(self, rest: Sequence[FaultScenario], known: int) -> str:
        seconds = estimate_seconds([each.fault for each in rest], self._timing)
        kept = f"; {known} are known (FRESH=1 runs them too)" if known else ""
        return f"{len(rest)} rows to run, about {format_clock(seconds)}{kept}"

    def describe_namespaces(self, kube: KubeClient) -> str:
        """Return the namespaces of the rows, for people."""
        return f"the namespaces {kube.namespace}-…"

    def delete_namespaces(self, kube: KubeClient) -> None:
        """Delete the namespaces of all rows."""
        namespace.delete_labelled(kube, self.name, _DELETE_TIMEOUT)

    def is_successful(self, report: ScenarioReport[FaultResult]) -> bool:
        """Return whether a whole run reaches the bars, or a part of it passes."""
        if self._is_whole(report):
            return count_bars(report.results).are_reached
        return report.has_passed

    @staticmethod
    def _is_whole(report: ScenarioReport[FaultResult]) -> bool:
        return len(report.results) == len(FAULTS)

    def publish(self, report: ScenarioReport[FaultResult], console: Console) -> Path:
        """Write the page, the Markdown and the JSON of the report, and print the table."""
        file = exam_report.write_report(report, self.options.report, self.options.scale)
        console.print()
        console.print(exam_report.build_table(report.results))
        return file

    def summary_lines(
        self, report: ScenarioReport[FaultResult], page: Path | None
    ) -> Iterator[str]:
        """Yield the failures, the counts and the bars."""
        for result in report.results:
            if result.has_failed and result.missing_requirement:
                yield f"\n{result.name}: {result.problem}"
            for text in result.failures:
                yield f"\n{result.name}: {text}"
            if result.failures:
                yield f"  What was seen is in {page}#{result.name}, what the operator logged in"
                yield f"  {self.options.report / self.name}/{result.name}.log; to see it again:"
                yield f"  make exam FAULT={result.name}"
        yield ""
        count = f"{report.count('as expected')} of {len(report.results)} rows went as expected"
        yield f"{count}, in {format_clock(report.seconds)}: {count_bars(report.results)}."
        yield f"The report: {page}; as a table {page and page.with_suffix('.md')}, for programs"
        yield f"{self.options.report / exam_report.JSON_FILE}"
