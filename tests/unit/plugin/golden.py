"""Compares texts with those in ``golden.txt``; ``REFRESH=1`` writes them anew."""

import os
from pathlib import Path

FILE = Path(__file__).with_name("golden.txt")
_HEAD = "=== {} ==="


def check_golden(name: str, text: str) -> None:
    """Compare a text with the stored one of this name."""
    stored = _read()
    if os.environ.get("REFRESH"):
        stored[name] = text
        parts = (f"{_HEAD.format(key)}\n{stored[key]}" for key in sorted(stored))
        FILE.write_text("".join(parts), encoding="utf-8")

    assert stored.get(name) == text


def _read() -> dict[str, str]:
    found: dict[str, str] = {}
    name = ""
    text = FILE.read_text(encoding="utf-8") if FILE.exists() else ""
    for line in text.splitlines(keepends=True):
        if line.startswith("=== "):
            name = line.strip().strip("= ")
            found[name] = ""
        else:
            found[name] += line
    return found
