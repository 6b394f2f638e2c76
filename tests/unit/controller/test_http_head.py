"""Of each connection one small head is read, whatever is sent."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from selfhealing.controller.http_head import (
    HEAD_TIMEOUT,
    MAX_HEAD_BYTES,
    MAX_LINES,
    HeadGuard,
    is_acceptable,
)
from tests.unit.controller.fake_loop import run_on_fake_loop

GET = b"GET /healthz HTTP/1.1\r\n"
HOST = b"Host: 10.0.0.1:8081\r\n"
PROBE = GET + HOST + b"User-Agent: kube-probe/1.36\r\nAccept: */*\r\nConnection: close\r\n\r\n"
"""As the kubelet sends it."""


class Transport(asyncio.Transport):
    """A connection."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_open = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep what is sent."""
        self.written += bytes(data)

    def pause_reading(self) -> None:
        """Read no more."""

    def abort(self) -> None:
        """End."""
        self.is_open = False


class Server(asyncio.Protocol):
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.calls: list[str] = []

    def connection_made(self, _: asyncio.BaseTransport) -> None:
        """Begin."""
        self.calls.append("made")

    def data_received(self, data: bytes) -> None:
        """Keep it."""
        self.received.append(data)

    def pause_writing(self) -> None:
        """Keep it."""
        self.calls.append("pause")

    def resume_writing(self) -> None:
        """Keep it."""
        self.calls.append("resume")

    def eof_received(self) -> bool:
        """Keep it."""
        self.calls.append("eof")
        return False

    def connection_lost(self, _: Exception | None) -> None:
        """End."""
        self.calls.append("lost")


async def feed(parts: Sequence[bytes]) -> tuple[Server, Transport]:
    """Send something in parts."""
    server, transport = Server(), Transport()
    guard = HeadGuard(server, "/healthz")
    guard.connection_made(transport)
    for part in parts:
        guard.data_received(part)
    return server, transport


@given(st.lists(st.integers(1, 40), max_size=20))
def test_the_request_of_a_probe(sizes: list[int]) -> None:
    """In whatever parts it comes; what follows it is dropped."""
    parts, rest = [], PROBE
    for size in sizes:
        parts.append(rest[:size])
        rest = rest[size:]

    server, transport = run_on_fake_loop(lambda: feed([*parts, rest + PROBE, PROBE]))

    assert [PROBE] == server.received
    assert (b"", True) == (transport.written, transport.is_open)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
        GET + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 20_000,
        GET + HOST + b"content-length: 5\r\n\r\nhello",
        GET + b"\r\n",
        GET + HOST + HOST + b"\r\n",
        GET + HOST + b" folded: x\r\n\r\n",
        GET + HOST + b"a: \xe6\x98\xaf\r\n\r\n",
        GET + HOST + b"no colon\r\n\r\n",
        GET + HOST + b"a: b\r\n" * MAX_LINES + b"\r\n",
        b"GET /x HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /healthz?" + b"%" * 1900 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"\x16\x03\x01" + b"x" * MAX_HEAD_BYTES,
        GET + b"a: " + b"b" * MAX_HEAD_BYTES + b"\r\n\r\n",
    ],
)
async def test_what_is_no_such_request(request_bytes: bytes) -> None:
    """It is refused, without a word in the log, and no parser sees it."""
    server, transport = await feed([request_bytes])

    assert [] == server.received
    assert (b"", False) == (transport.written, transport.is_open)


async def test_nothing_is_kept_of_what_does_not_end() -> None:
    """No more than the largest head is collected."""
    server, transport = await feed([GET, *[b"x" * 1000] * 5])
    assert ([], b"", True) == (server.received, transport.written, transport.is_open)

    _, transport = await feed([GET, *[b"x" * 1000] * 5000])
    assert not transport.is_open


async def test_a_head_that_does_not_come() -> None:
    """Whoever connects and sends nothing takes the place of others for a few seconds only."""
    _, transport = await feed([GET])
    await asyncio.sleep(HEAD_TIMEOUT + 1)
    assert not transport.is_open

    _, transport = await feed([PROBE])
    await asyncio.sleep(HEAD_TIMEOUT + 1)
    assert transport.is_open


async def test_the_other_events_are_passed_on() -> None:
    """The server closes the connection, and is told of its end."""
    server = Server()
    guard = HeadGuard(server, "/healthz")
    guard.data_received(PROBE)  # there is no connection yet
    guard.connection_made(Transport())
    guard.pause_writing()
    guard.resume_writing()
    guard.eof_received()
    guard.connection_lost(None)

    assert ["made", "pause", "resume", "eof", "lost"] == server.calls
    assert [] == server.received


def test_a_head_of_a_scrape() -> None:
    """Prometheus sends a token, and more headers."""
    token = b"Authorization: Bearer " + b"t" * 8192 + b"\r\n"
    accept = b"Accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1\r\n"

    assert is_acceptable(b"GET /metrics HTTP/1.1\r\n" + HOST + token + accept + b"\r\n", "/metrics")
