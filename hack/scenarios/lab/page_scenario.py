"""A page of the lab as a scenario: runs its commands and checks their output."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from hack.scenarios.common.sampler import Sampler
from hack.scenarios.common.scenario import Scenario, ScenarioContext, ScenarioResult
from hack.scenarios.common.timeline import Mark, Timeline, build_timeline, summarize_timeline
from hack.scenarios.lab.cpu_usage import read_cpu
from hack.scenarios.lab.errors import StepError
from hack.scenarios.lab.output_compare import has_same_heading
from hack.scenarios.lab.page_generator import clean_output
from hack.scenarios.lab.page_parser import Command, Page
from hack.scenarios.lab.shell import Shell, ShellOutput
from hack.testkit.kube_client import KubeClient

_RETRY_INTERVAL = 1.0
"""Seconds between two runs of a block that the reader repeats."""


_DELETED_KINDS = "sha,deployments,jobs,services,horizontalpodautoscalers,poddisruptionbudgets"


@dataclass(frozen=True, slots=True)
class ExecutedCommand:
    """A command that was run, its output and when it ran."""

    command: Command
    started: float
    output: str
    tries: int = 1
    until: float = 0


@dataclass(frozen=True, slots=True)
class PageResult(ScenarioResult):
    """How a page went.

    Attributes:
        page: the page.
        timeline: the state of the cluster during the page.
        commands: the commands that were run; the last one is the one that failed.
        stale_lines: lines of the page whose output is of another kind than the real one.
        cluster_state: the state of the cluster when the page failed, for people.
    """

    page: Page
    timeline: Timeline
    commands: tuple[ExecutedCommand, ...] = ()
    stale_lines: tuple[str, ...] = ()
    cluster_state: str = ""

    @property
    def name(self) -> str:
        """The name of the page."""
        return self.page.name

    @property
    def title(self) -> str:
        """The title of the page."""
        return self.page.title

    @property
    def summary(self) -> str:
        """What was seen, or why it failed or was left out."""
        return self.problem or summarize_timeline(self.timeline)


@dataclass(frozen=True)
class PageScenario(Scenario[PageResult]):
    """A page whose commands are run in a reader's shell.

    Attributes:
        page: the page.
        root: the folder in which the commands run.
        work_folder: a folder for the variables of the shell.
        environment: the environment variables of the shell.
    """

    page: Page
    root: Path
    work_folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:  # type: ignore[override]
        """The name of the page."""
        return self.page.name

    @property
    def title(self) -> str:  # type: ignore[override]
        """The title of the page."""
        return self.page.title

    @property
    def expected_seconds(self) -> int:  # type: ignore[override]
        """The seconds that the page states."""
        return self.page.settings.seconds

    def find_missing_requirement(self, context: ScenarioContext) -> str:  # noqa: ARG002 - the shell has the cluster
        """Return what the page needs and the cluster lacks; empty if nothing."""
        shell = self._new_shell()
        for need in self.page.settings.needs:
            if shell.run(need.check, timeout=30).exit_code != 0:
                return need.otherwise
        return ""

    def build_skipped(self, missing: str, *, is_requested: bool) -> PageResult:
        """Return the result of a page for which the cluster lacks something."""
        empty = build_timeline((), (), 0.0)
        return PageResult(self.page, empty, missing_requirement=missing, is_requested=is_requested)

    def run(self, context: ScenarioContext) -> PageResult:
        """Run the commands of the page in a clean namespace.

        The commands that restore something (``always``) run also after a failure or Ctrl-C.
        """
        context.begin_step(self.title, self.expected_seconds)
        _delete_leftovers(context.kube)
        shell = self._new_shell()
        executed: list[ExecutedCommand] = []
        failure = ""
        sampler = Sampler(
            context.kube, context.show_snapshot, read_cpu=partial(read_cpu, context.kube)
        )
        with sampler:
            remaining = list(self.page.commands)
            try:
                while remaining:
                    context.progress.waiting_for = _describe_wait(remaining[0])
                    self._run_command(context, remaining[0], shell, sampler, executed)
                    remaining.pop(0)
            except StepError as error:
                failure = str(error)
            finally:
                for command in (later for later in remaining if later.expectation.always):
                    shell.run(command.block.text, timeout=command.expectation.limit)
            cluster_state = self._describe_cluster() if failure else ""
        marks = (Mark(done.started, done.command.block.text.strip()) for done in executed)
        result = PageResult(
            self.page,
            build_timeline(sampler.samples, marks, sampler.elapsed),
            tuple(executed),
            stale_lines=tuple(_find_stale_lines(executed)),
            cluster_state=cluster_state,
            failures=(failure,) if failure else (),
        )
        if result.has_passed:
            context.end_step(result.summary)
        return result

    def _new_shell(self) -> Shell:
        return Shell(self.root, self.work_folder / "variables", self.environment)

    def _run_command(
        self,
        context: ScenarioContext,
        command: Command,
        shell: Shell,
        sampler: Sampler,
        executed: list[ExecutedCommand],
    ) -> None:
        """Run one block of commands, repeatedly where the page gives a time limit (``within``).

        Raises:
            StepError: its output or exit code is not as the page says.
        """
        expectation = command.expectation
        current = ExecutedCommand(command, sampler.elapsed, "", 0)
        deadline = time.monotonic() + (expectation.within or 0)
        while True:
            printed = shell.run(command.block.text, timeout=expectation.limit)
            current = replace(
                current, output=printed.text, tries=current.tries + 1, until=sampler.elapsed
            )
            mismatch = _find_mismatch(command, printed)
            if not mismatch or time.monotonic() >= deadline:
                break
            time.sleep(_RETRY_INTERVAL)
        executed.append(current)
        context.console.print_command(command.block.text.strip(), printed.text.rstrip())
        if mismatch:
            time_limit = f" within {expectation.within} s" if expectation.within else ""
            place = f"{self.page.path.name}, line {command.block.line}, `{_first_line(command)}`"
            raise StepError(f"{place}: {mismatch}{time_limit}")

    def _describe_cluster(self) -> str:
        """Return the state of the namespace for people."""
        shell = self._new_shell()
        commands = (
            "kubectl get selfhealingapps,deployments,jobs,pods,services,endpointslices -o wide",
            "kubectl describe selfhealingapps",
            "kubectl events | tail -n 40",
        )
        parts = (f"$ {command}\n{shell.run(command, timeout=30).text}" for command in commands)
        return "\n".join(parts)


def _delete_leftovers(kube: KubeClient) -> None:
    """Delete what an earlier page has left in the namespace.

    Raises:
        ToolError: something is not gone in time.
    """
    kube.run_kubectl(
        f"delete {_DELETED_KINDS} --all --cascade=foreground --timeout=90s", seconds=100
    )
    kube.run_kubectl("delete events --all")
    kube.run_kubectl("wait --for=delete pod --all --timeout=90s", seconds=100)


def _describe_wait(command: Command) -> str:
    """Return the condition that the reader waits for while a block runs."""
    first, expectation = _first_line(command), command.expectation
    if expectation.within and expectation.shows:
        return f"`{first}` shows “{expectation.shows[0]}”"
    return f"`{first}` is done"


def _first_line(command: Command) -> str:
    return command.block.text.strip().splitlines()[0].removesuffix("\\").strip()


def _find_mismatch(command: Command, printed: ShellOutput) -> str:
    """Return what is wrong with the output of a block; empty if nothing."""
    if printed.exit_code == 124:
        return f"it did not end within {command.expectation.limit} s"
    if printed.exit_code != command.expectation.exit:
        last = printed.text.strip().splitlines()[-1:] or ["nothing was printed"]
        return f"exit code {printed.exit_code}, {last[0]}"
    return command.expectation.find_mismatch(printed.text)


def _find_stale_lines(executed: list[ExecutedCommand]) -> Iterator[str]:
    """Yield the lines at which the page shows another kind of output than the real one."""
    for command in executed:
        expected_block = command.command.output
        if expected_block is not None and not has_same_heading(
            expected_block.text, clean_output(command.output)
        ):
            yield str(expected_block.line)
