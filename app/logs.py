"""One line per event on standard output, for people: time, level, what happened."""

import logging
import sys
import time
from time import perf_counter
from typing import Final
from urllib.parse import quote

from flask import Flask, Response, g, request

from app.settings import AccessLog

logger = logging.getLogger("app")

_ROUTINE: Final = frozenset({"/health", "/ready", "/metrics", "/panel/state"})
_PATH_LIMIT: Final = 200


def configure() -> None:
    """Send every record to standard output, with the time in UTC."""
    handler = logging.StreamHandler(sys.stdout)
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)-7s %(message)s")
    formatter.datefmt = "%Y-%m-%dT%H:%M:%S"
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # A line for every request that waits: the metric says the same without drowning the log.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)


def install_access_log(app: Flask, which: AccessLog) -> None:
    """Log each answer; good probes and scrapes only where everything is asked for."""
    if which is AccessLog.OFF:
        return

    def log(response: Response) -> Response:
        routine = request.path in _ROUTINE and response.status_code == 200  # noqa: PLR2004  OK
        if which is AccessLog.ALL or not routine:
            logger.info(
                "%s %s %s -> %d in %.0f ms",
                request.remote_addr,
                request.method,
                quote(request.path)[:_PATH_LIMIT],  # quoted: a path cannot start a line of its own
                response.status_code,
                (perf_counter() - g.started) * 1000,
            )
        return response

    app.after_request(log)
