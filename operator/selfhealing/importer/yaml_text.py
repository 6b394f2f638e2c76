"""Writes an imported app as YAML, with a comment for all that differs."""

import textwrap
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final

import orjson
import yaml

from selfhealing.importer.run import Difference, ImportResult

_WIDTH: Final = 100
_MAX_VALUE: Final = 60
"""Characters of a value that a comment repeats."""


class _Dumper(yaml.SafeDumper):
    """Writes YAML without anchors, with long texts of several lines as blocks."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401, ARG002 - PyYAML's signature
        return True

    def represent_text(self, data: str) -> yaml.ScalarNode:
        """Represent a string; in a block if it has several lines, in quotes for escapes.

        Also in quotes if kubectl would read a number where PyYAML does not, such as 1e3.
        """
        style = "|" if "\n" in data.strip("\n") else None
        if _is_number(data):
            style = "'"
        if not all(map(_is_shown, data)):
            style = '"'
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)


def format_result(result: ImportResult) -> str:
    """Return the resource as YAML, after comments with what is rendered otherwise or not at all."""
    text = yaml.dump(result.app, Dumper=_Dumper, sort_keys=False, width=_WIDTH, allow_unicode=True)
    # PyYAML writes some of them as they are: they turn the order of the text for whoever reads it.
    text = "".join(char if _is_shown(char) else _escape(char) for char in text)
    return "".join(f"{line}\n" for line in _format_comments(result)) + text


def _is_number(text: str) -> bool:
    """Whether a text may be a number in YAML 1.1 or 1.2: also ``1e3`` and ``0o17``."""
    with suppress(ValueError):
        float(text)
        return True
    with suppress(ValueError):
        int(text, base=0)
        return True
    return False


def _is_shown(char: str) -> bool:
    """Whether a character is what a reader sees: no control, bidirectional or invisible one."""
    return char.isprintable() or char in "\n\t"


def _escape(char: str) -> str:
    """Escape a character as YAML does within double quotes."""
    return f"\\U{ord(char):08x}"


def _format_comments(result: ImportResult) -> Iterator[str]:
    both = (*result.differences, *result.unsaid)
    yield from _format_section(
        "It cannot say:", (each for each in result.unsaid if not each.is_replaced)
    )
    yield from _format_section(
        "It renders otherwise:", (each for each in result.differences if not each.is_replaced)
    )
    yield from _format_section(
        "The operator replaces by its own:", (each for each in both if each.is_replaced)
    )
    if result.notes:
        yield "# The operator adds:"
        for note in result.notes:
            yield from _wrap(note)


def _format_section(head: str, differences: Iterable[Difference]) -> Iterator[str]:
    lines = [line for each in differences for line in _wrap(_format_difference(each))]
    if lines:
        yield f"# {head}"
        yield from lines


def _format_difference(difference: Difference) -> str:
    values = _format_value(difference.given)
    if difference.rendered is not None:
        values = f"{values} -> {_format_value(difference.rendered)}"
    return f"{difference.path}: {values} ({difference.reason})"


def _format_value(value: object) -> str:
    """Format a value as JSON on one line, which cannot end a comment."""
    text = orjson.dumps(value).decode()
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 1]}…"


def _wrap(text: str) -> list[str]:
    clean = "".join(char if char.isprintable() else " " for char in text)
    return textwrap.wrap(
        clean,
        _WIDTH,
        initial_indent="# - ",
        subsequent_indent="#   ",
        break_long_words=False,
        break_on_hyphens=False,
    )
