"""What a screen is, and what it is told of beside the pictures."""

from dataclasses import dataclass
from typing import Protocol

from hack.scenarios.common.cluster_state import ClusterSnapshot


@dataclass(slots=True)
class Progress:
    """Where the play is; what a screen shows beside the picture.

    ``looking`` is the command whose output the picture shows.
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
    """What a person sees."""

    def begin_step(self, progress: Progress) -> None:
        """A step begins."""

    def print_note(self, text: str) -> None:
        """Explain something."""

    def print_command(self, command: str, output: str) -> None:
        """A command was typed, and this is what it printed."""

    def show_snapshot(self, snapshot: ClusterSnapshot, progress: Progress) -> None:
        """Show how things are."""

    def end_step(self, progress: Progress, summary: str) -> None:
        """A step is done."""
