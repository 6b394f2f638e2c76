"""Reads field trees: the ``fieldsV1`` of managedFields, beside the values that they are about.

A tree has a key for each field (``f:<field>``) and each item of a list (``k:<its key fields>``).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from selfhealing.api.text import clean_line
from selfhealing.apply.drift import LIST_KEYS, PORT_KEYS, item_key

Json = Mapping[str, Any]

_MAX_KEY_LENGTH: Final = 63
"""Characters of a key in a path that are shown."""

_MAPS: Final = frozenset({"labels", "annotations"})
"""Maps whose keys are independent of each other: one that nobody owns stays."""

_KEY_FIELDS: Final = frozenset(
    tuple(sorted(fields)) for fields in (*LIST_KEYS.values(), *PORT_KEYS)
)
"""The key fields of list items that a pod template or a Service has."""

Key = str | tuple[tuple[str, str], ...]
"""The name of a field, or the key fields of a list item with their values."""


def merge_tree(target: dict[str, Any], tree: Json) -> None:
    """Add the fields of ``tree`` to ``target``."""
    for key, inner in tree.items():
        merge_tree(target.setdefault(key, {}), inner)


def intersect_trees(one: Json, other: Json) -> dict[str, Any]:
    """Return the fields that are in both trees, but not what only leads to other fields in each."""
    result: dict[str, Any] = {}
    for key, inner in one.items():
        if key in other:
            both = intersect_trees(inner, other[key])
            if both or (_is_owned_itself(inner) and _is_owned_itself(other[key])):
                result[key] = both
    return result


def _is_owned_itself(tree: Json) -> bool:
    """Whether a tree is of a field that is owned as such, and not only some of its parts."""
    return not tree or "." in tree


def find_unrendered_paths(live: Any, tree: Json, rendered: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Yield the paths of the fields in ``tree`` that are live and not in ``rendered``.

    Of nested fields only the highest one is named. Of a live value that is unknown (None) all are
    there.
    """
    owned = parse_tree(tree)
    live_parts = dict.fromkeys(owned) if live is None else index_parts(live, owned)
    rendered_parts = index_parts(rendered, owned)
    for key, inner in owned.items():
        if key not in live_parts:
            continue
        inner_path = extend_path(path, key)
        if key in rendered_parts:
            yield from find_unrendered_paths(
                live_parts[key], inner, rendered_parts[key], inner_path
            )
        else:
            yield inner_path


def parse_tree(tree: Json) -> dict[Key, Json]:
    """Return the fields or list items of one level of a field tree."""
    parsed = ((_parse_key(name), inner) for name, inner in tree.items())
    return {key: inner for key, inner in parsed if key is not None}


def _parse_key(name: str) -> Key | None:
    """Parse a key of a field tree; None for one that names neither a field nor a keyed item."""
    if name.startswith("f:"):
        return name[2:]
    if not name.startswith("k:"):
        return None
    try:
        keys = orjson.loads(name[2:])
    except orjson.JSONDecodeError:
        return None
    if not isinstance(keys, dict) or tuple(sorted(keys)) not in _KEY_FIELDS:
        return None
    return tuple((field, str(value)) for field, value in sorted(keys.items()))


def index_parts(value: Any, owned: Iterable[Key]) -> Mapping[Key, Any]:  # noqa: ANN401 - any JSON value
    """Return the fields of an object, or the items of a list by the key fields in ``owned``."""
    if isinstance(value, Mapping):
        return value
    if not isinstance(value, Sequence) or isinstance(value, str):
        return {}
    field_names = {tuple(field for field, _ in key) for key in owned if isinstance(key, tuple)}
    return {
        _item_key(item, names_of_key): item
        for names_of_key in field_names
        for item in value
        if isinstance(item, Mapping)
    }


def _item_key(item: Json, fields: Sequence[str]) -> Key:
    return tuple(zip(fields, map(str, item_key(item, tuple(fields))), strict=True))


def extend_path(path: str, key: Key) -> str:
    """Return the path of a field or list item below ``path``, in which ``spec`` is left out."""
    if isinstance(key, tuple):
        shown = next(value for field, value in key if field != "protocol")
        return f"{path}[{clean_line(shown)[:_MAX_KEY_LENGTH]}]"
    if not path and key == "spec":
        return ""
    shown = clean_line(key)[:_MAX_KEY_LENGTH]
    return f"{path}.{shown}" if path else shown


def remove_fields(
    live: Any,  # noqa: ANN401 - any JSON value
    removed: Json,
    kept: Json,
    rendered: Any,  # noqa: ANN401 - any JSON value
    *,
    has_whole_items: bool = False,
) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value without the fields of the tree ``removed`` that ``rendered`` does not have.

    Args:
        live: the value.
        removed: the fields that are removed.
        kept: the fields of managers whose fields stay.
        rendered: the value that the operator applies; None without one.
        has_whole_items: whether a list item of ``removed`` goes with all that is in it, such as a
            container with the variable that somebody has added to it.
    """
    owned, others = parse_tree(removed), parse_tree(kept)
    rendered_parts = index_parts(rendered, owned)

    def reduce_part(key: Key, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        if key not in owned:
            return value
        is_rendered = key in rendered_parts
        is_whole = has_whole_items and isinstance(key, tuple) and "." in owned[key]
        if not is_rendered and (is_whole or key not in others) and key not in _MAPS:
            return None
        reduced = remove_fields(
            value,
            owned[key],
            others.get(key, {}),
            rendered_parts.get(key),
            has_whole_items=has_whole_items,
        )
        return reduced if is_rendered or reduced else None

    if isinstance(live, Mapping):
        parts = [(key, reduce_part(key, value)) for key, value in live.items()]
        return {key: value for key, value in parts if value is not None}
    field_names = {tuple(name for name, _ in key) for key in owned if isinstance(key, tuple)}
    if not field_names or not isinstance(live, Sequence):
        return live
    items = []
    for item in live:
        keys = (_item_key(item, fields) for fields in field_names if isinstance(item, Mapping))
        key = next((key for key in keys if key in owned), None)
        reduced = item if key is None else reduce_part(key, item)
        if reduced is not None:
            items.append(reduced)
    return items
