"""The progress and the result of a load test, for people."""

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hack.loadtest.plan import LoadPlan
from hack.loadtest.result_stats import ResultStats
from hack.testkit.progress import ProgressDisplay

_PERCENTILES: Final = (0.5, 0.9, 0.99)
_LIVE_INTERVAL: Final = 0.2
_LINE_INTERVAL: Final = 5.0
"""Seconds between two updates of the view, and between two lines of a log."""

_MAX_REPLICAS: Final = 12
_SUB_MILLISECOND_LIMIT: Final = 0.01
"""Seconds below which latencies are shown with a tenth of a millisecond."""


class LoadConsole:
    """The progress of a load test: a bar and a table in a terminal, lines in a log."""

    def __init__(
        self,
        console: Console,
        plan: LoadPlan,
        stats: ResultStats,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._display = ProgressDisplay(
            console, live_interval=_LIVE_INTERVAL, line_interval=_LINE_INTERVAL, clock=clock
        )
        self._plan = plan
        self._stats = stats
        self._clock = clock
        self._started = clock()

    def __enter__(self) -> Self:
        """Show the display."""
        self._display.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the display."""
        self._display.__exit__(kind, error, trace)

    @property
    def elapsed(self) -> float:
        """Seconds since the console was created."""
        return self._clock() - self._started

    def update(self) -> None:
        """Show the results so far, unless the last update was a moment ago."""
        self._display.update(
            self._render,
            lambda: f"  {self._clock_text()}  {format_summary(self._stats, self.elapsed)}",
        )

    def _clock_text(self) -> str:
        return f"{min(self.elapsed, self._plan.seconds):.0f} of {self._plan.seconds} s"

    def _render(self) -> RenderableType:
        line = Table.grid(padding=(0, 2))
        bar = ProgressBar(self._plan.seconds, min(self.elapsed, self._plan.seconds), width=30)
        line.add_row(self._clock_text(), bar, Text(format_summary(self._stats, self.elapsed)))
        return Group(line, build_replica_table(self._stats))


def format_summary(stats: ResultStats, seconds: float) -> str:
    """Return requests per second, latencies and failures in one line."""
    rate = stats.sent / seconds if seconds > 0 else 0.0
    return f"{rate:.1f} requests/s  {format_latencies(stats)}  {stats.failed} failed"


def format_latencies(stats: ResultStats) -> str:
    """Return the percentiles in milliseconds."""
    return "  ".join(
        f"p{share * 100:.0f} {_format_milliseconds(stats.percentile(share))}"
        for share in _PERCENTILES
    )


def build_replica_table(stats: ResultStats) -> RenderableType:
    """Return a table of the pods and their shares of the responses, as bars."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("  ANSWERED BY", no_wrap=True)
    table.add_column("REQUESTS", justify="right")
    table.add_column("SHARE", justify="right")
    table.add_column("")
    total = max(1, stats.sent)
    for name, count in [*stats.replicas.most_common(_MAX_REPLICAS), *stats.failures.most_common(4)]:
        is_success = name in stats.replicas
        share = count / total
        bar = "█" * max(1, round(share * 30))
        style = "green" if is_success else "red"
        shown = name if is_success else f"nobody: {name}"
        table.add_row(f"  {shown}", str(count), f"{share * 100:.1f} %", Text(bar, style))
    return table


def render_report(plan: LoadPlan, stats: ResultStats, seconds: float) -> Iterator[RenderableType]:
    """Yield the parts of the report."""
    rate = stats.sent / max(seconds, 0.001)
    yield f"{stats.sent} requests in {seconds:.1f} s: {rate:.1f} a second, {stats.failed} failed"
    if stats.slowest:
        yield f"latency: {format_latencies(stats)}  max {_format_milliseconds(stats.slowest)}"
    if stats.sent:
        yield build_replica_table(stats)
    if plan.rate and stats.sent < 0.9 * plan.rate * min(seconds, plan.seconds):
        yield "Fewer were sent than asked for: the app or this machine is at its limit."


def _format_milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.{0 if seconds > _SUB_MILLISECOND_LIMIT else 1}f} ms"
