"""Which namespace may start an action: a pace for all, and turns for those that wait."""

import heapq
import random
from collections import defaultdict

import pytest

from selfhealing.controller.action_pacer import TURN_SECONDS, WAITING_TTL, ActionPacer
from selfhealing.controller.reconciler import EXTERNAL_POLL_INTERVAL
from selfhealing.remediation.circuit_breaker import (
    ACTION_BURST,
    ACTION_INTERVAL,
    NAMESPACE_ACTION_INTERVAL,
    is_action_limit_reached,
)
from tests.unit.controller.fake_clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """A clock."""
    return FakeClock()


@pytest.fixture
def pacer(clock: FakeClock) -> ActionPacer:
    """A pacer whose tokens of the cluster are used up by others, for ACTION_INTERVAL seconds."""
    pacer = ActionPacer(clock, 1.0)
    for number in range(ACTION_BURST):
        assert pacer.start(f"other-{number}")
    return pacer


def test_the_namespace_that_acted_longest_ago_goes_first(
    clock: FakeClock, pacer: ActionPacer
) -> None:
    """Of those that wait: a namespace without an action lately goes before all others."""
    pacer.note_waiting("new")
    clock.now += ACTION_INTERVAL

    assert not pacer.can_start("other-0")
    assert not pacer.start("other-1")
    assert pacer.start("new")

    clock.now += ACTION_INTERVAL
    assert pacer.start("other-1")  # nobody waits


def test_who_waits_for_its_own_pace_keeps_nobody_waiting(
    clock: FakeClock, pacer: ActionPacer
) -> None:
    """A turn is only held for a namespace that could use it."""
    clock.now += 20 * NAMESPACE_ACTION_INTERVAL
    while pacer.can_start("busy"):
        pacer.start("busy")
    pacer.start("later")
    pacer.note_waiting("busy")

    assert pacer.can_start("later")


def test_a_turn_that_is_not_used_passes(clock: FakeClock, pacer: ActionPacer) -> None:
    """An app that could act, but does not, keeps the others waiting for a short time only."""
    clock.now += ACTION_INTERVAL
    for _ in range(int(TURN_SECONDS / EXTERNAL_POLL_INTERVAL) + 2):
        pacer.note_waiting("idle")
        assert pacer.can_start("idle")
        clock.now += EXTERNAL_POLL_INTERVAL
    pacer.note_waiting("idle")

    assert pacer.start("other-0")


def test_who_stops_asking_is_forgotten(clock: FakeClock, pacer: ActionPacer) -> None:
    """An app that is gone, or healthy, waits no more."""
    pacer.note_waiting("gone")
    clock.now += WAITING_TTL

    assert pacer.start("other-0")


def test_an_offer_is_forgotten_with_the_wait(clock: FakeClock, pacer: ActionPacer) -> None:
    """A namespace that waits again later has a whole turn."""
    clock.now += ACTION_INTERVAL
    pacer.note_waiting("late")
    assert pacer.can_start("late")
    clock.now += WAITING_TTL
    pacer.note_waiting("late")
    assert pacer.can_start("late")

    assert not pacer.can_start("other-0")


@pytest.mark.parametrize("seconds", [10, 30, 60, 300])
@pytest.mark.parametrize("namespaces", [1, 2, 3, 5, 10])
def test_ill_namespaces_do_not_keep_another_one_waiting(namespaces: int, seconds: float) -> None:
    """However many apps they have, it starts as soon as an action may start, or one has ended."""
    chance = random.Random(7)  # noqa: S311 - a simulation
    clock = FakeClock()
    pacer = ActionPacer(clock, 1.0)
    running: defaultdict[str, list[float]] = defaultdict(list)
    looks = [
        (clock.now + chance.uniform(0, EXTERNAL_POLL_INTERVAL), f"ill-{number}", app)
        for number in range(namespaces)
        for app in range(50)
    ]
    began = clock.now + 310
    heapq.heappush(looks, (began, "victim", 0))
    heapq.heapify(looks)
    while True:
        clock.now, namespace, app = heapq.heappop(looks)
        for ends in running.values():
            ends[:] = [end for end in ends if end > clock.now]
        in_cluster = sum(map(len, running.values()))
        if is_action_limit_reached(len(running[namespace]), in_cluster) or not pacer.start(
            namespace
        ):
            if not is_action_limit_reached(len(running[namespace]), 0):
                pacer.note_waiting(namespace)
        else:
            if namespace == "victim":
                break
            running[namespace].append(clock.now + seconds)
        heapq.heappush(looks, (clock.now + EXTERNAL_POLL_INTERVAL, namespace, app))

    # At most 20 actions run: one ends after a twentieth of their time on average.
    assert clock.now - began <= 2 * EXTERNAL_POLL_INTERVAL + ACTION_INTERVAL + seconds
