"""Helpers of all reports."""

from pathlib import Path
from typing import Final

from rich.text import Text

from hack.scenarios.common.scenario import FAILED, PASSED, SKIPPED, ScenarioResult

_STYLES: Final = {PASSED: "green", FAILED: "bold red", SKIPPED: "yellow"}


def style_result(result: ScenarioResult) -> Text:
    """Return the text of a result in its colour, for a terminal."""
    return Text(result.result_text, _STYLES[result.result_class])


def write_file(folder: Path, name: str, text: str) -> Path:
    """Write a file of the report and return its path; the folder is created."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file
