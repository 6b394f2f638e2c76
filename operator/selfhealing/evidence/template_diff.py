"""What two pod templates differ in, for a reader who wants to know what a new version brought.

Values of environment variables and of HTTP headers are never shown, but that one has changed is
said: it is what many a failed version failed of.
"""

from collections.abc import Iterable, Mapping
from difflib import unified_diff
from typing import Any, Final

import yaml

from selfhealing.evidence.redaction import MASK, is_secret_name, redact

CHANGED_MASK: Final = "<redacted, changed>"
_NO_LINE_WRAP: Final = 1 << 20
"""A value that goes on in a second line would not be known by its name any more."""


def diff_templates(stable: Mapping[str, Any], desired: Mapping[str, Any]) -> str:
    """What only ``wanted`` has (+), and what only ``kept`` has (-); empty when they are alike."""
    before, after = _to_yaml_lines(_mask(stable, stable)), _to_yaml_lines(_mask(desired, stable))
    diff_lines = unified_diff(before, after, "the kept version", "the wanted version", lineterm="")
    return redact("\n".join(diff_lines))


def _to_yaml_lines(template: object) -> list[str]:
    text: str = yaml.safe_dump(template, width=_NO_LINE_WRAP, allow_unicode=True)
    return text.splitlines()


def _mask(part: object, previous: object) -> object:
    """A copy of ``part`` without secrets; ``before`` is the same part of the other version.

    Whatever has a name and a value is a variable or a header; a value that is not the one before
    gets another mask, so that the difference is seen.
    """
    if isinstance(part, Mapping):
        previous_fields = previous if isinstance(previous, Mapping) else {}
        result = {
            key: MASK if _is_secret(key, item) else _mask(item, previous_fields.get(key))
            for key, item in part.items()
        }
        if "name" in part and "value" in part:
            is_unchanged = previous_fields.get("value", part["value"]) == part["value"]
            result["value"] = MASK if is_unchanged else CHANGED_MASK
        return result
    if isinstance(part, list):
        previous_items = _index_by_key(previous if isinstance(previous, list) else ())
        return [
            MASK
            if _is_option_value(preceding, item)
            else _mask(item, previous_items.get(_item_key(item, index)))
            for index, (preceding, item) in enumerate(zip((None, *part), part, strict=False))
        ]
    return redact(part) if isinstance(part, str) else part


def _is_secret(key: object, item: object) -> bool:
    return isinstance(key, str) and isinstance(item, str) and is_secret_name(key)


def _is_option_value(preceding: object, item: object) -> bool:
    """Whether ``item`` is the secret of the option before it: "--password" and the password."""
    return _is_secret(preceding, item) and str(preceding).startswith("-")


def _index_by_key(items: Iterable[object]) -> dict[object, object]:
    return {_item_key(item, index): item for index, item in enumerate(items)}


def _item_key(item: object, index: int) -> object:
    """What an item of a list is known by in both versions: its name, or else its place."""
    return item.get("name", index) if isinstance(item, Mapping) else index
