"""``logs``: the log of the container that died, or of one that runs."""

import click

from selfhealing.api.text import clean_text
from selfhealing.plugin.command.options import ClusterChoice, app_argument, cluster_options
from selfhealing.plugin.errors import PluginError


@click.command()
@app_argument()
@click.option("--before", is_flag=True, help="Before the last restart: of the one that died.")
@click.option("--pod", default="", help="Of this pod only.")
@click.option("-c", "--container", default="", help="Of this container only.")
@click.option(
    "--tail", default=200, show_default=True, type=click.IntRange(1, 100_000), help="Lines."
)
@cluster_options
def logs(  # noqa: PLR0913 - the options of a command
    choice: ClusterChoice, name: str, pod: str, container: str, tail: int, *, before: bool
) -> None:
    """Print the log of a container of an app.

    With --before the log of the container that was restarted last, as it was before it died: why
    it died is often in the last lines. Without, that of a container that is not ready, if any.
    """
    from selfhealing.kube.errors import InvalidError, NotFoundError
    from selfhealing.kube.resources import PODS
    from selfhealing.plugin.cluster.reader import read_app
    from selfhealing.plugin.view.build import build_app
    from selfhealing.plugin.view.logs import choose_log

    with choice.connect() as connection:
        app = build_app(read_app(connection.cluster, connection.namespace, name))
        chosen = choose_log(app, before=before, pod=pod, container=container)
        path = PODS.path(connection.namespace, chosen.pod.name, "log")
        query = {
            "container": chosen.container.name,
            "previous": str(before).lower(),
            "tailLines": str(tail),
        }
        try:
            text = connection.cluster.read_text(path, query)
        except (InvalidError, NotFoundError) as error:
            raise PluginError(
                f"the kubelet has no log of container {chosen.container.name} of pod "
                f"{chosen.pod.name} any more: {error.message}"
            ) from error
    last = chosen.container.last_restart
    ended = (
        f", ended: {last.reason} at {last.at:%H:%M:%S} UTC" if before and last and last.at else ""
    )
    head = f"# pod {chosen.pod.name}, container {chosen.container.name}{ended}"
    click.secho(head, dim=True, err=True)
    click.echo(clean_text(text).rstrip("\n"))
