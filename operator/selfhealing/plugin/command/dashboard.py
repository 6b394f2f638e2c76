"""``dashboard``: a web page on this machine that shows the apps and has buttons for them."""

from typing import Final

import click

from selfhealing.plugin.command.options import (
    ClusterChoice,
    all_namespaces_option,
    cluster_options,
)

_READERS: Final = 2
"""Apps that are read at the same time."""


@click.command(short_help="Open a web page on this machine that shows the apps.")
@all_namespaces_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="The port on 127.0.0.1; any free one by default.",
)
@cluster_options
def dashboard(choice: ClusterChoice, *, all_namespaces: bool, port: int) -> None:
    """Show the apps on a web page of this machine, until Ctrl-C.

    It prints the address of the page. Whoever has the address acts with your rights until the
    command ends, so do not share it.
    """
    from concurrent.futures import ThreadPoolExecutor

    from selfhealing.plugin.cluster.kubectl_proxy import read_current_context
    from selfhealing.plugin.dashboard.access import new_token
    from selfhealing.plugin.dashboard.routes import Dashboard, Scope
    from selfhealing.plugin.dashboard.server import DashboardServer

    token = new_token()
    # The way to the cluster is closed first, so that reads under way end at once.
    with ThreadPoolExecutor(_READERS) as executor, choice.connect() as connection:
        scope = Scope(
            context=read_current_context(choice.target),
            namespace=None if all_namespaces else connection.namespace,
        )
        routes = Dashboard(connection.cluster, scope, token, executor)
        with DashboardServer(routes, port) as server:
            where = "all namespaces" if scope.namespace is None else f"namespace {scope.namespace}"
            click.echo(f"The apps of {where} are shown at:\n\n  {server.url}#token={token}\n")
            click.echo("Whoever has this address acts with your rights. Ctrl-C ends it.")
            try:
                server.serve()
            except KeyboardInterrupt:
                click.echo("")
