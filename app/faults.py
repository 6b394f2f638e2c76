"""Faults of the healing lab: each ends only by a restart, which is what is to be seen.

A leak ends when the container's limit is reached (reason OOMKilled), a crash is an exit code, and
a hang is found by a probe that waits in vain.
"""

import logging
import os
from typing import Final

from flask import abort, request

from app.leak import MIB
from app.logs import logger
from app.routes import Action
from app.state import State

LEAK_MIB: Final = 256
"""Twice the lab's limit, and bearable where there is none."""

LEAK_RATE: Final = 16
"""MiB a second: the lab's limit is reached in about five seconds, slowly enough to be watched."""

_MAX_LEAK_MIB: Final = 4096
_MAX_DIGITS: Final = 9


def fault_actions(state: State) -> tuple[Action, ...]:
    """What the app can be told to suffer."""

    def leak() -> bool:
        bound = parse_query_number("mib", LEAK_MIB, 1, _MAX_LEAK_MIB)
        rate = parse_query_number("rate", LEAK_RATE, 1, 1024)
        return state.start_leak(bound * MIB, rate * MIB)

    def crash() -> bool:
        end_process(parse_query_number("code", 1, 0, 255))
        return True

    return (
        Action(
            "/leak",
            leak,
            "memory grows from now on, until its bound, the container's limit or /stop-leak",
            "memory grows already",
        ),
        Action("/stop-leak", state.stop_leak, "memory given back", "no memory is held"),
        Action("/crash", crash, "the process ends", "the process ends"),
        Action(
            "/hang",
            state.hang,
            "hanging from now on: no request is answered until a restart",
            "already hanging",
        ),
    )


def end_process(code: int) -> None:
    """End the process at once; nothing is answered, finished or cleaned up."""
    logger.error("/crash: the process ends with exit code %d", code)
    logging.shutdown()
    os._exit(code)


def parse_query_number(name: str, default: int, low: int, high: int) -> int:
    """Read a whole number of the query; a bad one is answered with what would be good."""
    text = request.args.get(name, "")
    if not text:
        return default
    short = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    if not (short and low <= int(text) <= high):
        abort(400, f"{name}={text[:40]!r}: expected a whole number from {low} to {high}")
    return int(text)
