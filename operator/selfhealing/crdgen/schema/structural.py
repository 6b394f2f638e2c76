"""A model's JSON schema, made into a structural schema: what a CRD may contain.

No references, no null types, no titles; every value has one type; maps and lists carry the
extensions that server-side apply reads. See "Specifying a structural schema" in Kubernetes' docs.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import BaseModel

from selfhealing.api.base import KubernetesType, rules_key, type_marker
from selfhealing.crdgen.schema.overlay import Schema

ORDER: Final = (
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
    rules_key,
    "required",
    "properties",
    "items",
    "additionalProperties",
)
"""Every keyword that may be in the CRD, in the order in which it is written."""

SAME_IN_BOTH: Final = frozenset(ORDER) - {"properties", "items", "additionalProperties"}


class StructuralError(Exception):
    """A model cannot be written as a structural schema."""


def structural(model: type[BaseModel], published: Callable[[KubernetesType], Schema]) -> Schema:
    """Return the structural schema of a model.

    Args:
        model: the model.
        published: gives the schema of a type that Kubernetes publishes.

    Raises:
        StructuralError: the model says something that a CRD cannot say.
    """
    schema = model.model_json_schema(by_alias=True, mode="validation")
    definitions = schema.pop("$defs", {})
    return ordered(_convert(schema, definitions, published, "the model"))


def _convert(
    node: Schema,
    definitions: Mapping[str, Schema],
    published: Callable[[KubernetesType], Schema],
    where: str,
) -> Schema:
    node = resolve(node, definitions)
    marker = node.pop(type_marker, None)
    known = {key: value for key, value in node.items() if key in SAME_IN_BOTH}
    if known.get("default", "") is None:
        del known["default"]
    if marker is not None:
        inlined = published(KubernetesType(**marker))
        rules = [*inlined.get(rules_key, ()), *known.get(rules_key, ())]
        return {**inlined, **known, **({rules_key: rules} if rules else {})}
    if (
        unknown := node.keys()
        - SAME_IN_BOTH
        - {
            "title",
            "properties",
            "items",
            "additionalProperties",
        }
    ):
        raise StructuralError(f"{where}: a CRD cannot say {', '.join(sorted(unknown))}")
    if "properties" in node:
        known["properties"] = {
            name: _convert(child, definitions, published, f"{where}.{name}")
            for name, child in node["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if key in node:
            known[key] = _convert(node[key], definitions, published, f"{where}[]")
    return known


def resolve(node: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Follow a reference and take the type out of "or null"; what stands beside it wins."""
    node = dict(node)
    if "anyOf" in node:
        choices = [choice for choice in node.pop("anyOf") if choice != {"type": "null"}]
        if len(choices) != 1:
            raise StructuralError(f"a CRD has one type a field: {choices}")
        return {**resolve(choices[0], definitions), **node}
    if "$ref" in node:
        name = str(node.pop("$ref")).rpartition("/")[2]
        return {**resolve(definitions[name], definitions), **node}
    return node


def ordered(schema: Schema) -> Schema:
    """Write the keywords of a schema, and of all below it, in one order."""
    result: dict[str, Any] = {}
    for key in sorted(schema, key=ORDER.index):
        value = schema[key]
        if key == "properties":
            value = {name: ordered(child) for name, child in value.items()}
        elif key in {"items", "additionalProperties"}:
            value = ordered(value)
        result[key] = value
    _check(result)
    return result


def _check(schema: Schema) -> None:
    """Refuse what the API server would refuse, where the reason is easier to see."""
    if "type" not in schema and "x-kubernetes-int-or-string" not in schema:
        raise StructuralError(f"a schema without a type: {schema}")
    if schema.get("x-kubernetes-list-type") == "map":
        item = schema["items"]
        for key in schema["x-kubernetes-list-map-keys"]:
            if key not in item.get("required", ()) and "default" not in item["properties"][key]:
                raise StructuralError(f"the list key {key} must be required or have a default")
