"""Which differences of a live object are drift."""

import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st

from selfhealing.api.quantity import parse_quantity
from selfhealing.apply.drift import matches

SCALARS = st.one_of(st.booleans(), st.integers(-5, 5), st.text("abc", max_size=3))
OBJECTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("xyz", min_size=1), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(OBJECTS)
def test_any_value_matches_itself(value: Any) -> None:  # noqa: ANN401 - any JSON value
    """An object with the applied values has no drift."""
    assert matches(value, copy.deepcopy(value))


@given(st.dictionaries(st.text("xyz", min_size=1), OBJECTS, max_size=3), OBJECTS)
def test_other_fields_are_ignored(ours: dict[str, Any], theirs: Any) -> None:  # noqa: ANN401
    """Fields that are not in the manifest are ignored."""
    assert matches({**ours, "foreign": theirs}, ours)


@given(st.dictionaries(st.text("xyz", min_size=1), st.integers(1, 9), min_size=1), st.data())
def test_a_changed_leaf_is_drift(ours: dict[str, int], data: st.DataObject) -> None:
    """Each field of the manifest counts, changed or removed."""
    field = data.draw(st.sampled_from(sorted(ours)))

    assert not matches({**ours, field: ours[field] + 1}, ours)
    assert not matches({key: value for key, value in ours.items() if key != field}, ours)


@pytest.mark.parametrize(
    ("live", "desired"),
    [
        ({"limits": {"cpu": "500m"}}, {"limits": {"cpu": "0.5"}}),
        ({"limits": {"memory": "1Gi"}}, {"limits": {"memory": "1024Mi"}}),
        ({"requests": {"cpu": "1"}}, {"requests": {"cpu": 1}}),
        ({"emptyDir": {"sizeLimit": "1k"}}, {"emptyDir": {"sizeLimit": "1000"}}),
        ({"target": {"value": "1500m"}}, {"target": {"value": "1.5"}}),
        ({}, {"value": ""}),
        ({}, {"args": [], "hostNetwork": False, "affinity": {}}),
        ({}, {"metadata": {"annotations": {}}}),
        (
            {"containers": [{"name": "injected"}, {"name": "app", "image": "a", "tty": True}]},
            {"containers": [{"name": "app", "image": "a"}]},
        ),
        (
            {
                "ports": [
                    {"containerPort": 1, "protocol": "TCP"},
                    {"containerPort": 2, "protocol": "TCP"},
                ]
            },
            {"ports": [{"containerPort": 2}]},
        ),
        (
            {"ports": [{"port": 80, "protocol": "TCP", "nodePort": 30000}]},
            {"ports": [{"port": 80, "protocol": "TCP"}]},
        ),
        ({"ports": [{"name": "x"}]}, {"ports": [{"name": "x"}]}),
        ({"env": [{"name": "A"}]}, {"env": [{"name": "A", "value": ""}]}),
        ({"httpGet": {"path": "/", "scheme": "HTTP"}}, {"httpGet": {"path": "", "scheme": ""}}),
        ({"periodSeconds": 10, "failureThreshold": 3}, {"periodSeconds": 0, "failureThreshold": 0}),
        (
            {"env": [{"name": "A"}, {"name": "theirs"}, {"name": "B"}]},
            {"env": [{"name": "A"}, {"name": "B"}]},
        ),
        (
            {"containers": [{"name": "proxy"}, {"name": "app"}]},
            {"containers": [{"name": "app"}, {"name": "proxy"}]},
        ),
    ],
)
def test_other_spellings_and_additions_are_no_drift(live: Any, desired: Any) -> None:  # noqa: ANN401
    """Quantities are compared by value, empty equals missing, lists of maps by key."""
    assert matches(live, desired)


@pytest.mark.parametrize(
    ("live", "desired"),
    [
        ({"limits": {"cpu": "500m"}}, {"limits": {"cpu": "0.6"}}),
        ({"limits": {"cpu": "many"}}, {"limits": {"cpu": "1"}}),
        ({"env": [{"name": "A", "value": "1.0"}]}, {"env": [{"name": "A", "value": "1"}]}),
        ({"containers": [{"name": "other"}]}, {"containers": [{"name": "app", "image": "a"}]}),
        ({"containers": "text"}, {"containers": [{"name": "app"}]}),
        ({"args": ["a", "b"]}, {"args": ["a"]}),
        ({"args": ["b"]}, {"args": ["a"]}),
        ({"args": 5}, {"args": ["a"]}),
        ({"selector": {"app": "x", "more": "y"}}, {"selector": {"app": "x"}}),
        ({}, {"emptyDir": {}}),
        ({"template": "text"}, {"template": {"spec": {"a": 1}}}),
        ({}, {"template": {"spec": 1}}),
        ({"paused": None}, {"paused": True}),
        ({"env": [{"name": "B"}, {"name": "A"}]}, {"env": [{"name": "A"}, {"name": "B"}]}),
        (
            {"initContainers": [{"name": "b"}, {"name": "theirs"}, {"name": "a"}]},
            {"initContainers": [{"name": "a"}, {"name": "b"}]},
        ),
        ({"env": [{"name": "A", "value": "x"}]}, {"env": [{"name": "A", "value": ""}]}),
        ({"httpGet": {"path": "/other"}}, {"httpGet": {"path": ""}}),
        ({"periodSeconds": 60}, {"periodSeconds": 0}),
    ],
)
def test_what_is_drift(live: Any, desired: Any) -> None:  # noqa: ANN401 - any JSON value
    """Another value or order, a missing one, an added key in an atomic map, no quantity."""
    assert not matches(live, desired)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("500m", Decimal("0.5")),
        ("1Gi", Decimal(2**30)),
        ("1.5k", Decimal(1500)),
        ("1e3", Decimal(1000)),
        (".5", Decimal("0.5")),
        (2, Decimal(2)),
        (True, None),
        ("", None),
        ("1 Gi", None),
        (None, None),
    ],
)
def test_quantities(text: object, number: Decimal | None) -> None:
    """The grammar is that of resource.Quantity."""
    assert number == parse_quantity(text)


@given(st.integers(0, 10**6))
def test_a_quantity_has_many_spellings(cores: int) -> None:
    """Whole units and thousandths give the same number."""
    assert parse_quantity(str(cores)) == parse_quantity(f"{cores * 1000}m")
