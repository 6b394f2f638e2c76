"""Reads ``metadata.managedFields``: what other field managers own in a Deployment's pod template.

The API server keeps one entry for each manager, operation and subresource, with the time of its
last change. ``fieldsV1`` is a tree whose keys are ``f:<field>``, ``k:<keys of a list item>``,
``v:<value>``, ``i:<index>`` and ``.`` (the item itself); a leaf is empty (FieldsV1 of
apimachinery's meta/v1).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from selfhealing.api import names
from selfhealing.cache.parse import Json, clean_message, compact_json, parse_time
from selfhealing.cache.views import TemplateEdit

MAX_TEMPLATE_EDITS: Final = 10
"""Managers that are kept, the newest: as many as the API server keeps of those that update."""

MAX_MANAGER_LENGTH: Final = 128
"""Characters of a manager's name that are kept: the API server refuses longer ones."""

RESTART_FIELDS: Final[Json] = {
    "f:metadata": {"f:annotations": {f"f:{names.ANNOTATION_RESTARTED_AT}": {}}}
}
"""What ``kubectl rollout restart`` owns in a pod template."""

_MAX_DEPTH: Final = 32
"""Levels of a field tree that are read; those of a pod template have fewer."""

OWN_MANAGERS: Final = frozenset({names.FIELD_MANAGER, names.HANDOVER_MANAGER, names.RESET_MANAGER})
"""The operator's own field managers."""

_FIRST_YEAR: Final = 1970

_OLDEST: Final = datetime.min.replace(tzinfo=UTC)


def read_fields(entry: Json) -> Json:
    """Return the field tree of an entry, to a depth of ``_MAX_DEPTH``."""
    return subtract_fields(entry.get("fieldsV1"), {})


def has_other_managers(metadata: Json) -> bool:
    """Whether another field manager owns fields of an object beside those of a subresource."""
    entries = metadata.get("managedFields") or ()
    return any(
        _is_of_object(entry) and entry.get("manager") not in OWN_MANAGERS for entry in entries
    )


def parse_template_edits(metadata: Json) -> tuple[TemplateEdit, ...]:
    """Return what other field managers own in the pod template, the newest edit first.

    ``kubectl rollout restart`` is no edit: its annotation only replaces the pods.
    """
    entries = [entry for entry in metadata.get("managedFields") or () if _is_of_object(entry)]
    others = [entry for entry in entries if entry.get("manager") not in OWN_MANAGERS]
    if not any(_template_fields(entry) for entry in others):
        return ()
    own = [entry for entry in entries if entry.get("manager") == names.FIELD_MANAGER]
    own_fields = _template_fields(own[0]) if own else {}
    edits = []
    for entry in others:
        fields = subtract_fields(_template_fields(entry), own_fields)
        if fields := subtract_fields(fields, RESTART_FIELDS):
            edits.append(
                TemplateEdit(
                    manager=clean_message(entry.get("manager"))[:MAX_MANAGER_LENGTH],
                    at=_parse_edit_time(entry.get("time")),
                    fields=compact_json(fields),
                    is_undo=_owns_applied_hash(entry),
                )
            )
    edits.sort(key=lambda edit: edit.at or _OLDEST, reverse=True)
    return tuple(edits[:MAX_TEMPLATE_EDITS])


def _parse_edit_time(value: str | None) -> datetime | None:
    """Parse a time; None for one that no clock has shown: whoever edits an entry may write any."""
    at = parse_time(value)
    return at if at is not None and at.year >= _FIRST_YEAR else None


def _is_of_object(entry: Any) -> bool:  # noqa: ANN401 - the API server stores any entry
    return isinstance(entry, Mapping) and not entry.get("subresource")


def _template_fields(entry: Json) -> Json:
    return _descend(entry.get("fieldsV1"), "f:spec", "f:template")


def _owns_applied_hash(entry: Json) -> bool:
    annotations = _descend(entry.get("fieldsV1"), "f:metadata", "f:annotations")
    return f"f:{names.ANNOTATION_APPLIED_HASH}" in annotations


def _descend(fields: Any, *keys: str) -> Json:  # noqa: ANN401 - the API server stores any entry
    for key in keys:
        fields = fields.get(key) if isinstance(fields, Mapping) else None
    return fields if isinstance(fields, Mapping) else {}


def subtract_fields(fields: Any, others: Json, depth: int = _MAX_DEPTH) -> Json:  # noqa: ANN401 - the API server stores any entry
    """Return the part of a field tree that is not in another one, to ``_MAX_DEPTH``.

    An item (``.``) is the others' if they own anything in it.
    """
    result: dict[str, Any] = {}
    if not isinstance(fields, Mapping) or not depth:
        return result
    for key, inner in fields.items():
        if key not in others:
            result[key] = subtract_fields(inner, {}, depth - 1)
            continue
        rest = dict(subtract_fields(inner, others[key], depth - 1))
        rest.pop(".", None)
        if rest:
            result[key] = rest
    return result
