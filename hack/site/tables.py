"""Writes the tables of Markdown pages."""

from collections.abc import Iterable, Iterator

Row = tuple[str, ...]


def format_table(head: Row, rows: Iterable[Row]) -> Iterator[str]:
    """Yield the lines of a table; a ``|`` in a cell is escaped."""
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
