"""The console of a scenario in a terminal, with a live view of the cluster."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from hack.scenarios.common.cluster_state import ClusterSnapshot, EventRow, PodRow
from hack.scenarios.common.console import Progress
from hack.scenarios.common.text import align_columns
from hack.testkit.progress import ProgressDisplay, format_clock

_MAX_APPS = 4
_MAX_PODS = 6
_MAX_EVENTS = 4
_PHASE_STYLES = {
    "Ready": "bold green",
    "Progressing": "yellow",
    "Pending": "yellow",
    "Healing": "bold yellow",
    "Degraded": "bold red",
    "Quarantined": "bold red",
    "Invalid": "bold red",
}


class LiveConsole:
    """A scenario in a terminal: what happened scrolls away above a live view of the cluster."""

    def __init__(
        self, display: ProgressDisplay, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._display = display
        self._console = display.console
        self._clock = clock

    def begin_step(self, progress: Progress) -> None:
        """Print the number and the title of the step."""
        title = f" {progress.number} of {progress.count}  {progress.title} "
        self._console.print()
        self._console.print(Rule(Text(title, "bold cyan"), align="left", style="cyan"))

    def print_note(self, text: str) -> None:
        """Print a text; a manifest in it is coloured."""
        prose, _, manifest = text.partition("\napiVersion:")
        self._console.print(Padding(Text(prose), (0, 2)))
        if manifest:
            yaml = Syntax(
                "apiVersion:" + manifest.rstrip(),
                "yaml",
                background_color="default",
                word_wrap=True,
            )
            self._console.print(Padding(yaml, (1, 4)))

    def print_command(self, command: str, output: str) -> None:
        """Print a command and its output."""
        lines = command.replace("\n", "\n  ")
        self._console.print(Padding(Text(f"$ {lines}", "bold"), (0, 2)))
        for line in output.splitlines():
            self._console.print(
                Padding(Text(line, no_wrap=True, overflow="ellipsis"), (0, 4)), soft_wrap=False
            )

    def show_snapshot(self, snapshot: ClusterSnapshot, progress: Progress) -> None:
        """Update the live view."""
        self._display.update(
            lambda: render_view(snapshot, progress, self._clock(), datetime.now(UTC)), str
        )

    def end_step(self, progress: Progress, summary: str) -> None:
        """Print the summary and the seconds of the step."""
        took = f"{self._clock() - progress.step_started:.0f} s"
        self._console.print(f"  [bold green]✓[/] {escape(summary)} [dim]({took})[/]")


def render_view(
    snapshot: ClusterSnapshot, progress: Progress, now: float, wall_time: datetime
) -> RenderableType:
    """Return the live view.

    Args:
        snapshot: the state of the cluster.
        progress: the current step.
        now: the time on the clock of ``progress``.
        wall_time: the time of day, for the age of Events.
    """
    step_time = format_clock(now - progress.step_started)
    total_time = format_clock(now - progress.started)
    head = Text.assemble(
        (f"step {progress.number} of {progress.count}", "bold"),
        f"  {step_time} of about {format_clock(progress.step_expected)}",
        (f"   all {total_time} of about {format_clock(progress.expected)}", "dim"),
    )
    waiting = Text(
        f"  waiting until {progress.waiting_for}" if progress.waiting_for else "", "italic"
    )
    waiting.truncate(200)
    return Group(
        Text(),
        Rule(head, align="left", style="dim"),
        waiting,
        Text(),
        Text(f"  $ {progress.shown_command}", "dim"),
        *_render_apps(snapshot),
        Text(),
        _render_pods(snapshot.pods),
        Text(),
        *(_render_event(event, wall_time) for event in snapshot.events[-_MAX_EVENTS:]),
    )


def _render_apps(snapshot: ClusterSnapshot) -> list[RenderableType]:
    if not snapshot.apps:
        return [Text("  there is no SelfHealingApp yet", "dim")]
    shown = snapshot.apps[:_MAX_APPS]
    head, *rows = align_columns([list(snapshot.columns), *(list(app.row) for app in shown)])
    lines = [Text("  " + row, no_wrap=True, overflow="ellipsis") for row in rows]
    for line, app in zip(lines, shown, strict=True):
        if phase := app.status.get("phase"):
            line.highlight_words([phase], _PHASE_STYLES.get(phase, "bold"))
    autoscalers = [app.status["autoscaling"] for app in shown if app.status.get("autoscaling")]
    autoscaler_lines = (
        f"  autoscaler: cpu {scaling.get('cpu', 'unknown')}, "
        f"{scaling.get('current', '?')} of {scaling.get('min')} to {scaling.get('max')} pods, "
        f"wants {scaling.get('desired', '?')}"
        for scaling in autoscalers
    )
    return [
        Text("  " + head, "dim", no_wrap=True, overflow="ellipsis"),
        *lines,
        Text(next(autoscaler_lines, ""), "dim", no_wrap=True, overflow="ellipsis"),
    ]


def _render_pods(pods: tuple[PodRow, ...]) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("  POD", no_wrap=True, overflow="ellipsis")
    for name in ("READY", "STATUS", "RESTARTS", "AGE", "SERVING"):
        table.add_column(name, no_wrap=True)
    for pod in pods[:_MAX_PODS]:
        style = "dim" if pod.is_terminating else ""
        table.add_row(
            f"  {pod.name}",
            Text(pod.ready, "green" if pod.is_ready else "red"),
            pod.status,
            Text(str(pod.restarts), "bold yellow" if pod.restarts else ""),
            pod.age,
            Text("yes", "green") if pod.is_serving else Text("no", "red"),
            style=style,
        )
    if len(pods) > _MAX_PODS:
        table.add_row(Text(f"  and {len(pods) - _MAX_PODS} more", "dim"))
    return table


def _render_event(event: EventRow, wall_time: datetime) -> RenderableType:
    age = max(0, int((wall_time - event.at).total_seconds()))
    return Text.assemble(
        (f"  {age:>3}s ", "dim"),
        (f"{event.involved_kind} {event.reason}", "yellow" if event.is_warning else "green"),
        f": {event.text}",
        no_wrap=True,
        overflow="ellipsis",
    )
