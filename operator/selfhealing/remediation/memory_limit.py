"""How much memory to give to an app that is killed for want of it."""

from decimal import Decimal
from typing import Final

from selfhealing.api.quantity import quantity

FACTOR: Final = Decimal("1.2")
STEP: Final = 100 * 1024**2
"""What VerticalPodAutoscaler adds after an OOM kill: the larger of a fifth and 100 MiB
(its flags oom-bump-up-ratio and oom-min-bump-up-bytes, VPA 1.7)."""

MIB: Final = 1024**2


def raised_limit(now: str, most: str) -> str | None:
    """The next memory limit above ``now``, in whole MiB; None when it cannot be raised.

    Args:
        now: the limit in force, a quantity; without one nothing is killed for want of memory.
        most: never more than this quantity.
    """
    have, cap = quantity(now), quantity(most)
    if not have or cap is None or have >= cap:
        return None
    wanted = min(max(have * FACTOR, have + STEP), cap)
    mebibytes = int(wanted) // MIB
    # A cap between two whole MiB is kept as it was written.
    return f"{mebibytes}Mi" if mebibytes * MIB > have else most


def larger(one: str, other: str) -> bool:
    """Whether the quantity ``one`` is more than ``other``; an absent one is no limit at all."""
    a, b = quantity(one), quantity(other)
    return a is not None and b is not None and a > b
