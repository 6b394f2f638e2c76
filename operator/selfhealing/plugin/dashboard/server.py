"""Takes connections on 127.0.0.1: few at a time, short ones, and small requests.

It is the standard library's server: the plugin's file has no other, and it starts at once. Its
weaknesses do not matter here, because access ends at this machine and everything has a bound.
"""

import socket
import socketserver
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from threading import Lock
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from selfhealing.plugin.dashboard.access import LOOKED_AT
from selfhealing.plugin.dashboard.messages import Request, Response, error_response
from selfhealing.plugin.dashboard.routes import Dashboard
from selfhealing.plugin.errors import PluginError

ADDRESS: Final = "127.0.0.1"

MAX_CONNECTIONS: Final = 24
"""Connections at the same time; a browser has at most six to a host."""

MAX_SECONDS: Final = 90.0
"""Seconds after which a connection is closed, whatever it does."""

IDLE_SECONDS: Final = 10.0
"""Seconds without a byte after which a connection is closed."""

MAX_BODY: Final = 4096
"""Bytes of the body of a request."""

_MAX_BODY_DIGITS: Final = len(str(MAX_BODY))
_MAX_QUERY_FIELDS: Final = 8
_INTERVAL: Final = 0.5
"""Seconds between two looks for connections that have lived too long."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""The page's Content-Security-Policy: nothing from elsewhere, no script in the text."""

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""The headers of every response. None of them allows another origin anything (CORS)."""

_FULL: Final = b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"


class PortTakenError(PluginError):
    """Another program listens on the port."""


class DashboardServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """The server; a thread for each connection. Use as a context manager."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = MAX_CONNECTIONS

    def __init__(self, dashboard: Dashboard, port: int) -> None:
        """Listen on a port of 127.0.0.1; 0 is any free one.

        Raises:
            PortTakenError: the port is not free.
        """
        self.dashboard = dashboard
        self._lock = Lock()
        self._open: dict[object, float] = {}
        """The connections, and since when each is open."""
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OSError as error:
            raise PortTakenError(
                f"cannot listen on port {port}: {error.strerror}; choose another with --port"
            ) from error

    @property
    def url(self) -> str:
        """The address of the page, without the token."""
        return f"http://{ADDRESS}:{self.server_address[1]}/"

    def serve(self) -> None:
        """Take connections until ``shutdown`` is called, or Ctrl-C."""
        self.serve_forever(_INTERVAL)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in typeshed
        """Answer a connection in a thread; refuse one too many."""
        with self._lock:
            is_full = len(self._open) >= MAX_CONNECTIONS
            if not is_full:
                self._open[request] = time.monotonic()
        if not is_full:
            super().process_request(request, client_address)
            return
        with suppress(OSError):
            request.sendall(_FULL)
        self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as in typeshed
        """Close a connection."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """End the connections that have lived too long; their threads see it and close them."""
        oldest = time.monotonic() - MAX_SECONDS
        with self._lock:
            late = [each for each, since in self._open.items() if since < oldest]
        for connection in late:
            if isinstance(connection, socket.socket):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in typeshed
        """Print what went wrong, but for a browser that has gone away or says nothing."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection, which is closed after its answer."""

    server: DashboardServer
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        self._send(self._answer())

    def do_POST(self) -> None:
        self._send(self._answer())

    def _answer(self) -> Response:
        length = self.headers.get("Content-Length", "0")
        is_short = length.isascii() and length.isdigit() and len(length) <= _MAX_BODY_DIGITS
        if not is_short or int(length) > MAX_BODY:
            return error_response(413, "the request is too large")
        try:
            address = urlsplit(self.path)
            query = parse_qsl(address.query, max_num_fields=_MAX_QUERY_FIELDS)
        except ValueError:
            return error_response(400, "this is no address")
        headers = {name: value for name in LOOKED_AT if (value := self.headers.get(name))}
        body = self.rfile.read(int(length))
        request = Request(self.command, address.path, dict(query), headers, body)
        return self.server.dashboard.answer(request)

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        self.send_header("Cache-Control", "no-cache" if response.is_kept else "no-store")
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no request, or has another method."""
        del explain
        self._send(error_response(code, message or "this is no request"))

    def version_string(self) -> str:
        return "kubectl-selfheal"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Log nothing: the page shows what goes wrong."""
