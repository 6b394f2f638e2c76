"""The interface of the console of a scenario."""

from dataclasses import dataclass
from typing import Protocol

from hack.scenarios.common.cluster_state import ClusterSnapshot


@dataclass(slots=True)
class Progress:
    """The current step and the times of the run.

    Attributes:
        started: when the run started, on the clock of the console.
        expected: seconds that the whole run takes.
        count: number of steps of the run.
        shown_command: the command whose output the view resembles.
        number: number of the current step, from 1.
        title: title of the current step.
        step_started: when the current step started.
        step_expected: seconds that the current step takes.
        waiting_for: the condition that is waited for; empty if none.
    """

    started: float
    expected: int
    count: int
    shown_command: str
    number: int = 0
    title: str = ""
    step_started: float = 0.0
    step_expected: int = 0
    waiting_for: str = ""


class ScenarioConsole(Protocol):
    """Shows the steps of a scenario, its commands and the state of the cluster."""

    def begin_step(self, progress: Progress) -> None:
        """Show that a step begins."""

    def print_note(self, text: str) -> None:
        """Show a text."""

    def print_command(self, command: str, output: str) -> None:
        """Show a command and its output."""

    def show_snapshot(self, snapshot: ClusterSnapshot, progress: Progress) -> None:
        """Show the state of the cluster."""

    def end_step(self, progress: Progress, summary: str) -> None:
        """Show that the step is done, and its summary."""
