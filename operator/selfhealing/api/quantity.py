"""Parses Kubernetes quantities."""

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from selfhealing.api.linear_regex import compile_pattern

_SUFFIXES: Final[Mapping[str, Decimal]] = {
    **{
        unit: Decimal(10) ** power
        for unit, power in zip(("n", "u", "m"), (-9, -6, -3), strict=True)
    },
    **{unit: Decimal(1000) ** (i + 1) for i, unit in enumerate(("k", "M", "G", "T", "P", "E"))},
    **{
        unit: Decimal(1024) ** (i + 1)
        for i, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))
    },
    "": Decimal(1),
}
_QUANTITY: Final = compile_pattern(
    r"^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d{1,3})|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?)$"
)

_MAX_CACHED_LENGTH: Final = 24
"""Characters of a quantity that is remembered: the most that the CRD allows."""


def parse_quantity(value: Any) -> Decimal | None:  # noqa: ANN401 - any JSON value
    """Return a Kubernetes quantity ("500m", "1Gi", 2) as a number; None for any other value.

    The grammar is that of resource.Quantity in Kubernetes' API reference. An exponent of more than
    three digits, which no quantity has, gives None: it would overflow.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value)
    return _parse_text(text) if len(text) <= _MAX_CACHED_LENGTH else _parse_text.__wrapped__(text)


@lru_cache(maxsize=1024)
def _parse_text(text: str) -> Decimal | None:
    """Parse a quantity. Each reconcile asks for the same ones many times."""
    match = _QUANTITY.match(text)
    if match is None:
        return None
    number, exponent, suffix = match.groups()
    return Decimal(number + (exponent or "")) * _SUFFIXES[suffix or ""]
