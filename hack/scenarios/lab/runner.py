"""Plays a page: types its commands, repeats what has to be waited for, checks what comes of it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from hack.scenarios.common.console import Progress, Screen
from hack.scenarios.common.kube_client import Kube
from hack.scenarios.common.sampler import Watch
from hack.scenarios.common.timeline import Mark, Timeline, seen, timeline
from hack.scenarios.lab.cpu_usage import cpu
from hack.scenarios.lab.errors import StepError
from hack.scenarios.lab.output_compare import same_kind
from hack.scenarios.lab.page_generator import tidy
from hack.scenarios.lab.page_parser import Command, Page
from hack.scenarios.lab.shell import Printed, Shell

_PAUSE = 1.0
"""Seconds between two tries of a block that the reader repeats."""


_KINDS = "sha,deployments,jobs,services,horizontalpodautoscalers,poddisruptionbudgets"


@dataclass(frozen=True, slots=True)
class Typed:
    """A command that was typed, what it printed and when."""

    command: Command
    at: float
    output: str
    tries: int = 1
    until: float = 0


@dataclass(frozen=True, slots=True)
class Result:
    """How a step went.

    Attributes:
        page: what was played.
        line: what was seen meanwhile.
        typed: the commands up to the end, or up to the one that failed.
        why: why it failed, or was left out; empty when it went as told.
        skipped: whether it was left out.
        stale: lines of the page whose output is of another kind than the real one.
        remains: what was there when it failed, for people.
    """

    page: Page
    line: Timeline
    typed: tuple[Typed, ...] = ()
    why: str = ""
    skipped: bool = False
    stale: tuple[str, ...] = ()
    remains: str = ""

    @property
    def passed(self) -> bool:
        """Whether it went as told."""
        return not self.why

    @property
    def word(self) -> str:
        """The result in a word."""
        if self.skipped:
            return "left out"
        return "passed" if self.passed else "FAILED"

    @property
    def said(self) -> str:
        """What was seen, or why it failed."""
        return self.why or seen(self.line)


@dataclass
class Stage:
    """The cluster, the reader's shell and the screen."""

    kube: Kube
    root: Path
    work: Path
    screen: Screen
    environment: dict[str, str] = field(default_factory=dict)

    def missing(self, page: Page) -> str:
        """What the page needs and the cluster does not have; empty when nothing is missing."""
        shell = self._shell()
        for need in page.about.needs:
            if shell.run(need.check, limit=30).code != 0:
                return need.otherwise
        return ""

    def play(self, page: Page, progress: Progress) -> Result:
        """Play a page from a clean start; what must be put right again is, whatever happens."""
        progress.title, progress.step_expected = page.title, page.about.seconds
        progress.step_started, progress.waiting = time.monotonic(), ""
        self.screen.begin(progress)
        self._clear()
        shell = self._shell()
        typed: list[Typed] = []
        why = ""
        watch = Watch(
            self.kube,
            lambda now: self.screen.show(now, progress),
            cpu=partial(cpu, self.kube),
        )
        with watch:
            left = list(page.commands)
            try:
                while left:
                    progress.waiting = _awaited(left[0])
                    self._do(page, left[0], shell, watch, typed)
                    left.pop(0)
            except StepError as error:
                why = str(error)
            finally:
                for command in (later for later in left if later.wanted.always):
                    shell.run(command.block.text, limit=command.wanted.limit)
            remains = self._remains() if why else ""
        marks = (Mark(done.at, done.command.block.text.strip()) for done in typed)
        result = Result(
            page=page,
            line=timeline(watch.samples, marks, watch.seconds),
            typed=tuple(typed),
            why=why,
            stale=tuple(_stale(typed)),
            remains=remains,
        )
        progress.waiting = ""
        if result.passed:
            self.screen.end(progress, result.said)
        return result

    def _shell(self) -> Shell:
        return Shell(self.root, self.work / "variables", self.environment)

    def _do(
        self, page: Page, command: Command, shell: Shell, watch: Watch, typed: list[Typed]
    ) -> None:
        """Type one block, again and again where the page says so.

        Raises:
            StepError: it did not come to what the page says.
        """
        wanted = command.wanted
        done = Typed(command, watch.seconds, "", 0)
        deadline = time.monotonic() + (wanted.within or 0)
        while True:
            printed = shell.run(command.block.text, limit=wanted.limit)
            done = replace(done, output=printed.text, tries=done.tries + 1, until=watch.seconds)
            missed = _missed(command, printed)
            if not missed or time.monotonic() >= deadline:
                break
            time.sleep(_PAUSE)
        typed.append(done)
        self.screen.typed(command.block.text.strip(), printed.text.rstrip())
        if missed:
            waited = f" within {wanted.within} s" if wanted.within else ""
            place = f"{page.path.name}, line {command.block.line}, `{_first(command)}`"
            raise StepError(f"{place}: {missed}{waited}")

    def _clear(self) -> None:
        """Remove what an earlier page has left, with all that belongs to it.

        Raises:
            ShowError: something stays.
        """
        self.kube.kubectl(f"delete {_KINDS} --all --cascade=foreground --timeout=90s", seconds=100)
        self.kube.kubectl("delete events --all")
        self.kube.kubectl("wait --for=delete pod --all --timeout=90s", seconds=100)

    def _remains(self) -> str:
        """What there is, for people who want to know why."""
        shell = self._shell()
        asked = (
            "kubectl get selfhealingapps,deployments,jobs,pods,services,endpointslices -o wide",
            "kubectl describe selfhealingapps",
            "kubectl events | tail -n 40",
        )
        parts = (f"$ {command}\n{shell.run(command, limit=30).text}" for command in asked)
        return "\n".join(parts)


def _awaited(command: Command) -> str:
    """What the reader waits for while a block runs."""
    first, wanted = _first(command), command.wanted
    if wanted.within and wanted.shows:
        return f"`{first}` shows “{wanted.shows[0]}”"
    return f"`{first}` is done"


def _first(command: Command) -> str:
    return command.block.text.strip().splitlines()[0].removesuffix("\\").strip()


def _missed(command: Command, printed: Printed) -> str:
    """What is wrong with what a block printed; empty when nothing is."""
    if printed.code == 124:
        return f"it did not end within {command.wanted.limit} s"
    if printed.code != command.wanted.exit:
        last = printed.text.strip().splitlines()[-1:] or ["nothing was printed"]
        return f"exit code {printed.code}, {last[0]}"
    return command.wanted.missed(printed.text)


def _stale(typed: list[Typed]) -> Iterator[str]:
    """The lines at which the page shows another kind of output than there was."""
    for done in typed:
        shown = done.command.output
        if shown is not None and not same_kind(shown.text, tidy(done.output)):
            yield str(shown.line)
