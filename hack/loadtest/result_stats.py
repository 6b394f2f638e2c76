"""Counting answers: how many, how quick, from whom. However many come, it stays as small."""

import base64
import json
import math
from collections import Counter
from typing import Any, Final

_BUCKET_WIDTH: Final = math.log(1.02)
"""Latencies are kept in classes of 2 %: a percentile is as exact as that."""

_MAX_NAMES: Final = 50
OTHERS: Final = "(others)"
UNNAMED: Final = "(did not say)"


class ResultStats:
    """What has come so far.

    Attributes:
        sent: requests that have ended, one way or another.
        failed: those without an answer, or with a status of 400 or more.
        replicas: good answers by who gave them.
        failures: the others by what was wrong.
        slowest: seconds of the slowest answer.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.failed = 0
        self.replicas: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.slowest = 0.0
        self._latency_buckets: Counter[int] = Counter()

    def add_result(self, line: str) -> None:
        """Count one result of vegeta, a line of JSON."""
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
        """Return the seconds within which this share of the answers came; 0 where none came."""
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
    """Return who answered: the ``hostname`` of a JSON body, else the header X-Served-By."""
    try:
        name = json.loads(base64.b64decode(result.get("body") or ""))["hostname"]
    except (ValueError, KeyError, TypeError):
        header = (result.get("headers") or {}).get("X-Served-By") or [UNNAMED]
        name = header[0]
    return str(name)[:63]


def _failure_reason(error: str) -> str:
    """Make the same words of what differs only in addresses, ports and URLs."""
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
