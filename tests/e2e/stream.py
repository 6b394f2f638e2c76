"""A stream of requests to an app through its Service, as many users at the same time send it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import requests

STOP_LIMIT = 15


@dataclass
class Stream:
    """What has become of the requests so far."""

    answers: dict[str, int] = field(default_factory=dict)
    """How many requests each pod has answered."""

    failures: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, pod: str | None) -> None:
        """Note an answer of a pod, or that there was none."""
        with self.lock:
            if pod is None:
                self.failures += 1
            else:
                self.answers[pod] = self.answers.get(pod, 0) + 1


@contextmanager
def stream(url: str, *, users: int, pause: float) -> Iterator[Stream]:
    """Send requests while the body runs.

    Args:
        url: where to.
        users: how many send at the same time; each waits for its answer.
        pause: seconds each waits after an answer before it asks again.
    """
    found, over = Stream(), threading.Event()
    threads = [
        threading.Thread(target=_user, args=(url, pause, found, over), daemon=True)
        for _ in range(users)
    ]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        over.set()
        for thread in threads:
            thread.join(STOP_LIMIT)


def _user(url: str, pause: float, found: Stream, over: threading.Event) -> None:
    """One user: a connection of its own for each request, so that every pod gets some."""
    while not over.is_set():
        with requests.Session() as session:
            session.trust_env = False
            try:
                answer = session.get(url, timeout=10, headers={"Connection": "close"})
                found.count(str(answer.json()["hostname"]) if answer.ok else None)
            except (requests.RequestException, ValueError, KeyError):
                found.count(None)
        over.wait(pause)
