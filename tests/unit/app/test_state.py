# ruff: noqa: D102  the rules of the machine say by their names what they do
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from app.load import Load
from app.state import Snapshot, State
from hack.testkit.app_process import wait_until
from tests.unit.examples import scale_examples


class StateMachine(RuleBasedStateMachine):
    """Any order of changes: the state is the last word on each flag, and reports real changes."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        self.healthy, self.ready, self.load, self.stopping = True, True, False, False

    @rule()
    def fail(self) -> None:
        assert self.state.set_healthy(False) is self.healthy
        self.healthy = False

    @rule()
    def recover(self) -> None:
        assert self.state.set_healthy(True) is not self.healthy
        self.healthy = True

    @rule()
    def not_ready(self) -> None:
        assert self.state.set_ready(False) is self.ready
        self.ready = False

    @rule()
    def ready_again(self) -> None:
        assert self.state.set_ready(True) is not self.ready
        self.ready = True

    @rule()
    def start_load(self) -> None:
        assert self.state.start_load() is not self.load
        self.load = True

    @rule()
    def stop_load(self) -> None:
        assert self.state.stop_load() is self.load
        self.load = False

    @rule()
    def begin_stopping(self) -> None:
        self.state.begin_stopping()
        self.stopping, self.load = True, False

    @invariant()
    def is_as_told(self) -> None:
        expected = Snapshot(self.healthy, self.ready and not self.stopping, self.load)
        assert expected == self.state.snapshot()

    def teardown(self) -> None:
        self.state.stop_load()


StateMachine.TestCase.settings = settings(
    max_examples=scale_examples(25), stateful_step_count=20, deadline=None
)
TestStateMachine = StateMachine.TestCase


def test_the_load_is_one_thread_that_ends_when_told() -> None:
    """A stop returns when the thread is gone."""
    load = Load()
    before = threading.active_count()

    assert load.start()
    assert not load.start()
    assert before + 1 == threading.active_count()
    assert load.stop()
    assert before == threading.active_count()
    assert not load.stop()


def test_of_many_that_start_it_at_once_one_does() -> None:
    """And of many that stop it; with threads that take turns as often as they can."""
    load, together = Load(), threading.Barrier(8)

    def race(change: Callable[[], bool]) -> bool:
        together.wait(10)
        return change()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            for _ in range(20):
                assert sum(pool.map(race, [load.start] * 8)) == 1
                assert sum(pool.map(race, [load.stop] * 8)) == 1
    finally:
        sys.setswitchinterval(interval)
        load.stop()


def test_the_load_burns_a_cpu_without_holding_up_this_thread() -> None:
    """Its CPU time is the process's; this thread only waits for it."""
    load = Load()
    begun, own = time.process_time(), time.thread_time()
    load.start()
    wait_until(lambda: time.process_time() - begun > 0.2, "0.2 s of CPU are burnt")
    load.stop()

    assert time.thread_time() - own < 0.1
