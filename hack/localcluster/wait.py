"""The loop that waits for a condition, and the waiting of ``make cluster``.

``hack.testkit.wait`` builds on the same loop; it is here because this package is the lowest layer
of the tools and imports none of the others.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from hack.localcluster.errors import ClusterError

T = TypeVar("T")

_INTERVAL = 0.5

_BACK_OFF = 1.2
"""Factor by which an interval grows, where it does."""


class NotYetError(Exception):
    """The condition did not become true in time.

    Attributes:
        value: what the last probe returned.
        error: the expected error of the last probe; None if it returned.
    """

    def __init__(self, value: object, error: Exception | None) -> None:
        super().__init__(str(error) if error else f"last value: {value!r}")
        self.value = value
        self.error = error


def poll(  # noqa: PLR0913 - the clock is an argument for tests
    probe: Callable[[], T],
    *,
    timeout: float,
    interval: float,
    max_interval: float | None = None,
    expected_errors: tuple[type[Exception], ...] = (),
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> T:
    """Call ``probe`` until it returns a true value, and return that value.

    Args:
        probe: the condition; it is called at least once.
        timeout: seconds after which no further call is made.
        interval: seconds between two calls.
        max_interval: seconds to which ``interval`` grows from call to call; None: it does not.
        expected_errors: exceptions of the probe that mean "not yet".
        clock: returns seconds.
        sleep: waits for a number of seconds.

    Raises:
        NotYetError: the timeout is over.
    """
    deadline = clock() + timeout
    while True:
        value, failure = None, None
        try:
            value = probe()
            if value:
                return value
        except expected_errors as error:
            failure = error
        if clock() >= deadline:
            raise NotYetError(value, failure) from failure
        sleep(interval)
        if max_interval is not None:
            interval = min(interval * _BACK_OFF, max_interval)


def wait_until(
    description: str, seconds: float, condition: Callable[[], object], advice: str
) -> None:
    """Wait until a condition is true.

    Raises:
        ClusterError: it is not true within ``seconds``; the message ends with the advice.
    """
    try:
        poll(condition, timeout=seconds, interval=_INTERVAL)
    except NotYetError:
        raise ClusterError(
            f"{description} did not happen within {seconds:.0f} s; {advice}"
        ) from None
