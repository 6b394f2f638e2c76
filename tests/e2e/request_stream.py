"""A steady stream of requests, to show that none fails while something happens to the app."""

import threading
import time
from collections import Counter
from typing import Self

import requests

from hack.testkit.wait import eventually

REQUEST_INTERVAL = 0.05
"""Seconds between two requests."""

REQUEST_TIMEOUT = 5.0
"""Seconds that an answer may take: the machine may be busy, and slow is not failed."""


class RequestStream:
    """A steady stream of requests, each on a connection of its own, and what became of them."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="requests", daemon=True)
        self.answered: Counter[str] = Counter()
        """Answers by the pod that gave them."""
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        eventually(lambda: self.answered.total() > 20, description="the stream flows")
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._end.set()
        self._thread.join(2 * REQUEST_TIMEOUT)

    def _run(self) -> None:
        while not self._end.wait(REQUEST_INTERVAL):
            try:
                with requests.Session() as session:
                    session.trust_env = False
                    answer = session.get(self._address, timeout=REQUEST_TIMEOUT)
                    answer.raise_for_status()
                    self.answered[answer.json()["hostname"]] += 1
            except requests.RequestException as error:
                self.failures.append(f"{time.strftime('%X')} {error}")
