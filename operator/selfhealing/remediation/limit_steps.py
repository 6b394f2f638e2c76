"""Computes with limits of containers: the next one of a container that lacks something, and bounds.

Small steps need many raises, large ones waste what is not needed. The need for memory is known to
be little above the limit. How much CPU a container needs that uses all of its limit cannot be seen.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from selfhealing.api.container_limits import LimitedResource
from selfhealing.api.quantity import parse_quantity

MIB: Final = 1024**2


class RaiseStep(NamedTuple):
    """The size of one raise.

    Attributes:
        ratio: the next limit, as a multiple of the one before.
        minimum: it is at least higher by this.
        unit: limits are whole numbers of it.
        suffix: the unit in a quantity.
    """

    ratio: Decimal
    minimum: Decimal
    unit: Decimal
    suffix: str


RAISE_STEPS: Final[Mapping[LimitedResource, RaiseStep]] = {
    LimitedResource.MEMORY: RaiseStep(Decimal("1.2"), Decimal(100 * MIB), Decimal(MIB), "Mi"),
    LimitedResource.CPU: RaiseStep(Decimal("1.5"), Decimal("0.1"), Decimal("0.001"), "m"),
}
"""For memory that of VerticalPodAutoscaler after an out-of-memory kill: the larger of a fifth and
100 MiB (its flags oom-bump-up-ratio and oom-min-bump-up-bytes, VPA 1.7). For CPU a half, so that
two raises reach twice the spec's limit."""


def next_limit(resource: LimitedResource, current: str, maximum: str) -> str | None:
    """The next limit above ``current``, in whole MiB or millicores; None if it cannot be raised.

    Args:
        resource: what is limited.
        current: the limit in force, a quantity; None is returned if it is empty.
        maximum: the highest allowed limit, a quantity.
    """
    step = RAISE_STEPS[resource]
    before, highest = parse_quantity(current), parse_quantity(maximum)
    if not before or highest is None or before >= highest:
        return None
    after = min(max(before * step.ratio, before + step.minimum), highest)
    units = int(after / step.unit)
    # A maximum that is no whole number of units is used as it was written.
    return f"{units}{step.suffix}" if units * step.unit > before else maximum


def exceeds(value: str, limit: str) -> bool:
    """Whether the quantity ``value`` is more than ``limit``; False if one of them is empty."""
    a, b = parse_quantity(value), parse_quantity(limit)
    return a is not None and b is not None and a > b


def double(resource: LimitedResource, limit: str) -> str:
    """Twice a limit, as a quantity; empty if there is none."""
    unit, suffix = RAISE_STEPS[resource].unit, RAISE_STEPS[resource].suffix
    amount = parse_quantity(limit)
    if amount is None or amount <= 0:
        return ""
    units = int(2 * amount / unit)
    return f"{units}{suffix}" if units * unit == 2 * amount else str(int(2 * amount))


def lower_of(limit: str, maximum: str) -> str:
    """The quantity ``limit``, or ``maximum`` if that is less."""
    return maximum if exceeds(limit, maximum) else limit
