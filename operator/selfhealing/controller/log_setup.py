"""Configures logging: text in a terminal, else JSON; without secrets and control characters."""

import logging
import sys
import time
from typing import Final, Literal

from pythonjsonlogger.json import JsonFormatter

from selfhealing.evidence.redaction import redact, redact_message, strip_control_characters

TEXT_FORMAT: Final = "%(asctime)s %(levelname)-7s %(message)s"
TEXT_DATE_FORMAT: Final = "%H:%M:%S"

NOISY_LOGGERS: Final = (
    "kopf.objects",
    "kopf.activities",
    "kopf._core.engines.activities",
    "aiohttp.access",
)
"""Loggers that log every handler call: they are shown from warnings on."""

HTTP_SERVER_LOGGER: Final = "aiohttp.server"
"""Logs a traceback for every request that is no HTTP, from whoever reaches a port."""

_MAX_MESSAGE: Final = 8 * 1024
"""Characters of a message; the API server repeats whole manifests in some of its refusals."""
_MAX_TRACEBACK: Final = 32 * 1024
"""Characters, from the end, of the traceback of an exception."""


class JsonTimeFormatter(JsonFormatter):
    """Writes one JSON object for each record, with a time of RFC 3339: 2026-01-01T12:00:00.000Z."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"


class SafeTextFilter(logging.Filter):
    """Puts each message in one clean line and masks what may be a secret in it.

    Log lines quote the API server, which quotes webhooks and objects of any team. A line end in
    them would begin a line that nobody has logged.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; every record is logged."""
        try:
            record.msg, record.args = redact_message(_shorten(record.getMessage())), None
        except (TypeError, ValueError):  # the arguments do not fit: the handler says so
            return True
        if record.exc_info:
            text = logging.Formatter().formatException(record.exc_info)
            record.exc_info, record.exc_text = None, _make_traceback_safe(text)
        return True


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
            JsonTimeFormatter(
                "%(asctime)s %(levelname)s %(name)s %(message)s",
                rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            )
        )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    quiet_libraries(level)
    make_logs_safe()


def quiet_libraries(level: str) -> None:
    """Show only warnings of the libraries, unless ``level`` is debug."""
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(level.upper() if level == "debug" else logging.WARNING)
    logging.getLogger(HTTP_SERVER_LOGGER).setLevel(logging.CRITICAL)


def make_logs_safe() -> None:
    """Let every handler of the root logger write safe text only, also those of ``kopf run``."""
    for handler in logging.getLogger().handlers:
        if not any(isinstance(known, SafeTextFilter) for known in handler.filters):
            handler.addFilter(SafeTextFilter())


def _shorten(message: str) -> str:
    return message if len(message) <= _MAX_MESSAGE else f"{message[:_MAX_MESSAGE]}…"


def _make_traceback_safe(text: str) -> str:
    lines = redact(strip_control_characters(text[-_MAX_TRACEBACK:])).split("\n")
    return "\n".join(f"    {line}" for line in lines)
