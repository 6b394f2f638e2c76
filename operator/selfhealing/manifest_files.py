"""Reads the files with manifests that a person names on a command line."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from selfhealing.importer.object_text import ImportRefusedError, read_objects

STDIN: Final = "-"
"""The name that stands for the standard input."""

Json = dict[str, Any]


def read_manifest_files(files: Sequence[str]) -> list[Json]:
    """Return the objects of YAML or JSON files; ``-`` is the standard input.

    Raises:
        ImportRefusedError: a file cannot be read, or is no manifest.
    """
    objects: list[Json] = []
    for file in files:
        source = "the standard input" if file == STDIN else file
        try:
            text = sys.stdin.read() if file == STDIN else Path(file).read_text(encoding="utf-8")
        except OSError as error:
            raise ImportRefusedError(f"{source}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ImportRefusedError(f"{source} is not a text in UTF-8") from error
        objects += read_objects(text, source)
    return objects
