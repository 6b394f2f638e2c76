"""``import``: prints a Deployment as a SelfHealingApp."""

from collections.abc import Sequence
from typing import Any

import click

from selfhealing.plugin.command.options import ClusterChoice, Connection, cluster_options
from selfhealing.plugin.errors import PluginError


@click.command("import")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--deployment", metavar="NAME", help="The Deployment, if there are several.")
@click.option("--name", help="The name of the app; by default that of the Deployment.")
@cluster_options
def import_(
    choice: ClusterChoice, files: Sequence[str], deployment: str | None, name: str | None
) -> None:
    """Print the shortest SelfHealingApp that renders the same as a Deployment.

    With its Service, autoscaler, budget, Ingress and ServiceAccount, from files or from the
    cluster. Nothing is changed. The comments of the output say what differs, and why.
    """
    if not files and deployment is None:
        raise click.UsageError("write files, or --deployment NAME to read it from the cluster")
    from selfhealing.importer.object_text import ImportRefusedError
    from selfhealing.importer.run import import_app
    from selfhealing.importer.yaml_text import format_result
    from selfhealing.plugin.command.spec_files import read_files

    namespace: str | None = choice.namespace or None
    if files:
        objects = read_files(files)
    else:
        with choice.connect() as connection:
            namespace = connection.namespace
            objects = _list_objects(connection)
    try:
        result = import_app(objects, deployment, namespace, name)
    except ImportRefusedError as error:
        raise PluginError(str(error)) from error
    click.echo(format_result(result), nl=False)


def _list_objects(connection: Connection) -> list[dict[str, Any]]:
    """Read all objects of a namespace that could belong to a Deployment."""
    from selfhealing.importer.manifests import KINDS
    from selfhealing.kube.resources import CHILDREN

    return [
        item
        for kind in KINDS
        for item in connection.cluster.list(CHILDREN[kind], connection.namespace).items
    ]
