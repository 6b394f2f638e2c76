"""A play in a terminal: what happened scrolls away above, what is now stands below and moves."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from hack.scenarios.common.cluster_state import Happening, Picture, Pod
from hack.scenarios.common.console import Progress
from hack.scenarios.common.text import clock_of, padded

_APPS = 4
_PODS = 6
_EVENTS = 4
_PHASES = {
    "Ready": "bold green",
    "Progressing": "yellow",
    "Pending": "yellow",
    "Healing": "bold yellow",
    "Degraded": "bold red",
    "Quarantined": "bold red",
    "Invalid": "bold red",
}


class LiveScreen:
    """A live view at the bottom of the terminal."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        """Take the terminal's lower part."""
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give it back."""
        self._live.stop()

    def begin(self, progress: Progress) -> None:
        """A step begins."""
        title = f" {progress.number} of {progress.count}  {progress.title} "
        self._console.print()
        self._console.print(Rule(Text(title, "bold cyan"), align="left", style="cyan"))

    def say(self, text: str) -> None:
        """Explain something; YAML is coloured."""
        said, _, manifest = text.partition("\napiVersion:")
        self._console.print(Padding(Text(said), (0, 2)))
        if manifest:
            yaml = Syntax(
                "apiVersion:" + manifest.rstrip(),
                "yaml",
                background_color="default",
                word_wrap=True,
            )
            self._console.print(Padding(yaml, (1, 4)))

    def typed(self, command: str, output: str) -> None:
        """A command was typed, and this is what it printed."""
        lines = command.replace("\n", "\n  ")
        self._console.print(Padding(Text(f"$ {lines}", "bold"), (0, 2)))
        for line in output.splitlines():
            self._console.print(
                Padding(Text(line, no_wrap=True, overflow="ellipsis"), (0, 4)), soft_wrap=False
            )

    def show(self, picture: Picture, progress: Progress) -> None:
        """Show how things are."""
        self._live.update(render(picture, progress, self._clock(), datetime.now(UTC)), refresh=True)

    def end(self, progress: Progress, seen: str) -> None:
        """A step is done."""
        took = f"{self._clock() - progress.step_started:.0f} s"
        self._console.print(f"  [bold green]✓[/] {escape(seen)} [dim]({took})[/]")


def render(picture: Picture, progress: Progress, now: float, today: datetime) -> RenderableType:
    """The lower part of the terminal.

    Args:
        picture: what there is.
        progress: where the play is.
        now: the time on the clock that ``progress`` was taken with.
        today: the time of the day, for the age of Events.
    """
    head = Text.assemble(
        (f"step {progress.number} of {progress.count}", "bold"),
        f"  {clock_of(now - progress.step_started)} of about {clock_of(progress.step_expected)}",
        (
            f"   all {clock_of(now - progress.started)} of about {clock_of(progress.expected)}",
            "dim",
        ),
    )
    waiting = Text(f"  waiting until {progress.waiting}" if progress.waiting else "", "italic")
    waiting.truncate(200)
    return Group(
        Text(),
        Rule(head, align="left", style="dim"),
        waiting,
        Text(),
        Text(f"  $ {progress.looking}", "dim"),
        *_app(picture),
        Text(),
        _pods(picture.pods),
        Text(),
        *(_event(event, today) for event in picture.events[-_EVENTS:]),
    )


def _app(picture: Picture) -> list[RenderableType]:
    if not picture.apps:
        return [Text("  there is no SelfHealingApp yet", "dim")]
    shown = picture.apps[:_APPS]
    head, *rows = padded([list(picture.columns), *(list(app.row) for app in shown)])
    lines = [Text("  " + row, no_wrap=True, overflow="ellipsis") for row in rows]
    for line, app in zip(lines, shown, strict=True):
        if phase := app.status.get("phase"):
            line.highlight_words([phase], _PHASES.get(phase, "bold"))
    scaled = [app.status["autoscaling"] for app in shown if app.status.get("autoscaling")]
    extra = (
        f"  autoscaler: cpu {scaling.get('cpu', 'unknown')}, "
        f"{scaling.get('current', '?')} of {scaling.get('min')} to {scaling.get('max')} pods, "
        f"wants {scaling.get('desired', '?')}"
        for scaling in scaled
    )
    return [
        Text("  " + head, "dim", no_wrap=True, overflow="ellipsis"),
        *lines,
        Text(next(extra, ""), "dim", no_wrap=True, overflow="ellipsis"),
    ]


def _pods(pods: tuple[Pod, ...]) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("  POD", no_wrap=True, overflow="ellipsis")
    for name in ("READY", "STATUS", "RESTARTS", "AGE", "SERVING"):
        table.add_column(name, no_wrap=True)
    for pod in pods[:_PODS]:
        style = "dim" if pod.leaving else ""
        table.add_row(
            f"  {pod.name}",
            Text(pod.ready, "green" if pod.is_ready else "red"),
            pod.status,
            Text(str(pod.restarts), "bold yellow" if pod.restarts else ""),
            pod.age,
            Text("yes", "green") if pod.serving else Text("no", "red"),
            style=style,
        )
    if len(pods) > _PODS:
        table.add_row(Text(f"  and {len(pods) - _PODS} more", "dim"))
    return table


def _event(event: Happening, today: datetime) -> RenderableType:
    age = max(0, int((today - event.at).total_seconds()))
    return Text.assemble(
        (f"  {age:>3}s ", "dim"),
        (f"{event.about} {event.reason}", "yellow" if event.warning else "green"),
        f": {event.text}",
        no_wrap=True,
        overflow="ellipsis",
    )
