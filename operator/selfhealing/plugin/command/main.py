"""The group of all commands. It imports none of them until it is called."""

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from keyword import iskeyword
from typing import Final, NamedTuple

import click

from selfhealing import __version__
from selfhealing.api.text import clean_line

PROGRAM: Final = "kubectl selfheal"
FILE: Final = "kubectl-selfheal"
"""The name of the file, by which kubectl finds a plugin."""
COMPLETE_VARIABLE: Final = "_KUBECTL_SELFHEAL_COMPLETE"

_FAILED: Final = 1
_INTERRUPTED: Final = 130
"""The exit code of a program that Ctrl-C has ended, as shells have it."""


class _Entry(NamedTuple):
    """A command: where it is, and its line in the help."""

    module: str
    help: str


_PACKAGE: Final = "selfhealing.plugin.command"

COMMANDS: Final[Mapping[str, _Entry]] = {
    "status": _Entry("status", "Show apps, or one app with its pods and what healing does."),
    "history": _Entry("history", "Show restarts, healing, rollouts and scaling on a time line."),
    "explain": _Entry("explain", "Explain what is wrong, whose fault it is, and what to do."),
    "logs": _Entry("logs", "Print the log of the container that died."),
    "render": _Entry("specs", "Print the objects that the operator makes of an app."),
    "diff": _Entry("specs", "Compare a spec with the objects of the cluster."),
    "lint": _Entry("specs", "Give advice on specs."),
    "import": _Entry("import_app", "Print a Deployment as a SelfHealingApp."),
    "approve": _Entry("operations", "Approve the action that waits for it."),
    "resume": _Entry("operations", "End a quarantine or a cooldown."),
    "retry": _Entry("operations", "Try the revision again that was rolled back."),
    "pause": _Entry("operations", "Let the operator change and heal nothing."),
    "unpause": _Entry("operations", "Let the operator go on."),
    "must-gather": _Entry("must_gather", "Write one archive for a bug report."),
    "dashboard": _Entry("dashboard", "Open a web page on this machine that shows the apps."),
    "completion": _Entry("completion", "Print the completion script of a shell."),
}
"""The commands, in the order of the help."""

HIDDEN_COMMANDS: Final[Mapping[str, _Entry]] = {"__complete": _Entry("completion", "")}


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and none for its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; None if there is none of this name."""
        entry = COMMANDS.get(cmd_name) or HIDDEN_COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f"{_PACKAGE}.{entry.module}")
        function = cmd_name.strip("_").replace("-", "_")
        found: click.Command = getattr(module, f"{function}_" if iskeyword(function) else function)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the commands with their lines of help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name=PROGRAM)
@click.pass_context
def cli(context: click.Context) -> None:
    """Show, explain and drive SelfHealingApps.

    It uses your kubeconfig and your rights, and changes nothing but what you approve, resume or
    pause. `kubectl selfheal COMMAND --help` says more.
    """
    if os.environ.get("NO_COLOR"):
        context.color = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code.

    Args:
        arguments: the words after ``kubectl selfheal``; None for those of the process.
    """
    try:
        result = cli.main(arguments, PROGRAM, complete_var=COMPLETE_VARIABLE, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except BrokenPipeError:  # as of `kubectl selfheal status | head`
        sys.stdout = None  # the interpreter would flush it
        return _FAILED
    except Exception as error:  # the messages of errors are imported only when there is one
        message = _describe_error(error)
        if message is None:
            raise
        click.echo(f"error: {clean_line(message)}", err=True)
        return _FAILED
    return result if isinstance(result, int) else 0


def _describe_error(error: Exception) -> str | None:
    """Say what is wrong in a sentence, and what to do; None for an error of the plugin itself."""
    from selfhealing.kube.errors import ApiError, ForbiddenError
    from selfhealing.plugin.errors import PluginError

    if isinstance(error, ForbiddenError):
        return f"you have no right to do that: {error.message}"
    if isinstance(error, ApiError):
        return error.message or str(error)
    if isinstance(error, PluginError):
        return str(error)
    return None
