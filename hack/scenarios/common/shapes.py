"""What the template draws: places on a page, in pixels, and the words beside them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """How wide a drawing is, and between which margins time passes."""

    width: int
    left: float
    right: float


FULL_WIDTH = Frame(980, 250, 962)
"""A drawing that has the page for itself."""

HALF_WIDTH = Frame(640, 172, 626)
"""One of two beside each other; pods' names must be short."""


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
    """A numbered mark: when it was, and where its number has room."""

    at: float
    x: float
    y: float
    number: int
    text: str
    kind: str


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
