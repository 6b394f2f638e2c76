"""Folds the Events of one app with one reason, so that an app that flaps does not flood them.

The first ones are admitted as they come. After that one is admitted per interval, and says how many
came since the one before. The rules are those of client-go's EventCorrelator
(tools/record/events_cache.go), by reason instead of by object: a reason that repeats does not hide
the others.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache

from selfhealing.apply.rate_limit import TokenBucket
from selfhealing.cache.views import AppView
from selfhealing.kube.metrics import EVENTS_DROPPED, EVENTS_FOLDED
from selfhealing.status.events import Event

BURST: Final = 10
"""Events that are admitted at once; client-go's correlator aggregates from the tenth."""
INTERVAL: Final = 300.0
"""Seconds after which one more is admitted: the 5 minutes of client-go's spam filter."""
MAX_REASONS: Final = 4096
"""Apps and reasons that are known: the size of client-go's caches."""

FoldedEvent = tuple[AppView, Event, int]
"""The last one of some Events, and their number."""


@dataclass(slots=True)
class _Reason:
    bucket: TokenBucket
    app: AppView
    event: Event
    folded: int = 0


class _Reasons(LRUCache[tuple[str, str], _Reason]):
    def popitem(self) -> tuple[tuple[str, str], _Reason]:
        """Drop the least recently used reason, and count its folded Events as dropped."""
        key, reason = super().popitem()
        EVENTS_DROPPED.labels("QueueFull").inc(reason.folded)
        return key, reason


class EventFolder:
    """Knows how many Events of each reason came lately."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock`` returns monotonic seconds."""
        self._clock = clock
        self._reasons = _Reasons(MAX_REASONS)
        self._folded: set[tuple[str, str]] = set()
        """The keys with Events that are not admitted yet."""

    def admit(self, app: AppView, event: Event) -> int:
        """Return how many Events this one stands for; 0 if it is folded into a later one."""
        key = app.uid, event.reason
        reason = self._reasons.get(key)
        if reason is None:
            reason = self._reasons[key] = _Reason(TokenBucket(BURST, INTERVAL), app, event)
        reason.app, reason.event = app, event
        reason.folded += 1
        if reason.bucket.take(self._clock()):
            return self._release(key, reason)
        self._folded.add(key)
        EVENTS_FOLDED.inc()
        return 0

    def take_due(self) -> Iterator[FoldedEvent]:
        """Yield one Event for each reason with folded Events that may be admitted again."""
        self._folded &= set(self._reasons)
        for key in sorted(self._folded):
            reason = self._reasons[key]
            if reason.bucket.take(self._clock()):
                yield reason.app, reason.event, self._release(key, reason)

    def _release(self, key: tuple[str, str], reason: _Reason) -> int:
        self._folded.discard(key)
        count, reason.folded = reason.folded, 0
        return count
