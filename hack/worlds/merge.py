"""Server-side apply, as far as it matters here: fields have owners, lists have keys.

An apply sets the fields of its manifest, and removes those that the same manager applied before and
no longer gives. Fields of others stay.
"""

from collections.abc import Mapping
from typing import Any

from hack.worlds.model import Json
from selfhealing.apply.drift import item_key, list_keys


def merge_apply(live: Any, before: Any, after: Any, field: str = "") -> Any:  # noqa: ANN401 - any JSON value
    """Return ``live`` after an apply.

    Args:
        live: what stands; None for nothing.
        before: what this manager applied before; None for nothing.
        after: what it applies now.
        field: the name of the field with these values.
    """
    if isinstance(after, Mapping):
        merged = dict(live) if isinstance(live, Mapping) else {}
        before = before if isinstance(before, Mapping) else {}
        for key in before.keys() - after.keys():
            _remove(merged, key, before[key])
        for key, value in after.items():
            merged[key] = merge_apply(merged.get(key), before.get(key), value, key)
        return merged
    if isinstance(after, list):
        keys = list_keys(field, after)
        if keys is not None and all(isinstance(item, Mapping) for item in after):
            return _merge_list(live or [], before or [], after, keys)
    return after


def _merge_list(
    live: list[Any], before: list[Any], after: list[Any], keys: tuple[str, ...]
) -> list[Any]:
    live_by_key = {item_key(item, keys): item for item in live}
    before_by_key = {item_key(item, keys): item for item in before}
    after_keys = {item_key(item, keys) for item in after}
    merged = [
        merge_apply(live_by_key.get(key), before_by_key.get(key), item)
        for item in after
        for key in (item_key(item, keys),)
    ]
    foreign = [
        item for key, item in live_by_key.items() if key not in after_keys | before_by_key.keys()
    ]
    return merged + foreign


def _remove(merged: Json, key: str, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Remove what a manager owned of a field, and the field once nothing is left of it."""
    current = merged.get(key)
    if isinstance(current, Mapping) and isinstance(value, Mapping) and value:
        left = dict(current)
        for inner, inner_value in value.items():
            _remove(left, inner, inner_value)
        if left:
            merged[key] = left
            return
    merged.pop(key, None)


def managed_fields(value: Any, field: str = "") -> Json:  # noqa: ANN401 - any JSON value
    """Return the fieldsV1 of a manifest: which fields its manager owns."""
    if isinstance(value, Mapping):
        return {f"f:{key}": managed_fields(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        keys = list_keys(field, value)
        if keys is not None and all(isinstance(item, Mapping) for item in value):
            return {
                "k:{" + ",".join(f'"{key}":"{item.get(key)}"' for key in keys) + "}": {
                    ".": {},
                    **managed_fields(item),
                }
                for item in value
            }
    return {}


def merge_patch(live: Any, patch: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return ``live`` after a JSON merge patch (RFC 7386)."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(live) if isinstance(live, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged
