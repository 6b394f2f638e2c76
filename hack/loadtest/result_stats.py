"""Statistics of the responses; their size does not depend on the number of responses."""

import base64
import json
import math
from collections import Counter
from typing import Any, Final

_BUCKET_WIDTH: Final = math.log(1.02)
"""Latencies are counted in buckets of 2 %, which is the accuracy of a percentile."""

_MAX_NAMES: Final = 50
OTHERS: Final = "(others)"
UNNAMED: Final = "(did not say)"


class ResultStats:
    """The statistics so far.

    Attributes:
        sent: completed requests.
        failed: requests without a response or with a status of 400 or more.
        replicas: successful responses by pod.
        failures: failed requests by reason.
        slowest: the longest latency in seconds.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.failed = 0
        self.replicas: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.slowest = 0.0
        self._latency_buckets: Counter[int] = Counter()

    def add_result(self, line: str) -> None:
        """Count a result, which is a line of vegeta's JSON."""
        result: dict[str, Any] = json.loads(line)
        self.sent += 1
        code = int(result["code"])
        if not code:
            self.failed += 1
            self._count_name(self.failures, _failure_reason(str(result["error"])))
            return
        seconds = result["latency"] / 1e9
        self.slowest = max(self.slowest, seconds)
        self._latency_buckets[round(math.log(max(seconds, 1e-6)) / _BUCKET_WIDTH)] += 1
        if code >= 400:
            self.failed += 1
            self._count_name(self.failures, f"status {code}")
        else:
            self._count_name(self.replicas, _responder(result))

    def percentile(self, share: float) -> float:
        """Return a percentile of the latencies in seconds; 0 without a response."""
        remaining = share * self._latency_buckets.total()
        for index in sorted(self._latency_buckets):
            remaining -= self._latency_buckets[index]
            if remaining <= 0:
                return min(math.exp(index * _BUCKET_WIDTH), self.slowest)
        return self.slowest

    @staticmethod
    def _count_name(names: Counter[str], name: str) -> None:
        known = name in names or len(names) < _MAX_NAMES
        names[name if known else OTHERS] += 1


def _responder(result: dict[str, Any]) -> str:
    """Return the pod: the ``hostname`` of a JSON body, else the header X-Served-By."""
    try:
        name = json.loads(base64.b64decode(result.get("body") or ""))["hostname"]
    except (ValueError, KeyError, TypeError):
        header = (result.get("headers") or {}).get("X-Served-By") or [UNNAMED]
        name = header[0]
    return str(name)[:63]


def _failure_reason(error: str) -> str:
    """Return the reason of a failure without addresses, ports and URLs."""
    for part, words in _FAILURE_REASONS:
        if part in error:
            return words
    return error.rpartition(": ")[2][:60] or "no answer"


_FAILURE_REASONS: Final = (
    ("connection refused", "connection refused: no ready replica"),
    ("Client.Timeout", "no answer in time"),
    ("deadline exceeded", "no answer in time"),
    ("i/o timeout", "no answer in time"),
    ("EOF", "connection ended without an answer"),
    ("connection reset", "connection reset"),
)
