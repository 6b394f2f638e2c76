"""Configures logging: text in a terminal, else JSON."""

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
"""Loggers that log every handler call: they are shown from warnings on."""


def configure_logging(log_format: Literal["auto", "text", "json"], level: str) -> None:
    """Configure the root logger of the process.

    Args:
        log_format: "auto" is text when standard error is a terminal, else JSON.
        level: the lowest level that is logged.
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
    """Show only warnings of the libraries, unless ``level`` is debug."""
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(level.upper() if level == "debug" else logging.WARNING)
