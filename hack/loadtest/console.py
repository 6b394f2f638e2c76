"""How the load goes, for people: a bar and a table on a terminal, lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hack.loadtest.plan import Plan
from hack.loadtest.result_stats import Tally

_SHARES: Final = (0.5, 0.9, 0.99)
_EVERY: Final = 5.0
"""Seconds between lines."""

_SHOWN: Final = 12
_SHORT: Final = 0.01
"""Seconds below which a tenth of a millisecond is worth showing."""


class Screen:
    """Shows how far it is and what has come."""

    def __init__(
        self,
        console: Console,
        plan: Plan,
        tally: Tally,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._plan = plan
        self._tally = tally
        self._clock = clock
        self._moving = console.is_terminal and not console.is_dumb_terminal
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._begun = self._last = clock()

    def __enter__(self) -> Self:
        """Begin."""
        if self._moving:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the terminal back."""
        if self._moving:
            self._live.stop()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._begun

    def show(self) -> None:
        """Show how things are, if it is time to."""
        now = self._clock()
        if now - self._last < (0.2 if self._moving else _EVERY):
            return
        self._last = now
        if self._moving:
            self._live.update(self._picture(), refresh=True)
        else:
            self._console.print(f"  {self._clock_text()}  {summary(self._tally, self.elapsed)}")

    def _clock_text(self) -> str:
        return f"{min(self.elapsed, self._plan.seconds):.0f} of {self._plan.seconds} s"

    def _picture(self) -> RenderableType:
        line = Table.grid(padding=(0, 2))
        bar = ProgressBar(self._plan.seconds, min(self.elapsed, self._plan.seconds), width=30)
        line.add_row(self._clock_text(), bar, Text(summary(self._tally, self.elapsed)))
        return Group(line, replicas(self._tally))


def summary(tally: Tally, seconds: float) -> str:
    """One line: requests a second, latencies, failures."""
    rate = tally.sent / seconds if seconds > 0 else 0.0
    return f"{rate:.1f} requests/s  {latencies(tally)}  {tally.failed} failed"


def latencies(tally: Tally) -> str:
    """The percentiles, in milliseconds."""
    return "  ".join(f"p{share * 100:.0f} {_ms(tally.percentile(share))}" for share in _SHARES)


def replicas(tally: Tally) -> RenderableType:
    """Who answered how often, as bars."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("  ANSWERED BY", no_wrap=True)
    table.add_column("REQUESTS", justify="right")
    table.add_column("SHARE", justify="right")
    table.add_column("")
    total = max(1, tally.sent)
    for name, count in [*tally.replicas.most_common(_SHOWN), *tally.failures.most_common(4)]:
        good = name in tally.replicas
        share = count / total
        bar = "█" * max(1, round(share * 30))
        style = "green" if good else "red"
        shown = name if good else f"nobody: {name}"
        table.add_row(f"  {shown}", str(count), f"{share * 100:.1f} %", Text(bar, style))
    return table


def report(plan: Plan, tally: Tally, seconds: float) -> Iterator[RenderableType]:
    """What it came to."""
    rate = tally.sent / max(seconds, 0.001)
    yield f"{tally.sent} requests in {seconds:.1f} s: {rate:.1f} a second, {tally.failed} failed"
    if tally.slowest:
        yield f"latency: {latencies(tally)}  max {_ms(tally.slowest)}"
    if tally.sent:
        yield replicas(tally)
    if plan.rate and tally.sent < 0.9 * plan.rate * min(seconds, plan.seconds):
        yield "Fewer were sent than asked for: the app or this machine is at its limit."


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.{0 if seconds > _SHORT else 1}f} ms"
