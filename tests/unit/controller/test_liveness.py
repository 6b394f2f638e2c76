"""The operator says by itself that it is stuck, and only then."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from selfhealing.cache.views import AppKey
from selfhealing.controller.liveness import Heartbeat, StalledError
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.metrics import REGISTRY, WORKQUEUE_DEPTH, WORKQUEUE_LONGEST_WAIT
from tests.unit.controller.fake_loop import block

KEY = AppKey("shop", "web")
LIMIT = 30


@pytest.fixture
async def queue() -> WorkQueue[AppKey]:
    """A queue that nobody works on."""
    return WorkQueue()


@pytest.fixture
async def heart(queue: WorkQueue[AppKey]) -> AsyncIterator[Heartbeat]:
    """A heart that beats."""
    heart = Heartbeat(queue, LIMIT)
    task = asyncio.create_task(heart.run())
    yield heart
    task.cancel()


async def test_idle_is_healthy(heart: Heartbeat) -> None:
    """A day without work is no reason to worry."""
    for pause in (0, 0.5, 1, 86400):
        await asyncio.sleep(pause)

        assert {"loopBehindSeconds": 0, "queueBehindSeconds": 0} == heart.check_liveness(
            is_reconciling=True
        )


async def test_a_loop_that_is_held_up_a_little_says_so(heart: Heartbeat) -> None:
    """The figure is what the beat is late by."""
    await asyncio.sleep(10.5)
    block(5.5)

    assert {"loopBehindSeconds": 5, "queueBehindSeconds": 0} == heart.check_liveness(
        is_reconciling=True
    )


async def test_a_loop_that_is_held_up_too_long_is_stalled(heart: Heartbeat) -> None:
    """And well again when it goes on."""
    await asyncio.sleep(10.5)
    block(LIMIT + 4.5)

    with pytest.raises(StalledError, match="the event loop is 34 s behind"):
        heart.check_liveness(is_reconciling=True)

    await asyncio.sleep(2)

    assert 0 == heart.check_liveness(is_reconciling=True)["loopBehindSeconds"]


async def test_a_heart_that_never_began_to_beat_is_found_out(queue: WorkQueue[AppKey]) -> None:
    """The time counts from when the operator was put together."""
    heart = Heartbeat(queue, LIMIT)
    await asyncio.sleep(LIMIT + 1)

    assert LIMIT == heart.check_liveness(is_reconciling=True)["loopBehindSeconds"]

    await asyncio.sleep(1)

    with pytest.raises(StalledError, match="the event loop is 31 s behind"):
        heart.check_liveness(is_reconciling=True)


async def test_work_that_nobody_does_is_a_stall(queue: WorkQueue[AppKey], heart: Heartbeat) -> None:
    """Counted from when the work was due, not from when it was asked for."""
    queue.add(KEY, 100)
    await asyncio.sleep(100 + LIMIT)

    assert LIMIT == heart.check_liveness(is_reconciling=True)["queueBehindSeconds"]

    await asyncio.sleep(1)

    with pytest.raises(StalledError, match="an app has been waiting for 31 s"):
        heart.check_liveness(is_reconciling=True)


async def test_who_does_not_lead_may_let_work_wait(
    queue: WorkQueue[AppKey], heart: Heartbeat
) -> None:
    """A replica that stands by is healthy."""
    queue.add(KEY)
    await asyncio.sleep(1000)

    assert 0 == heart.check_liveness(is_reconciling=False)["queueBehindSeconds"]


@pytest.mark.usefixtures("heart")
async def test_each_beat_measures_the_queue(queue: WorkQueue[AppKey]) -> None:
    """The metrics are a second old at most."""
    queue.add(KEY)
    queue.add(AppKey("shop", "later"), 500)
    await asyncio.sleep(5.5)

    assert 2 == REGISTRY.get_sample_value("selfhealing_workqueue_depth")
    assert 5 == REGISTRY.get_sample_value("selfhealing_workqueue_longest_wait_seconds")

    WORKQUEUE_DEPTH.set(0)
    WORKQUEUE_LONGEST_WAIT.set(0)
