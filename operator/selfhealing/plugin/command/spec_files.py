"""Reads the apps that a command is about from files."""

from collections.abc import Sequence
from typing import Any

from selfhealing.importer.object_text import ImportRefusedError
from selfhealing.manifest_files import read_manifest_files
from selfhealing.plugin.errors import PluginError


def read_files(files: Sequence[str]) -> list[dict[str, Any]]:
    """Return the objects of YAML or JSON files; ``-`` is the standard input.

    Raises:
        PluginError: a file cannot be read, or is no manifest.
    """
    try:
        return read_manifest_files(files)
    except ImportRefusedError as error:
        raise PluginError(str(error)) from error
