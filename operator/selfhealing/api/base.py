"""What the models of the resource are made of: a base class, CEL rules and Kubernetes' own types.

A field exists in one place: an attribute of a model, with its type, its bounds, its rules and, in
the docstring below it, its meaning. The CRD, the reference page and the parser follow from there.

`Rule` and `KubernetesType` say nothing at run time. They leave marks in the model's JSON schema,
which `selfhealing.crdgen.schema` turns into the CRD. Kubernetes' own types are passed through as
plain JSON: this program has no opinion on the fields of a toleration, the API server has.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

TYPE_MARKER_KEY: Final = "x-selfhealing-type"
"""In a model's JSON schema: the published Kubernetes type that takes this place in the CRD."""

VALIDATIONS_KEY: Final = "x-kubernetes-validations"
PRESERVE_UNKNOWN_KEY: Final = "x-kubernetes-preserve-unknown-fields"

Json = dict[str, Any]
"""A JSON object that is passed through."""

Int32 = Annotated[int, Field(le=2**31 - 1, json_schema_extra={"format": "int32"})]
"""An integer as wide as Kubernetes stores it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A CEL rule that the API server holds a resource to, with what it says when it does not."""

    cel: str
    """True when all is well; ``self`` is the value that the rule stands beside."""

    message: str
    """What to write instead."""

    message_expression: str | None = None
    """A CEL expression for the message, where it should name what was found."""

    field_path: str | None = None
    """The field below ``self`` that is to blame, where it is not ``self``: ``.replicas``."""

    reason: str | None = None
    """FieldValueRequired or FieldValueForbidden; else FieldValueInvalid.

    With FieldValueDuplicate the API server would leave the message out.
    """

    def to_schema(self) -> dict[str, str]:
        """Write the rule as an entry of ``x-kubernetes-validations``."""
        entry = {
            "rule": self.cel,
            "message": self.message,
            "messageExpression": self.message_expression,
            "fieldPath": self.field_path,
            "reason": self.reason,
        }
        return {key: value for key, value in entry.items() if value is not None}

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Add the rule to the schema of the field that it annotates."""
        schema = dict(handler(core))
        schema[VALIDATIONS_KEY] = [*schema.get(VALIDATIONS_KEY, ()), self.to_schema()]
        return schema


@dataclass(frozen=True, slots=True)
class KubernetesType:
    """Takes a field's schema from the one that Kubernetes publishes."""

    name: str
    """The type: ``io.k8s.api.core.v1.Container``."""

    field: str | None = None
    """The field of it that is meant (with its list keys), where it is not the type itself."""

    variant: str | None = None
    """A name in the table of overlays, where this use differs from the others of its type."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Leave a mark for the generator in place of the schema of plain JSON."""
        handler(core)
        return {
            TYPE_MARKER_KEY: {"name": self.name, "field": self.field, "variant": self.variant},
        }


class SchemaKeywords:
    """Keywords for a field's schema that the API server checks and the parser does not."""

    def __init__(self, keywords: Mapping[str, Any]) -> None:
        self.keywords = keywords

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Add the keywords to the schema of the field."""
        return {**handler(core), **self.keywords}


class ListMap:
    """Makes a list a map of its entries by these keys, for server-side apply."""

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
    """A part of the resource: frozen, snake_case here and camelCase in YAML."""

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",  # an older operator meets the resources of a newer CRD
        use_attribute_docstrings=True,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()
    """The CEL rules over several fields of this part."""

    preserves_unknown_fields: ClassVar[bool] = False
    """Whether the API server keeps fields of this part that the CRD does not declare."""

    published: ClassVar[str | None] = None
    """The Kubernetes type that this model reads, whose published schema goes into the CRD."""

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy with changed fields; pydantic itself accepts keys that are no fields.

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
        """Drop nulls, as the API server does with fields that cannot be null."""
        if isinstance(value, Mapping):
            return {key: item for key, item in value.items() if item is not None}
        return value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Add the rules of this part to its schema, or leave the mark of a published type."""
        if cls.published is not None:
            return KubernetesType(cls.published).__get_pydantic_json_schema__(core, handler)
        schema = dict(handler.resolve_ref_schema(handler(core)))
        if cls.preserves_unknown_fields:
            schema[PRESERVE_UNKNOWN_KEY] = True
        if cls.rules:
            schema[VALIDATIONS_KEY] = [rule.to_schema() for rule in cls.rules]
        return schema


class SpecModel(Model):
    """A part of the spec: a string is never taken for a number, as in the API server."""

    model_config = ConfigDict(strict=True)
