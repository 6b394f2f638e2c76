"""The shapes of a drawing, in pixels, with their texts; a template writes them as SVG."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """The width of a drawing and the margins of its time axis."""

    width: int
    left: float
    right: float


FULL_WIDTH = Frame(980, 250, 962)
"""A drawing as wide as the page."""

HALF_WIDTH = Frame(640, 172, 626)
"""One of two drawings beside each other; there is less room for names of pods."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A state of a pod over time; ``tip`` is the text for a pointer on it."""

    x: float
    width: float
    kind: str
    tip: str


@dataclass(frozen=True, slots=True)
class Row:
    """One pod: its name, its bars and the places of its restarts."""

    y: float
    label: str
    tip: str
    bars: tuple[Bar, ...]
    restarts: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve of a panel."""

    path: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A diagram: its place, its scale and its curves."""

    title: str
    top: float
    bottom: float
    ticks: tuple[tuple[float, str], ...]
    curves: tuple[Curve, ...]


@dataclass(frozen=True, slots=True)
class Flag:
    """A numbered mark: its time and the place of its number."""

    at: float
    x: float
    y: float
    number: int
    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """All shapes of a timeline."""

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
