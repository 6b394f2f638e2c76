"""A client with h2 asks as a kubelet does, over a real socket."""

import socket
from collections.abc import Iterator

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, TrailersReceived
from hypothesis import given, strategies as st

from app.grpc_health import METHOD, NOT_SERVING, SERVING, GrpcHealth, build_answer, serve
from app.server import ListenError
from app.settings import Settings
from app.state import Snapshot, State

HEALTHY_REQUEST = Snapshot(healthy=True, ready=True, cpu_load=False)


@pytest.fixture
def server(state: State) -> Iterator[GrpcHealth]:
    """A server on a free port."""
    found = GrpcHealth(state, "127.0.0.1", 0)
    port = found.server_address[1]
    found.server_close()
    started = serve(state, Settings(host="127.0.0.1", port_grpc=port))
    yield started
    started.shutdown()
    started.server_close()


def frame_request(service: str) -> bytes:
    """A HealthCheckRequest as gRPC frames it."""
    name = service.encode()
    message = b"\x0a" + bytes([len(name)]) + name if name else b""
    return b"\x00" + len(message).to_bytes(4) + message


def call_method(server: GrpcHealth, body: bytes, path: str = METHOD) -> tuple[bytes, str]:
    """Call a method; the message that came and gRPC's status."""
    http = H2Connection(H2Configuration())
    http.initiate_connection()
    names = (":method", ":scheme", ":path", ":authority", "content-type", "te")
    values = ("POST", "http", path, "test", "application/grpc", "trailers")
    http.send_headers(1, list(zip(names, values, strict=True)))
    http.send_data(1, body, end_stream=True)
    host, port = server.server_address[:2]
    data = b""
    headers: dict[bytes, bytes] = {}
    with socket.create_connection((str(host), port), timeout=5) as connection:
        connection.sendall(http.data_to_send())
        while received := connection.recv(4096):
            for event in http.receive_data(received):
                if isinstance(event, (ResponseReceived, TrailersReceived)):
                    headers |= dict(event.headers)
                if isinstance(event, DataReceived):
                    data += event.data
                if isinstance(event, StreamEnded):
                    return data, headers[b"grpc-status"].decode()
            connection.sendall(http.data_to_send())
    raise AssertionError("the server left without an answer")


def test_it_serves_what_the_state_is(server: GrpcHealth, state: State) -> None:
    """No name and "liveness" mean /health, "readiness" means /ready."""
    assert call_method(server, frame_request("")) == (SERVING, "0")

    state.set_healthy(False)

    assert call_method(server, frame_request("")) == (NOT_SERVING, "0")
    assert call_method(server, frame_request("liveness")) == (NOT_SERVING, "0")
    assert call_method(server, frame_request("readiness")) == (SERVING, "0")

    state.set_ready(False)

    assert call_method(server, frame_request("readiness")) == (NOT_SERVING, "0")


def test_what_it_does_not_know_is_an_error(server: GrpcHealth) -> None:
    """The codes are those of gRPC's health checking protocol."""
    assert call_method(server, frame_request("database")) == (b"", "5")
    assert call_method(server, frame_request(""), "/grpc.health.v1.Health/Watch") == (b"", "12")
    assert call_method(server, b"nonsense") == (b"", "3")


def test_a_client_that_speaks_something_else_is_left(server: GrpcHealth) -> None:
    """And the next one is served."""
    host, port = server.server_address[:2]
    with socket.create_connection((str(host), port), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n" * 2)
        while connection.recv(4096):
            pass

    assert call_method(server, frame_request("")) == (SERVING, "0")


def test_a_port_that_is_taken_is_said(server: GrpcHealth, state: State) -> None:
    settings = Settings(host="127.0.0.1", port_grpc=int(server.server_address[1]))

    with pytest.raises(ListenError, match="Address already in use"):
        serve(state, settings)


@given(st.binary(max_size=40))
def test_any_request_has_an_answer(body: bytes) -> None:
    message, status = build_answer(METHOD, body, HEALTHY_REQUEST)

    assert (message == SERVING) is (status == "0")
