"""Compares two pod templates, to show what a new revision changes.

Values of environment variables and HTTP headers are never shown. A changed value is marked as
changed, because that is a common cause of a failed revision.
"""

from collections.abc import Iterable, Mapping
from difflib import unified_diff
from typing import Any, Final

import yaml

from selfhealing.api.text import clean_text
from selfhealing.evidence.redaction import PATTERNS_ONLY, Redactor
from selfhealing.evidence.secret_names import is_secret_name
from selfhealing.evidence.secret_syntax import MASK

MAX_LINES: Final = 500
"""Lines of YAML of the largest template that is compared: difflib takes quadratic time."""
CHANGED_MASK: Final = "<redacted, changed>"
_NO_LINE_WRAP: Final = 1 << 20
"""A line width for YAML without wraps: redaction needs the name and the value in one line."""


def diff_templates(
    stable: Mapping[str, Any], desired: Mapping[str, Any], redactor: Redactor = PATTERNS_ONLY
) -> str:
    """The unified diff from ``stable`` to ``desired`` as YAML; empty if they are equal.

    Templates of more than MAX_LINES are not compared.
    """
    mask = _Masker(redactor).mask
    before, after = _to_yaml_lines(mask(stable, stable)), _to_yaml_lines(mask(desired, stable))
    redactor.check()
    if max(len(before), len(after)) > MAX_LINES:
        return f"too large to compare: {len(before)} and {len(after)} lines"
    diff_lines = unified_diff(
        before, after, "the stable revision", "the desired revision", lineterm=""
    )
    return redactor.redact("\n".join(diff_lines))


def mask_object(value: Any, redactor: Redactor = PATTERNS_ONLY) -> Any:  # noqa: ANN401 - any JSON
    """Return a JSON value without the values of variables and headers, and without secrets."""
    return _Masker(redactor).mask(value, value)


def _to_yaml_lines(template: object) -> list[str]:
    text: str = yaml.safe_dump(template, width=_NO_LINE_WRAP, allow_unicode=True)
    return text.splitlines()


class _Masker:
    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def mask(self, part: object, previous: object) -> object:
        """Copy ``part`` without secrets; ``previous`` is the same part of the stable template.

        A mapping with a name and a value is a variable or a header. A value that differs from the
        previous one gets another mask, so that the diff shows the change.
        """
        if isinstance(part, Mapping):
            previous_fields = previous if isinstance(previous, Mapping) else {}
            result = {
                key: MASK if _is_secret(key, item) else self.mask(item, previous_fields.get(key))
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
                else self.mask(item, previous_items.get(_item_key(item, index)))
                for index, (preceding, item) in enumerate(zip((None, *part), part, strict=False))
            ]
        return self._redactor.redact(clean_text(part)) if isinstance(part, str) else part


def _is_secret(key: object, item: object) -> bool:
    return isinstance(key, str) and isinstance(item, str) and is_secret_name(key)


def _is_option_value(preceding: object, item: object) -> bool:
    """Whether ``item`` is the secret value of the option before it, such as "--password"."""
    return _is_secret(preceding, item) and str(preceding).startswith("-")


def _index_by_key(items: Iterable[object]) -> dict[object, object]:
    return {_item_key(item, index): item for index, item in enumerate(items)}


def _item_key(item: object, index: int) -> object:
    """What identifies a list item in both templates: its name, or else its index."""
    return item.get("name", index) if isinstance(item, Mapping) else index
