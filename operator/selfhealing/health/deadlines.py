"""The moment of a judgement, and the next one at which time alone may change it."""

from datetime import datetime


class Alarm:
    """Tells whether moments have passed, and remembers the first that has not.

    Judgements such as "unschedulable for 30 s" change although no event comes. Whoever judges asks
    this object instead of a clock; whoever lets judge looks again after ``delay``.
    """

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._next: datetime | None = None

    def passed(self, moment: datetime) -> bool:
        """Whether ``moment`` has come."""
        if moment <= self.now:
            return True
        self._next = moment if self._next is None else min(self._next, moment)
        return False

    @property
    def delay(self) -> float | None:
        """Seconds until the next of the moments that were asked about; None when all have come."""
        return (self._next - self.now).total_seconds() if self._next is not None else None
