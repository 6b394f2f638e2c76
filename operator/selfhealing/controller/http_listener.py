"""Accepts the connections of an HTTP server, and bounds their number and what they send.

Whoever reaches the port may open any number of connections and send nothing; each takes a file
descriptor of the process. asyncio's own server tells of a TLS connection only after its handshake,
so that those before it could not be counted. And whatever a connection sends is parsed in the event
loop: a body of 20,000 chunks takes it longer than a reconcile.
"""

import asyncio
import socket
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import Any, Final

from aiohttp import web

from selfhealing.controller.http_head import HeadGuard
from selfhealing.controller.serving_certificate import ServingCertificate

MAX_CONNECTIONS: Final = 64
"""Open connections, handshakes included; for a new one the oldest is closed, of the address that
has the most."""
MAX_OF_ADDRESS: Final = 16
"""Open connections of one address; for a new one its own oldest is closed. So nobody can cut off
the kubelet, whose failed probes restart the operator."""
HANDSHAKE_TIMEOUT: Final = 10.0
SHUTDOWN_TIMEOUT: Final = 5.0
"""Seconds that a TLS handshake, and the end of a TLS connection, may take."""
ACCEPT_RETRY_DELAY: Final = 1.0
"""Seconds until connections are accepted again when the process has no file descriptor left."""


class HttpListener:
    """Listens on one port of all addresses."""

    def __init__(
        self, server: web.Server, path: str, certificate: ServingCertificate | None = None
    ) -> None:
        """``server`` answers requests for ``path``; without a ``certificate`` there is no TLS."""
        self._server = server
        self._path = path
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
            self._make_room(_read_address(connection))
            task = asyncio.create_task(self._serve(connection))
            self._handshakes[task] = connection
            task.add_done_callback(partial(self._end_handshake, connection))

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
                lambda: HeadGuard(self._server(), self._path), connection, **tls
            )

    def _end_handshake(self, connection: socket.socket, task: asyncio.Task[None]) -> None:
        self._handshakes.pop(task, None)
        if task.cancelled():
            connection.close()

    def _make_room(self, address: str) -> None:
        """Close the oldest connection of an address, if there is no room for one more."""
        handshakes = [(_read_address(each), task) for task, each in self._handshakes.items()]
        connections = [(_read_peer(each), each) for each in self._server.connections]
        count = Counter(found for found, _ in (*handshakes, *connections))
        if count[address] < MAX_OF_ADDRESS:
            if count.total() < MAX_CONNECTIONS:
                return
            address = count.most_common(1)[0][0]
        own_handshakes = [task for found, task in handshakes if found == address]
        own_connections = [each for found, each in connections if found == address]
        if len(own_handshakes) > len(own_connections):
            del self._handshakes[own_handshakes[0]]
            own_handshakes[0].cancel()
        else:
            _abort(own_connections[0])


def _read_address(connection: socket.socket) -> str:
    """Return the IP address of the other side; empty if it has gone."""
    with suppress(OSError):
        return str(connection.getpeername()[0])
    return ""


def _read_peer(connection: web.RequestHandler) -> str:
    peer = connection.transport.get_extra_info("peername") if connection.transport else None
    return str(peer[0]) if peer else ""


def _abort(connection: web.RequestHandler) -> None:
    transport = connection.transport
    connection.force_close()
    if transport is not None:
        transport.abort()  # the end of a TLS connection would wait for the other side
