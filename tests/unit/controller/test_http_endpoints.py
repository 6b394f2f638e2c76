"""The endpoints answer, however many connections somebody holds open."""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import cast

import aiohttp
import pytest
from aiohttp.test_utils import make_mocked_request

from hack.testkit.ports import find_free_port
from selfhealing.controller import http_endpoints as module
from selfhealing.controller.http_endpoints import (
    RENDER_INTERVAL,
    health_endpoint,
    metrics_endpoint,
)
from selfhealing.controller.http_listener import MAX_CONNECTIONS, MAX_OF_ADDRESS
from selfhealing.controller.liveness import StalledError


def run_with_health(
    check: Callable[[], Mapping[str, object]], idle: int = 0
) -> tuple[int, object, int]:
    """Serve ``/healthz`` on a real socket, and ask for it while ``idle`` connections are open.

    Returns:
        The status, the body, and the number of idle connections that are still open.
    """

    async def run() -> tuple[int, object, int]:
        port = find_free_port()
        endpoint = health_endpoint(port, check)
        await endpoint.start()
        pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(idle)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        # A connection that the server has closed is at its end.
        is_open = [not idle_reader.at_eof() for idle_reader, _ in pairs]
        for _, each in [*pairs, (reader, writer)]:
            each.close()
        await endpoint.stop()
        return int(head.split()[1]), json.loads(body), sum(is_open)

    return asyncio.run(run())


def test_the_state_of_the_operator() -> None:
    """What the check returns."""
    assert (200, {"loopBehindSeconds": 0.1}, 0) == run_with_health(
        lambda: {"loopBehindSeconds": 0.1}
    )


def test_an_operator_that_is_stalled() -> None:
    """The kubelet restarts it."""

    def check() -> Mapping[str, object]:
        raise StalledError("the event loop is 31 s behind")

    assert (500, {"stalled": "the event loop is 31 s behind"}, 0) == run_with_health(check)


def test_idle_connections_are_bounded() -> None:
    """The oldest ones are closed, and the probe is answered."""
    status, _, still_open = run_with_health(dict, idle=3 * MAX_CONNECTIONS)

    assert 200 == status
    assert still_open <= MAX_OF_ADDRESS < MAX_CONNECTIONS


def test_a_connection_has_one_answer() -> None:
    """Many requests at once, without a wait for the answers, cost no more than one."""

    async def run() -> bytes:
        port = find_free_port()
        endpoint = health_endpoint(port, dict)
        await endpoint.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n" * 100)
        answer = b""
        with suppress(ConnectionError):  # the rest of the requests is not read any more
            while part := await reader.read(1 << 16):
                answer += part
        writer.close()
        await endpoint.stop()
        return answer

    assert 1 == asyncio.run(run()).count(b"HTTP/1.1 200")


def test_metrics_are_rendered_at_most_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often they are asked for: it takes time of the event loop."""
    now, texts = [100.0], iter((b"first", b"second"))
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    monkeypatch.setattr(module, "generate_latest", lambda _: next(texts))

    async def ask() -> bytes:
        response = await endpoint._handler(make_mocked_request("GET", "/metrics"))  # noqa: SLF001 - without a socket
        return cast("bytes", response.body)

    endpoint = metrics_endpoint(1)
    answers = [asyncio.run(ask()) for _ in range(50)]
    now[0] += RENDER_INTERVAL

    assert [b"first"] * 50 == answers
    assert b"second" == asyncio.run(ask())


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /healthz HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"1\r\na\r\n" * 20_000,
        b"GET /healthz HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"1\r\na\r\n" * 20_000,
        b"\x16\x03\x01 no HTTP\r\n\r\n",
        b"G",
    ],
    ids=["another method", "a long body", "no HTTP", "an end after one byte"],
)
def test_what_is_no_short_request_is_not_parsed(
    caplog: pytest.LogCaptureFixture, request_bytes: bytes
) -> None:
    """The connection ends without an answer and without a line in the log; a probe is answered."""

    async def run() -> tuple[bytes, int]:
        port = find_free_port()
        endpoint = health_endpoint(port, dict)
        await endpoint.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answer = b""
        with suppress(ConnectionError):
            writer.write(request_bytes)
            writer.write_eof()
            answer = await reader.read()
        writer.close()
        async with aiohttp.ClientSession() as session:
            probe = await session.get(f"http://127.0.0.1:{port}/healthz")
        await endpoint.stop()
        return answer, probe.status

    assert (b"", 200) == asyncio.run(run())
    assert not caplog.records


def test_a_handler_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, as the HTTP server's own log is off."""

    def check() -> Mapping[str, object]:
        raise RuntimeError("a bug")

    async def run() -> int:
        port = find_free_port()
        endpoint = health_endpoint(port, check)
        await endpoint.start()
        async with aiohttp.ClientSession() as session:
            response = await session.get(f"http://127.0.0.1:{port}/healthz")
        await endpoint.stop()
        return response.status

    assert 500 == asyncio.run(run())
    assert "a request to /healthz failed" in caplog.text


def test_one_address_cuts_nobody_off() -> None:
    """The oldest connection of the address that opens too many is closed, and no other one."""

    async def run() -> bytes:
        port = find_free_port()
        endpoint = health_endpoint(port, dict)
        await endpoint.start()
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, local_addr=("127.0.0.2", 0)
        )
        flood = [
            await asyncio.open_connection("127.0.0.1", port) for _ in range(2 * MAX_CONNECTIONS)
        ]
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        answer = await reader.read()
        for _, each in [*flood, (reader, writer)]:
            each.close()
        await endpoint.stop()
        return answer

    assert asyncio.run(run()).startswith(b"HTTP/1.1 200 ")
