"""The scenarios of ``make drill``: each fault, once without healing and once with it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from hack.scenarios.chaos import report as chaos_report
from hack.scenarios.chaos.evaluation import FaultResult, evaluate_runs
from hack.scenarios.chaos.experiment import SCENARIO_NAME, Experiment
from hack.scenarios.chaos.faults import Fault, select_faults
from hack.scenarios.common import namespace, preflight
from hack.scenarios.common.errors import ScenarioError
from hack.scenarios.common.runner import ScenarioReport, ScenarioSet
from hack.scenarios.common.scenario import Scenario, ScenarioContext
from hack.testkit.kube_client import KubeClient
from hack.testkit.progress import format_clock

_RUN_OVERHEAD_SECONDS = 60
"""Seconds that a run takes beside the time until recovery or timeout."""


def estimate_seconds(fault: Fault) -> int:
    """Estimate both runs: the whole timeout without healing, half of it with healing."""
    return 2 * _RUN_OVERHEAD_SECONDS + fault.timeout * 3 // 2


@dataclass(frozen=True)
class FaultScenario(Scenario[FaultResult]):
    """A fault that is injected twice.

    Attributes:
        fault: the fault.
        logs: the folder of the operators' logs.
    """

    fault: Fault
    logs: Path

    step_count = 2

    @property
    def name(self) -> str:  # type: ignore[override]
        """The name of the fault."""
        return self.fault.name

    @property
    def title(self) -> str:  # type: ignore[override]
        """The title of the fault."""
        return self.fault.title

    @property
    def expected_seconds(self) -> int:  # type: ignore[override]
        """The estimate of both runs."""
        return estimate_seconds(self.fault)

    def find_missing_requirement(self, context: ScenarioContext) -> str:
        """Return what the fault needs and the cluster lacks; empty if nothing."""
        find = self.fault.find_missing_requirement
        return find(context.kube) if find else ""

    def build_skipped(self, missing: str, *, is_requested: bool) -> FaultResult:
        """Return the result of a fault for which the cluster lacks something."""
        return FaultResult(self.fault, missing_requirement=missing, is_requested=is_requested)

    def run(self, context: ScenarioContext) -> FaultResult:
        """Inject the fault without healing and with it, and compare with what is expected."""
        context.explain(f"{self.fault.title}. {self.fault.description}")
        unhealed, healed = (
            Experiment(self.fault, context, is_healing_enabled=is_healing_enabled).run(
                self.logs / f"{self.name}-{'with' if is_healing_enabled else 'without'}",
                self.expected_seconds // 2,
            )
            for is_healing_enabled in (False, True)
        )
        return evaluate_runs(self.fault, unhealed, healed)


class ChaosSet(ScenarioSet[FaultResult]):
    """``make drill``: the options select faults."""

    name = SCENARIO_NAME

    @property
    def is_selection(self) -> bool:
        """Whether faults were named."""
        return bool(self.options.fault)

    def list_scenarios(self) -> Sequence[FaultScenario]:
        """Return the selected faults.

        Raises:
            ScenarioError: a name is unknown.
        """
        logs = self.options.report / self.name
        return [FaultScenario(fault, logs) for fault in select_faults(self.options.fault)]

    def prepare(self, kube: KubeClient) -> None:
        """Check that only the operators of the runs would serve the app.

        Raises:
            ScenarioError: the operator is installed, or the namespace belongs to somebody else.
        """
        preflight.require_crd(kube)
        if preflight.is_operator_installed(kube):
            raise ScenarioError(
                "the operator in the cluster would serve the drill's app: make undeploy"
            )
        namespace.has_leftover_namespace(kube, self.name)

    def publish(self, report: ScenarioReport[FaultResult], console: Console) -> Path:
        """Write the page and the JSON of the report, and print the table."""
        file = chaos_report.write_report(report, self.options.report)
        console.print()
        console.print(chaos_report.build_table(report.results))
        return file

    def summary_lines(
        self, report: ScenarioReport[FaultResult], page: Path | None
    ) -> Iterator[str]:
        """Yield the failures and the counts."""
        for result in report.results:
            if result.has_failed and result.missing_requirement:
                yield f"\n{result.name}: {result.problem}"
            for text in result.failures:
                yield f"\n{result.name}: {text}"
            if result.failures:
                yield f"  What was seen is in {page}#{result.name}, what the operator logged in"
                yield f"  {self.options.report / self.name}; to see it happen again:"
                yield f"  make drill FAULT={result.name}"
        yield ""
        count = f"{report.count('as expected')} of {len(report.results)} drills went as expected"
        yield f"{count}, in {format_clock(report.seconds)}."
        json_file = self.options.report / chaos_report.JSON_FILE
        yield f"The report: {page}, for programs {json_file}"
