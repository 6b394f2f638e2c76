"""Slots for work that only a few apps may do at the same time, because it takes memory.

Whoever gets no slot does not wait for it inside its reconcile: it would hold a worker meanwhile,
and two namespaces would hold them all. Its reconcile ends, and the app is enqueued again when a
slot is free. Namespaces take turns.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from selfhealing.cache.views import AppKey
from selfhealing.controller.round_robin import RoundRobin

OFFER_SECONDS: Final = 10.0
"""Seconds for which a free slot is kept for the app whose turn it is, until a worker takes it."""

RETRY_SECONDS: Final = 5.0
"""Seconds after which an app without a slot is reconciled again, whether or not one is free."""


class NoSlotError(Exception):
    """All slots are taken; the app is enqueued again when it is its turn."""


class FairSlots:
    """A number of slots, those that hold them, and those that wait."""

    def __init__(
        self, count: int, enqueue: Callable[[AppKey, float], None], clock: Callable[[], float]
    ) -> None:
        """Create slots that are all free.

        Args:
            count: how many there are.
            enqueue: enqueues an app to be reconciled after a number of seconds.
            clock: returns monotonic seconds.
        """
        self._count = count
        self._enqueue = enqueue
        self._clock = clock
        self._holders = 0
        self._offers: dict[AppKey, float] = {}
        """By app whose turn it is, until when a slot is kept for it."""
        self._waiting: set[AppKey] = set()
        self._turns: RoundRobin[str, AppKey] = RoundRobin()
        """The same apps in their order, and some that have left."""

    @contextmanager
    def hold(self, key: AppKey) -> Iterator[None]:
        """Hold a slot inside the ``with`` block.

        Raises:
            NoSlotError: none is free, or others have waited for longer.
        """
        self._offer_free_slots()
        is_offered = self._offers.pop(key, None) is not None
        if not is_offered and self._holders + len(self._offers) >= self._count:
            self._wait(key)
            raise NoSlotError
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
            self._offer_free_slots()

    def leave(self, key: AppKey) -> None:
        """Let an app wait no more: it does without a slot, or is deleted."""
        self._waiting.discard(key)
        if self._offers.pop(key, None) is not None:
            self._offer_free_slots()

    def _wait(self, key: AppKey) -> None:
        if key not in self._waiting:
            self._waiting.add(key)
            self._turns.push(key.namespace, key)
        self._enqueue(key, RETRY_SECONDS)

    def _offer_free_slots(self) -> None:
        """Keep the free slots for those whose turn it is; one that is not taken up goes on."""
        now = self._clock()
        for key in [key for key, until in self._offers.items() if until <= now]:
            del self._offers[key]
        while self._holders + len(self._offers) < self._count:
            found = self._turns.pop()
            if found is None:
                return
            key = found[1]
            if key not in self._waiting:
                continue
            self._waiting.remove(key)
            self._offers[key] = now + OFFER_SECONDS
            self._enqueue(key, 0.0)
