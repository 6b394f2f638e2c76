"""The progress of the stages of ``make cluster``, with measured and expected durations.

A terminal gets a bar; a log gets at most one line every ten seconds. The expected durations are
those of two cores, until this machine has durations of its own.
"""

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

_PLAIN_INTERVAL: Final = 10.0

DEFAULT_DURATIONS: Final[Mapping[str, float]] = {
    "packages": 25,
    "go": 30,
    "go-node": 350,
    "go-coredns": 125,
    "go-pause": 2,
    "go-helm": 240,
    "go-vegeta": 30,
    "go-verdicts": 60,
    "go-bundle": 90,
    "go-node-tools": 100,
    "node-rootfs": 35,
    "node-images": 15,
    "node-image": 40,
    "python-base": 30,
    "load node image": 25,
    "docker daemon": 2,
    "kind create": 25,
    "add-ons": 15,
    "health check": 3,
    "node sources": 1,
    "build images": 60,
    "load images": 10,
    "pull node image": 60,
    "go-prometheus-adapter": 120,
    "go-discovery": 10,
    "go-vpa": 95,
    "go-contour": 180,
    "go-kube-router": 200,
    "kube-router-programs": 15,
    "kube-router-images": 8,
    "envoy": 30,
    "contour-images": 20,
    "contour-crds": 1,
    "prometheus": 20,
    "metrics-stack-images": 8,
    "vpa-images": 8,
    "vpa-crds": 1,
    "load add-on images": 10,
    "add-on metrics-stack": 30,
    "add-on vpa": 20,
    "add-on contour": 30,
    "add-on kube-router": 20,
}
"""Seconds each stage took cold on two cores; a machine's own measurements take over."""


def format_duration(seconds: float) -> str:
    """Write a duration as people read it: 7 s, 1:05, 12:30."""
    rounded = int(seconds + 0.5)
    return f"{rounded} s" if rounded < 60 else f"{rounded // 60}:{rounded % 60:02d}"


def can_show_live(console: Console) -> bool:
    """Tell whether a console can show a view that changes."""
    return console.is_terminal and not console.is_dumb_terminal


def bar_fraction(elapsed: float, expected: float) -> float:
    """Return the filled part of the bar: linear up to 90 %, then ever slower, never full."""
    if expected <= 0:
        return 0.0
    share = elapsed / expected
    return share * 0.9 if share < 1 else 1 - 0.1 / share


def expected_seconds(measured: float | None, default: float) -> float:
    """Return the duration of the last run, unless it is so short that most was cached."""
    return default if measured is None or measured < default / 3 else measured


class ProgressReporter:
    """Reports stages: a bar per running stage in a terminal, lines elsewhere."""

    def __init__(self, timings: Path, *, quiet: bool = False) -> None:
        self.timings = timings
        self._is_quiet = quiet
        self._is_plain = not can_show_live(Console())

    def print_line(self, text: str) -> None:
        """Print one line."""
        if not self._is_quiet:
            print(text, flush=True)

    def expected_duration(self, name: str) -> float:
        """Return how long a stage takes: as measured here, else as measured elsewhere."""
        return expected_seconds(self._read_durations().get(name), DEFAULT_DURATIONS.get(name, 10))

    @contextlib.contextmanager
    def show_stage(self, name: str, detail: str = "") -> Iterator[None]:
        """Show a stage while its body runs, and remember how long it took."""
        begun = time.monotonic()
        title = f"{name} ({detail})" if detail else name
        with self.show_plain(title, name) if self._is_plain else self.show_bar(title, name):
            yield
        self._store_duration(name, time.monotonic() - begun)

    @contextlib.contextmanager
    def show_bar(self, title: str, name: str) -> Iterator[None]:
        """Show a progress bar in the terminal while the block runs."""
        expected = self.expected_duration(name)
        columns = (
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[times]}"),
        )
        begun, done = time.monotonic(), threading.Event()
        with Progress(*columns, console=Console(), refresh_per_second=4) as progress:
            task = progress.add_task(title, total=1.0, times="")

            def advance() -> None:
                while not done.wait(0.25):
                    elapsed = time.monotonic() - begun
                    progress.update(
                        task,
                        completed=bar_fraction(elapsed, expected),
                        times=f"{format_duration(elapsed)} of about {format_duration(expected)}",
                    )

            thread = threading.Thread(target=advance, daemon=True)
            thread.start()
            try:
                yield
                progress.update(
                    task,
                    completed=1.0,
                    times=f"done in {format_duration(time.monotonic() - begun)}",
                )
            finally:
                done.set()
                thread.join()

    @contextlib.contextmanager
    def show_plain(self, title: str, name: str) -> Iterator[None]:
        """Print lines while the block runs, for a log file."""
        expected = self.expected_duration(name)
        begun, done = time.monotonic(), threading.Event()

        def tick() -> None:
            while not done.wait(_PLAIN_INTERVAL):
                elapsed = time.monotonic() - begun
                self.print_line(
                    f"  {title}: {format_duration(elapsed)} of about {format_duration(expected)}"
                )

        thread = threading.Thread(target=tick, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
        self.print_line(f"  {title}: done in {format_duration(time.monotonic() - begun)}")

    def _read_durations(self) -> dict[str, float]:
        try:
            content = json.loads(self.timings.read_text())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _store_duration(self, name: str, seconds: float) -> None:
        known = self._read_durations()
        known[name] = round((known.get(name, seconds) + seconds) / 2, 1)
        partial = self.timings.with_suffix(".partial")
        with contextlib.suppress(OSError):
            self.timings.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(known, indent=1, sort_keys=True))
            partial.replace(self.timings)
