"""How a command-line tool starts and ends: its signals, its errors, its exit code."""

import signal
import sys
from collections.abc import Callable
from typing import Final

from hack.testkit.errors import ToolError

EXIT_INTERRUPTED: Final = 130
"""The exit code after Ctrl-C, as in shells."""


def run_command(command: Callable[[], int], *errors: type[Exception]) -> int:
    """Run a command and return its exit code; print an expected error instead of a traceback.

    SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt, so that the command can clean up. The
    handlers are set explicitly because a shell starts background jobs with SIGINT ignored, and
    Python inherits that.

    Args:
        command: the command; it returns the exit code.
        errors: expected errors in addition to ToolError.
    """
    expected_errors: tuple[type[Exception], ...] = (ToolError, *errors)
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
