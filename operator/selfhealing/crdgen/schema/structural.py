"""Converts the JSON schema of a model into a structural schema, as a CRD requires.

A structural schema has no references, null types or titles, and one type per value. Maps and lists
have the extensions for server-side apply. See "Specifying a structural schema" in Kubernetes' docs.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import BaseModel

from selfhealing.api.base import (
    TYPE_MARKER_KEY,
    VALIDATIONS_KEY,
    KubernetesType,
    Rule,
)
from selfhealing.crdgen.schema.overlay import Schema

KEYWORD_ORDER: Final = (
    "description",
    "type",
    "x-kubernetes-int-or-string",
    "format",
    "default",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    VALIDATIONS_KEY,
    "required",
    "properties",
    "items",
    "additionalProperties",
)
"""All keywords of the CRD, in the order in which they are written."""

COPIED_KEYWORDS: Final = frozenset(KEYWORD_ORDER) - {"properties", "items", "additionalProperties"}


class StructuralError(Exception):
    """A model has no structural schema."""


def to_structural_schema(
    model: type[BaseModel], inline_published: Callable[[KubernetesType], Schema]
) -> Schema:
    """Return the structural schema of a model.

    Args:
        model: the model.
        inline_published: returns the schema of a type that Kubernetes publishes.

    Raises:
        StructuralError: the model has something that a CRD cannot express.
    """
    schema = model.model_json_schema(by_alias=True, mode="validation")
    definitions = schema.pop("$defs", {})
    return sort_keywords(_convert(schema, definitions, inline_published, "the model"))


def _convert(
    node: Schema,
    definitions: Mapping[str, Schema],
    inline_published: Callable[[KubernetesType], Schema],
    path: str,
) -> Schema:
    node = resolve_reference(node, definitions)
    marker = node.pop(TYPE_MARKER_KEY, None)
    result = {key: value for key, value in node.items() if key in COPIED_KEYWORDS}
    if result.get("default", "") is None:
        del result["default"]
    if "description" in result:
        result["description"] = unwrap_lines(result["description"])
    if marker is not None:
        inlined = inline_published(KubernetesType(**marker))
        rules = [*inlined.get(VALIDATIONS_KEY, ()), *result.get(VALIDATIONS_KEY, ())]
        return {**inlined, **result, **({VALIDATIONS_KEY: rules} if rules else {})}
    if (
        unknown := node.keys()
        - COPIED_KEYWORDS
        - {
            "title",
            "properties",
            "items",
            "additionalProperties",
            "propertyNames",
        }
    ):
        raise StructuralError(f"{path}: a CRD cannot say {', '.join(sorted(unknown))}")
    if "properties" in node:
        result["properties"] = {
            name: _convert(child, definitions, inline_published, f"{path}.{name}")
            for name, child in node["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if key in node:
            result[key] = _convert(node[key], definitions, inline_published, f"{path}[]")
    if "propertyNames" in node:
        rule = _limit_keys(node["propertyNames"], path)
        result[VALIDATIONS_KEY] = [*result.get(VALIDATIONS_KEY, ()), rule.to_schema()]
    return result


def _limit_keys(schema: Schema, path: str) -> Rule:
    """Return the rule for the length of the keys of a map, for which a CRD has no keyword."""
    if set(schema) != {"maxLength"}:
        raise StructuralError(f"{path}: a rule can only limit the length of the keys of a map")
    limit = schema["maxLength"]
    return Rule(
        cel=f"self.all(key, key.size() <= {limit})",
        message=f"a key is too long: write at most {limit} characters",
    )


def unwrap_lines(text: str) -> str:
    """Join the lines of each paragraph, so that a docstring's line breaks do not show."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def resolve_reference(node: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Replace a reference by its target, and "or null" by the other type.

    Keywords beside the reference override those of the target.
    """
    node = dict(node)
    if "anyOf" in node:
        choices = [choice for choice in node.pop("anyOf") if choice != {"type": "null"}]
        if len(choices) != 1:
            raise StructuralError(f"a CRD has one type a field: {choices}")
        return {**resolve_reference(choices[0], definitions), **node}
    if "$ref" in node:
        name = str(node.pop("$ref")).rpartition("/")[2]
        return {**resolve_reference(definitions[name], definitions), **node}
    return node


def sort_keywords(schema: Schema) -> Schema:
    """Return the schema with its keywords, and those of its parts, in KEYWORD_ORDER."""
    result: dict[str, Any] = {}
    for key in sorted(schema, key=KEYWORD_ORDER.index):
        value = schema[key]
        if key == "properties":
            value = {name: sort_keywords(child) for name, child in value.items()}
        elif key in {"items", "additionalProperties"}:
            value = sort_keywords(value)
        result[key] = value
    _check_schema(result)
    return result


def _check_schema(schema: Schema) -> None:
    """Refuse what the API server would refuse with a message that is harder to understand."""
    if "type" not in schema and "x-kubernetes-int-or-string" not in schema:
        raise StructuralError(f"a schema without a type: {schema}")
    if schema.get("x-kubernetes-list-type") == "map":
        item = schema["items"]
        for key in schema["x-kubernetes-list-map-keys"]:
            if key not in item.get("required", ()) and "default" not in item["properties"][key]:
                raise StructuralError(f"the list key {key} must be required or have a default")
