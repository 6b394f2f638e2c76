"""Indented text and aligned columns."""

from collections.abc import Sequence


def indent_text(text: str) -> str:
    """Indent text by three columns."""
    return "\n".join(f"   {line}".rstrip() for line in text.strip("\n").splitlines())


def align_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines with aligned columns, as kubectl prints a table."""
    if not rows:
        return []
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
