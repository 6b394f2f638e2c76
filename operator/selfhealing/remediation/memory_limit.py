"""Computes with memory limits: the next one of a container that runs out of memory, and bounds."""

from decimal import Decimal
from typing import Final

from selfhealing.api.quantity import parse_quantity

OOM_BUMP_UP_RATIO: Final = Decimal("1.2")
OOM_MIN_BUMP_UP_BYTES: Final = 100 * 1024**2
"""The raise after an out-of-memory kill, as in VerticalPodAutoscaler: the larger of a fifth and
100 MiB (its flags oom-bump-up-ratio and oom-min-bump-up-bytes, VPA 1.7)."""

MIB: Final = 1024**2


def next_limit(current: str, maximum: str) -> str | None:
    """The next memory limit above ``current``, in whole MiB; None if it cannot be raised.

    Args:
        current: the limit in force, a quantity; None is returned if it is empty.
        maximum: the highest allowed limit, a quantity.
    """
    current_bytes, max_bytes = parse_quantity(current), parse_quantity(maximum)
    if not current_bytes or max_bytes is None or current_bytes >= max_bytes:
        return None
    next_bytes = min(
        max(current_bytes * OOM_BUMP_UP_RATIO, current_bytes + OOM_MIN_BUMP_UP_BYTES), max_bytes
    )
    mebibytes = int(next_bytes) // MIB
    # A maximum that is no whole number of MiB is used as it was written.
    return f"{mebibytes}Mi" if mebibytes * MIB > current_bytes else maximum


def exceeds(value: str, limit: str) -> bool:
    """Whether the quantity ``value`` is more than ``limit``; False if one of them is empty."""
    a, b = parse_quantity(value), parse_quantity(limit)
    return a is not None and b is not None and a > b


def double(limit: str) -> str:
    """Twice a memory limit, as a quantity; empty if there is none."""
    current_bytes = parse_quantity(limit)
    if current_bytes is None or current_bytes <= 0:
        return ""
    doubled = int(2 * current_bytes)
    return str(doubled) if doubled % MIB else f"{doubled // MIB}Mi"


def lower_of(limit: str, maximum: str) -> str:
    """The quantity ``limit``, or ``maximum`` if that is less."""
    return maximum if exceeds(limit, maximum) else limit
