"""The console of a scenario as lines, for logs; an app's row is printed when it changes."""

import time
from collections.abc import Callable

from hack.scenarios.common.cluster_state import ClusterSnapshot
from hack.scenarios.common.console import Progress
from hack.scenarios.common.text import align_columns, indent_text
from hack.testkit.progress import format_clock

_VOLATILE_COLUMNS = frozenset({"AGE", "LAST-HEAL"})
"""Columns whose change alone prints no row: they change all the time."""


class PlainConsole:
    """Prints lines."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, list[str]] = {}

    def begin_step(self, progress: Progress) -> None:
        """Print the number and the title of the step."""
        self._last = {}
        _print_line(f"\n== {progress.number} of {progress.count}: {progress.title}")

    def print_note(self, text: str) -> None:
        """Print a text."""
        _print_line(indent_text(text))

    def print_command(self, command: str, output: str) -> None:
        """Print a command and its output."""
        _print_line(indent_text("$ " + command.replace("\n", "\n  ")))
        if output:
            _print_line(indent_text(output))

    def show_snapshot(self, snapshot: ClusterSnapshot, progress: Progress) -> None:
        """Print the rows of the apps that have changed."""
        stable_columns = [
            at for at, name in enumerate(snapshot.columns) if name not in _VOLATILE_COLUMNS
        ]
        columns = [snapshot.columns[at] for at in stable_columns]
        rows = {app.name: [app.row[at] for at in stable_columns] for app in snapshot.apps}
        changed_rows = [row for name, row in rows.items() if row != self._last.get(name)]
        if not changed_rows:
            return
        head, *lines = align_columns([columns, *changed_rows])
        if not self._last:
            _print_line(f"   {'':>5}  {head}")
        now = format_clock(self._clock() - progress.started)
        for line in lines:
            _print_line(f"   {now:>5}  {line}")
        self._last.update(rows)

    def end_step(self, progress: Progress, summary: str) -> None:
        """Print the summary and the seconds of the step."""
        _print_line(f"   done in {self._clock() - progress.step_started:.0f} s: {summary}")


def _print_line(text: str) -> None:
    print(text, flush=True)
