"""The one clock: the API server's time, carried on by this process's monotonic clock.

Every time that a decision depends on is either read from this clock or written by the API server,
so a node whose wall clock is wrong, or jumps, changes no decision. The API server's time is known
from the Date header of its responses (RFC 9110, section 6.6.1), which has whole seconds: a response
narrows the time down to a second and its round trip, and many responses to far less.
"""

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

from selfhealing.kube.metrics import CLOCK_OFFSET

MAX_SAMPLES: Final = 9
"""The responses of which the median decides: some may be a proxy's, or of another API server."""
SAMPLE_INTERVAL: Final = 1.0
"""Seconds between two samples at least, so that one burst of requests is not the whole window."""
MAX_ROUND_TRIP: Final = 5.0
"""Seconds; a slower response says too little about the moment at which it was dated."""
DATE_RESOLUTION: Final = 1.0
"""Seconds; a Date header is cut to whole seconds."""
EARLIEST: Final = datetime(2020, 1, 1, tzinfo=UTC).timestamp()
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC).timestamp()
"""A Date outside these is no time: something without a clock has answered."""


class _Bounds(NamedTuple):
    """What one response says: the least and the most that the monotonic clock is behind."""

    lowest: float
    highest: float

    def distance_from(self, offset: float) -> float:
        """Return what must be added to ``offset`` to bring it within the bounds."""
        return min(max(offset, self.lowest), self.highest) - offset


class ServerClock:
    """Tells the API server's time.

    Until the first response it tells the wall clock's time of its creation, carried on; after that
    the wall clock has no influence.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """``monotonic`` returns seconds that never jump, ``wall`` the local Unix time."""
        self._monotonic = monotonic
        self._wall = wall
        self._offset = wall() - monotonic()
        self._samples: deque[_Bounds] = deque(maxlen=MAX_SAMPLES)
        self._sampled_at = float("-inf")

    def now(self) -> datetime:
        """Return the API server's time."""
        return datetime.fromtimestamp(self._offset + self._monotonic(), UTC)

    def start_request(self) -> float:
        """Return the moment to be passed to ``observe`` with the response."""
        return self._monotonic()

    def observe(self, date: str | None, sent_at: float) -> None:
        """Note the Date header of a response that has just arrived.

        Args:
            date: the header; None if the response has none.
            sent_at: what ``start_request`` returned when the request was sent.
        """
        received_at = self._monotonic()
        if (
            received_at - self._sampled_at < SAMPLE_INTERVAL
            or received_at - sent_at > MAX_ROUND_TRIP
            or (server_time := _parse_date(date)) is None
        ):
            return
        self._sampled_at = received_at
        bounds = _Bounds(server_time - received_at, server_time + DATE_RESOLUTION - sent_at)
        if not self._samples:
            self._offset = (bounds.lowest + bounds.highest) / 2
        self._samples.append(bounds)
        # No correction while most responses agree with the clock, so it does not waver.
        corrections = sorted(sample.distance_from(self._offset) for sample in self._samples)
        self._offset += corrections[len(corrections) // 2]
        CLOCK_OFFSET.set(self._wall() - self._offset - received_at)


def _parse_date(date: str | None) -> float | None:
    """Return the Unix time of a Date header; None if it is missing or absurd."""
    if date is None:
        return None
    try:
        seconds = parsedate_to_datetime(date).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if EARLIEST <= seconds <= LATEST else None


def format_micro_time(moment: datetime) -> str:
    """Format a time as metav1.MicroTime."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
