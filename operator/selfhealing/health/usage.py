"""Reads what the containers of pods use, as the metrics API measures it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from selfhealing.api.quantity import parse_quantity
from selfhealing.cache.parse import parse_time
from selfhealing.health.termination_causes import ContainerKey


@dataclass(frozen=True, slots=True)
class UsageSample:
    """One measurement of a container: the time, the memory in bytes, and the CPU in cores.

    The CPU is the mean over metrics-server's interval. A value that was not measured is None.
    """

    measured_at: datetime
    memory_bytes: int | None = None
    cpu_cores: Decimal | None = None


SamplesByContainer = Mapping[ContainerKey, Sequence[UsageSample]]
"""The last measurements of each container, the latest last."""


def parse_pod_metrics(raw: Mapping[str, Any]) -> Iterator[tuple[str, UsageSample]]:
    """Read the names of the containers that a PodMetrics has measured, each with its sample."""
    measured_at = parse_time(raw.get("timestamp"))
    if measured_at is None:
        return
    for container in raw.get("containers") or ():
        usage = container.get("usage") or {}
        memory, cpu = parse_quantity(usage.get("memory")), parse_quantity(usage.get("cpu"))
        if memory is not None or cpu is not None:
            memory_bytes = None if memory is None else int(memory)
            yield str(container["name"]), UsageSample(measured_at, memory_bytes, cpu)
