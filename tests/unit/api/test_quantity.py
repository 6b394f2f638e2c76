"""Quantities are parsed as the API server parses them, however long they are."""

from decimal import Decimal

import pytest

from selfhealing.api.quantity import parse_quantity


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("500m", Decimal("0.5")),
        ("1Gi", Decimal(1024**3)),
        ("1e3", Decimal(1000)),
        (2, Decimal(2)),
        ("0" * 1000 + "1Ki", Decimal(1024)),
        ("0" * 1000 + "1Kb", None),
        ("1e1234", None),
        ("", None),
        (True, None),
        (None, None),
    ],
)
def test_a_quantity(value: object, expected: Decimal | None) -> None:
    """Twice, as the short ones are remembered."""
    assert expected == parse_quantity(value)
    assert expected == parse_quantity(value)
