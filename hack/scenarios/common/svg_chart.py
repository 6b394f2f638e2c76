"""Lays out a timeline as a drawing: pixels, paths and ticks. Pure.

All panels share one time axis: the pods as bars, the wanted and the ready pods, failed requests,
restarts, CPU. A panel without data is left out. docs/adr/0015 says why no library draws it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hack.scenarios.common.shapes import FULL_WIDTH, Bar, Curve, Drawing, Flag, Frame, Panel, Row
from hack.scenarios.common.timeline import Mark, PodLane, PodState, Point, Timeline
from hack.testkit.progress import format_duration

TOP = 58
_FLAG_ROWS = (44.0, 27.0, 10.0)
_FLAG_WIDTH = 17.0
_LANE_HEIGHT = 24
_PANEL_GAP = 34
_MAX_LANES = 24
_TICK_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300)
_MAX_TICKS = 8
_MIN_BAR_WIDTH = 1.0
_MIN_MILLICORES = 20
"""Millicores below which an app is idle and gets no CPU panel."""

STATE_STYLES = {
    PodState.STARTING: "starting",
    PodState.SERVING: "serving",
    PodState.READY: "ready",
    PodState.NOT_READY: "unready",
    PodState.FAILING: "failing",
    PodState.COMPLETED: "done",
    PodState.TERMINATING: "ending",
}
"""The class of each state of a pod."""


@dataclass(frozen=True, slots=True)
class _Scale:
    """Maps times to pixels; ``last_known`` is the last time for which there is data."""

    frame: Frame
    length: float
    last_known: float

    def x(self, at: float) -> float:
        left, right = self.frame.left, self.frame.right
        return round(left + (right - left) * min(max(at, 0.0), self.length) / self.length, 1)


@dataclass(frozen=True, slots=True)
class _Series:
    """A curve before it is laid out."""

    name: str
    kind: str
    points: tuple[Point, ...]


def draw_timeline(timeline: Timeline, frame: Frame = FULL_WIDTH, length: float = 0.0) -> Drawing:
    """Lay out a timeline.

    Args:
        timeline: the timeline.
        frame: the width of the drawing.
        length: seconds of the time axis; 0 for those of the timeline.
    """
    scale = _Scale(frame, max(timeline.length, length, 1.0), timeline.length)
    lanes = timeline.lanes[:_MAX_LANES]
    rows = tuple(
        _draw_row(lane, TOP + number * _LANE_HEIGHT, scale) for number, lane in enumerate(lanes)
    )
    top = float(TOP + len(rows) * _LANE_HEIGHT + _PANEL_GAP)
    panels = []
    for title, height, lines, goal in _panels_with_data(timeline):
        panels.append(_draw_panel(title, (top, top + height), lines, goal, scale))
        top = top + height + _PANEL_GAP
    bottom = top - _PANEL_GAP
    return Drawing(
        width=frame.width,
        height=bottom + 28,
        left=frame.left,
        right=frame.right,
        bottom=bottom,
        rows=rows,
        hidden=len(timeline.lanes) - len(lanes),
        panels=tuple(panels),
        flags=_place_flags(timeline.marks, scale),
        ticks=tuple((scale.x(at), format_duration(at)) for at in _tick_times(scale.length)),
    )


def _place_flags(marks: Sequence[Mark], scale: _Scale) -> tuple[Flag, ...]:
    """Place the marks above the pods; one that would hide another goes up or to the right."""
    free = [-math.inf] * len(_FLAG_ROWS)
    found = []
    for number, mark in enumerate(marks, 1):
        at = scale.x(mark.at)
        row = next((row for row, end in enumerate(free) if end <= at), free.index(min(free)))
        x = max(at, free[row])
        free[row] = x + _FLAG_WIDTH
        found.append(Flag(at, x, _FLAG_ROWS[row], number, mark.text, mark.kind.value))
    return tuple(found)


def _panels_with_data(
    timeline: Timeline,
) -> list[tuple[str, float, tuple[_Series, ...], int | None]]:
    """Return the panels that have data: title, height, series, target value."""
    wanted, ready = (
        _Series("wanted", "wanted", timeline.desired),
        _Series("ready", "ready", timeline.ready),
    )
    found: list[tuple[str, float, tuple[_Series, ...], int | None]] = []
    if timeline.ready:
        found.append(("Pods", 78, (wanted, ready), None))
    if timeline.failures:
        lines = (_Series("failed", "failures", timeline.failures),)
        found.append(("Requests, 1/s", 56, lines, None))
    if any(value for _, value in timeline.restarts):
        found.append(("Restarts", 56, (_Series("restarts", "restarts", timeline.restarts),), None))
    if timeline.cpu_percent:
        cpu = _Series("CPU, % of the request", "cpu", timeline.cpu_percent)
        found.append(("CPU, %", 92, (cpu,), timeline.cpu_target))
    elif max((value for _, value in timeline.millicores), default=0) >= _MIN_MILLICORES:
        cpu = _Series("CPU of all pods, millicores", "cpu", timeline.millicores)
        found.append(("CPU, millicores", 78, (cpu,), None))
    return found


def _draw_row(lane: PodLane, y: float, scale: _Scale) -> Row:
    bars = tuple(
        Bar(
            x=scale.x(span.start),
            width=max(_MIN_BAR_WIDTH, scale.x(span.end) - scale.x(span.start)),
            kind=STATE_STYLES[span.state],
            tip=f"{lane.pod}: {span.state}, "
            f"{format_duration(span.start)} to {format_duration(span.end)}",
        )
        for span in lane.spans
    )
    tip = f"{lane.pod} on {lane.node}" if lane.node else f"{lane.pod}, on no node yet"
    restarts = tuple(scale.x(at) for at in lane.restarts)
    return Row(y=y, label=lane.pod, tip=tip, bars=bars, restarts=restarts)


def _draw_panel(
    title: str,
    bounds: tuple[float, float],
    lines: Sequence[_Series],
    goal: int | None,
    scale: _Scale,
) -> Panel:
    top, bottom = bounds
    end = scale.x(scale.last_known)
    values = [value for line in lines for _, value in line.points] + [float(goal or 0)]
    levels = _round_levels(max(values))
    unit = (bottom - top) / levels[-1]
    curves = []
    for line in lines:
        path = _step_path([(scale.x(at), bottom - value * unit) for at, value in line.points], end)
        curves.append(Curve(path, line.kind, line.name))
    if goal:
        path = f"M{scale.frame.left} {bottom - goal * unit:.1f}H{end}"
        curves.append(Curve(path, "goal", f"target {goal} %"))
    return Panel(
        title=title,
        top=top,
        bottom=bottom,
        ticks=tuple((bottom - level * unit, f"{level:g}") for level in levels),
        curves=tuple(curves),
    )


def _step_path(points: Sequence[tuple[float, float]], end: float) -> str:
    """Return the path of a curve that keeps each value until the next point."""
    parts = [
        f"M{x:.1f} {y:.1f}" if number == 0 else f"H{x:.1f}V{y:.1f}"
        for number, (x, y) in enumerate(points)
    ]
    return "".join(parts) + f"H{end:g}" if parts else ""


def _round_levels(maximum: float) -> tuple[float, ...]:
    """Return two to five round values from 0 to at least ``most``."""
    step = 1.0
    while step * 4 < maximum:
        step *= 2.5 if f"{step:g}"[0] == "2" else 2
    count = max(1, -int(-maximum // step))
    return tuple(step * number for number in range(count + 1))


def _tick_times(length: float) -> tuple[float, ...]:
    step = next((step for step in _TICK_STEPS if length / step <= _MAX_TICKS), _TICK_STEPS[-1])
    return tuple(float(at) for at in range(0, int(length) + 1, step))
