"""What two pod templates differ in, for a reader who wants to know what a new version brought.

Values of environment variables and of HTTP headers are never shown, but that one has changed is
said: it is what many a failed version failed of.
"""

from collections.abc import Iterable, Mapping
from difflib import unified_diff
from typing import Any, Final

import yaml

from selfhealing.evidence.redaction import MASK, is_secret, redact

CHANGED: Final = "<redacted, changed>"
_ONE_LINE: Final = 1 << 20
"""A value that goes on in a second line would not be known by its name any more."""


def template_diff(kept: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """What only ``wanted`` has (+), and what only ``kept`` has (-); empty when they are alike."""
    before, after = _lines(_masked(kept, kept)), _lines(_masked(wanted, kept))
    found = unified_diff(before, after, "the kept version", "the wanted version", lineterm="")
    return redact("\n".join(found))


def _lines(template: object) -> list[str]:
    text: str = yaml.safe_dump(template, width=_ONE_LINE, allow_unicode=True)
    return text.splitlines()


def _masked(part: object, before: object) -> object:
    """A copy of ``part`` without secrets; ``before`` is the same part of the other version.

    Whatever has a name and a value is a variable or a header; a value that is not the one before
    gets another mask, so that the difference is seen.
    """
    if isinstance(part, Mapping):
        known = before if isinstance(before, Mapping) else {}
        result = {
            key: MASK if _is_secret(key, item) else _masked(item, known.get(key))
            for key, item in part.items()
        }
        if "name" in part and "value" in part:
            same = known.get("value", part["value"]) == part["value"]
            result["value"] = MASK if same else CHANGED
        return result
    if isinstance(part, list):
        others = _by_name(before if isinstance(before, list) else ())
        return [
            MASK if _is_option(last, item) else _masked(item, others.get(_name(item, place)))
            for place, (last, item) in enumerate(zip((None, *part), part, strict=False))
        ]
    return redact(part) if isinstance(part, str) else part


def _is_secret(key: object, item: object) -> bool:
    return isinstance(key, str) and isinstance(item, str) and is_secret(key)


def _is_option(before: object, item: object) -> bool:
    """Whether ``item`` is the secret of the option before it: "--password" and the password."""
    return _is_secret(before, item) and str(before).startswith("-")


def _by_name(items: Iterable[object]) -> dict[object, object]:
    return {_name(item, place): item for place, item in enumerate(items)}


def _name(item: object, place: int) -> object:
    """What an item of a list is known by in both versions: its name, or else its place."""
    return item.get("name", place) if isinstance(item, Mapping) else place
