"""Inlines the schemas of Kubernetes' own types into the CRD.

The schemas come from the PyPI package kubernetes-validate, which has the OpenAPI of every
Kubernetes version with its extensions. It is large (108 MB) and a development dependency: only the
generator imports it. A CRD may not contain references, so they are replaced by their targets.
"""

import json
import re
from collections.abc import Mapping
from importlib import resources
from typing import Final

from selfhealing.api.base import KubernetesType
from selfhealing.crdgen.schema.overlay import INT_OR_STRING, Overlay, Schema, apply_overlay

KUBERNETES_VERSION: Final = "v1.36.0"
"""The Kubernetes version of the types. To take a newer one, change this line."""

QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING_TYPE: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"

COPIED_KEYWORDS: Final = frozenset(
    {
        "type",
        "format",
        "description",
        "required",
        "enum",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-map-type",
    }
)
"""Keywords that are copied. Patch strategies and unions have no meaning in a CRD."""

INT32_BOUNDS: Final = {"minimum": -(2**31), "maximum": 2**31 - 1}
"""The bounds of the format int32, which the API server does not check in a CRD."""

MAX_DESCRIPTION_LENGTH: Final = 100
"""Characters of Kubernetes' own descriptions that are kept, so that the CRD fits an annotation."""


class PublishedError(Exception):
    """A published type cannot be part of a CRD."""


def load_definitions() -> dict[str, Schema]:
    """Load the schemas of the published types, by name."""
    package = resources.files("kubernetes_validate")
    file = package / "kubernetes-json-schema" / f"{KUBERNETES_VERSION}-local" / "_definitions.json"
    definitions: dict[str, Schema] = json.loads(file.read_text(encoding="utf-8"))["$defs"]
    return definitions


class PublishedTypes:
    """Inlines published types, with their overlays."""

    def __init__(
        self,
        definitions: Mapping[str, Schema],
        overlays: Mapping[str, Overlay],
        variants: Mapping[str, Overlay],
    ) -> None:
        self._definitions = definitions
        self._overlays = overlays
        self._variants = variants

    def inline(self, published_type: KubernetesType) -> Schema:
        """Return the schema of a type, or of one field of it.

        Raises:
            PublishedError: the type or field does not exist, or the type contains itself.
            OverlayError: an overlay names something that the type does not have.
        """
        if published_type.field is None:
            schema = self._inline_type(published_type.name, ())
        else:
            owner = self._get_definition(published_type.name)
            if published_type.field not in owner["properties"]:
                raise PublishedError(f"{published_type.name} has no field {published_type.field}")
            overlay = self._overlays.get(published_type.name, Overlay())
            schema = apply_overlay(
                self._inline_node(
                    owner["properties"][published_type.field], (published_type.name,)
                ),
                overlay.fields.get(published_type.field),
                f"{published_type.name}.{published_type.field}",
            )
        if published_type.variant is None:
            return schema
        return apply_overlay(
            schema,
            self._variants[published_type.variant],
            f"{published_type.name} ({published_type.variant})",
        )

    def _get_definition(self, name: str) -> Schema:
        if name not in self._definitions:
            raise PublishedError(f"Kubernetes {KUBERNETES_VERSION} publishes no {name}")
        return self._definitions[name]

    def _inline_type(self, name: str, ancestors: tuple[str, ...]) -> Schema:
        if name in ancestors:
            raise PublishedError(f"{' > '.join(ancestors)} contains {name} again: leave it out")
        overlay = self._overlays.get(name)
        definition = self._get_definition(name)
        if name in {QUANTITY, INT_OR_STRING_TYPE}:
            schema: Schema = {INT_OR_STRING: True}
        else:
            if overlay is not None:
                definition = _drop_fields(definition, overlay.drop)
                overlay = Overlay(
                    **{f: getattr(overlay, f) for f in Overlay.__slots__ if f != "drop"}
                )
            schema = self._inline_node(definition, (*ancestors, name))
        return apply_overlay(schema, overlay, name)

    def _inline_node(self, node: Schema, ancestors: tuple[str, ...]) -> Schema:
        schema = {key: value for key, value in node.items() if key in COPIED_KEYWORDS}
        if schema.get("x-kubernetes-list-type") == "atomic":  # the default
            del schema["x-kubernetes-list-type"]
        if "$ref" in node:
            target = str(node["$ref"]).rpartition("/")[2]
            schema = {**self._inline_type(target, ancestors), **schema}
        if isinstance(schema.get("type"), list):
            (schema["type"],) = (kind for kind in schema["type"] if kind != "null")
        if schema.get("format") == "int32":
            schema = {**INT32_BOUNDS, **schema}
        if "description" in schema:
            schema["description"] = cut_to_first_sentence(schema["description"])
        if "properties" in node:
            schema["properties"] = {
                name: self._inline_node(child, ancestors)
                for name, child in node["properties"].items()
            }
        for key in ("items", "additionalProperties"):
            if key in node:
                schema[key] = self._inline_node(node[key], ancestors)
                if "description" in schema:  # that of the list is more specific
                    schema[key].pop("description", None)
        return schema


def _drop_fields(definition: Schema, fields: Mapping[str, str]) -> Schema:
    """Drop fields before they are inlined, because a dropped field may contain its own type."""
    return apply_overlay({**definition}, Overlay(drop=fields), "a published type")


def cut_to_first_sentence(text: str) -> str:
    """Return the first sentence, cut after a word to MAX_DESCRIPTION_LENGTH characters."""
    sentence = re.split(r"(?<=[.!?])\s", text.strip().replace("\n", " "), maxsplit=1)[0]
    sentence = re.sub(r"\s+", " ", sentence)
    if len(sentence) <= MAX_DESCRIPTION_LENGTH:
        return sentence
    return sentence[: MAX_DESCRIPTION_LENGTH - 1].rsplit(" ", 1)[0] + "…"
