"""The moment of a judgement, and the next one at which time alone may change it."""

from datetime import datetime


class Deadlines:
    """Tells whether moments have passed, and remembers the first that has not.

    Judgements such as "unschedulable for 30 s" change although no event comes. Whoever judges asks
    this object instead of a clock; whoever lets judge looks again after ``delay``.
    """

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._earliest: datetime | None = None

    def reached(self, deadline: datetime) -> bool:
        """Whether ``moment`` has come."""
        if deadline <= self.now:
            return True
        self._earliest = deadline if self._earliest is None else min(self._earliest, deadline)
        return False

    @property
    def requeue_after(self) -> float | None:
        """Seconds until the next of the moments that were asked about; None when all have come."""
        return (self._earliest - self.now).total_seconds() if self._earliest is not None else None
