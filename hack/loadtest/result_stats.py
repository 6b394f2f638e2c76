"""Counting answers: how many, how quick, from whom. However many come, it stays as small."""

import base64
import json
import math
from collections import Counter
from typing import Any, Final

_STEP: Final = math.log(1.02)
"""Latencies are kept in classes of 2 %: a percentile is as exact as that."""

_MOST_NAMES: Final = 50
OTHERS: Final = "(others)"
UNNAMED: Final = "(did not say)"


class Tally:
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
        self._classes: Counter[int] = Counter()

    def take(self, line: str) -> None:
        """Count one result of vegeta, a line of JSON."""
        result: dict[str, Any] = json.loads(line)
        self.sent += 1
        code = int(result["code"])
        if not code:
            self.failed += 1
            self._count(self.failures, _why(str(result["error"])))
            return
        seconds = result["latency"] / 1e9
        self.slowest = max(self.slowest, seconds)
        self._classes[round(math.log(max(seconds, 1e-6)) / _STEP)] += 1
        if code >= 400:
            self.failed += 1
            self._count(self.failures, f"status {code}")
        else:
            self._count(self.replicas, _who(result))

    def percentile(self, share: float) -> float:
        """Return the seconds within which this share of the answers came; 0 where none came."""
        left = share * self._classes.total()
        for index in sorted(self._classes):
            left -= self._classes[index]
            if left <= 0:
                return min(math.exp(index * _STEP), self.slowest)
        return self.slowest

    @staticmethod
    def _count(names: Counter[str], name: str) -> None:
        known = name in names or len(names) < _MOST_NAMES
        names[name if known else OTHERS] += 1


def _who(result: dict[str, Any]) -> str:
    """Return who answered: the ``hostname`` of a JSON body, else the header X-Served-By."""
    try:
        found = json.loads(base64.b64decode(result.get("body") or ""))["hostname"]
    except (ValueError, KeyError, TypeError):
        said = (result.get("headers") or {}).get("X-Served-By") or [UNNAMED]
        found = said[0]
    return str(found)[:63]


def _why(error: str) -> str:
    """Make the same words of what differs only in addresses, ports and URLs."""
    for part, words in _WHYS:
        if part in error:
            return words
    return error.rpartition(": ")[2][:60] or "no answer"


_WHYS: Final = (
    ("connection refused", "connection refused: no ready replica"),
    ("Client.Timeout", "no answer in time"),
    ("deadline exceeded", "no answer in time"),
    ("i/o timeout", "no answer in time"),
    ("EOF", "connection ended without an answer"),
    ("connection reset", "connection reset"),
)
