"""Small things about text that both ways of showing share."""

from collections.abc import Sequence


def format_clock(seconds: float) -> str:
    """Minutes and seconds: ``1:05``."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    return f"{minutes}:{rest:02d}"


def indent_text(text: str) -> str:
    """The text three columns to the right."""
    return "\n".join(f"   {line}".rstrip() for line in text.strip("\n").splitlines())


def align_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines with their cells below each other, as kubectl prints a table."""
    if not rows:
        return []
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
