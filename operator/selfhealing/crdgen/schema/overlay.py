"""Overlays: changes to a published schema, for checks that Kubernetes has only in its Go code.

A resource that the CRD accepts should not fail later in a child, which the user did not write. So
the overlays repeat the limits of the children's types. An overlay that names a missing field is an
error, so that the generation detects what a new Kubernetes version has renamed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from selfhealing.api.base import VALIDATIONS_KEY, Rule

Schema = dict[str, Any]
"""A JSON schema."""

Keywords = Mapping[str, Any]
"""Keywords of a JSON schema."""


class OverlayError(Exception):
    """An overlay names something that the published schema does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """A change to a schema."""

    drop: Mapping[str, str] = field(default_factory=dict)
    """Fields that are removed, with the reason, which the reference page shows."""

    require: tuple[str, ...] = ()
    """Fields that become required."""

    optional: tuple[str, ...] = ()
    """Fields that are no longer required."""

    fields: "Mapping[str, Overlay | Keywords]" = field(default_factory=dict)
    """Changes to fields."""

    items: "Overlay | Keywords | None" = None
    """Changes to the items of a list."""

    values: "Overlay | Keywords | None" = None
    """Changes to the values of a map."""

    keywords: Keywords = field(default_factory=dict)
    """Keywords to set on the schema itself."""

    rules: tuple[Rule, ...] = ()
    """CEL rules to add."""


INT_OR_STRING: Final = "x-kubernetes-int-or-string"


def apply_overlay(schema: Schema, overlay: Overlay | Keywords | None, where: str) -> Schema:
    """Return the schema with the overlay's changes.

    Args:
        schema: the published schema.
        overlay: the changes, or keywords to add.
        where: the path of the schema, for the error message.

    Raises:
        OverlayError: the overlay names something that the schema does not have.
    """
    if overlay is None:
        return schema
    if not isinstance(overlay, Overlay):
        return {**schema, **overlay}
    _check_overlay(schema, overlay, where)
    result = {**schema, **overlay.keywords}
    for key, inner in (("items", overlay.items), ("additionalProperties", overlay.values)):
        if key in schema:
            result[key] = apply_overlay(schema[key], inner, f"{where}[]")
    if "properties" in schema:
        result.update(_overlay_properties(schema, overlay, where))
        if not result["required"]:
            del result["required"]
    if overlay.rules:
        rules = [rule.to_schema() for rule in overlay.rules]
        result[VALIDATIONS_KEY] = [*schema.get(VALIDATIONS_KEY, ()), *rules]
    return result


def _check_overlay(schema: Schema, overlay: Overlay, where: str) -> None:
    named_fields = {*overlay.drop, *overlay.require, *overlay.fields}
    if missing := named_fields - set(schema.get("properties", ())):
        raise OverlayError(f"{where} has no {', '.join(sorted(missing))}")
    if missing := set(overlay.optional) - set(schema.get("required", ())):
        raise OverlayError(f"{where} does not require {', '.join(sorted(missing))}")
    for key, inner in (("items", overlay.items), ("additionalProperties", overlay.values)):
        if inner is not None and key not in schema:
            raise OverlayError(f"{where} has no {key}")


def _overlay_properties(schema: Schema, overlay: Overlay, where: str) -> Schema:
    required = {*schema.get("required", ()), *overlay.require}
    return {
        "properties": {
            name: apply_overlay(field, overlay.fields.get(name), f"{where}.{name}")
            for name, field in schema["properties"].items()
            if name not in overlay.drop
        },
        "required": sorted(required - {*overlay.optional, *overlay.drop}),
    }
