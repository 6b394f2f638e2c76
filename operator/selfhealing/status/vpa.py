"""What a VerticalPodAutoscaler recommends, in amounts that can be copied into a spec.

A recommender writes its figures anew every minute, and its bounds close in for days: what is shown
is kept until it is wrong by a tenth, or each minute would cost a write of the status.
"""

from decimal import ROUND_CEILING, Decimal
from typing import Final

from selfhealing.api.quantity import quantity
from selfhealing.api.status import ResourceAmounts, VerticalScalingStatus
from selfhealing.cache.views import Amounts, VerticalView
from selfhealing.health import messages

STEADY: Final = 10
"""A figure that moved by less than a tenth is shown as it was."""

MILLI: Final = Decimal("0.001")
MEBI: Final = Decimal(2**20)

_OBSTACLES: Final = ("ConfigUnsupported", "ConfigDeprecated", "NoPodsMatched")
"""VPA's conditions that say, when they are True, why there is no recommendation."""


def status(
    view: VerticalView | None, before: VerticalScalingStatus | None
) -> VerticalScalingStatus | None:
    """The status block; None without a VerticalPodAutoscaler."""
    if view is None:
        return None
    return VerticalScalingStatus(
        mode=view.mode,
        controls=", ".join(view.controls),
        target=_shown(view.target, before.target if before else None),
        lower_bound=_shown(view.lower, before.lower_bound if before else None),
        upper_bound=_shown(view.upper, before.upper_bound if before else None),
        message=None if view.target else _why_none(view),
    )


def _why_none(view: VerticalView) -> str:
    for found in view.conditions:
        if found.status == "True" and found.type in _OBSTACLES:
            return messages.shorten(found.message) or found.type
    if view.conditions:
        return "no recommendation yet: usage is being gathered"
    return "no recommendation yet: is VPA's recommender running?"


def _shown(now: Amounts | None, before: ResourceAmounts | None) -> ResourceAmounts | None:
    if now is None:
        return None
    return ResourceAmounts(
        cpu=_steady(_amount(now.cpu, MILLI, "m"), before.cpu if before else None),
        memory=_steady(_amount(now.memory, MEBI, "Mi"), before.memory if before else None),
    )


def _amount(raw: str, unit: Decimal, suffix: str) -> str | None:
    """A quantity in whole units, rounded up: too little is worse."""
    value = quantity(raw)
    if value is None:
        return None
    return f"{int((value / unit).to_integral_value(ROUND_CEILING))}{suffix}"


def _steady(now: str | None, before: str | None) -> str | None:
    was, will = quantity(before), quantity(now)
    if was is None or will is None or abs(was - will) * STEADY >= was:
        return now
    return before
