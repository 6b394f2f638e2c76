"""``completion``: completes commands, options and names of apps in a shell.

After ``kubectl selfheal`` it is kubectl that completes: it asks ``kubectl_complete-selfheal``, a
file beside the plugin, which calls ``__complete`` (kubectl's documentation of plugins).
"""

from collections.abc import Sequence
from typing import Final

import click
from click.shell_completion import ShellComplete, get_completion_class

from selfhealing.plugin.command.main import COMPLETE_VARIABLE, FILE, PROGRAM, cli

_NO_FILES: Final = ":4"
"""The last line of an answer to kubectl: complete no file names (ShellCompDirectiveNoFileComp of
Cobra)."""


_FOR_KUBECTL: Final = """\
#!/bin/sh
# kubectl runs this file, as kubectl_complete-selfheal in the PATH, to complete `kubectl selfheal`.
exec kubectl selfheal __complete "$@"
"""


@click.command()
@click.argument("shell", type=click.Choice(["kubectl", "bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes the words of a command.

    For `kubectl selfheal` it is kubectl's: write it into the PATH as kubectl_complete-selfheal, and
    make it executable. The others are for `kubectl-selfheal`, called by its own name.
    """
    if shell == "kubectl":
        click.echo(_FOR_KUBECTL, nl=False)
        return
    found = get_completion_class(shell)
    if found is None:  # a shell that this version of click does not know
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(found(cli, {}, FILE, COMPLETE_VARIABLE).source())


@click.command(
    hidden=True, context_settings={"ignore_unknown_options": True, "help_option_names": []}
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def complete(words: Sequence[str]) -> None:
    """Answer kubectl: one completion in a line, with its help after a tab."""
    *before, incomplete = words or ("",)
    shell = ShellComplete(cli, {}, PROGRAM, COMPLETE_VARIABLE)
    for item in shell.get_completions(list(before), incomplete):
        click.echo(f"{item.value}\t{item.help}" if item.help else item.value)
    click.echo(_NO_FILES)
