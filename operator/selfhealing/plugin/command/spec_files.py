"""Reads the apps that a command is about: from files, or from the cluster."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from selfhealing.importer import ImportRefusedError, read_objects
from selfhealing.plugin.errors import PluginError

STDIN: Final = "-"

Json = dict[str, Any]


def read_files(files: Sequence[str]) -> list[Json]:
    """Return the objects of YAML or JSON files; ``-`` is the standard input.

    Raises:
        PluginError: a file cannot be read, or is no manifest.
    """
    found: list[Json] = []
    for file in files:
        source = "the standard input" if file == STDIN else file
        try:
            text = sys.stdin.read() if file == STDIN else Path(file).read_text(encoding="utf-8")
            found += read_objects(text, source)
        except OSError as error:
            raise PluginError(f"{source}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise PluginError(f"{source} is not a text in UTF-8") from error
        except ImportRefusedError as error:
            raise PluginError(str(error)) from error
    return found
