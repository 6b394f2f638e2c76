"""A model is converted into a structural schema."""

from types import MappingProxyType
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from selfhealing.api.base import Int32, Json, KubernetesType, ListMap, Model, Rule, SchemaKeywords
from selfhealing.crdgen.schema.overlay import Schema
from selfhealing.crdgen.schema.structural import StructuralError, to_structural_schema


class Inner(Model):
    """What the inner one is."""

    rules = (Rule(cel="self.low <= self.high", message="turn them round"),)

    low: Annotated[Int32, Field(ge=1)] = 1
    """The lower end."""

    high: int | None = None
    """The upper end."""


class Mirror(Model):
    """Reads a type that is published."""

    published = "Thing"

    name: str


class Outer(Model):
    """What the outer one is."""

    word: Annotated[
        Literal["a", "b"],
        SchemaKeywords({"maxLength": 1}),
        Rule(cel="self != ''", message="write it"),
    ]
    """A word."""

    inner: Inner | None = None
    """The inner one here."""

    inners: Annotated[list[Inner], ListMap("low")] = Field(default_factory=list)
    """Several."""

    amounts: dict[str, int] = Field(default_factory=dict)
    """By name."""

    thing: Annotated[
        Json | None, KubernetesType("Thing", "field", "variant"), Rule(cel="true", message="fine")
    ] = None
    """Published elsewhere."""

    mirrors: list[Mirror] = Field(default_factory=list)
    """Published and read."""

    on: bool = False
    """A switch."""


def schema_of(wanted: KubernetesType) -> Schema:
    name = f"{wanted.name}/{wanted.field}/{wanted.variant}"
    return {
        "description": name,
        "type": "object",
        "x-kubernetes-validations": [{"rule": "published", "message": "so"}],
    }


def test_a_model_becomes_a_structural_schema() -> None:
    """The schema has no references, titles or nulls; rules and list keys are kept."""
    inner = {
        "type": "object",
        "x-kubernetes-validations": [
            {"rule": "self.low <= self.high", "message": "turn them round"}
        ],
        "properties": {
            "low": {
                "description": "The lower end.",
                "type": "integer",
                "format": "int32",
                "default": 1,
                "minimum": 1,
                "maximum": 2147483647,
            },
            "high": {"description": "The upper end.", "type": "integer"},
        },
    }

    assert to_structural_schema(Outer, schema_of) == {
        "description": "What the outer one is.",
        "type": "object",
        "required": ["word"],
        "properties": {
            "word": {
                "description": "A word.",
                "type": "string",
                "enum": ["a", "b"],
                "maxLength": 1,
                "x-kubernetes-validations": [{"rule": "self != ''", "message": "write it"}],
            },
            "inner": {"description": "The inner one here.", **inner},
            "inners": {
                "description": "Several.",
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["low"],
                "items": {"description": "What the inner one is.", **inner},
            },
            "amounts": {
                "description": "By name.",
                "type": "object",
                "additionalProperties": {"type": "integer"},
            },
            "thing": {
                "description": "Published elsewhere.",
                "type": "object",
                "x-kubernetes-validations": [
                    {"rule": "published", "message": "so"},
                    {"rule": "true", "message": "fine"},
                ],
            },
            "mirrors": {
                "description": "Published and read.",
                "type": "array",
                "items": {
                    "description": "Thing/None/None",
                    "type": "object",
                    "x-kubernetes-validations": [{"rule": "published", "message": "so"}],
                },
            },
            "on": {"description": "A switch.", "type": "boolean", "default": False},
        },
    }


def test_keywords_come_in_one_order() -> None:
    """The order is fixed, so that diffs are small."""
    assert list(to_structural_schema(Outer, schema_of)["properties"]["word"]) == [
        "description",
        "type",
        "enum",
        "maxLength",
        "x-kubernetes-validations",
    ]


def test_a_published_type_without_rules_gets_none() -> None:
    """Without rules there is no empty list of rules."""

    class Plain(Model):
        thing: Annotated[Json, KubernetesType("Thing")]

    plain = to_structural_schema(Plain, lambda _: {"type": "object"})

    assert plain["properties"]["thing"] == {"type": "object"}


class Memory(Model):
    """A part with a field that was renamed.

    A second paragraph
    of two lines.
    """

    former_names = MappingProxyType({"speed": "velocity"})

    velocity: Annotated[dict[Annotated[str, Field(max_length=9)], int], Field(max_length=2)] = (
        Field(default_factory=dict)
    )


def test_a_part_with_a_former_field() -> None:
    """The API server does not prune it; the description shows no line breaks of the source."""
    found = to_structural_schema(Memory, schema_of)

    assert (
        found["description"]
        == "A part with a field that was renamed.\n\nA second paragraph of two lines."
    )
    assert found["properties"]["speed"] == {
        "description": "Old name of `velocity`, which replaces it at the next write.",
        "type": "string",
        "maxLength": 1024,
    }


def test_the_keys_of_a_map_are_limited() -> None:
    """A CRD has no keyword for it."""
    (rule,) = to_structural_schema(Memory, schema_of)["properties"]["velocity"][
        "x-kubernetes-validations"
    ]

    assert rule["rule"] == "self.all(key, key.size() <= 9)"


class TwoTypes(BaseModel):
    """A union."""

    value: int | str


class Keyless(Model):
    """A list key that may be missing."""

    entries: Annotated[list[Inner], ListMap("high")]


class Exclusive(BaseModel):
    """A bound that is not part of the range."""

    value: Annotated[int, Field(gt=0)]


class Anything(BaseModel):
    """No type at all."""

    value: Any


class NonEmptyKeys(Model):
    """Keys that must not be empty."""

    value: dict[Annotated[str, Field(min_length=1)], int]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (NonEmptyKeys, "a rule can only limit the length of the keys"),
        (TwoTypes, "a CRD has one type a field"),
        (Keyless, "the list key high must be required or have a default"),
        (Exclusive, r"the model\.value: a CRD cannot say exclusiveMinimum"),
        (Anything, "a schema without a type"),
    ],
)
def test_what_a_crd_cannot_say_is_an_error(model: type[BaseModel], message: str) -> None:
    """The generator's message is clearer than the API server's."""
    with pytest.raises(StructuralError, match=message):
        to_structural_schema(model, schema_of)
