"""Shows the recommendation of a VerticalPodAutoscaler, in amounts that can be copied into a spec.

The recommender updates its amounts every minute, and its bounds narrow over days. The status is
updated only if an amount changed by a tenth or more; otherwise each minute would cost a write.
"""

from decimal import ROUND_CEILING, Decimal
from typing import Final

from selfhealing.api.quantity import parse_quantity
from selfhealing.api.status import ResourceAmounts, VerticalScalingStatus
from selfhealing.cache.views import ResourceQuantities, VpaView
from selfhealing.health import messages

RECOMMENDATION_CHANGE_DIVISOR: Final = 10
"""An amount that changed by less than a tenth is not updated in the status."""

MILLI: Final = Decimal("0.001")
MEBI: Final = Decimal(2**20)

_BLOCKING_CONDITIONS: Final = ("ConfigUnsupported", "ConfigDeprecated", "NoPodsMatched")
"""Conditions of the VerticalPodAutoscaler that, if True, say why there is no recommendation."""


def build_vertical_scaling_status(
    view: VpaView | None, before: VerticalScalingStatus | None
) -> VerticalScalingStatus | None:
    """Build status.verticalScaling; None without a VerticalPodAutoscaler."""
    if view is None:
        return None
    return VerticalScalingStatus(
        mode=view.update_mode,
        controls=", ".join(view.controlled_resources),
        target=_build_resource_amounts(view.target, before.target if before else None),
        lower_bound=_build_resource_amounts(
            view.lower_bound, before.lower_bound if before else None
        ),
        upper_bound=_build_resource_amounts(
            view.upper_bound, before.upper_bound if before else None
        ),
        message=None if view.target else _explain_missing_recommendation(view),
    )


def _explain_missing_recommendation(view: VpaView) -> str:
    for condition in view.conditions:
        if condition.status == "True" and condition.type in _BLOCKING_CONDITIONS:
            return messages.shorten(condition.message) or condition.type
    if view.conditions:
        return "no recommendation yet: usage is being gathered"
    return "no recommendation yet: is VPA's recommender running?"


def _build_resource_amounts(
    current: ResourceQuantities | None, before: ResourceAmounts | None
) -> ResourceAmounts | None:
    if current is None:
        return None
    return ResourceAmounts(
        cpu=_keep_if_close(
            _round_up_quantity(current.cpu, MILLI, "m"), before.cpu if before else None
        ),
        memory=_keep_if_close(
            _round_up_quantity(current.memory, MEBI, "Mi"), before.memory if before else None
        ),
    )


def _round_up_quantity(text: str, unit: Decimal, suffix: str) -> str | None:
    """Round a quantity up to whole units: too few resources are worse than too many."""
    value = parse_quantity(text)
    if value is None:
        return None
    return f"{int((value / unit).to_integral_value(ROUND_CEILING))}{suffix}"


def _keep_if_close(current: str | None, before: str | None) -> str | None:
    previous_amount, current_amount = parse_quantity(before), parse_quantity(current)
    if (
        previous_amount is None
        or current_amount is None
        or abs(previous_amount - current_amount) * RECOMMENDATION_CHANGE_DIVISOR >= previous_amount
    ):
        return current
    return before
