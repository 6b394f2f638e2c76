"""The way into a show from a shell and out of it, and what a person sees meanwhile."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console

from hack.scenarios.common.console import ScenarioConsole
from hack.scenarios.common.errors import ScenarioError
from hack.scenarios.common.live_console import LiveConsole
from hack.scenarios.common.plain_console import PlainConsole

EXIT_INTERRUPTED: Final = 130
"""The exit code of what was stopped by Ctrl-C, as shells have it."""


def run_command(command: Callable[[], int], *errors: type[Exception]) -> int:
    """Carry out an order; returns its exit code, also when it ends early.

    What is asked to end, by Ctrl-C, `kill` or a closed terminal, gets a KeyboardInterrupt, so that
    it can put things right first. A shell has what it starts in the background ignore Ctrl-C, and
    Python leaves it so.

    Args:
        command: what is asked for.
        errors: what else than ShowError has a message for people.
    """
    expected_errors: tuple[type[Exception], ...] = (ScenarioError, *errors)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        return command()
    except expected_errors as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return EXIT_INTERRUPTED


@contextmanager
def open_console(console: Console, *, plain: bool) -> Iterator[ScenarioConsole]:
    """A live view where the terminal can show one; otherwise, or if ``plain``, lines."""
    if plain or not console.is_terminal or console.is_dumb_terminal:
        yield PlainConsole()
        return
    with LiveConsole(console) as live:
        yield live
