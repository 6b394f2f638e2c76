"""The server in this process: what it says of its queue, and what it refuses."""

import socket
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pytest

from app.server import ListenError, Server
from app.settings import Settings
from hack.testkit.app_process import wait_until

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Running:
    """A server in a thread, whose every request waits until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.stops = 0
        settings = Settings(host="127.0.0.1", port=0, threads=2, linger_seconds=0)
        self.server = Server(self._application, settings, self._stopping)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()

    def _application(
        self, _environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        self.go.wait(10)
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    def _stopping(self) -> None:
        self.stops += 1

    def request(self, lines: bytes = b"GET / HTTP/1.1\r\nHost: x\r\n") -> socket.socket:
        """A connection on which a request was sent and nothing was read yet."""
        host, port = self.server.address.split(":")
        connection = socket.create_connection((host, int(port)), 10)
        connection.sendall(lines + b"\r\n")
        return connection


@pytest.fixture
def running() -> Iterator[Running]:
    running = Running()
    yield running
    running.go.set()
    running.server.request_stop()
    running.thread.join(10)
    assert not running.thread.is_alive()


def test_the_queue_counts_what_no_thread_is_free_for(running: Running) -> None:
    """Two threads, five requests: three wait."""
    assert running.server.queue_length() == 0

    connections = [running.request() for _ in range(5)]
    wait_until(lambda: running.server.queue_length() == 3, "three requests wait")
    running.go.set()
    wait_until(lambda: running.server.queue_length() == 0, "none waits")

    for connection in connections:
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        connection.close()


def test_a_stop_answers_even_who_was_only_just_accepted_by_the_kernel(running: Running) -> None:
    """Everything that was asked before the stop is answered, then the port is closed."""
    connections = [running.request() for _ in range(20)]
    running.server.request_stop()
    running.server.request_stop()
    running.go.set()
    running.thread.join(10)

    for connection in connections:
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        connection.close()
    assert running.stops == 1
    with pytest.raises(ConnectionRefusedError):
        running.request()


def test_a_large_body_is_refused_in_memory(running: Running) -> None:
    """It would be spilled to a file, on a root file system that takes none."""
    with running.request(b"POST / HTTP/1.1\r\nContent-Length: 70000\r\n") as connection:
        assert connection.recv(12) == b"HTTP/1.1 413"


def test_an_address_of_another_machine_is_refused_with_its_name() -> None:
    """192.0.2.1 is nobody's (RFC 5737)."""
    with pytest.raises(ListenError, match=r"cannot listen on 192\.0\.2\.1 port 5000: "):
        Server(lambda *_: [], Settings(host="192.0.2.1"), lambda: None)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_ipv6_brings_ipv4_along() -> None:
    """HOST=:: serves clusters of either family."""
    server = Server(lambda *_: [], Settings(host="::", port=0, linger_seconds=0), lambda: None)
    thread = threading.Thread(target=server.run)
    thread.start()
    host, _, port = server.address.rpartition(":")

    assert host == "[::]"
    for address in ("127.0.0.1", "::1"):
        socket.create_connection((address, int(port)), 10).close()
    server.request_stop()
    thread.join(10)
    assert not thread.is_alive()
