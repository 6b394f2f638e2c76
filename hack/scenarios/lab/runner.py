"""Plays a page: types its commands, repeats what has to be waited for, checks what comes of it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from hack.scenarios.common.console import Progress, ScenarioConsole
from hack.scenarios.common.sampler import Sampler
from hack.scenarios.common.timeline import Mark, Timeline, build_timeline, summarize_timeline
from hack.scenarios.lab.cpu_usage import read_cpu
from hack.scenarios.lab.errors import StepError
from hack.scenarios.lab.output_compare import has_same_heading
from hack.scenarios.lab.page_generator import clean_output
from hack.scenarios.lab.page_parser import Command, Page
from hack.scenarios.lab.shell import Shell, ShellOutput
from hack.testkit.kube_client import KubeClient

_RETRY_INTERVAL = 1.0
"""Seconds between two tries of a block that the reader repeats."""


_DELETED_KINDS = "sha,deployments,jobs,services,horizontalpodautoscalers,poddisruptionbudgets"


@dataclass(frozen=True, slots=True)
class ExecutedCommand:
    """A command that was typed, what it printed and when."""

    command: Command
    started: float
    output: str
    tries: int = 1
    until: float = 0


@dataclass(frozen=True, slots=True)
class PageResult:
    """How a step went.

    Attributes:
        page: what was played.
        timeline: what was seen meanwhile.
        commands: the commands up to the end, or up to the one that failed.
        error: why it failed, or was left out; empty when it went as told.
        is_skipped: whether it was left out.
        stale_lines: lines of the page whose output is of another kind than the real one.
        cluster_state: what was there when it failed, for people.
    """

    page: Page
    timeline: Timeline
    commands: tuple[ExecutedCommand, ...] = ()
    error: str = ""
    is_skipped: bool = False
    stale_lines: tuple[str, ...] = ()
    cluster_state: str = ""

    @property
    def has_passed(self) -> bool:
        """Whether it went as told."""
        return not self.error

    @property
    def result_text(self) -> str:
        """The result in a word."""
        if self.is_skipped:
            return "left out"
        return "passed" if self.has_passed else "FAILED"

    @property
    def summary(self) -> str:
        """What was seen, or why it failed."""
        return self.error or summarize_timeline(self.timeline)


@dataclass
class PageRunner:
    """The cluster, the reader's shell and the screen."""

    kube: KubeClient
    root: Path
    work_folder: Path
    console: ScenarioConsole
    environment: dict[str, str] = field(default_factory=dict)

    def find_missing_requirement(self, page: Page) -> str:
        """What the page needs and the cluster does not have; empty when nothing is missing."""
        shell = self._new_shell()
        for need in page.settings.needs:
            if shell.run(need.check, timeout=30).exit_code != 0:
                return need.otherwise
        return ""

    def run_page(self, page: Page, progress: Progress) -> PageResult:
        """Play a page from a clean start; what must be put right again is, whatever happens."""
        progress.title, progress.step_expected = page.title, page.settings.seconds
        progress.step_started, progress.waiting_for = time.monotonic(), ""
        self.console.begin_step(progress)
        self._delete_leftovers()
        shell = self._new_shell()
        executed: list[ExecutedCommand] = []
        failure = ""
        sampler = Sampler(
            self.kube,
            lambda now: self.console.show_snapshot(now, progress),
            read_cpu=partial(read_cpu, self.kube),
        )
        with sampler:
            remaining = list(page.commands)
            try:
                while remaining:
                    progress.waiting_for = _describe_wait(remaining[0])
                    self._run_command(page, remaining[0], shell, sampler, executed)
                    remaining.pop(0)
            except StepError as error:
                failure = str(error)
            finally:
                for command in (later for later in remaining if later.expectation.always):
                    shell.run(command.block.text, timeout=command.expectation.limit)
            cluster_state = self._describe_cluster() if failure else ""
        marks = (Mark(done.started, done.command.block.text.strip()) for done in executed)
        result = PageResult(
            page=page,
            timeline=build_timeline(sampler.samples, marks, sampler.elapsed),
            commands=tuple(executed),
            error=failure,
            stale_lines=tuple(_find_stale_lines(executed)),
            cluster_state=cluster_state,
        )
        progress.waiting_for = ""
        if result.has_passed:
            self.console.end_step(progress, result.summary)
        return result

    def _new_shell(self) -> Shell:
        return Shell(self.root, self.work_folder / "variables", self.environment)

    def _run_command(
        self,
        page: Page,
        command: Command,
        shell: Shell,
        sampler: Sampler,
        executed: list[ExecutedCommand],
    ) -> None:
        """Type one block, again and again where the page says so.

        Raises:
            StepError: it did not come to what the page says.
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
        self.console.print_command(command.block.text.strip(), printed.text.rstrip())
        if mismatch:
            time_limit = f" within {expectation.within} s" if expectation.within else ""
            place = f"{page.path.name}, line {command.block.line}, `{_first_line(command)}`"
            raise StepError(f"{place}: {mismatch}{time_limit}")

    def _delete_leftovers(self) -> None:
        """Remove what an earlier page has left, with all that belongs to it.

        Raises:
            ShowError: something stays.
        """
        self.kube.run_kubectl(
            f"delete {_DELETED_KINDS} --all --cascade=foreground --timeout=90s", seconds=100
        )
        self.kube.run_kubectl("delete events --all")
        self.kube.run_kubectl("wait --for=delete pod --all --timeout=90s", seconds=100)

    def _describe_cluster(self) -> str:
        """What there is, for people who want to know why."""
        shell = self._new_shell()
        commands = (
            "kubectl get selfhealingapps,deployments,jobs,pods,services,endpointslices -o wide",
            "kubectl describe selfhealingapps",
            "kubectl events | tail -n 40",
        )
        parts = (f"$ {command}\n{shell.run(command, timeout=30).text}" for command in commands)
        return "\n".join(parts)


def _describe_wait(command: Command) -> str:
    """What the reader waits for while a block runs."""
    first, expectation = _first_line(command), command.expectation
    if expectation.within and expectation.shows:
        return f"`{first}` shows “{expectation.shows[0]}”"
    return f"`{first}` is done"


def _first_line(command: Command) -> str:
    return command.block.text.strip().splitlines()[0].removesuffix("\\").strip()


def _find_mismatch(command: Command, printed: ShellOutput) -> str:
    """What is wrong with what a block printed; empty when nothing is."""
    if printed.exit_code == 124:
        return f"it did not end within {command.expectation.limit} s"
    if printed.exit_code != command.expectation.exit:
        last = printed.text.strip().splitlines()[-1:] or ["nothing was printed"]
        return f"exit code {printed.exit_code}, {last[0]}"
    return command.expectation.find_mismatch(printed.text)


def _find_stale_lines(executed: list[ExecutedCommand]) -> Iterator[str]:
    """The lines at which the page shows another kind of output than there was."""
    for command in executed:
        expected_block = command.command.output
        if expected_block is not None and not has_same_heading(
            expected_block.text, clean_output(command.output)
        ):
            yield str(expected_block.line)
