"""A stream of requests to an app through its Service, from several users at the same time."""

import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import requests

from hack.scenarios.common.timeline import Point

STOP_TIMEOUT = 15
REQUEST_TIMEOUT = 10
_MAX_RESPONSES = 100_000


@dataclass(frozen=True, slots=True)
class Response:
    """A completed request: its time by ``time.monotonic`` and the pod; no pod if it failed."""

    at: float
    pod: str


@dataclass
class RequestStream:
    """The completed requests so far; of more than ``_MAX_RESPONSES``, the latest."""

    responses: deque[Response] = field(default_factory=lambda: deque(maxlen=_MAX_RESPONSES))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def record_response(self, pod: str) -> None:
        """Record the response of a pod, or a failure if the name is empty."""
        with self.lock:
            self.responses.append(Response(time.monotonic(), pod))

    def responses_since(self, start: float) -> tuple[Response, ...]:
        """Return the requests that were completed after ``start``."""
        with self.lock:
            return tuple(sent for sent in self.responses if sent.at > start)

    @property
    def answers_by_pod(self) -> Counter[str]:
        """The number of successful requests by pod."""
        return Counter(sent.pod for sent in self.responses_since(0) if sent.pod)

    @property
    def failure_count(self) -> int:
        """The number of failed requests."""
        return sum(not sent.pod for sent in self.responses_since(0))


@contextmanager
def send_requests(
    url: str, *, users: int, pause: float, timeout: float = REQUEST_TIMEOUT
) -> Iterator[RequestStream]:
    """Send requests during the block.

    Args:
        url: the URL.
        users: number of users; each waits for its response.
        pause: seconds between a response and the next request of a user.
        timeout: seconds after which a request has failed.
    """
    request_stream, stop = RequestStream(), threading.Event()

    def send_loop() -> None:
        while not stop.is_set():
            request_stream.record_response(_send_request(url, timeout))
            stop.wait(pause)

    threads = [threading.Thread(target=send_loop, daemon=True) for _ in range(users)]
    for thread in threads:
        thread.start()
    try:
        yield request_stream
    finally:
        stop.set()
        for thread in threads:
            thread.join(STOP_TIMEOUT)


def count_per_second(times: Iterable[float]) -> tuple[Point, ...]:
    """Count the times in each second; return the points at which the count changes."""
    counts = Counter(int(at) for at in times)
    points: list[Point] = [(0.0, float(counts[0]))]
    for second in sorted({*counts, *(second + 1 for second in counts)}):
        if points[-1][1] != counts[second]:
            points.append((float(second), float(counts[second])))
    return tuple(points)


def _send_request(url: str, timeout: float) -> str:
    """Return the pod that answers; a connection per request reaches every pod."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.get(url, timeout=timeout, headers={"Connection": "close"})
            return str(answer.json()["hostname"]) if answer.ok else ""
        except (requests.RequestException, ValueError, KeyError):
            return ""
