"""Turns what is shown into JSON, with names of fields in camelCase as Kubernetes has them."""

from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic.alias_generators import to_camel

from selfhealing.api.base import Model


def to_json(value: Any) -> Any:  # noqa: ANN401 - any part of a model
    """Return a model, or a part of one, as JSON; fields that are None are left out."""
    if isinstance(value, Model):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    if (named := _named_fields(value)) is not None:
        return {to_camel(name): to_json(item) for name, item in named.items() if item is not None}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value


def _named_fields(value: Any) -> dict[str, Any] | None:  # noqa: ANN401 - as above
    """Return the fields of a dataclass or a named tuple; None for any other value."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        named: dict[str, Any] = value._asdict()
        return named
    return None
