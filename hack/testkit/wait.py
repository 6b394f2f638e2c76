"""Waiting for conditions, never for time."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_INTERVAL = 0.1

TIMEOUT_FACTOR = 3 if os.environ.get("CI") else 1
"""How much longer is waited where nobody waits: the machine may be shared, and starved."""


def eventually(
    probe: Callable[[], T],
    *,
    timeout: float = 30.0,
    description: str = "",
    poll: float = POLL_INTERVAL,
) -> T:
    """Call ``probe`` until it returns something true, and return that.

    An AssertionError of the probe counts as "not yet", and so does a key that is not there; it is
    the cause of what is raised in the end.

    Raises:
        AssertionError: it did not come true within ``timeout`` seconds, times ``PATIENCE``.
    """
    limit = timeout * TIMEOUT_FACTOR
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
            message = f"not within {limit:.0f} s: {description or _describe(probe)}"
            if failure is not None:
                raise AssertionError(f"{message}\n{failure}") from failure
            raise AssertionError(f"{message}; last seen: {found!r}")
        time.sleep(poll)


def consistently(probe: Callable[[], object], *, seconds: float, description: str = "") -> None:
    """Check that ``probe`` stays true: the only way to see that something does *not* happen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert probe(), f"did not stay so for {seconds:.1f} s: {description or _describe(probe)}"
        time.sleep(POLL_INTERVAL)


def _describe(probe: Callable[[], object]) -> str:
    return getattr(probe, "__name__", repr(probe))
