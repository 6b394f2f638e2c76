"""The extent of a load test, which is checked before anything starts."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

DEFAULT_RATE: Final = 50
"""Default requests per second: enough to scale the app of the lab."""

DEFAULT_SECONDS: Final = 30
REQUEST_TIMEOUT: Final = 3
"""Seconds after which a request has failed."""

_LIMITS: Final = {"rate": 2000, "connections": 256, "seconds": 3600}
_MAX_BODY_BYTES: Final = 512
"""Bytes of each response that are read; those of the demo app are a quarter of it."""


@dataclass(frozen=True)
class LoadPlan:
    """The extent of a load test.

    Attributes:
        app: the name of the app and its Service.
        namespace: the namespace of the app.
        path: the path that is requested.
        rate: requests per second, independent of the responses; 0 with ``connections``.
        connections: number of parallel requests, each followed by the next; 0 with ``rate``.
        seconds: the duration.
    """

    app: str
    namespace: str = "default"
    path: str = "/"
    rate: int = DEFAULT_RATE
    connections: int = 0
    seconds: int = DEFAULT_SECONDS

    def vegeta_command(self, vegeta: str) -> list[str]:
        """Return the command line of vegeta; it reads the target from its standard input."""
        max_workers = self.connections or self.rate * REQUEST_TIMEOUT
        return [
            vegeta,
            "attack",
            f"-duration={self.seconds}s",
            f"-timeout={REQUEST_TIMEOUT}s",
            f"-rate={self.rate}",
            f"-workers={min(max_workers, self.connections or 10)}",
            f"-max-workers={max_workers}",
            # A Service chooses a replica for each connection, not for each request.
            "-keepalive=false",
            f"-max-body={_MAX_BODY_BYTES}",
            "-redirects=-1",
        ]

    @property
    def rate_text(self) -> str:
        """The rate for people."""
        if self.connections:
            return f"{self.connections} at once, as fast as they are answered"
        return f"{self.rate} a second"


def parse_arguments(arguments: Sequence[str] | None) -> LoadPlan:
    """Parse the command line; a wrong one ends the program with a message."""
    parser = argparse.ArgumentParser(prog="python -m hack.loadtest", description=__doc__)
    parser.add_argument("--app", required=True, help="the app, whose Service is asked")
    parser.add_argument("--namespace", default="default", help="where it is (default: default)")
    parser.add_argument("--path", default="/", help="what is asked for (default: /)")
    parser.add_argument(
        "--rate", type=_whole("rate"), help=f"requests a second (default: {DEFAULT_RATE})"
    )
    parser.add_argument("--connections", type=_whole("connections"), help="or: so many at once")
    parser.add_argument(
        "--seconds", type=_whole("seconds"), default=DEFAULT_SECONDS, help="for how long"
    )
    options = parser.parse_args(arguments)
    if options.rate and options.connections:
        parser.error("give a rate or a number of connections, not both")
    if not options.path.startswith("/") or not options.path.isprintable() or " " in options.path:
        parser.error(f"--path {options.path!r}: expected a path such as /")
    return LoadPlan(
        app=options.app,
        namespace=options.namespace,
        path=options.path,
        rate=0 if options.connections else options.rate or DEFAULT_RATE,
        connections=options.connections or 0,
        seconds=options.seconds,
    )


class _whole:  # noqa: N801  argparse shows its name in messages
    """A parser of whole numbers from 1 to a limit."""

    def __init__(self, name: str) -> None:
        self._most = _LIMITS[name]

    def __call__(self, text: str) -> int:
        short = text.isascii() and text.isdigit() and len(text) <= len(str(self._most))
        if short and 1 <= int(text) <= self._most:
            return int(text)
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected a whole number from 1 to {self._most}"
        )
