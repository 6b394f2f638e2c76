"""From a timeline to places on a drawing: pixels, paths and ticks. Pure.

Four panels share one axis of time: the pods as bars, pods wanted and ready, restarts, CPU. A panel
with nothing to tell is left out. Why this is drawn here and by no library: docs/decisions/0015.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lab.timeline import Lane, Mark, Point, State, Timeline

WIDTH = 980
LEFT = 250
RIGHT = 962
TOP = 58
_FLAG_ROWS = (44.0, 27.0, 10.0)
_FLAG_WIDTH = 17.0
_LANE = 24
_BAR = 15
_GAP = 34
_MOST_LANES = 24
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300)
_TICKS = 8
_NARROW = 1.0
_BUSY = 20
"""Millicores below which an app idles, and a curve of them tells nothing."""

CLASSES = {
    State.STARTING: "starting",
    State.SERVING: "serving",
    State.READY: "ready",
    State.NOT_READY: "unready",
    State.FAILING: "failing",
    State.DONE: "done",
    State.ENDING: "ending",
}
"""The style of each state."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A pod was in a state; ``tip`` is what a pointer on it is told."""

    x: float
    width: float
    kind: str
    tip: str


@dataclass(frozen=True, slots=True)
class Row:
    """One pod: its name, its bars and where it was restarted."""

    y: float
    label: str
    tip: str
    bars: tuple[Bar, ...]
    restarts: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of a panel."""

    path: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A diagram: its place, its scale and its lines."""

    title: str
    top: float
    bottom: float
    ticks: tuple[tuple[float, str], ...]
    curves: tuple[Curve, ...]


@dataclass(frozen=True, slots=True)
class Flag:
    """A numbered command: when it was typed, and where its number has room."""

    at: float
    x: float
    y: float
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """All that the template draws."""

    width: int
    height: float
    left: float
    right: float
    bottom: float
    rows: tuple[Row, ...]
    hidden: int
    panels: tuple[Panel, ...]
    flags: tuple[Flag, ...]
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class _Line:
    """A curve before it has a place."""

    name: str
    kind: str
    points: tuple[Point, ...]


def draw(line: Timeline) -> Drawing:
    """Find the place of everything."""
    length = max(line.length, 1.0)
    lanes = line.lanes[:_MOST_LANES]
    rows = tuple(_row(lane, TOP + number * _LANE, length) for number, lane in enumerate(lanes))
    top = float(TOP + len(rows) * _LANE + _GAP)
    panels = []
    for title, height, lines, goal in _told(line):
        panels.append(_panel(title, (top, top + height), lines, goal, length))
        top = top + height + _GAP
    bottom = top - _GAP
    return Drawing(
        width=WIDTH,
        height=bottom + 28,
        left=LEFT,
        right=RIGHT,
        bottom=bottom,
        rows=rows,
        hidden=len(line.lanes) - len(lanes),
        panels=tuple(panels),
        flags=_flags(line.marks, length),
        ticks=tuple((_x(at, length), clock(at)) for at in _times(length)),
    )


def _flags(marks: Sequence[Mark], length: float) -> tuple[Flag, ...]:
    """The commands above the pods; a row higher, or to the right, where they would hide others."""
    free = [-math.inf] * len(_FLAG_ROWS)
    found = []
    for number, mark in enumerate(marks, 1):
        at = _x(mark.at, length)
        row = next((row for row, end in enumerate(free) if end <= at), free.index(min(free)))
        x = max(at, free[row])
        free[row] = x + _FLAG_WIDTH
        found.append(Flag(at, x, _FLAG_ROWS[row], number, mark.text))
    return tuple(found)


def clock(seconds: float) -> str:
    """``45 s`` or ``2:05``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes else f"{rest} s"


def _told(line: Timeline) -> list[tuple[str, float, tuple[_Line, ...], int | None]]:
    """The panels that have something to tell: title, height, lines, a level to aim at."""
    wanted, ready = _Line("wanted", "wanted", line.wanted), _Line("ready", "ready", line.ready)
    found: list[tuple[str, float, tuple[_Line, ...], int | None]] = []
    if line.ready:
        found.append(("Pods", 78, (wanted, ready), None))
    if any(value for _, value in line.restarts):
        found.append(("Restarts", 56, (_Line("restarts", "restarts", line.restarts),), None))
    if line.percent:
        cpu = _Line("CPU, % of the request", "cpu", line.percent)
        found.append(("CPU, %", 92, (cpu,), line.target))
    elif max((value for _, value in line.millicores), default=0) >= _BUSY:
        cpu = _Line("CPU of all pods, millicores", "cpu", line.millicores)
        found.append(("CPU, millicores", 78, (cpu,), None))
    return found


def _row(lane: Lane, y: float, length: float) -> Row:
    bars = tuple(
        Bar(
            x=_x(span.start, length),
            width=max(_NARROW, _x(span.end, length) - _x(span.start, length)),
            kind=CLASSES[span.state],
            tip=f"{lane.pod}: {span.state}, {clock(span.start)} to {clock(span.end)}",
        )
        for span in lane.spans
    )
    tip = f"{lane.pod} on {lane.node}" if lane.node else f"{lane.pod}, on no node yet"
    restarts = tuple(_x(at, length) for at in lane.restarts)
    return Row(y=y, label=lane.pod, tip=tip, bars=bars, restarts=restarts)


def _panel(
    title: str, place: tuple[float, float], lines: Sequence[_Line], goal: int | None, length: float
) -> Panel:
    top, bottom = place
    values = [value for line in lines for _, value in line.points] + [float(goal or 0)]
    levels = _levels(max(values))
    scale = (bottom - top) / levels[-1]
    curves = [Curve(_path(line, bottom, scale, length), line.kind, line.name) for line in lines]
    if goal:
        at = bottom - goal * scale
        curves.append(Curve(f"M{LEFT} {at:.1f}H{RIGHT}", "goal", f"target {goal} %"))
    return Panel(
        title=title,
        top=top,
        bottom=bottom,
        ticks=tuple((bottom - level * scale, f"{level:g}") for level in levels),
        curves=tuple(curves),
    )


def _path(line: _Line, bottom: float, scale: float, length: float) -> str:
    """A line that holds each value until the next one."""
    parts = []
    for number, (at, value) in enumerate(line.points):
        x, y = _x(at, length), bottom - value * scale
        if number == 0:
            parts.append(f"M{x:.1f} {y:.1f}")
        else:
            parts.append(f"H{x:.1f}V{y:.1f}")
    return "".join(parts) + f"H{RIGHT}" if parts else ""


def _levels(most: float) -> tuple[float, ...]:
    """Two to five round levels from 0 to at least ``most``."""
    step = 1.0
    while step * 4 < most:
        step *= 2.5 if f"{step:g}"[0] == "2" else 2
    count = max(1, -int(-most // step))
    return tuple(step * number for number in range(count + 1))


def _times(length: float) -> tuple[float, ...]:
    step = next((step for step in _STEPS if length / step <= _TICKS), _STEPS[-1])
    return tuple(float(at) for at in range(0, int(length) + 1, step))


def _x(at: float, length: float) -> float:
    return round(LEFT + (RIGHT - LEFT) * min(max(at, 0.0), length) / length, 1)
