"""Says what to write instead, for every way in which a spec can fail to be read."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from selfhealing.api.errors import Problem

ADVICE: Final[Mapping[str, str]] = {
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
"""By pydantic's type of the error; `{input}` is what was found."""

LONGEST_INPUT: Final = 60
"""Characters of what was found that a message repeats."""


def problems(error: ValidationError, root: str = "spec") -> list[Problem]:
    """Translate what pydantic found, in its order."""
    return [
        Problem(_path(root, detail["loc"]), _advice(detail))
        for detail in error.errors(include_url=False)
    ]


def _path(root: str, location: tuple[int | str, ...]) -> str:
    """Write a location as kubectl does: ``spec.env[0].name``."""
    return root + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def _advice(detail: ErrorDetails) -> str:
    template = ADVICE.get(detail["type"], "is {input}: {msg}")
    context: dict[str, Any] = {
        **detail.get("ctx", {}),
        "input": _shown(detail["input"]),
        "msg": detail["msg"],
    }
    return template.format_map(context)


def _shown(found: object) -> str:
    if isinstance(found, Mapping):
        return "an object"
    if isinstance(found, list):
        return "a list"
    text = repr(found)
    return text if len(text) <= LONGEST_INPUT else f"{text[: LONGEST_INPUT - 1]}…"
