"""The one clock: it tells the API server's time, whatever the clock of the node says."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, strategies as st
from kubernetes.aio.client import Configuration

from selfhealing.kube.client import Client
from selfhealing.kube.metrics import REGISTRY
from selfhealing.kube.resources import PODS
from selfhealing.kube.server_clock import MAX_ROUND_TRIP, ServerClock, format_micro_time
from tests.unit.kube.fake_response import FakeResponse

START = datetime(2026, 11, 30, 12, 0, 0, tzinfo=UTC)
DAY = 86_400.0


class World:
    """The true time, and a node whose wall clock is wrong.

    Attributes:
        seconds: the true time, in seconds after START; also what the monotonic clock goes by.
        skew: how far the wall clock is ahead.
    """

    def __init__(self, skew: float = 0, *, boot: float = 1234.5) -> None:
        self.seconds = 0.0
        self.skew = skew
        self._boot = boot
        self.clock = ServerClock(self.monotonic, lambda: self.true_time() + self.skew)

    def monotonic(self) -> float:
        """The seconds since the node was started."""
        return self._boot + self.seconds

    def true_time(self) -> float:
        """The API server's time."""
        return START.timestamp() + self.seconds

    def request(self, round_trip: float = 0.01, *, ahead: float = 0, date: str = "") -> None:
        """Send a request; the response is dated halfway, by a server that may be ahead."""
        sent_at = self.clock.start_request()
        self.seconds += round_trip / 2
        dated = datetime.fromtimestamp(int(self.true_time() + ahead), UTC)
        self.seconds += round_trip / 2
        self.clock.observe(date or format_datetime(dated, usegmt=True), sent_at)

    def error(self) -> float:
        """How far the clock is ahead of the true time."""
        return self.clock.now().timestamp() - self.true_time()


def test_before_the_first_response_the_wall_clock_is_carried_on() -> None:
    """A jump of it changes nothing even then."""
    world = World(60)
    world.skew = -9999
    world.seconds += 5

    assert 60 == pytest.approx(world.error())


@given(skew=st.floats(-DAY, DAY), round_trip=st.floats(0, MAX_ROUND_TRIP), at=st.floats(0, 1))
def test_one_response_is_enough(skew: float, round_trip: float, at: float) -> None:
    """The time is right to half a second and half the round trip."""
    world = World(skew)
    world.seconds += at
    world.request(round_trip)

    assert abs(world.error()) <= 0.5 + round_trip / 2 + 0.001


@given(
    skew=st.floats(-DAY, DAY),
    steps=st.lists(st.tuples(st.floats(0, 30), st.floats(-DAY, DAY)), max_size=20),
)
def test_neither_skew_nor_jumps_change_anything(
    skew: float, steps: list[tuple[float, float]]
) -> None:
    """The same responses give the same times, to the microsecond: so the same decisions."""
    right, wrong = World(), World(skew)
    for world in (right, wrong):
        world.request()
    for pause, jump in steps:
        wrong.skew += jump
        for world in (right, wrong):
            world.seconds += pause
            world.request()

        assert right.clock.now() == wrong.clock.now()


@given(pauses=st.lists(st.floats(1, 7), min_size=40, max_size=60))
def test_many_responses_make_it_exact_and_it_never_goes_back(pauses: list[float]) -> None:
    """Each narrows the time down; a correction is less than what has passed."""
    world = World(-77)
    before = world.clock.now()
    for pause in pauses:
        world.seconds += pause
        world.request()

        assert world.clock.now() > before

        before = world.clock.now()

    assert abs(world.error()) <= 0.5


def test_what_a_proxy_says_does_not_count() -> None:
    """A few wrong dates among the right ones change nothing."""
    world = World()
    for number in range(30):
        world.seconds += 2
        world.request(ahead=5000 if number % 3 == 2 else 0)

        assert abs(world.error()) <= 0.6


def test_a_clock_of_the_server_that_is_set_is_followed() -> None:
    """As soon as most of the last responses say so."""
    world = World()
    for _ in range(20):
        world.seconds += 2
        world.request()
    for _ in range(9):
        world.seconds += 2
        world.request(ahead=600)

    assert abs(world.error() - 600) <= 0.6


@pytest.mark.parametrize(
    "date", ["yesterday", "Thu, 01 Jan 1970 00:00:00 GMT", "Mon, 99 Nov 2026 12:00:00 GMT"]
)
def test_absurd_dates(date: str) -> None:
    """They are no times."""
    world = World(60)
    world.request(date=date)

    assert 60 == pytest.approx(world.error())


def test_no_date_and_late_responses() -> None:
    """They say nothing about the time."""
    world = World(60)
    world.clock.observe(None, world.clock.start_request())
    world.request(MAX_ROUND_TRIP + 0.1)

    assert 60 == pytest.approx(world.error())


def test_a_burst_counts_once() -> None:
    """A hundred responses of a proxy within a second are one sample."""
    world = World()
    for _ in range(5):
        world.seconds += 2
        world.request()
    for _ in range(100):
        world.request(0.001, ahead=5000)

    assert abs(world.error()) <= 0.6


def test_the_offset_is_exported() -> None:
    """As how far the node's clock is ahead."""
    world = World(660)
    world.request()

    offset = REGISTRY.get_sample_value("selfhealing_clock_offset_seconds")
    assert 660 == pytest.approx(offset, abs=0.6)


async def test_the_client_observes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each successful response; an error may be a proxy's."""
    client = Client(Configuration(host="http://server.invalid"), timeout=1, connections=1)
    response = FakeResponse(200, b"{}")
    response.headers["Date"] = "Wed, 01 Jan 2031 00:00:00 GMT"

    async def request(*_: object, **__: object) -> FakeResponse:
        return response

    monkeypatch.setattr(client._transport._api_client.rest_client, "request", request)  # noqa: SLF001 - the edge
    response.status = 404
    async with client:
        await client.get(PODS, "shop", "web")

        assert 2031 != client.server_clock.now().year

        response.status = 200
        await client.get(PODS, "shop", "web")

    assert 2031 == (client.server_clock.now() + timedelta(seconds=1)).year


def test_micro_time() -> None:
    """The format of Leases and Events."""
    assert "2026-11-30T12:00:00.000000Z" == format_micro_time(START)
