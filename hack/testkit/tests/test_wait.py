import pytest

from hack.localcluster.wait import NotYetError, poll
from hack.testkit.errors import ApiServerUnreachableError, ToolError
from hack.testkit.wait import eventually, poll_async, wait_until


class FakeClock:
    """A clock that only ``sleep`` moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the seconds that were slept."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.now += seconds


def test_the_value_of_the_first_true_probe_is_returned() -> None:
    values, clock = iter([None, "", "ready"]), FakeClock()

    found = poll(lambda: next(values), timeout=10, interval=2, clock=clock, sleep=clock.sleep)

    assert ("ready", 4.0) == (found, clock.now)


def test_the_interval_grows_to_its_limit() -> None:
    calls, clock = [], FakeClock()

    with pytest.raises(NotYetError):
        poll(
            lambda: calls.append(round(clock.now, 2)),
            timeout=5,
            interval=1,
            max_interval=1.3,
            clock=clock,
            sleep=clock.sleep,
        )

    assert [0.0, 1.0, 2.2, 3.5, 4.8, 6.1] == calls


def test_the_probe_is_called_once_more_at_the_deadline() -> None:
    calls, clock = [], FakeClock()

    with pytest.raises(NotYetError, match="last value: None"):
        poll(
            lambda: calls.append(clock.now),
            timeout=4,
            interval=2,
            clock=clock,
            sleep=clock.sleep,
        )

    assert [0.0, 2.0, 4.0] == calls


def test_only_expected_errors_mean_not_yet() -> None:
    def fail() -> bool:
        raise KeyError("status")

    with pytest.raises(NotYetError, match="status"):
        poll(fail, timeout=0, interval=1, expected_errors=(LookupError,))
    with pytest.raises(KeyError):
        poll(fail, timeout=0, interval=1)


def test_an_assertion_names_the_condition_and_the_last_error() -> None:
    def probe() -> bool:
        raise ToolError("404")

    with pytest.raises(AssertionError, match=r"not within 0 s: the CRD is served\n404"):
        eventually(probe, timeout=0, description="the CRD is served")


def test_a_tool_reports_the_condition_and_why_the_server_was_not_reached() -> None:
    def probe() -> bool:
        raise ApiServerUnreachableError("connection refused")

    with pytest.raises(ToolError, match="within 0 s that the app is ready: connection refused"):
        wait_until("the app is ready", probe, 0)


async def test_the_asynchronous_wait_has_the_same_timeout() -> None:
    async def probe() -> bool:
        return False

    with pytest.raises(TimeoutError, match="within 0 s that all apps are ready"):
        await poll_async("all apps are ready", probe, 0, interval=0.01)
