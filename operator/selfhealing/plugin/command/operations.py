"""What a person can do: ``approve``, ``resume``, ``retry``, ``pause`` and ``unpause``."""

import click

from selfhealing.plugin.cluster.operate import operate
from selfhealing.plugin.command.options import ClusterChoice, app_argument, cluster_options
from selfhealing.plugin.view.actions import Operation


def _operate(
    choice: ClusterChoice, name: str, operation: Operation, action_id: int | None = None
) -> None:
    with choice.connect() as connection:
        effect = operate(connection.cluster, connection.namespace, name, operation, action_id)
        click.echo(f"{connection.namespace}/{name}: {effect}")


@click.command()
@app_argument()
@click.option("--id", "action_id", type=int, help="Approve only the action with this id.")
@cluster_options
def approve(choice: ClusterChoice, name: str, action_id: int | None) -> None:
    """Approve the action that waits for it.

    In the healing mode Approve an action that is due waits for a person. `explain` says what it is.
    If something else would be done by the time the operator sees the approval, nothing is done.
    """
    _operate(choice, name, Operation.APPROVE, action_id)


@click.command()
@app_argument()
@cluster_options
def resume(choice: ClusterChoice, name: str) -> None:
    """Resume healing: end a quarantine and a cooldown, and restore the budget.

    A revision that was rolled back is tried again.
    """
    _operate(choice, name, Operation.RESUME)


@click.command()
@app_argument()
@cluster_options
def retry(choice: ClusterChoice, name: str) -> None:
    """Try the revision again that was rolled back."""
    _operate(choice, name, Operation.RETRY)


@click.command()
@app_argument()
@cluster_options
def pause(choice: ClusterChoice, name: str) -> None:
    """Pause the operator's work on an app: it changes and heals nothing, and still reports."""
    _operate(choice, name, Operation.PAUSE)


@click.command()
@app_argument()
@cluster_options
def unpause(choice: ClusterChoice, name: str) -> None:
    """Let the operator go on after a pause."""
    _operate(choice, name, Operation.UNPAUSE)
