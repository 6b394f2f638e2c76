"""grpc.health.v1 for gRPC probes: one method over HTTP/2, answered from the app's state.

h2 speaks HTTP/2; the two messages are so small that they are written here by hand. grpcio would
make the image 20 MB larger to answer two bytes. What is answered, by the probe's ``service``:
``liveness`` (or nothing) is what ``/health`` says, ``readiness`` what ``/ready`` says.
"""

import socket
import socketserver
import threading
from collections.abc import Mapping
from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

from app.logs import logger
from app.server import ListenError
from app.settings import Settings
from app.state import Snapshot, State

METHOD: Final = "/grpc.health.v1.Health/Check"
SERVING: Final = b"\x00\x00\x00\x00\x02\x08\x01"
NOT_SERVING: Final = b"\x00\x00\x00\x00\x02\x08\x02"
"""A HealthCheckResponse as gRPC frames it: not compressed, 2 bytes long, field 1 is the status."""

INVALID_ARGUMENT: Final = "3"
NOT_FOUND: Final = "5"
UNIMPLEMENTED: Final = "12"
"""Status codes of gRPC."""

_IDLE_TIMEOUT: Final = 30
"""How long a connection may be silent."""

_MAX_REQUEST_BYTES: Final = 1024
"""Bytes of a request; a service's name needs a few."""

_PREFIX_BYTES: Final = 5
_HEADERS: Final = ((":status", "200"), ("content-type", "application/grpc"))


class GrpcHealth(socketserver.ThreadingTCPServer):
    """A listening socket with a thread for each connection; they all end with the process."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, state: State, host: str, port: int) -> None:
        """Listen.

        Raises:
            OSError: the address is taken or not this machine's.
        """
        self.state = state
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Connection)


def serve(state: State, settings: Settings) -> GrpcHealth:
    """Serve in the background, until the process ends.

    Raises:
        ListenError: the address is taken or not this machine's.
    """
    try:
        server = GrpcHealth(state, settings.host, settings.port_grpc)
    except OSError as error:
        raise ListenError(
            f"cannot listen on {settings.host} port {settings.port_grpc}: {error.strerror}"
        ) from error
    threading.Thread(target=server.serve_forever, name="grpc", daemon=True).start()
    logger.info("grpc.health.v1 on port %d", server.server_address[1])
    return server


class _Connection(socketserver.BaseRequestHandler):
    """One connection of a client; a kubelet makes one for each probe."""

    def setup(self) -> None:
        self.request.settimeout(_IDLE_TIMEOUT)
        self._http = H2Connection(H2Configuration(client_side=False))
        self._requests: dict[int, tuple[bytes, bytes]] = {}

    def handle(self) -> None:
        """Answer until the client leaves, errs or falls silent."""
        self._http.initiate_connection()
        try:
            self._flush()
            while data := self.request.recv(4096):
                for event in self._http.receive_data(data):
                    self._handle_event(event)
                self._flush()
        except (OSError, ProtocolError):
            return

    def _flush(self) -> None:
        self.request.sendall(self._http.data_to_send())

    def _handle_event(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            path = dict(event.headers).get(b":path", b"")
            self._requests[event.stream_id] = (path, b"")
        elif isinstance(event, DataReceived):
            self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            path, body = self._requests[event.stream_id]
            self._requests[event.stream_id] = (path, (body + event.data)[:_MAX_REQUEST_BYTES])
        elif isinstance(event, StreamReset):
            self._requests.pop(event.stream_id, None)
        elif isinstance(event, StreamEnded):
            self._send_answer(event.stream_id, *self._requests.pop(event.stream_id))

    def _send_answer(self, stream: int, path: bytes, body: bytes) -> None:
        assert isinstance(self.server, GrpcHealth)  # noqa: S101  it made this connection
        message, status = build_answer(
            path.decode(errors="replace"), body, self.server.state.snapshot()
        )
        if not message:
            self._http.send_headers(stream, (*_HEADERS, ("grpc-status", status)), end_stream=True)
            return
        self._http.send_headers(stream, _HEADERS)
        self._http.send_data(stream, message)
        self._http.send_headers(stream, (("grpc-status", status),), end_stream=True)


def build_answer(path: str, body: bytes, now: Snapshot) -> tuple[bytes, str]:
    """Return the message for a call, and gRPC's status code; no message means an error."""
    if path != METHOD:
        return b"", UNIMPLEMENTED
    service = _parse_service(body)
    if service is None:
        return b"", INVALID_ARGUMENT
    known: Mapping[str, bool] = {"": now.healthy, "liveness": now.healthy, "readiness": now.ready}
    if service not in known:
        return b"", NOT_FOUND
    return SERVING if known[service] else NOT_SERVING, "0"


def _parse_service(body: bytes) -> str | None:
    """Read a HealthCheckRequest: empty, or field 1 with the service's name, under 128 bytes."""
    message = body[_PREFIX_BYTES:]
    if (
        len(body) < _PREFIX_BYTES
        or body[0]
        or int.from_bytes(body[1:_PREFIX_BYTES]) != len(message)
    ):
        return None
    if not message:
        return ""
    if len(message) < 2 or message[0] != 0x0A or message[1] != len(message) - 2:  # noqa: PLR2004
        return None
    return message[2:].decode(errors="replace")
