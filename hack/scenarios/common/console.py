"""What a screen is, and what it is told of beside the pictures."""

from dataclasses import dataclass
from typing import Protocol

from hack.scenarios.common.cluster_state import Picture


@dataclass(slots=True)
class Progress:
    """Where the play is; what a screen shows beside the picture.

    ``looking`` is the command whose output the picture shows.
    """

    started: float
    expected: int
    count: int
    looking: str
    number: int = 0
    title: str = ""
    step_started: float = 0.0
    step_expected: int = 0
    waiting: str = ""


class Screen(Protocol):
    """What a person sees."""

    def begin(self, progress: Progress) -> None:
        """A step begins."""

    def say(self, text: str) -> None:
        """Explain something."""

    def typed(self, command: str, output: str) -> None:
        """A command was typed, and this is what it printed."""

    def show(self, picture: Picture, progress: Progress) -> None:
        """Show how things are."""

    def end(self, progress: Progress, seen: str) -> None:
        """A step is done."""
