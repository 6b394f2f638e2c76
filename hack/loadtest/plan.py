"""How much load, for how long: checked before anything is started."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

DEFAULT_RATE: Final = 50
"""Requests a second where nothing is said: enough for the lab's app to be scaled."""

DEFAULT_SECONDS: Final = 30
REQUEST_TIMEOUT: Final = 3
"""Seconds that a request may take."""

_LIMITS: Final = {"rate": 2000, "connections": 256, "seconds": 3600}
_MAX_BODY_BYTES: Final = 512
"""Bytes of each answer that are looked at; the demo app's is a quarter of that."""


@dataclass(frozen=True)
class LoadPlan:
    """What is to be done.

    Attributes:
        app: the Service's name, which is the app's.
        namespace: where it is.
        path: what is asked for.
        rate: requests begun each second, whatever the answers do; 0 where ``connections`` says.
        connections: so many at once, each asking again as soon as it is answered; else 0.
        seconds: for how long.
    """

    app: str
    namespace: str = "default"
    path: str = "/"
    rate: int = DEFAULT_RATE
    connections: int = 0
    seconds: int = DEFAULT_SECONDS

    def vegeta_command(self, vegeta: str) -> list[str]:
        """Return the command that sends the requests; the target goes to its standard input."""
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
        """How much, for people."""
        if self.connections:
            return f"{self.connections} at once, as fast as they are answered"
        return f"{self.rate} a second"


def parse_arguments(arguments: Sequence[str] | None) -> LoadPlan:
    """Read the command line; one that is wrong ends the program with what would be right."""
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
    """A whole number from 1 to its limit."""

    def __init__(self, name: str) -> None:
        self._most = _LIMITS[name]

    def __call__(self, text: str) -> int:
        short = text.isascii() and text.isdigit() and len(text) <= len(str(self._most))
        if short and 1 <= int(text) <= self._most:
            return int(text)
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected a whole number from 1 to {self._most}"
        )
