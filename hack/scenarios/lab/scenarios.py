"""The scenarios of ``make lab``: the pages of docs/lab."""

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import yaml
from rich.console import Console

from hack.localcluster.paths import find_paths
from hack.scenarios.common import namespace, preflight
from hack.scenarios.common.runner import ScenarioReport, ScenarioSet
from hack.scenarios.common.scenario import Scenario, ScenarioContext
from hack.scenarios.lab import report as lab_report
from hack.scenarios.lab.dashboard import open_dashboard
from hack.scenarios.lab.page_scenario import PageResult, PageScenario
from hack.scenarios.lab.page_set import PageSet
from hack.testkit.kube_client import ROOT, KubeClient
from hack.testkit.progress import format_clock
from hack.testkit.yaml_text import parse_yaml


class LabSet(ScenarioSet[PageResult]):
    """``make lab``: the options select pages and say whether to capture the outputs."""

    name = "lab"
    is_confined_to_namespace = True

    def __init__(self, options: argparse.Namespace, work_folder: Path) -> None:
        super().__init__(options)
        self._work_folder = work_folder
        self._page_set = PageSet(ROOT)
        self._environment: dict[str, str] = {}

    @property
    def is_selection(self) -> bool:
        """Whether pages were named."""
        return bool(self.options.step)

    def list_scenarios(self) -> Sequence[PageScenario]:
        """Return the selected pages.

        Raises:
            PageError: a name is unknown, or a page cannot be parsed.
        """
        return [
            PageScenario(page, ROOT, self._work_folder, self._environment)
            for page in self._page_set.select_pages(self.options.step)
        ]

    def prepare(self, kube: KubeClient) -> None:
        """Check the operator, create the namespace and set up the shell."""
        preflight.require_operator(kube)
        namespace.create_namespace(kube, self.name)
        self._environment.update(_build_shell_environment(kube.namespace, self._work_folder))

    def run_all(
        self, selected: Sequence[Scenario[PageResult]], context: ScenarioContext
    ) -> Iterator[PageResult]:
        """Run the pages, with the dashboard beside them if that is asked for."""
        if not self.options.ui:
            yield from super().run_all(selected, context)
            return
        log = self._work_folder / "dashboard.log"
        with open_dashboard(self._environment, log) as address:
            context.explain(f"the dashboard, until the lab ends: {address}")
            yield from super().run_all(selected, context)

    def process_results(self, results: tuple[PageResult, ...]) -> tuple[PageResult, ...]:
        """Write the outputs into the pages that passed, in every language, if that is asked for."""
        if not self.options.capture:
            return results
        for result in results:
            if result.has_passed:
                outputs = [typed.output for typed in result.commands]
                self._page_set.capture_outputs(result.page, outputs)
        for path in self._page_set.write_generated():
            print(f"wrote {path}")
        return tuple(replace(result, stale_lines=()) for result in results)

    def publish(self, report: ScenarioReport[PageResult], console: Console) -> Path:
        """Write the page of the report and print the table."""
        file = lab_report.write_report(report, self.options.report)
        console.print()
        console.print(lab_report.build_table(report.results))
        return file

    def summary_lines(self, report: ScenarioReport[PageResult], page: Path | None) -> Iterator[str]:
        """Yield the failures, the stale outputs and the counts."""
        for result in report.results:
            if result.has_failed:
                yield f"\n{result.name} failed: {result.problem}"
            if result.cluster_state:
                yield f"  What there was then is in {page}#{result.name}; to see it happen again:"
                yield f"  make lab STEP={result.name} KEEP=1"
                yield f"  {preflight.OPERATOR_LOG_COMMAND}"
            if result.stale_lines:
                lines = ", ".join(result.stale_lines)
                yield f"\n{result.page.path} shows other outputs at lines {lines}:"
                yield f"  make lab STEP={result.name} CAPTURE=1 updates them"
        yield ""
        passed = f"{report.count('passed')} of {len(report.results)} steps passed"
        yield f"{passed} in {format_clock(report.seconds)}."
        yield f"The report: {page}"


def _build_shell_environment(namespace_name: str, work_folder: Path) -> dict[str, str]:
    """Return the environment of the reader's shell.

    It has the kubectl of the clone and a kubeconfig of its own, whose context has the namespace.
    """
    paths = find_paths(ROOT, os.environ)
    config = parse_yaml(paths.kubeconfig.read_text(encoding="utf-8"))
    for context in config["contexts"]:
        if context["name"] == config["current-context"]:
            context["context"]["namespace"] = namespace_name
    kubeconfig = work_folder / "kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(yaml.safe_dump(config), encoding="utf-8")
    path = f"{paths.bin}{os.pathsep}{os.environ.get('PATH', '')}"
    return {"KUBECONFIG": str(kubeconfig), "PATH": path, "no_proxy": "*", "LC_ALL": "C.UTF-8"}
