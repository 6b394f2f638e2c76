"""What a person can do: ``approve``, ``resume``, ``retry``, ``pause`` and ``unpause``."""

import click

from selfhealing.plugin.command.options import (
    ClusterChoice,
    app_argument,
    cluster_options,
    output_option,
)
from selfhealing.plugin.command.output import print_data


def _operate(
    choice: ClusterChoice,
    name: str,
    output: str,
    operation: str,
    action_id: int | None = None,
) -> None:
    from selfhealing.plugin.cluster.operate import operate
    from selfhealing.plugin.view.actions import Operation

    with choice.connect() as connection:
        namespace = connection.namespace
        effect = operate(connection.cluster, namespace, name, Operation(operation), action_id)
    if output == "text":
        click.echo(f"{namespace}/{name}: {effect}")
        return
    done = {"namespace": namespace, "name": name, "operation": operation, "effect": effect}
    print_data(done, output)


@click.command()
@app_argument()
@click.option("--id", "action_id", type=int, help="Approve only the action with this id.")
@output_option
@cluster_options
def approve(choice: ClusterChoice, name: str, output: str, action_id: int | None) -> None:
    """Approve the action that waits for it.

    In the healing mode Approve an action that is due waits for a person. `explain` says what it is.
    If something else would be done by the time the operator sees the approval, nothing is done.
    """
    _operate(choice, name, output, "approve", action_id)


@click.command()
@app_argument()
@output_option
@cluster_options
def resume(choice: ClusterChoice, name: str, output: str) -> None:
    """Resume healing: end a quarantine and a cooldown, and restore the budget.

    A revision that was rolled back is tried again.
    """
    _operate(choice, name, output, "resume")


@click.command()
@app_argument()
@output_option
@cluster_options
def retry(choice: ClusterChoice, name: str, output: str) -> None:
    """Try the revision again that was rolled back."""
    _operate(choice, name, output, "retry")


@click.command()
@app_argument()
@output_option
@cluster_options
def pause(choice: ClusterChoice, name: str, output: str) -> None:
    """Pause the operator's work on an app: it changes and heals nothing, and still reports."""
    _operate(choice, name, output, "pause")


@click.command()
@app_argument()
@output_option
@cluster_options
def unpause(choice: ClusterChoice, name: str, output: str) -> None:
    """Let the operator go on after a pause."""
    _operate(choice, name, output, "unpause")
