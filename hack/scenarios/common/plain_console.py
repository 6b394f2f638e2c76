"""A play as lines, for logs; an app's row stands there whenever it changes."""

import time
from collections.abc import Callable

from hack.scenarios.common.cluster_state import Picture
from hack.scenarios.common.console import Progress
from hack.scenarios.common.text import clock_of, indented, padded

_UNSTEADY = frozenset({"AGE", "LAST-HEAL"})
"""Columns that change all the time."""


class PlainScreen:
    """Writes lines."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, list[str]] = {}

    def begin(self, progress: Progress) -> None:
        """A step begins."""
        self._last = {}
        _line(f"\n== {progress.number} of {progress.count}: {progress.title}")

    def say(self, text: str) -> None:
        """Explain something."""
        _line(indented(text))

    def typed(self, command: str, output: str) -> None:
        """A command was typed, and this is what it printed."""
        _line(indented("$ " + command.replace("\n", "\n  ")))
        if output:
            _line(indented(output))

    def show(self, picture: Picture, progress: Progress) -> None:
        """Write the apps' rows that say something new."""
        steady = [at for at, name in enumerate(picture.columns) if name not in _UNSTEADY]
        columns = [picture.columns[at] for at in steady]
        rows = {app.name: [app.row[at] for at in steady] for app in picture.apps}
        new = [row for name, row in rows.items() if row != self._last.get(name)]
        if not new:
            return
        head, *lines = padded([columns, *new])
        if not self._last:
            _line(f"   {'':>5}  {head}")
        now = clock_of(self._clock() - progress.started)
        for line in lines:
            _line(f"   {now:>5}  {line}")
        self._last.update(rows)

    def end(self, progress: Progress, seen: str) -> None:
        """A step is done."""
        _line(f"   done in {self._clock() - progress.step_started:.0f} s: {seen}")


def _line(text: str) -> None:
    print(text, flush=True)
