"""Waits for conditions with a timeout, for tests and tools.

All of them use the loop of ``hack.localcluster.wait``. ``eventually`` and ``consistently`` are
assertions of tests; ``wait_until`` reports a ToolError to the user of a tool; ``poll_async`` serves
the asynchronous benchmark.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hack.localcluster.wait import NotYetError, poll as poll_loop
from hack.testkit.errors import ApiServerUnreachableError, ToolError

T = TypeVar("T")

POLL_INTERVAL = 0.1

FIRST_POLL_INTERVAL, MAX_POLL_INTERVAL = 0.05, 0.4
"""Seconds between two probes of ``eventually``, at first and in the end: what comes soon is seen
soon, and what takes long is not asked for ten times a second by every worker of the tests."""

TOOL_POLL_INTERVAL = 0.4

TIMEOUT_FACTOR = float(os.environ.get("TEST_PATIENCE") or (3 if os.environ.get("CI") else 1))
"""Factor of the timeouts of tests in `make test` and CI, where the machine may be busy."""


def eventually(
    probe: Callable[[], T],
    *,
    timeout: float = 30.0,
    description: str = "",
    poll: float | None = None,
) -> T:
    """Call ``probe`` until it returns a true value, and return that value.

    The time between two probes grows, unless ``poll`` sets it. An AssertionError, a missing key and
    an error of the Kubernetes client mean "not yet"; the last one becomes the cause of the failure.

    Raises:
        AssertionError: no true value within ``timeout`` seconds times TIMEOUT_FACTOR.
    """
    limit = timeout * TIMEOUT_FACTOR
    try:
        return poll_loop(
            probe,
            timeout=limit,
            interval=FIRST_POLL_INTERVAL if poll is None else poll,
            max_interval=MAX_POLL_INTERVAL if poll is None else None,
            expected_errors=(AssertionError, LookupError, ToolError),
        )
    except NotYetError as outcome:
        message = f"not within {limit:.0f} s: {description or _describe(probe)}"
        if outcome.error is not None:
            raise AssertionError(f"{message}\n{outcome.error}") from outcome.error
        raise AssertionError(f"{message}; last seen: {outcome.value!r}") from None


def consistently(probe: Callable[[], object], *, seconds: float, description: str = "") -> None:
    """Assert that ``probe`` stays true for a number of seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert probe(), f"did not stay so for {seconds:.1f} s: {description or _describe(probe)}"
        time.sleep(POLL_INTERVAL)


def wait_until(
    description: str,
    condition: Callable[[], T],
    timeout: float,
    *,
    interval: float = TOOL_POLL_INTERVAL,
    expected_errors: tuple[type[Exception], ...] = (ApiServerUnreachableError,),
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Wait in a tool until a condition is true, and return its value.

    Args:
        description: the condition as a clause, such as "the app is ready".
        condition: returns a true value when it holds.
        timeout: seconds.
        interval: seconds between two calls.
        expected_errors: exceptions of the condition that mean "not yet".
        clock: returns seconds.

    Raises:
        ToolError: it is not true within ``timeout`` seconds.
    """
    try:
        return poll_loop(
            condition,
            timeout=timeout,
            interval=interval,
            expected_errors=expected_errors,
            clock=clock,
            sleep=time.sleep,
        )
    except NotYetError as outcome:
        reason = f": {outcome.error}" if outcome.error is not None else ""
        raise ToolError(
            f"it did not happen within {timeout:.0f} s that {description}{reason}"
        ) from outcome.error


async def poll_async(
    description: str, probe: Callable[[], Awaitable[T]], seconds: float, *, interval: float
) -> T:
    """Await ``probe`` until it returns a true value, and return that value.

    Raises:
        TimeoutError: no true value within ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while not (value := await probe()):
        if time.monotonic() >= deadline:
            raise TimeoutError(f"it did not happen within {seconds:.0f} s that {description}")
        await asyncio.sleep(interval)
    return value


def _describe(probe: Callable[[], object]) -> str:
    return getattr(probe, "__name__", repr(probe))
