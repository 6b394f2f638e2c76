"""Kubernetes' published types are inlined into the CRD."""

from typing import Any

import pytest

from selfhealing.api.base import KubernetesType, Rule
from selfhealing.crdgen.schema.overlay import Overlay, Schema
from selfhealing.crdgen.schema.published import (
    INT_OR_STRING_TYPE,
    QUANTITY,
    PublishedError,
    PublishedTypes,
    cut_to_first_sentence,
    load_definitions,
)

DEFINITIONS: dict[str, Schema] = {
    "Pod": {
        "description": "A pod. It has more to say.",
        "type": "object",
        "required": ["main"],
        "x-kubernetes-group-version-kind": [{"kind": "Pod"}],
        "properties": {
            "main": {"$ref": "#/$defs/Container", "description": "The main one. Truly."},
            "others": {
                "description": "More of them.",
                "type": ["array", "null"],
                "items": {"$ref": "#/$defs/Container"},
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                "x-kubernetes-patch-strategy": "merge",
            },
            "words": {
                "type": "array",
                "items": {"type": "string"},
                "x-kubernetes-list-type": "atomic",
            },
            "self": {"$ref": "#/$defs/Pod"},
        },
    },
    "Container": {
        "description": "A container.",
        "type": "object",
        "properties": {
            "name": {"type": ["string", "null"]},
            "port": {"$ref": f"#/$defs/{INT_OR_STRING_TYPE}"},
            "memory": {"$ref": f"#/$defs/{QUANTITY}", "description": "How much."},
            "uid": {"type": "integer", "format": "int32"},
        },
    },
    QUANTITY: {"oneOf": [{"type": "string"}, {"type": "number"}]},
    INT_OR_STRING_TYPE: {"oneOf": [{"type": "string"}, {"type": "integer"}]},
}

CONTAINER: dict[str, Any] = {
    "description": "A container.",
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "port": {"x-kubernetes-int-or-string": True},
        "memory": {"x-kubernetes-int-or-string": True, "description": "How much."},
        "uid": {
            "type": "integer",
            "format": "int32",
            "minimum": -2147483648,
            "maximum": 2147483647,
        },
    },
}


def published_types(**overlays: Overlay) -> PublishedTypes:
    return PublishedTypes(
        DEFINITIONS, overlays, {"special": Overlay(keywords={"maxProperties": 1})}
    )


def test_a_type_is_inlined_without_what_a_crd_cannot_say() -> None:
    """Null types and patch strategies are removed; int32 and int-or-string get a CRD's keywords."""
    assert published_types().inline(KubernetesType("Container")) == CONTAINER


def test_a_field_is_inlined_with_its_own_description_and_list_keys() -> None:
    """The description of a field replaces that of its type; that of a list replaces its items'."""
    others = published_types().inline(KubernetesType("Pod", "others"))
    items = {key: value for key, value in CONTAINER.items() if key != "description"}

    assert published_types().inline(KubernetesType("Pod", "main"))["description"] == "The main one."
    assert others == {
        "description": "More of them.",
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": items,
    }


def test_the_default_kind_of_list_is_not_said() -> None:
    """Lists are atomic by default."""
    words = published_types().inline(KubernetesType("Pod", "words"))

    assert words == {"type": "array", "items": {"type": "string"}}


def test_an_overlay_of_a_type_counts_wherever_the_type_is_used() -> None:
    """An overlay of a field is applied on that of its type."""
    schema = published_types(
        Container=Overlay(require=("name",), rules=(Rule(cel="a", message="b"),)),
        Pod=Overlay(drop={"self": "endless"}, fields={"others": {"maxItems": 8}}),
    )
    others = schema.inline(KubernetesType("Pod", "others"))

    assert others["maxItems"] == 8
    assert others["items"]["required"] == ["name"]
    assert others["items"]["x-kubernetes-validations"] == [{"rule": "a", "message": "b"}]
    assert list(schema.inline(KubernetesType("Pod"))["properties"]) == ["main", "others", "words"]


def test_a_variant_counts_for_one_use() -> None:
    """The field of the model names the variant."""
    special = published_types().inline(KubernetesType("Container", variant="special"))

    assert special == {**CONTAINER, "maxProperties": 1}


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (KubernetesType("Node"), "Kubernetes v1.36.0 publishes no Node"),
        (KubernetesType("Pod", "colour"), "Pod has no field colour"),
        (KubernetesType("Pod"), "Pod contains Pod again: leave it out"),
        (KubernetesType("Pod", "self"), "Pod contains Pod again: leave it out"),
    ],
)
def test_what_cannot_be_inlined_is_an_error(wanted: KubernetesType, message: str) -> None:
    """A CRD has no references, so a recursive type cannot be inlined."""
    with pytest.raises(PublishedError, match=message):
        published_types().inline(wanted)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("One. Two.", "One."),
        ("One\n  line.  Two.", "One line."),
        ("Version v1.36 of it", "Version v1.36 of it"),
        ("long " * 40, "long " * 18 + "long…"),
    ],
)
def test_a_description_is_cut_to_its_first_sentence(text: str, sentence: str) -> None:
    """The CRD must fit into an annotation."""
    assert cut_to_first_sentence(text) == sentence


def test_kubernetes_publishes_the_types_that_the_models_name() -> None:
    """The types have the extensions for server-side apply."""
    env = load_definitions()["io.k8s.api.core.v1.Container"]["properties"]["env"]

    assert env["x-kubernetes-list-map-keys"] == ["name"]
