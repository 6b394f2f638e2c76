"""Log lines: text for people in a terminal, JSON for machines.

Every decision is one line, with the app's key.
"""

import logging
import sys
from typing import Final, Literal

from pythonjsonlogger.json import JsonFormatter

TEXT_FORMAT: Final = "%(asctime)s %(levelname)-7s %(message)s"
TEXT_DATE_FORMAT: Final = "%H:%M:%S"

NOISY_LOGGERS: Final = (
    "kopf.objects",
    "kopf.activities",
    "kopf._core.engines.activities",
    "aiohttp.access",
)
"""Loggers that tell of every handler call; theirs is shown from warnings on."""


def configure_logging(log_format: Literal["auto", "text", "json"], level: str) -> None:
    """Set the process's logging up.

    Args:
        form: "auto" is text when standard error is a terminal, else JSON.
        level: the least that is logged.
    """
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "text" or (log_format == "auto" and sys.stderr.isatty()):
        handler.setFormatter(logging.Formatter(TEXT_FORMAT, TEXT_DATE_FORMAT))
    else:
        handler.setFormatter(
            JsonFormatter(
                "%(asctime)s %(levelname)s %(name)s %(message)s",
                rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            )
        )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    quiet_libraries(level)


def quiet_libraries(level: str) -> None:
    """Let the libraries speak only when something is wrong, unless everything is wanted."""
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(level.upper() if level == "debug" else logging.WARNING)
