"""Which labels a selector selects."""

from typing import Any

import pytest

from selfhealing.api.label_selector import selects_labels

LABELS = {"app": "web", "tier": "front"}


def expression(operator: str, key: str = "app", *values: str) -> dict[str, Any]:
    """A selector with one expression."""
    found: dict[str, Any] = {"key": key, "operator": operator}
    return {"matchExpressions": [{**found, "values": list(values)} if values else found]}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, True),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "web", "tier": "back"}}, False),
        (expression("In", "app", "api", "web"), True),
        (expression("In", "app", "api"), False),
        (expression("NotIn", "app", "api"), True),
        (expression("NotIn", "other", "api"), True),
        (expression("NotIn", "app", "web"), False),
        (expression("Exists"), True),
        (expression("Exists", "other"), False),
        (expression("DoesNotExist", "other"), True),
        (expression("DoesNotExist"), False),
        (expression("Like", "app", "web"), False),
        ({"matchLabels": {"app": "web"}, **expression("DoesNotExist")}, False),
        ({"matchLabels": {"app": "web"}, **expression("Exists")}, True),
        (None, False),
        ({"matchLabels": ["app"]}, False),
        ({"matchExpressions": "app"}, False),
        ({"matchExpressions": ["app"]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": "web"}]}, False),
    ],
)
def test_what_it_selects(selector: object, *, expected: bool) -> None:
    """As the API server does; what it would refuse selects nothing."""
    assert expected is selects_labels(selector, LABELS)
