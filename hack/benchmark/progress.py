"""What is being done now, what has been done, and how long it will still take."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from hack.benchmark import process_stats
from hack.scenarios.common.text import clock_of

QUIET = 0.35
"""A machine whose cores are less busy than this is quiet enough to measure on."""
QUIET_LOOK = 2.0
QUIET_WAIT = 60.0


class Show:
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
        self._task = self._bar.add_task("", total=seconds, total_text=clock_of(seconds))
        self._begun = time.monotonic()
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
        begun = time.monotonic()
        yield
        self._bar.advance(self._task, seconds)
        took = time.monotonic() - begun
        since = clock_of(time.monotonic() - self._begun)
        self.console.print(f"{since:>6}  {title}: took {took:.0f} s", highlight=False)

    def say(self, text: str) -> None:
        """A result, under its step."""
        self.console.print(f"        {text}", highlight=False)

    async def quiet(self, title: str) -> None:
        """Wait a while for a quiet machine, and remember how quiet it was."""
        self._bar.update(self._task, description=f"waiting for a quiet machine before: {title}")
        deadline = time.monotonic() + QUIET_WAIT
        while True:
            busy, total = process_stats.busy()
            await asyncio.sleep(QUIET_LOOK)
            now_busy, now_total = process_stats.busy()
            share = (now_busy - busy) / max(0.01, now_total - total)
            if share < QUIET or time.monotonic() > deadline:
                break
        self.noise.append({"before": title, "busyShare": round(share, 2)})
        if share >= QUIET:
            self.say(f"not quiet: {share:.0%} of the machine was busy before this step")
