"""Prints lines, JSON and YAML."""

from collections.abc import Iterable
from typing import Any, Final

import click

from selfhealing.api.text import clean_line
from selfhealing.plugin.view.level import Level
from selfhealing.plugin.view.text import Line, Part

_COLOURS: Final = {
    Level.OK: "green",
    Level.BUSY: "cyan",
    Level.WARNING: "yellow",
    Level.FAILED: "red",
    Level.NEUTRAL: None,
}


def print_lines(lines: Iterable[Line]) -> None:
    """Print lines, in colours if the output is a terminal."""
    click.echo("\n".join(format_line(each) for each in lines))


def format_line(parts: Line) -> str:
    """Return a line with the control sequences of its colours; ``click.echo`` removes them."""
    return "".join(map(_format_part, parts))


def _format_part(part: Part) -> str:
    text = clean_line(part.text)
    if part.level is None and not part.is_faint:
        return text
    colour = _COLOURS[part.level] if part.level is not None else None
    return click.style(text, fg=colour, dim=part.is_faint or None)


def print_data(value: Any, output: str) -> None:  # noqa: ANN401 - JSON
    """Print a JSON value as json or yaml."""
    if output == "json":
        import orjson

        click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo(to_yaml(value), nl=False)


def to_yaml(value: Any) -> str:  # noqa: ANN401 - JSON
    """Return a JSON value as YAML, in which every character that is not shown is escaped."""
    import yaml

    text: str = yaml.safe_dump(value, sort_keys=False, width=100)
    return text
