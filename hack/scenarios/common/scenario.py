"""The interface of a scenario, its context and its result."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from hack.scenarios.common.cluster_state import ClusterSnapshot
from hack.scenarios.common.console import Progress, ScenarioConsole
from hack.testkit import wait
from hack.testkit.errors import ApiServerUnreachableError
from hack.testkit.kube_client import KubeClient

T = TypeVar("T")

PASSED, FAILED, SKIPPED = "passed", "failed", "left"
"""The classes of a result in a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioResult(ABC):
    """How one scenario went.

    Attributes:
        failures: what was not as expected, in sentences; empty if it passed.
        missing_requirement: what the cluster lacks for it; empty if it ran.
        is_requested: whether the user asked for it by name, so that it must not be left out.
    """

    passed_text: ClassVar[str] = "passed"

    failures: tuple[str, ...] = ()
    missing_requirement: str = ""
    is_requested: bool = False

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the scenario, by which a command selects it."""

    @property
    @abstractmethod
    def title(self) -> str:
        """The title for people."""

    @property
    def is_skipped(self) -> bool:
        """Whether it was left out because the cluster lacks something."""
        return bool(self.missing_requirement) and not self.is_requested

    @property
    def has_passed(self) -> bool:
        """Whether it ran and went as expected."""
        return not (self.failures or self.missing_requirement)

    @property
    def has_failed(self) -> bool:
        """Whether it neither passed nor was left out."""
        return not (self.has_passed or self.is_skipped)

    @property
    def result_text(self) -> str:
        """The result in a word or two."""
        if self.is_skipped:
            return "left out"
        return self.passed_text if self.has_passed else "FAILED"

    @property
    def result_class(self) -> str:
        """The result as a class of a page's style."""
        if self.is_skipped:
            return SKIPPED
        return PASSED if self.has_passed else FAILED

    @property
    def problem(self) -> str:
        """Why it failed or was left out, in one line; empty if it passed."""
        if self.missing_requirement:
            return f"this cluster lacks what it needs: {self.missing_requirement}"
        return "; ".join(self.failures)


class ScenarioContext:
    """The cluster and the console, as a scenario uses them.

    Attributes:
        kube: the API server; its namespace is that of the scenarios.
        console: where everything is shown.
        progress: the current step.
    """

    def __init__(
        self,
        kube: KubeClient,
        console: ScenarioConsole,
        *,
        expected_seconds: int = 0,
        step_count: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.kube = kube
        self.console = console
        self.clock = clock
        self.progress = Progress(
            started=clock(),
            expected=expected_seconds,
            count=step_count,
            shown_command=kube.format_command("get selfhealingapps"),
        )

    def begin_step(self, title: str, expected_seconds: int) -> None:
        """Show that the next step begins."""
        progress = self.progress
        progress.number += 1
        progress.title, progress.step_expected = title, expected_seconds
        progress.step_started, progress.waiting_for = self.clock(), ""
        self.console.begin_step(progress)

    def end_step(self, summary: str) -> None:
        """Show that the step is done, and its summary."""
        self.progress.waiting_for = ""
        self.console.end_step(self.progress, summary)

    def explain(self, text: str) -> None:
        """Show a text."""
        self.console.print_note(text)

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """Show the state of the cluster."""
        self.console.show_snapshot(snapshot, self.progress)

    def run_kubectl(self, arguments: str, *, stdin: str | None = None, seconds: float = 60) -> None:
        """Run a kubectl command in the namespace and show it with its output.

        Raises:
            ToolError: kubectl failed.
        """
        output = self.kube.run_kubectl(arguments, stdin=stdin, seconds=seconds)
        self.console.print_command(self.kube.format_command(arguments), output)

    def wait_until(
        self,
        description: str,
        condition: Callable[[], T],
        timeout: float,
        *,
        expected_errors: tuple[type[Exception], ...] = (ApiServerUnreachableError,),
    ) -> T:
        """Wait until a condition is true, show what is waited for, and return its value.

        Args:
            description: the condition as a clause, such as "the app is ready".
            condition: returns a true value when it holds.
            timeout: seconds.
            expected_errors: exceptions of the condition that mean "not yet".

        Raises:
            ToolError: it is not true within ``timeout`` seconds.
        """
        self.progress.waiting_for = description
        return wait.wait_until(
            description, condition, timeout, expected_errors=expected_errors, clock=self.clock
        )


R = TypeVar("R", bound=ScenarioResult)


class Scenario(ABC, Generic[R]):
    """Something that is done with a cluster and checked.

    Attributes:
        name: the name by which a command selects it.
        title: the title for people.
        expected_seconds: how long it takes on two cores.
        step_count: how many steps it shows.
    """

    name: str
    title: str
    expected_seconds: int
    step_count: int = 1

    @abstractmethod
    def run(self, context: ScenarioContext) -> R:
        """Run it; it shows its steps itself.

        Raises:
            ToolError: the run of all scenarios must end.
        """

    @abstractmethod
    def build_skipped(self, missing: str, *, is_requested: bool) -> R:
        """Return the result of a scenario for which the cluster lacks something."""

    def find_missing_requirement(self, context: ScenarioContext) -> str:  # noqa: ARG002 - an override uses it
        """Return what the cluster lacks for the scenario; empty if nothing."""
        return ""
