"""Waiting for conditions, never for time."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL = 0.1

PATIENCE = 3 if os.environ.get("CI") else 1
"""How much longer is waited where nobody waits: the machine may be shared, and starved."""


def eventually(
    probe: Callable[[], T], *, timeout: float = 30.0, says: str = "", poll: float = POLL
) -> T:
    """Call ``probe`` until it returns something true, and return that.

    An AssertionError of the probe counts as "not yet", and so does a key that is not there; it is
    the cause of what is raised in the end.

    Raises:
        AssertionError: it did not come true within ``timeout`` seconds, times ``PATIENCE``.
    """
    limit = timeout * PATIENCE
    deadline = time.monotonic() + limit
    while True:
        failure: Exception | None = None
        try:
            found = probe()
            if found:
                return found
        except (AssertionError, LookupError) as error:
            failure = error
        if time.monotonic() >= deadline:
            message = f"not within {limit:.0f} s: {says or _name(probe)}"
            if failure is not None:
                raise AssertionError(f"{message}\n{failure}") from failure
            raise AssertionError(f"{message}; last seen: {found!r}")
        time.sleep(poll)


def stays(probe: Callable[[], object], *, seconds: float, says: str = "") -> None:
    """Check that ``probe`` stays true: the only way to see that something does *not* happen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert probe(), f"did not stay so for {seconds:.1f} s: {says or _name(probe)}"
        time.sleep(POLL)


def _name(probe: Callable[[], object]) -> str:
    return getattr(probe, "__name__", repr(probe))
