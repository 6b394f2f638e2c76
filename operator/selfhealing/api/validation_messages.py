"""Formats the validation errors of a spec as messages that say what to write instead."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from selfhealing.api.errors import FieldError

MESSAGE_TEMPLATES: Final[Mapping[str, str]] = {
    "missing": "is missing: write it",
    "string_type": "is {input}: write a string, in quotes where YAML would read something else",
    "int_type": "is {input}: write a whole number, without quotes",
    "bool_type": "is {input}: write true or false, without quotes",
    "dict_type": "is {input}: write an object, with fields",
    "model_type": "is {input}: write an object, with fields",
    "list_type": "is {input}: write a list",
    "literal_error": "is {input}: write {expected}",
    "greater_than_equal": "is {input}: write at least {ge}",
    "string_too_short": "is empty: write it",
    "string_too_long": "is {input}: write at most {max_length} characters",
    "less_than_equal": "is {input}: write at most {le}",
}
"""The messages by pydantic's error type; `{input}` is the invalid value."""

MAX_INPUT_LENGTH: Final = 60
"""Characters of an invalid value that a message repeats."""


def to_field_errors(error: ValidationError, root: str = "spec") -> list[FieldError]:
    """Convert the errors of pydantic, in their order.

    Args:
        error: the errors.
        root: the path of the validated object.
    """
    return [
        FieldError(_format_path(root, detail["loc"]), _format_message(detail))
        for detail in error.errors(include_url=False)
    ]


def _format_path(root: str, location: tuple[int | str, ...]) -> str:
    """Format a path as kubectl does: ``spec.env[0].name``."""
    return root + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def _format_message(detail: ErrorDetails) -> str:
    template = MESSAGE_TEMPLATES.get(detail["type"], "is {input}: {msg}")
    context: dict[str, Any] = {
        **detail.get("ctx", {}),
        "input": _describe_input(detail["input"]),
        "msg": detail["msg"],
    }
    return template.format_map(context)


def _describe_input(value: object) -> str:
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = repr(value)
    return text if len(text) <= MAX_INPUT_LENGTH else f"{text[: MAX_INPUT_LENGTH - 1]}…"
