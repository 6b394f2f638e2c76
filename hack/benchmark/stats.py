"""Summaries of repeated measurements."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """Minimum, median and maximum of repetitions."""

    minimum: float
    median: float
    maximum: float
    count: int

    @classmethod
    def from_values(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of ``values``."""
        return cls(min(values), median(values), max(values), len(values))

    def to_json(self) -> dict[str, float | int]:
        """Return the spread for the JSON report."""
        return {
            "min": round(self.minimum, 4),
            "median": round(self.median, 4),
            "max": round(self.maximum, 4),
            "repetitions": self.count,
        }


def percentile(values: Sequence[float], share: float) -> float:
    """Return the percentile ``share`` (0 to 1) by the nearest rank."""
    ranked = sorted(values)
    return ranked[max(0, -(-round(share * len(ranked) * 1000) // 1000) - 1)]
