"""The progress of the benchmark, and the wait for a quiet machine."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from hack.testkit import process_stats
from hack.testkit.progress import ProgressDisplay, format_clock

MAX_BUSY_SHARE = 0.35
"""The busy share of all cores below which the machine is quiet enough to measure."""
BUSY_SAMPLE_SECONDS = 2.0
QUIET_TIMEOUT = 60.0


class BenchmarkProgress:
    """A line for each step that is done, and a bar in a terminal."""

    def __init__(self, console: Console, seconds: float) -> None:
        self.console = console
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("of about {task.fields[total_text]}"),
            console=console,
        )
        self._display = ProgressDisplay(console, refresh_per_second=4)
        self._task = self._bar.add_task("", total=seconds, total_text=format_clock(seconds))
        self._started = time.monotonic()
        self.noise: list[dict[str, object]] = []

    def __enter__(self) -> Self:
        """Show the bar."""
        self._display.__enter__()
        self._display.update(self._bar.get_renderable, str)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the bar."""
        self._display.__exit__(kind, error, trace)

    @contextmanager
    def step(self, title: str, seconds: float) -> Iterator[None]:
        """Show a step that takes about ``seconds`` while the block runs."""
        self._bar.update(self._task, description=title)
        started = time.monotonic()
        yield
        self._bar.advance(self._task, seconds)
        duration = time.monotonic() - started
        since = format_clock(time.monotonic() - self._started)
        self.console.print(f"{since:>6}  {title}: took {duration:.0f} s", highlight=False)

    def print_result(self, text: str) -> None:
        """Print a result below its step."""
        self.console.print(f"        {text}", highlight=False)

    async def wait_for_quiet_machine(self, title: str) -> None:
        """Wait up to QUIET_TIMEOUT for a quiet machine, and record how busy it was."""
        self._bar.update(self._task, description=f"waiting for a quiet machine before: {title}")
        deadline = time.monotonic() + QUIET_TIMEOUT
        while True:
            busy, total = process_stats.read_busy_seconds()
            await asyncio.sleep(BUSY_SAMPLE_SECONDS)
            now_busy, now_total = process_stats.read_busy_seconds()
            busy_share = (now_busy - busy) / max(0.01, now_total - total)
            if busy_share < MAX_BUSY_SHARE or time.monotonic() > deadline:
                break
        self.noise.append({"before": title, "busyShare": round(busy_share, 2)})
        if busy_share >= MAX_BUSY_SHARE:
            self.print_result(
                f"not quiet: {busy_share:.0%} of the machine was busy before this step"
            )
