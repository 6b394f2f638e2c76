"""Lets an HTTP server see one small head of a GET request of each connection, and nothing else.

Anybody may connect to the ports, and aiohttp parses what it receives in the event loop: chunks of
one byte, thousands of header lines and requests one after the other hold it up, within 16 KiB.
"""

import asyncio
from typing import Final, cast

from selfhealing.api.linear_regex import compile_pattern

MAX_HEAD_BYTES: Final = 10 * 1024
"""The largest head that is read: the longest token (``metrics_auth.MAX_TOKEN_LENGTH``) and 2 KiB. A
probe of the kubelet has 150 bytes."""

MAX_LINES: Final = 24
"""Lines of a head. A scrape of Prometheus has eight."""

HEAD_TIMEOUT: Final = 10.0
"""Seconds until a connection has sent its head."""

HEAD_END: Final = b"\r\n\r\n"

_HEAD: Final = compile_pattern(
    r"GET (?P<path>/[a-z]*)(?:\?[!-~]{0,256})? HTTP/1\.[01]\r\n"
    r"(?:[A-Za-z0-9-]{1,64}:[\t -~]*\r\n)*\r\n"
)
_WITH_BODY: Final = frozenset({"content-length", "transfer-encoding", "expect", "upgrade"})
"""Headers that say that more than the head follows."""


def is_acceptable(head: bytes, path: str) -> bool:
    """Whether a head is that of a well-formed GET request for a path, without a body."""
    lines = head.count(b"\r\n") - 1
    match = _HEAD.fullmatch(head.decode("latin-1")) if lines <= MAX_LINES else None
    if match is None or match["path"] != path:
        return False
    fields = [line.partition(":")[0].lower() for line in match[0].split("\r\n")[1:-2]]
    return fields.count("host") == 1 and _WITH_BODY.isdisjoint(fields)


class HeadGuard(asyncio.Protocol):
    """Passes the head of the first request of a connection on, if it is acceptable."""

    def __init__(self, server: asyncio.Protocol, path: str) -> None:
        """``server`` answers the request for ``path``, and closes the connection."""
        self._server = server
        self._path = path
        self._head = bytearray()
        self._is_complete = False
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the time limit of the head when a connection is accepted."""
        self._transport = cast("asyncio.Transport", transport)
        self._timer = asyncio.get_running_loop().call_later(HEAD_TIMEOUT, self._transport.abort)
        self._server.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Collect the head; what follows it is dropped."""
        if self._is_complete or self._transport is None:
            return
        self._head += data[: MAX_HEAD_BYTES - len(self._head)]
        head, end, _ = self._head.partition(HEAD_END)
        is_get = b"GET /".startswith(self._head[:5])
        if is_get and not end and len(self._head) < MAX_HEAD_BYTES:
            return
        self._end_head()
        if end and is_acceptable(bytes(head + end), self._path):
            self._transport.pause_reading()
            self._server.data_received(bytes(head + end))
        else:
            self._transport.abort()

    def _end_head(self) -> None:
        self._is_complete = True
        if self._timer is not None:
            self._timer.cancel()

    def eof_received(self) -> bool | None:
        """Pass on that the other side sends no more."""
        return self._server.eof_received()

    def pause_writing(self) -> None:
        """Pass on that the other side reads too slowly."""
        self._server.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that it reads again."""
        self._server.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the time limit, and pass on that the connection is closed."""
        self._end_head()
        self._server.connection_lost(exc)
