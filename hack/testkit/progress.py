"""The progress display of the tools, and how they write times.

``make cluster`` has a reporter of its own (``hack.localcluster.progress``), which measures its
stages and expects the next run to take as long; the test for a terminal and ``format_duration``
are shared with it.
"""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from hack.localcluster.progress import can_show_live, format_duration

__all__ = ["ProgressDisplay", "can_show_live", "format_clock", "format_duration"]


def format_clock(seconds: float) -> str:
    """Write a time as minutes and seconds: ``1:05``."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    return f"{minutes}:{rest:02d}"


class ProgressDisplay:
    """A view at the bottom of the terminal that changes; in a log, lines.

    Use it as a context manager. Text that is printed to ``console`` meanwhile scrolls away above
    the view.

    Attributes:
        console: the terminal or the log.
        is_live: whether there is a view; else there are lines.
    """

    def __init__(
        self,
        console: Console,
        *,
        plain: bool = False,
        live_interval: float = 0.0,
        line_interval: float = 0.0,
        refresh_per_second: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Choose between a view and lines.

        Args:
            console: the terminal or the log.
            plain: write lines even where a view is possible.
            live_interval: seconds between two updates of the view at least.
            line_interval: seconds between two lines at least.
            refresh_per_second: how often the view is drawn again without an update; 0 is never.
            clock: returns seconds.
        """
        self.console = console
        self.is_live = not plain and can_show_live(console)
        self._interval = live_interval if self.is_live else line_interval
        self._clock = clock
        self._updated_at = clock()
        self._view: Callable[[], RenderableType] = Text
        self._live = Live(
            console=console,
            transient=True,
            auto_refresh=refresh_per_second > 0,
            refresh_per_second=refresh_per_second or 4,
            get_renderable=self._render,
        )

    def __enter__(self) -> Self:
        """Take the lower part of the terminal."""
        if self.is_live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give it back."""
        if self.is_live:
            self._live.stop()

    def _render(self) -> RenderableType:
        return self._view()

    def update(self, view: Callable[[], RenderableType], line: Callable[[], str]) -> None:
        """Show the view or print the line, unless the last update was a moment ago.

        Args:
            view: makes the view.
            line: makes the line; none is printed if it is empty.
        """
        now = self._clock()
        if now - self._updated_at < self._interval:
            return
        self._updated_at = now
        if self.is_live:
            self._view = view
            self._live.refresh()
        elif text := line():
            self.console.print(text)
