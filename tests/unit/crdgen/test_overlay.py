"""Overlays on a published schema."""

import pytest

from selfhealing.api.base import Rule
from selfhealing.crdgen.schema.overlay import Overlay, OverlayError, Schema, apply_overlay

THING: Schema = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "size": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}


def test_nothing_changes_nothing() -> None:
    """A type may have no overlay."""
    assert apply_overlay(THING, None, "thing") is THING


def test_keywords_are_set() -> None:
    """Plain keywords are the short form of an overlay."""
    assert apply_overlay({"type": "string"}, {"maxLength": 3}, "x") == {
        "type": "string",
        "maxLength": 3,
    }


def test_fields_are_dropped_required_made_optional_and_changed() -> None:
    """All changes are made on a copy of the schema."""
    changed = apply_overlay(
        THING,
        Overlay(
            drop={"size": "too large"},
            require=("tags",),
            optional=("name",),
            fields={
                "name": {"maxLength": 3},
                "tags": Overlay(keywords={"maxItems": 2}, items={"minLength": 1}),
                "labels": Overlay(values={"maxLength": 63}),
            },
        ),
        "thing",
    )

    assert changed == {
        "type": "object",
        "required": ["tags"],
        "properties": {
            "name": {"type": "string", "maxLength": 3},
            "tags": {"type": "array", "maxItems": 2, "items": {"type": "string", "minLength": 1}},
            "labels": {
                "type": "object",
                "additionalProperties": {"type": "string", "maxLength": 63},
            },
        },
    }
    assert list(THING["properties"]) == ["name", "size", "tags", "labels"]


def test_a_dropped_field_is_no_longer_required() -> None:
    """A required field that does not exist would refuse all values."""
    assert "required" not in apply_overlay(THING, Overlay(drop={"name": "none"}), "thing")


def test_rules_are_added_behind_those_that_are_there() -> None:
    """The rules of a variant are added to those of its type."""
    once = apply_overlay(THING, Overlay(rules=(Rule(cel="a", message="b"),)), "thing")
    twice = apply_overlay(
        once, Overlay(rules=(Rule(cel="c", message="d", field_path=".e", reason="F"),)), "x"
    )

    assert twice["x-kubernetes-validations"] == [
        {"rule": "a", "message": "b"},
        {"rule": "c", "message": "d", "fieldPath": ".e", "reason": "F"},
    ]


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        (Overlay(drop={"colour": "none"}), "thing has no colour"),
        (Overlay(require=("colour",)), "thing has no colour"),
        (Overlay(fields={"colour": {}}), "thing has no colour"),
        (Overlay(fields={"size": Overlay(fields={"x": {}})}), r"thing\.size has no x"),
        (Overlay(optional=("size",)), "thing does not require size"),
        (Overlay(items={}), "thing has no items"),
        (Overlay(values={}), "thing has no additionalProperties"),
    ],
)
def test_an_overlay_of_what_is_not_there_is_an_error(overlay: Overlay, message: str) -> None:
    """A field that a new Kubernetes version has renamed is detected."""
    with pytest.raises(OverlayError, match=message):
        apply_overlay(THING, overlay, "thing")
