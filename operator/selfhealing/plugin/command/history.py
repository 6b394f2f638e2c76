"""``history``: restarts, healing, rollouts and scaling on one time line."""

from pathlib import Path

import click

from selfhealing.plugin.command.options import (
    ClusterChoice,
    app_argument,
    cluster_options,
    output_option,
)
from selfhealing.plugin.command.output import print_data, print_lines


@click.command()
@app_argument()
@click.option(
    "--html",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write it as a page of HTML that needs nothing else.",
)
@output_option
@cluster_options
def history(choice: ClusterChoice, name: str, html: Path | None, output: str) -> None:
    """Show restarts, healing, rollouts and scaling of an app on one time line.

    Kubernetes keeps Events for an hour by default; the operator's record has the last ten actions
    of healing, however old they are.
    """
    from selfhealing.plugin.cluster.reader import read_app
    from selfhealing.plugin.view.build import build_app
    from selfhealing.plugin.view.history import build_history_page, format_history
    from selfhealing.plugin.view.json_output import to_json

    with choice.connect() as connection:
        app = build_app(read_app(connection.cluster, connection.namespace, name))
    if html is not None:
        html.write_text(build_history_page(app), encoding="utf-8")
        click.echo(f"{html}: {len(app.timeline)} entries")
    elif output == "text":
        print_lines(format_history(app))
    else:
        print_data(to_json(app.timeline), output)
