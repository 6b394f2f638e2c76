"""Lines of text for a terminal: parts with a level, which a printer may colour."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from selfhealing.plugin.view.level import Level

SIGNS: Final[Mapping[Level, str]] = {
    Level.OK: "✔",
    Level.BUSY: "◌",
    Level.WARNING: "!",
    Level.FAILED: "✖",
    Level.NEUTRAL: "·",
}
"""What is shown before something; the level is told without colours, too."""


class Part(NamedTuple):
    """A part of a line."""

    text: str
    level: Level | None = None
    is_faint: bool = False


Line = tuple[Part, ...]


class Node(NamedTuple):
    """A node of a tree: a line, and the nodes below it."""

    line: Line
    children: tuple["Node", ...] = ()


def line(*parts: Part | str) -> Line:
    """Make a line of the parts that are not empty."""
    made = (part if isinstance(part, Part) else Part(part) for part in parts)
    return tuple(part for part in made if part.text)


def sign(level: Level) -> Part:
    """Return the sign of a level, with a blank."""
    return Part(f"{SIGNS[level]} ", level)


def faint(text: str) -> Part:
    """Return a part that matters less."""
    return Part(text, is_faint=True)


def draw_tree(node: Node) -> list[Line]:
    """Return the lines of a tree."""
    return [node.line, *_draw_children(node.children, "")]


def _draw_children(nodes: Sequence[Node], indent: str) -> Iterable[Line]:
    for number, node in enumerate(nodes, start=1):
        is_last = number == len(nodes)
        yield (faint(f"{indent}{'└─' if is_last else '├─'} "), *node.line)
        yield from _draw_children(node.children, f"{indent}{'   ' if is_last else '│  '}")


def to_plain_text(lines: Iterable[Line]) -> str:
    """Return lines as text without colours."""
    return "".join(f"{''.join(part.text for part in each)}\n" for each in lines)


def format_age(moment: datetime | None, now: datetime) -> str:
    """Format how long ago a moment was, in the largest unit: "45s", "12m", "5h", "3d".

    A moment that is yet to come is formatted as how long it takes until then.
    """
    return "?" if moment is None else format_span(abs(now - moment))


def format_span(span: timedelta) -> str:
    """Format a duration in the largest unit of which it has at least two, as kubectl does."""
    seconds = int(span.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def format_table(rows: Sequence[Sequence[Part]]) -> list[Line]:
    """Return rows as lines with aligned columns; the first row is the heading."""
    widths = [max(len(part.text) for part in column) for column in zip(*rows, strict=True)]
    return [
        tuple(
            part._replace(text=part.text.ljust(width + 3) if number < len(widths) else part.text)
            for number, (part, width) in enumerate(zip(row, widths, strict=True), start=1)
        )
        for row in rows
    ]
