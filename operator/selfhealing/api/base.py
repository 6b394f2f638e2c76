"""The base of the models: the class Model, CEL rules and references to Kubernetes' own types.

A field is defined once: as an attribute of a model with its type, bounds and rules, and with its
description in the docstring below it. The CRD, the reference page and the parser are derived from
the models.

``Rule`` and ``KubernetesType`` have no effect at run time. They add markers to a model's JSON
schema, from which ``selfhealing.crdgen.schema`` generates the CRD. Values of Kubernetes' own types
are passed through as plain JSON, which the API server validates.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

TYPE_MARKER_KEY: Final = "x-selfhealing-type"
"""The key in a model's JSON schema for the published type that replaces this node in the CRD."""

VALIDATIONS_KEY: Final = "x-kubernetes-validations"

FORMER_LIMIT: Final = 1024
"""Characters of a field under its old name."""

Json = dict[str, Any]
"""A JSON object that is passed through."""

Int32 = Annotated[int, Field(le=2**31 - 1, json_schema_extra={"format": "int32"})]
"""An integer of Kubernetes' format int32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A CEL validation rule of the CRD, with its message."""

    cel: str
    """The expression, true for a valid value; ``self`` is the value of the annotated field."""

    message: str
    """What is wrong, and what to write instead."""

    message_expression: str | None = None
    """A CEL expression for the message, if it names the value."""

    field_path: str | None = None
    """The path below ``self`` of the invalid field, such as ``.replicas``; None for ``self``."""

    reason: str | None = None
    """FieldValueRequired or FieldValueForbidden; None for FieldValueInvalid.

    FieldValueDuplicate is not used, because the API server omits the message for it.
    """

    has_optional_old_self: bool = False
    """Whether ``oldSelf`` is an optional value: the rule holds for new objects, too."""

    def to_schema(self) -> dict[str, str | bool]:
        """Return the rule as an item of ``x-kubernetes-validations``."""
        entry: dict[str, str | bool | None] = {
            "rule": self.cel,
            "message": self.message,
            "messageExpression": self.message_expression,
            "fieldPath": self.field_path,
            "reason": self.reason,
            "optionalOldSelf": self.has_optional_old_self or None,
        }
        return {key: value for key, value in entry.items() if value is not None}

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Add the rule to the schema of the annotated field."""
        schema = dict(handler(core))
        schema[VALIDATIONS_KEY] = [*schema.get(VALIDATIONS_KEY, ()), self.to_schema()]
        return schema


@dataclass(frozen=True, slots=True)
class KubernetesType:
    """Marks a field whose schema is that of a published Kubernetes type."""

    name: str
    """The type: ``io.k8s.api.core.v1.Container``."""

    field: str | None = None
    """The field of the type whose schema is taken, with its list keys; None for the type itself."""

    variant: str | None = None
    """The name of an overlay in ``crdgen.overlays.VARIANTS`` for this field only."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the marker for the generator instead of the schema of plain JSON."""
        handler(core)
        return {
            TYPE_MARKER_KEY: {"name": self.name, "field": self.field, "variant": self.variant},
        }


class SchemaKeywords:
    """Schema keywords of a field that the API server checks and the parser does not."""

    def __init__(self, keywords: Mapping[str, Any]) -> None:
        self.keywords = keywords

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Add the keywords to the schema of the field."""
        return {**handler(core), **self.keywords}


class ListMap:
    """Marks a list whose items server-side apply merges by these key fields."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Add the keys to the schema of the list."""
        return {
            **handler(core),
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": list(self.keys),
        }


class Model(BaseModel):
    """A part of the resource: immutable, with snake_case attributes and camelCase in YAML."""

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",  # a newer CRD has fields that this operator does not know
        use_attribute_docstrings=True,
        defer_build=True,  # the plugin starts quicker: a command uses few of the models
    )

    rules: ClassVar[tuple[Rule, ...]] = ()
    """The CEL rules that read several fields of this part."""

    former_names: ClassVar[Mapping[str, str]] = {}
    """By the old name of a field its new one. The CRD declares the old one, too: the API server
    prunes what it does not declare when it reads a stored resource (Kubernetes KEP-2332)."""

    published: ClassVar[str | None] = None
    """The published Kubernetes type that this model parses; the CRD has the published schema."""

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with changed fields. Unlike pydantic's own, it refuses unknown fields.

        Raises:
            TypeError: a key of ``update`` is not a field of the model.
        """
        unknown = (update or {}).keys() - type(self).model_fields.keys()
        if unknown:
            msg = f"{type(self).__name__} has no field {', '.join(sorted(unknown))}"
            raise TypeError(msg)
        return super().model_copy(update=update, deep=deep)

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: object) -> object:
        """Drop nulls, as the API server does for fields that are not nullable."""
        # To find out that a value is a dict, as almost every one is, costs less than for a Mapping.
        if isinstance(value, dict | Mapping):
            return {key: item for key, item in value.items() if item is not None}
        return value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Add the rules of this part to its schema, or return the marker of a published type."""
        if cls.published is not None:
            return KubernetesType(cls.published).__get_pydantic_json_schema__(core, handler)
        schema = dict(handler.resolve_ref_schema(handler(core)))
        if cls.former_names:
            schema["properties"] |= {
                old: _describe_former_field(new) for old, new in cls.former_names.items()
            }
        if cls.rules:
            schema[VALIDATIONS_KEY] = [rule.to_schema() for rule in cls.rules]
        return schema


def _describe_former_field(new_name: str) -> Json:
    """Return the schema of a field under its old name; those of other types are not needed."""
    description = f"Old name of `{new_name}`, which replaces it at the next write."
    return {"description": description, "type": "string", "maxLength": FORMER_LIMIT}


class SpecModel(Model):
    """A part of the spec. As in the API server, a string is never converted to a number."""

    model_config = ConfigDict(strict=True)
