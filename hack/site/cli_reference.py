"""Writes the page of the commands and their options, from their parsers."""

import argparse
from collections.abc import Iterator
from typing import Final

import click

from hack.site.tables import Row, format_table
from selfhealing.cli import chart, import_command, manifests, olm_bundle
from selfhealing.plugin.command.main import COMMANDS, PROGRAM, cli
from selfhealing.plugin.command.options import cluster_options

_HEAD: Final = ("argument", "default", "meaning")

_ARGUMENTS: Final = {
    "name": "The app.",
    "files": "YAML or JSON; - is the standard input. Without files the cluster is read.",
    "shell": "What the script is for.",
}
"""The meaning of the arguments of the plugin: click has no help for what is no option."""


def render_cli() -> Iterator[str]:
    """Yield the lines of the page."""
    yield from (
        "# Command line",
        "",
        "In a checkout run the commands in the folder `operator`, with `../.venv/bin/python`.",
        "The operator is `python -m selfhealing`; its flags are the [settings](settings.md).",
        "",
    )
    yield from _render_modules()
    yield from _render_plugin()


def _render_modules() -> Iterator[str]:
    commands = (
        ("python -m selfhealing import", import_command.build_parser()),
        ("python -m selfhealing.cli.manifests", manifests.build_parser()),
        ("python -m selfhealing.cli.olm_bundle", olm_bundle.build_parser()),
        ("python -m selfhealing.cli.chart", chart.build_parser()),
    )
    for command, parser in commands:
        description = (parser.description or "").split("\n\n")[0]  # the usage follows
        yield from (f"## {command}", "", _join_lines(description), "")
        yield from (*format_table(_HEAD, _list_arguments(parser)), "")


def _list_arguments(parser: argparse.ArgumentParser) -> Iterator[Row]:
    for action in parser._actions:  # noqa: SLF001  # argparse has no other way to list them
        if "--help" in action.option_strings:
            continue
        name = ", ".join(action.option_strings) or str(action.metavar)
        default = action.default
        shown = f"`{default}`" if isinstance(default, str) and default else ""
        yield f"`{name}`", shown, str(action.help)


def _render_plugin() -> Iterator[str]:
    yield from (
        f"## {PROGRAM}",
        "",
        f"[The plugin](../plugin.md) has {len(COMMANDS)} commands.",
        "Each but `completion` also has these options:",
        "",
    )
    shared = _list_shared_options()
    yield from (*format_table(_HEAD, map(_describe_parameter, shared)), "")
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None, name  # noqa: S101 - COMMANDS are what there is
        yield from (f"### {PROGRAM} {name}", "", *_describe_command(command), "")
        known = {option.name for option in shared}
        own = [each for each in command.params if each.name not in known]
        if own:
            yield from (*format_table(_HEAD, map(_describe_parameter, own)), "")


def _list_shared_options() -> list[click.Parameter]:
    @click.command()
    @cluster_options
    def command() -> None:
        pass

    return command.params


def _describe_command(command: click.Command) -> Iterator[str]:
    for index, paragraph in enumerate((command.help or "").split("\n\n")):
        if index:
            yield ""
        yield _join_lines(paragraph)


def _describe_parameter(parameter: click.Parameter) -> Row:
    value = parameter.make_metavar(click.Context(cli))
    if isinstance(parameter, click.Option):
        name, meaning = ", ".join(parameter.opts), str(parameter.help)
        value = "" if parameter.is_flag else f" {value}"
    else:
        name, meaning = "", _ARGUMENTS[str(parameter.name)]
    default = parameter.default
    is_shown = isinstance(default, str | int) and not isinstance(default, bool) and default != ""
    return f"`{name}{value}`", f"`{default}`" if is_shown else "", meaning


def _join_lines(text: str) -> str:
    return " ".join(text.split())
