"""Changes of the configuration that come together are one rollout, and none waits for ever."""

from itertools import pairwise

from hypothesis import given, strategies as st

from selfhealing.api.config_refs import ABSENT_DIGEST, UNREAD_DIGEST, ConfigRef
from selfhealing.apply.config_debounce import (
    MAX_DELAY_SECONDS,
    MIN_INTERVAL_SECONDS,
    QUIET_SECONDS,
    ConfigDebounce,
)
from selfhealing.cache.views import AppKey

KEY = AppKey("shop", "web")
MAPS = [ConfigRef("ConfigMap", f"settings-{n}") for n in range(12)]
BEFORE = dict.fromkeys(MAPS, "old")


def start() -> ConfigDebounce:
    """An app whose first configuration was rolled out at once."""
    debounce = ConfigDebounce()
    assert (BEFORE, 0.0) == debounce.settle(KEY, BEFORE, 0.0)
    return debounce


def test_twelve_objects_are_one_rollout() -> None:
    """They are changed one after the other, and are rolled out when nothing more comes."""
    debounce, digests = start(), dict(BEFORE)
    for n, reference in enumerate(MAPS):
        digests = {**digests, reference: "new"}
        assert (BEFORE, QUIET_SECONDS) == debounce.settle(KEY, digests, 10 + n / 4)

    assert (BEFORE, 1.0) == debounce.settle(KEY, digests, 10 + 11 / 4 + QUIET_SECONDS - 1)
    assert (digests, 0.0) == debounce.settle(KEY, digests, 10 + 11 / 4 + QUIET_SECONDS)
    assert (digests, 0.0) == debounce.settle(KEY, digests, 100.0)


def test_a_recreated_object_with_the_same_content_changes_nothing() -> None:
    """It was away for a moment, as with kubectl replace --force."""
    debounce = start()

    assert (BEFORE, QUIET_SECONDS) == debounce.settle(KEY, {**BEFORE, MAPS[0]: ABSENT_DIGEST}, 10.0)
    assert (BEFORE, 0.0) == debounce.settle(KEY, BEFORE, 10.5)
    changed = {**BEFORE, MAPS[0]: "new"}
    assert (BEFORE, QUIET_SECONDS) == debounce.settle(KEY, changed, 100.0)


@given(st.lists(st.floats(0.1, QUIET_SECONDS - 0.1), min_size=40, max_size=80))
def test_endless_changes_are_rolled_out_all_the_same(pauses: list[float]) -> None:
    """No change waits for longer than MAX_DELAY_SECONDS, and no two rollouts are closer."""
    debounce, now, rolled_out = start(), 10.0, [10.0]
    for n, pause in enumerate(pauses):
        now += pause
        digests = {**BEFORE, MAPS[0]: f"new {n}"}
        settled, wait = debounce.settle(KEY, digests, now)
        assert bool(wait) == (settled != digests)
        if settled == digests:
            rolled_out.append(now)

    gaps = [later - earlier for earlier, later in pairwise(rolled_out)]
    assert all(gap >= MAX_DELAY_SECONDS for gap in gaps[1:])
    assert now - rolled_out[-1] <= MAX_DELAY_SECONDS + 2 * QUIET_SECONDS


@given(st.lists(st.floats(0.1, 10), max_size=80))
def test_rollouts_have_an_interval(pauses: list[float]) -> None:
    """Whatever rewrites the configuration, and however often the app is looked at."""
    debounce, now, rolled_out = start(), 10.0, []
    for n, pause in enumerate(pauses):
        now += pause
        digests = {**BEFORE, MAPS[0]: f"new {n // 3}"}
        settled, _ = debounce.settle(KEY, digests, now)
        rolled_out += [(settled[MAPS[0]], now)] if settled == digests else []

    first = dict(reversed(rolled_out))
    times = sorted(first.values())
    assert all(later - earlier >= MIN_INTERVAL_SECONDS for earlier, later in pairwise(times))


def test_other_references_and_unread_objects() -> None:
    """A new spec is not waited for, and what nobody knows is not remembered."""
    debounce = start()
    unread = {**BEFORE, MAPS[0]: UNREAD_DIGEST}
    fewer = {MAPS[0]: "new"}

    assert (unread, 0.0) == debounce.settle(KEY, unread, 10.0)
    assert (fewer, 0.0) == debounce.settle(KEY, fewer, 10.1)
    debounce.forget(KEY)
    debounce.forget(KEY)
    assert (BEFORE, 0.0) == debounce.settle(KEY, BEFORE, 10.2)
