"""What is being done now, what has been done, and how long it will still take."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from hack.scenarios.common.text import format_clock
from hack.testkit import process_stats

MAX_BUSY_SHARE = 0.35
"""A machine whose cores are less busy than this is quiet enough to measure on."""
BUSY_SAMPLE_SECONDS = 2.0
QUIET_TIMEOUT = 60.0


class BenchmarkProgress:
    """Shows steps as they begin and end, with a bar where there is a terminal for it."""

    def __init__(self, console: Console, seconds: float) -> None:
        self.console = console
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("of about {task.fields[total_text]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=seconds, total_text=format_clock(seconds))
        self._started = time.monotonic()
        self.noise: list[dict[str, object]] = []

    def __enter__(self) -> Self:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        self._bar.stop()

    @contextmanager
    def step(self, title: str, seconds: float) -> Iterator[None]:
        """A step of about ``seconds``."""
        self._bar.update(self._task, description=title)
        started = time.monotonic()
        yield
        self._bar.advance(self._task, seconds)
        duration = time.monotonic() - started
        since = format_clock(time.monotonic() - self._started)
        self.console.print(f"{since:>6}  {title}: took {duration:.0f} s", highlight=False)

    def print_result(self, text: str) -> None:
        """A result, under its step."""
        self.console.print(f"        {text}", highlight=False)

    async def wait_for_quiet_machine(self, title: str) -> None:
        """Wait a while for a quiet machine, and remember how quiet it was."""
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
