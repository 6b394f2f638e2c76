"""The time of an evaluation, and the next time at which its result may change without an event."""

from datetime import datetime


class Deadlines:
    """Compares deadlines with the time of the evaluation, and keeps the earliest that is ahead.

    A result such as "unschedulable for 30 s" changes although no watch event comes. So the analysis
    asks this object instead of a clock, and the controller requeues the app after
    ``requeue_after``.
    """

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._earliest: datetime | None = None

    def reached(self, deadline: datetime) -> bool:
        """Whether ``deadline`` has passed; if not, it counts for ``requeue_after``."""
        if deadline <= self.now:
            return True
        self._earliest = deadline if self._earliest is None else min(self._earliest, deadline)
        return False

    @property
    def requeue_after(self) -> float | None:
        """Seconds until the earliest deadline that was asked about; None if all have passed."""
        return (self._earliest - self.now).total_seconds() if self._earliest is not None else None
