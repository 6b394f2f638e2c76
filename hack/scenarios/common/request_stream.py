"""A stream of requests to an app through its Service, as many users at the same time send it."""

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
    """A request: when it was over, by ``time.monotonic``, and who answered; nobody if it failed."""

    at: float
    pod: str


@dataclass
class RequestStream:
    """What has become of the requests so far; of very many, what has become of the last."""

    responses: deque[Response] = field(default_factory=lambda: deque(maxlen=_MAX_RESPONSES))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def record_response(self, pod: str) -> None:
        """Note an answer of a pod, or that there was none."""
        with self.lock:
            self.responses.append(Response(time.monotonic(), pod))

    def responses_since(self, start: float) -> tuple[Response, ...]:
        """The requests that were over after ``moment``."""
        with self.lock:
            return tuple(sent for sent in self.responses if sent.at > start)

    @property
    def answers_by_pod(self) -> Counter[str]:
        """How many requests each pod has answered."""
        return Counter(sent.pod for sent in self.responses_since(0) if sent.pod)

    @property
    def failure_count(self) -> int:
        """How many requests nobody has answered well."""
        return sum(not sent.pod for sent in self.responses_since(0))


@contextmanager
def send_requests(
    url: str, *, users: int, pause: float, timeout: float = REQUEST_TIMEOUT
) -> Iterator[RequestStream]:
    """Send requests while the body runs.

    Args:
        url: where to.
        users: how many send at the same time; each waits for its answer.
        pause: seconds each waits after an answer before it asks again.
        timeout: seconds after which a request counts as failed.
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
    """How many of ``times`` fall into each second; the points at which that changes."""
    counts = Counter(int(at) for at in times)
    points: list[Point] = [(0.0, float(counts[0]))]
    for second in sorted({*counts, *(second + 1 for second in counts)}):
        if points[-1][1] != counts[second]:
            points.append((float(second), float(counts[second])))
    return tuple(points)


def _send_request(url: str, timeout: float) -> str:
    """The pod that answers; on a connection of its own, so that every pod gets some."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.get(url, timeout=timeout, headers={"Connection": "close"})
            return str(answer.json()["hostname"]) if answer.ok else ""
        except (requests.RequestException, ValueError, KeyError):
            return ""
