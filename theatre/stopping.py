"""Being stopped: whatever is asked to end, ends as by Ctrl-C, and puts things right first."""

import signal


def stop_as_by_ctrl_c() -> None:
    """Let `kill`, a closed terminal and Ctrl-C itself raise KeyboardInterrupt.

    A shell has what it starts in the background ignore Ctrl-C, and Python leaves it so.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
