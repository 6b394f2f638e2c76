"""The work queue: one piece of work for a key, each at its time, and nothing is ever lost."""

import asyncio
import itertools
from contextlib import suppress

import pytest
from hypothesis import given, settings, strategies as st

from selfhealing.controller.workqueue import BACKOFF_INITIAL, BACKOFF_MAX, WorkQueue
from tests.unit.controller.fake_loop import now, run_on_fake_loop, run_until_idle


def create_queue(group_limit: int = 100) -> WorkQueue[str]:
    """A queue whose groups are the first letters of its keys."""
    return WorkQueue(group_of=lambda key: key[0], group_limit=group_limit)


async def drain_queue(queue: WorkQueue[str], seconds: float = 1000) -> list[tuple[float, str]]:
    """Take what comes within ``seconds``, each done at once: when it came and what it was."""
    taken = []
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                key = await queue.get()
                taken.append((now(), key))
                queue.done(key)
    return taken


async def test_what_is_added_is_handed_out_at_once_in_its_order() -> None:
    """Keys without a delay are first come, first served."""
    queue = create_queue()

    for key in "bac":
        queue.add(key)

    assert [(0, "b"), (0, "a"), (0, "c")] == await drain_queue(queue)


async def test_a_key_that_waits_is_waited_for_once() -> None:
    """Ten requests before the work begins are one piece of work."""
    queue = create_queue()

    for _ in range(10):
        queue.add("a")

    assert 1 == queue.depth()
    assert [(0, "a")] == await drain_queue(queue)


async def test_a_delay_is_respected() -> None:
    """Nothing comes early, and what is due sooner comes first."""
    queue = create_queue()

    queue.add("late", 30)
    queue.add("soon", 2)
    queue.add("now")

    assert [(0, "now"), (2, "soon"), (30, "late")] == await drain_queue(queue)


@pytest.mark.parametrize("delays", list(itertools.permutations((5, 10, 20))))
async def test_of_several_requests_the_earliest_wins(delays: tuple[float, ...]) -> None:
    """A later one neither postpones it nor makes it come twice."""
    queue = create_queue()

    for delay in delays:
        queue.add("a", delay)

    assert [(5, "a")] == await drain_queue(queue)


async def test_an_earlier_request_wakes_who_waits_for_a_later_one() -> None:
    """A waiter that has gone to sleep for a minute hears of what is due in a second."""
    queue = create_queue()
    queue.add("a", 60)
    waiter = asyncio.create_task(queue.get())
    await asyncio.sleep(1)

    queue.add("a", 1)

    assert "a" == await waiter
    assert 2 == now()


async def test_a_key_in_work_is_not_handed_out_a_second_time() -> None:
    """It waits until the work has ended, however many ask."""
    queue = create_queue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    second = asyncio.create_task(queue.get())
    await asyncio.sleep(100)

    assert not second.done()
    assert 0 == queue.depth()

    queue.done("a")

    assert "a" == await second
    assert 100 == now()


async def test_what_was_asked_for_during_the_work_keeps_its_time() -> None:
    """The earliest of those requests counts, from when it was made."""
    queue = create_queue()
    queue.add("a")
    await queue.get()
    queue.add("a", 50)
    queue.add("a", 10)
    queue.add("a", 30)
    await asyncio.sleep(4)

    queue.done("a")

    assert [(10, "a")] == await drain_queue(queue)


async def test_work_that_nobody_asked_for_again_is_over() -> None:
    """Done is done."""
    queue = create_queue()
    queue.add("a")
    queue.done(await queue.get())

    assert [] == await drain_queue(queue)
    assert 0 == queue.depth()


async def test_done_without_work_is_harmless() -> None:
    """A key that was never handed out may be called done."""
    queue = create_queue()

    queue.done("a")

    assert [] == await drain_queue(queue)


async def test_each_failure_waits_longer_up_to_the_limit() -> None:
    """The ceiling doubles; the delay is at least half of it."""
    queue = create_queue()

    ceiling = BACKOFF_INITIAL
    for _ in range(40):
        delay = queue.add_rate_limited("a")

        assert ceiling / 2 <= delay <= ceiling

        ceiling = min(BACKOFF_MAX, 2 * ceiling)

    assert BACKOFF_MAX == ceiling


async def test_retries_of_many_keys_are_spread() -> None:
    """A hundred apps that failed together do not come back together."""
    queue = create_queue()

    assert 90 < len({round(queue.add_rate_limited(f"app-{number}"), 6) for number in range(100)})


