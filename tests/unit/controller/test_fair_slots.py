"""Slots for work that takes memory: who waits holds no worker, and namespaces take turns."""

import asyncio

import pytest

from selfhealing.cache.views import AppKey
from selfhealing.controller.fair_slots import (
    OFFER_SECONDS,
    RETRY_SECONDS,
    FairSlots,
    NoSlotError,
)
from selfhealing.controller.workqueue import WorkQueue
from tests.unit.controller.fake_loop import now

WORKERS = 16


class Clinic:
    """One slot, the time, and who was enqueued."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.enqueued: list[tuple[str, float]] = []
        self.slots = FairSlots(1, self._enqueue, lambda: self.seconds)

    def _enqueue(self, key: AppKey, delay: float) -> None:
        self.enqueued.append((str(key), delay))

    def refuse(self, *keys: str) -> None:
        """Ask for a slot that there is not."""
        for key in keys:
            with pytest.raises(NoSlotError), self.slots.hold(AppKey(*key.split("/"))):
                pytest.fail("a slot was free")

    def give(self, key: str) -> None:
        """Hold the slot for a moment."""
        with self.slots.hold(AppKey(*key.split("/"))):
            pass


@pytest.fixture
def clinic() -> Clinic:
    """A clinic."""
    return Clinic()


def test_namespaces_take_turns(clinic: Clinic) -> None:
    """However many apps of one wait, an app of another is the next but one at the latest."""
    with clinic.slots.hold(AppKey("busy", "first")):
        clinic.refuse("busy/a", "busy/b", "busy/c", "busy/a", "shop/web")
    clinic.enqueued = [each for each in clinic.enqueued if each[1] < RETRY_SECONDS]

    assert [("busy/a", 0.0)] == clinic.enqueued

    clinic.refuse("shop/web", "busy/b", "late/app")
    clinic.give("busy/a")
    clinic.refuse("busy/b")
    clinic.give("shop/web")
    turns = [each for each in clinic.enqueued if each[1] < RETRY_SECONDS]

    assert ["busy/a", "shop/web", "busy/b"] == [name for name, _ in turns]


def test_who_waits_looks_again_by_itself(clinic: Clinic) -> None:
    """Its wait may be over before it is its turn."""
    with clinic.slots.hold(AppKey("busy", "first")):
        clinic.refuse("shop/web")

        assert [("shop/web", RETRY_SECONDS)] == clinic.enqueued


def test_an_offer_that_is_not_taken_up_goes_on(clinic: Clinic) -> None:
    """An app that is deleted, or needs nothing any more, keeps the others waiting for seconds."""
    with clinic.slots.hold(AppKey("busy", "first")):
        clinic.refuse("busy/gone", "shop/web")
    clinic.seconds += OFFER_SECONDS - 1
    clinic.refuse("shop/web")
    clinic.seconds += 1

    clinic.give("shop/web")
    clinic.give("late/app")  # nobody waits, and the slot is free


def test_who_leaves_loses_its_turn(clinic: Clinic) -> None:
    """The next one need not wait for an offer that nobody takes up."""
    with clinic.slots.hold(AppKey("busy", "first")):
        clinic.refuse("busy/a", "shop/b", "late/c")
        clinic.slots.leave(AppKey("busy", "a"))
    clinic.refuse("late/c")  # it is the turn of shop/b
    clinic.slots.leave(AppKey("shop", "b"))

    clinic.give("late/c")


def test_a_failure_frees_the_slot(clinic: Clinic) -> None:
    """As any end of the work."""
    with pytest.raises(RuntimeError), clinic.slots.hold(AppKey("shop", "web")):
        raise RuntimeError

    clinic.give("late/app")


async def test_who_waits_holds_no_worker() -> None:
    """Sixty apps of two namespaces wait for two slots; others are reconciled at once."""
    queue: WorkQueue[AppKey] = WorkQueue(lambda key: key.namespace, 12)
    slots = FairSlots(2, queue.add, now)
    done: dict[AppKey, float] = {}

    async def work() -> None:
        while True:
            key = await queue.get()
            try:
                if key.namespace != "shop":
                    with slots.hold(key):
                        await asyncio.sleep(2)
                done[key] = now()
            except NoSlotError:
                pass
            finally:
                queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(WORKERS)]
    for number in range(30):
        for namespace in ("evil-0", "evil-1"):
            queue.add(AppKey(namespace, f"app-{number}"))
    await asyncio.sleep(0.1)
    others = {AppKey("shop", f"app-{number}") for number in range(5)}
    for key in others:
        queue.add(key)
    await asyncio.sleep(0.1)

    assert others <= done.keys()

    await asyncio.sleep(60)  # thirty times two seconds for sixty apps in two slots

    assert 65 == len(done)
    for worker in workers:
        worker.cancel()
