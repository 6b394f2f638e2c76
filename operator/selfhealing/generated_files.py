"""Writes generated files, or compares them with what would be written."""

import difflib
import sys
from collections.abc import Mapping
from pathlib import Path


def write_or_compare(files: Mapping[Path, str], root: Path, *, is_check: bool) -> int:
    """Write the files that are stale; with ``is_check``, print how each differs instead.

    Args:
        files: what each file should contain.
        root: the folder to which the printed names are relative.
        is_check: whether nothing is written.

    Returns:
        The exit code: 1 with ``is_check`` if a file is stale.
    """
    stale = {
        path: (current, text)
        for path, text in files.items()
        if (current := path.read_text(encoding="utf-8") if path.exists() else "") != text
    }
    for path, (current, text) in stale.items():
        if is_check:
            name = str(path.relative_to(root) if path.is_relative_to(root) else path)
            old, new = current.splitlines(keepends=True), text.splitlines(keepends=True)
            sys.stdout.writelines(difflib.unified_diff(old, new, name, "generated"))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return int(is_check and bool(stale))
