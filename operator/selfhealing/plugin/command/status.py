"""``status``: the apps of a namespace as a table, or one app as a tree."""

import sys
import time
from typing import Final

import click

from selfhealing.plugin.command.options import (
    ClusterChoice,
    Connection,
    all_namespaces_option,
    app_argument,
    cluster_options,
    output_option,
)
from selfhealing.plugin.command.output import format_line, print_data
from selfhealing.plugin.view.level import Level
from selfhealing.plugin.view.text import Line, line, sign

_INTERVAL: Final = 2.0
"""Seconds between two looks at the cluster."""

_CLEAR: Final = "\x1b[H\x1b[2J\x1b[3J"
"""The cursor to the first line, an empty screen, and no lines before it (ECMA-48, xterm)."""


@click.command(short_help="Show apps, or one app with its pods and what healing does.")
@app_argument(required=False)
@all_namespaces_option
@click.option("-w", "--watch", is_flag=True, help="Show it anew every 2 seconds, until Ctrl-C.")
@output_option
@cluster_options
def status(
    choice: ClusterChoice, name: str | None, output: str, *, all_namespaces: bool, watch: bool
) -> None:
    """Show all apps, or the app NAME as a tree.

    The tree has its objects, revisions, pods, restarts with their reasons, and what healing does
    and why.
    """
    if name and all_namespaces:
        raise click.UsageError("write NAME with -n NAMESPACE, or -A without NAME")
    if watch and output != "text":
        raise click.UsageError("-w shows text: leave out -o")
    from selfhealing.kube.errors import UnavailableError

    with choice.connect() as connection:
        if output != "text":
            print_data(_read_data(connection, name, all_namespaces=all_namespaces), output)
            return
        while True:
            try:
                lines = _read_lines(connection, name, all_namespaces=all_namespaces)
            except UnavailableError as error:
                if not watch:
                    raise
                lines = [line(sign(Level.WARNING), error.message)]
            is_live = watch and sys.stdout.isatty()
            text = "\n".join(format_line(each) for each in lines)
            click.echo(f"{_CLEAR if is_live else ''}{text}")
            if not watch:
                return
            time.sleep(_INTERVAL)


def _read_lines(connection: Connection, name: str | None, *, all_namespaces: bool) -> list[Line]:
    from selfhealing.plugin.cluster.reader import list_apps, read_app
    from selfhealing.plugin.view.build import build_app, build_apps
    from selfhealing.plugin.view.tree import format_app, format_apps

    cluster, namespace = connection.cluster, connection.namespace
    if name:
        return format_app(build_app(read_app(cluster, namespace, name)))
    apps = build_apps(list_apps(cluster, None if all_namespaces else namespace))
    if not apps:
        where = "the cluster" if all_namespaces else f"{namespace}; list all with: -A"
        return [line(f"there is no SelfHealingApp in {where}")]
    gaps = dict.fromkeys(gap for app in apps for gap in app.gaps)
    return [*format_apps(apps, with_namespace=all_namespaces), *(line(gap) for gap in gaps)]


def _read_data(connection: Connection, name: str | None, *, all_namespaces: bool) -> object:
    from selfhealing.plugin.cluster.reader import list_apps, read_app
    from selfhealing.plugin.view.build import build_app, build_apps
    from selfhealing.plugin.view.json_output import to_json

    cluster, namespace = connection.cluster, connection.namespace
    if name:
        return to_json(build_app(read_app(cluster, namespace, name)))
    apps = build_apps(list_apps(cluster, None if all_namespaces else namespace))
    return {"items": [to_json(app) for app in apps]}