async def test_a_failed_key_comes_back_after_its_delay() -> None:
    """The retry is asked for while the key is still in work, as the reconciler does."""
    queue = create_queue()
    queue.add("a")
    await queue.get()
    delay = queue.add_rate_limited("a")
    queue.done("a")

    [(at, key)] = await drain_queue(queue)

    assert "a" == key
    assert delay == pytest.approx(at)


async def test_success_makes_the_next_failure_a_first_one() -> None:
    """Forgetting one key leaves another's failures counted."""
    queue = create_queue()
    for _ in range(10):
        queue.add_rate_limited("a")
        queue.add_rate_limited("b")

    queue.forget("a")

    assert BACKOFF_INITIAL >= queue.add_rate_limited("a")
    assert BACKOFF_MAX / 2 <= queue.add_rate_limited("b")


async def test_news_do_not_wait_for_the_back_off() -> None:
    """Somebody who corrects a broken spec need not wait a minute."""
    queue = create_queue()
    for _ in range(10):
        queue.add_rate_limited("a")

    queue.add("a")

    assert [(0, "a")] == await drain_queue(queue)


async def test_several_waiters_share_the_work() -> None:
    """Each key goes to one of them, whether they waited before or it did."""
    queue: WorkQueue[int] = WorkQueue()
    waiters = [asyncio.create_task(queue.get()) for _ in range(5)]
    await run_until_idle()

    for key in range(5):
        queue.add(key)

    assert {0, 1, 2, 3, 4} == set(await asyncio.gather(*waiters))
    assert 0 == now()


async def test_a_waiter_that_goes_away_takes_no_wake_up_with_it() -> None:
    """Of two, the one that is cancelled in the very moment of an add leaves it to the other."""
    for order in itertools.permutations(("add", "cancel")):
        queue = create_queue()
        going, staying = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
        await run_until_idle()
        for step in order:
            if step == "add":
                queue.add("a")
            else:
                going.cancel()

        assert "a" == await staying


async def test_the_queue_says_how_far_it_is_behind() -> None:
    """Only what is due counts as lag; what is in work has been attended to."""
    queue = create_queue()

    assert 0 == queue.longest_wait()

    queue.add("a", 5)
    queue.add("b", 7)

    assert 0 == queue.longest_wait()

    await asyncio.sleep(8)

    assert 3 == queue.longest_wait()

    await queue.get()

    assert 1 == queue.longest_wait()


async def test_the_groups_take_turns() -> None:
    """A thousand keys of one group make the key of another wait for one of them only."""
    queue = create_queue()
    for number in range(1000):
        queue.add(f"a{number}")
    queue.add("b0")
    queue.add("b1")

    taken = [key for _, key in await drain_queue(queue)]

    assert ["a0", "b0", "a1", "b1", "a2"] == taken[:5]
    assert 1002 == len(taken)


async def test_no_group_occupies_all_workers() -> None:
    """At the limit of a group its next key waits until one is done; others do not wait."""
    queue = create_queue(group_limit=2)
    for key in ("a0", "a1", "a2", "b0"):
        queue.add(key)
    assert {"a0", "a1", "b0"} == {await queue.get() for _ in range(3)}

    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(100)

    assert not waiting.done()

    queue.add("c0", 5)

    assert "c0" == await waiting

    queue.done("a1")

    assert "a2" == await queue.get()


@given(
    keys=st.lists(st.sampled_from(["a0", "a1", "a2", "b0", "b1", "c0"]), max_size=40),
    limit=st.integers(1, 3),
    workers=st.integers(1, 6),
)
def test_nothing_is_lost_and_no_group_exceeds_its_limit(
    keys: list[str], limit: int, workers: int
) -> None:
    """Whatever is added, each key comes, and never more keys of a group than may be."""

    async def run() -> None:
        queue = create_queue(limit)
        processing: list[str] = []
        taken: list[str] = []

        async def work() -> None:
            while True:
                key = await queue.get()
                assert key not in processing
                processing.append(key)
                taken.append(key)
                assert limit >= sum(other[0] == key[0] for other in processing)
                await asyncio.sleep(1)
                processing.remove(key)
                queue.done(key)

        tasks = [asyncio.create_task(work()) for _ in range(workers)]
        for key in keys:
            queue.add(key)
            await asyncio.sleep(0.3)
        await asyncio.sleep(100)
        for task in tasks:
            assert not task.done()
            task.cancel()
        assert set(keys) == set(taken)
        assert 0 == queue.depth()

    run_on_fake_loop(run)


