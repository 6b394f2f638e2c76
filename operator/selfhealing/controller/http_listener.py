"""Accepts the connections of an HTTP server, and bounds their number and what they send.

Whoever reaches the port may open any number of connections and send nothing; each takes a file
descriptor of the process. asyncio's own server tells of a TLS connection only after its handshake,
so that those before it could not be counted. And whatever a connection sends is parsed in the event
loop: a body of 20,000 chunks takes it longer than a reconcile.
"""

import asyncio
import socket
from contextlib import suppress
from typing import Any, Final, cast

from aiohttp import web

from selfhealing.controller.serving_certificate import ServingCertificate

MAX_CONNECTIONS: Final = 64
"""Open connections, handshakes included; for a new one the oldest is closed."""
MAX_HANDSHAKES: Final = MAX_CONNECTIONS // 2
"""Connections in their handshake of which one, and no established one, gives way."""
MAX_REQUEST_BYTES: Final = 16 * 1024
"""Bytes that a connection may send. A probe of the kubelet has 150, a scrape with a token 2,000."""
METHOD: Final = b"GET "
"""What a request begins with; another one has a body, or nothing to ask for here."""
HANDSHAKE_TIMEOUT: Final = 10.0
SHUTDOWN_TIMEOUT: Final = 5.0
"""Seconds that a TLS handshake, and the end of a TLS connection, may take."""
ACCEPT_RETRY_DELAY: Final = 1.0
"""Seconds until connections are accepted again when the process has no file descriptor left."""


class HttpListener:
    """Listens on one port of all addresses."""

    def __init__(self, server: web.Server, certificate: ServingCertificate | None = None) -> None:
        """``server`` answers; without a ``certificate`` there is no TLS."""
        self._server = server
        self._certificate = certificate
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._handshakes: dict[asyncio.Task[None], socket.socket] = {}

    def start(self, port: int) -> None:
        """Listen on ``port``.

        Raises:
            OSError: the port is in use.
        """
        is_dual = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if is_dual else socket.AF_INET
        self._socket = socket.create_server(("", port), family=family, dualstack_ipv6=is_dual)
        self._socket.setblocking(False)
        self._accepting = asyncio.create_task(self._accept(self._socket))

    async def stop(self) -> None:
        """Stop listening, and end the handshakes."""
        tasks = [*self._handshakes, *([self._accepting] if self._accepting is not None else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._socket is not None:
            self._socket.close()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError:
                await asyncio.sleep(ACCEPT_RETRY_DELAY)
                continue
            self._make_room()
            task = asyncio.create_task(self._serve(connection))
            self._handshakes[task] = connection
            task.add_done_callback(self._end_handshake)

    async def _serve(self, connection: socket.socket) -> None:
        """Hand a connection over to the server, after the handshake if there is one."""
        tls: dict[str, Any] = {}
        if self._certificate is not None:
            tls = {
                "ssl": self._certificate.refresh_context(),
                "ssl_handshake_timeout": HANDSHAKE_TIMEOUT,
                "ssl_shutdown_timeout": SHUTDOWN_TIMEOUT,
            }
        with suppress(OSError):  # it speaks no TLS, an old version of it, or nothing for too long
            loop = asyncio.get_running_loop()
            await loop.connect_accepted_socket(
                lambda: _BoundedProtocol(self._server()), connection, **tls
            )

    def _end_handshake(self, task: asyncio.Task[None]) -> None:
        connection = self._handshakes.pop(task)
        if task.cancelled():
            connection.close()

    def _make_room(self) -> None:
        """Close the oldest connections, so that there is room for one more."""
        handshakes, connections = list(self._handshakes), self._server.connections
        excess = len(handshakes) + len(connections) - MAX_CONNECTIONS + 1
        for _ in range(max(0, excess)):
            if len(handshakes) >= MAX_HANDSHAKES or not connections:
                handshakes.pop(0).cancel()
                continue
            oldest = connections.pop(0)
            transport = oldest.transport
            oldest.force_close()
            if transport is not None:
                transport.abort()  # the end of a TLS connection would wait for the other side


class _BoundedProtocol(asyncio.Protocol):
    """Hands on to an HTTP protocol what a connection sends, as long as it may be a short GET."""

    def __init__(self, inner: asyncio.Protocol) -> None:
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self._beginning = b""
        self._received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        self._beginning = (self._beginning + data[: len(METHOD)])[: len(METHOD)]
        is_get = METHOD.startswith(self._beginning)
        if is_get and self._received <= MAX_REQUEST_BYTES:
            self._inner.data_received(data)
        elif self._transport is not None:
            self._transport.abort()

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()
