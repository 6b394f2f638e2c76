"""The settings: one frozen value, read from the environment once, with every mistake reported.

Nothing else in the app reads the environment.
"""

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class SettingsError(ValueError):
    """The environment holds values the app cannot run with; one line for each."""


class AccessLog(StrEnum):
    """Which requests are logged."""

    ALL = "all"
    QUIET = "quiet"
    OFF = "off"


@dataclass(frozen=True)
class Settings:
    """What can be set, with the values that suit the lab."""

    host: str = "0.0.0.0"  # noqa: S104  a pod is reached by its address
    """HOST: the IP address to listen on; ``::`` for IPv6, with IPv4 where the node has both."""

    port: int = 5000
    """PORT: the TCP port; 0 takes any free one and logs which."""

    threads: int = 8
    """THREADS: requests worked on at the same time; more wait in the queue."""

    message: str = "Hello from the self-healing demo app"
    """MESSAGE: what ``/`` says; change it to see a rollout arrive."""

    work_seconds: float = 0.0
    """WORK_SECONDS: how long ``/`` takes, waiting and not burning CPU, so that a queue can form;
    0 is off."""

    linger_seconds: float = 0.5
    """LINGER_SECONDS: after SIGTERM, how long new requests are still served while the cluster stops
    sending them; 0 closes the port at once."""

    grace_seconds: float = 0.5
    """GRACE_SECONDS: how long requests in flight may take after that before they are cut off; by
    default those at SIGTERM have a second in all."""

    access_log: AccessLog = AccessLog.QUIET
    """ACCESS_LOG: ``all``, ``quiet`` (all but good probes and scrapes) or ``off``."""

    port_grpc: int = 0
    """PORT_GRPC: the TCP port of grpc.health.v1, for gRPC probes; 0 is off. Not GRPC_PORT: that is
    what Kubernetes tells every pod about a Service called "grpc"."""


def load(environ: Mapping[str, str]) -> Settings:
    """Read the settings; an empty variable counts as not set.

    Raises:
        SettingsError: with a line for every bad value, so that one restart shows them all.
    """
    values: dict[str, object] = {}
    problems: list[str] = []
    for variable, read in _READERS.items():
        text = environ.get(variable, "")
        if not text:
            continue
        try:
            values[variable.lower()] = read(text)
        except ValueError as error:
            problems.append(f"{variable}={text!r}: expected {error}")
    if problems:
        raise SettingsError("\n".join(problems))
    return Settings(**values)  # type: ignore[arg-type]  # each reader returns its field's type


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        expected = f"a whole number from {low} to {high}"
        try:
            number = int(text)
        except ValueError:
            raise ValueError(expected) from None
        if not low <= number <= high:
            raise ValueError(expected)
        return number

    return read


def _seconds(high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        expected = f"seconds from 0 to {high:g}"
        try:
            number = float(text)
        except ValueError:
            raise ValueError(expected) from None
        if not 0 <= number <= high:  # also refuses nan
            raise ValueError(expected)
        return number

    return read


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("an IP address, such as 0.0.0.0 or ::") from None


def _access_log(text: str) -> AccessLog:
    try:
        return AccessLog(text)
    except ValueError:
        raise ValueError(f"one of {', '.join(AccessLog)}") from None


_READERS: Mapping[str, Callable[[str], object]] = {
    "HOST": _address,
    "PORT": _whole(0, 65535),
    "THREADS": _whole(1, 64),
    "MESSAGE": str,
    "WORK_SECONDS": _seconds(60),
    "LINGER_SECONDS": _seconds(60),
    "GRACE_SECONDS": _seconds(60),
    "ACCESS_LOG": _access_log,
    "PORT_GRPC": _whole(0, 65535),
}
"""Every setting's variable; a field of the same name in lower case takes the value."""
