"""Requests go to a real server in this process."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hack.scenarios.common.request_stream import count_per_second, send_requests
from hack.testkit.wait import eventually


class _App(BaseHTTPRequestHandler):
    """Answers with a pod's name; the server's ``code`` says how well."""

    def do_GET(self) -> None:
        self.send_response(getattr(self.server, "code", 200))
        self.end_headers()
        self.wfile.write(b'{"hostname": "web-1"}')

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _App) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


def test_requests_are_counted_by_who_answers_and_when(server: ThreadingHTTPServer) -> None:
    url = f"http://127.0.0.1:{server.server_port}/"

    with send_requests(url, users=2, pause=0.01) as sent:
        eventually(lambda: sent.answers_by_pod["web-1"] >= 4)
        assert sent.failure_count == 0
        server.code = 503  # type: ignore[attr-defined]
        eventually(lambda: sent.failure_count >= 2)

    last = sent.responses_since(0)[-1]
    assert "" == last.pod
    assert () == sent.responses_since(last.at)


def test_nobody_who_answers_is_a_failure() -> None:
    with send_requests("http://127.0.0.1:9/", users=1, pause=0.01) as sent:
        eventually(lambda: sent.failure_count >= 2)

    assert not sent.answers_by_pod


@pytest.mark.parametrize(
    ("times", "points"),
    [
        ((), ((0, 0),)),
        ((0.1, 0.9), ((0, 2), (1, 0))),
        ((3.2, 3.4, 4.0, 4.9, 7.5), ((0, 0), (3, 2), (5, 0), (7, 1), (8, 0))),
    ],
)
def test_times_are_counted_by_the_second(
    times: tuple[float, ...], points: tuple[tuple[float, float], ...]
) -> None:
    assert points == count_per_second(times)