async def test_memory_is_bounded_by_the_keys() -> None:
    """Ten thousand changes of one app that is also to be looked at later leave nothing behind."""
    queue = create_queue()

    for _ in range(10_000):
        queue.add("a", 300)
        queue.add("a")
        queue.done(await queue.get())

    assert 100 > len(queue._heap)  # noqa: SLF001 - nothing else shows it


Step = tuple[int, str, int]
"""A pause in seconds, a key, a delay in seconds."""

TICK = 1 / 1024
"""Beside halves for requests and quarters for what is due it keeps all moments apart."""

STEPS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from("abc"), st.integers(0, 8)), max_size=40
)


@settings(deadline=None)
@given(steps=STEPS, work=st.lists(st.integers(0, 4), min_size=1, max_size=5))
def test_one_worker_does_what_the_model_does(steps: list[Step], work: list[int]) -> None:
    """For each key it is known from the requests alone when it is handed out.

    With a worker always free, that is: when it is due, or when its former work ends if that is
    later; and what was asked for in between is one piece of work.
    """
    durations = {key: work[index % len(work)] for index, key in enumerate("abc")}

    async def scenario() -> tuple[list[tuple[float, str]], list[tuple[float, str, float]]]:
        queue = create_queue()
        taken: list[tuple[float, str]] = []
        asked: list[tuple[float, str, float]] = []

        async def worker() -> None:
            while True:
                key = await queue.get()
                taken.append((now(), key))
                await asyncio.sleep(durations[key] + TICK)
                queue.done(key)

        async with asyncio.TaskGroup() as tasks:
            # One more than there are keys: somebody is always free.
            workers = [tasks.create_task(worker()) for _ in range(4)]
            for pause, key, delay in steps:
                await asyncio.sleep(pause + 0.5)
                due = delay + 0.25 if delay else 0
                asked.append((now(), key, due))
                queue.add(key, due)
            await asyncio.sleep(100)
            for task in workers:
                task.cancel()

        assert 0 == queue.depth()
        return taken, asked

    taken, asked = run_on_fake_loop(scenario)

    for key in "abc":
        mine = [(at, at + delay) for at, name, delay in asked if name == key]

        assert _expected(mine, durations[key] + TICK) == [at for at, name in taken if name == key]


def _expected(requests: list[tuple[float, float]], duration: float) -> list[float]:
    """When a key is handed out that was asked for at (moment, due), each work taking so long."""
    starts: list[float] = []
    free, left = 0.0, list(requests)
    while left:
        # The start is the earliest due of all that was asked for before that start.
        start = min(max(free, due) for _, due in left)
        starts.append(start)
        left = [(at, due) for at, due in left if at > start]
        free = start + duration
    return starts


@settings(deadline=None)
@given(
    steps=STEPS,
    workers=st.integers(1, 4),
    durations=st.lists(st.integers(0, 5), min_size=1, max_size=7),
    failures=st.lists(st.booleans(), min_size=1, max_size=7),
)
def test_whatever_happens_nothing_is_lost_or_done_twice_at_once(
    steps: list[Step], workers: int, durations: list[int], failures: list[bool]
) -> None:
    """After every request its key is taken up, never early and never by two workers.

    Workers are fewer than keys, fail and try again, and one of them is replaced in the middle.
    """

    async def scenario() -> None:
        queue = create_queue()
        busy: set[str] = set()
        wanted: dict[str, float] = {}
        work, fails = itertools.cycle(durations), itertools.cycle([*failures, False])

        async def worker() -> None:
            while True:
                key = await queue.get()

                assert key not in busy
                assert wanted.pop(key) <= now()

                busy.add(key)
                try:
                    await asyncio.sleep(next(work))
                    if next(fails):
                        due = now() + queue.add_rate_limited(key)
                        wanted[key] = min(due, wanted.get(key, due))
                    else:
                        queue.forget(key)
                finally:
                    busy.remove(key)
                    queue.done(key)

        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(worker()) for _ in range(workers)]
            for number, (pause, key, delay) in enumerate(steps):
                await asyncio.sleep(pause)
                queue.add(key, delay)
                wanted[key] = min(now() + delay, wanted.get(key, now() + delay))
                if number == 10:
                    running.pop(0).cancel()
                    running.append(tasks.create_task(worker()))
            await asyncio.sleep(5000)

            assert {} == wanted
            assert (0, 0) == (queue.depth(), queue.longest_wait())

            for task in running:
                task.cancel()

    run_on_fake_loop(scenario)
