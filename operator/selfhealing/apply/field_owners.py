"""Finds which field manager has changed a child, and what of it is no longer asked for.

``metadata.managedFields`` remembers what the operator applied last. A server-side apply removes a
field that it no longer has only if no other manager owns it, too: a field that somebody else has
written once with the same value would stay for ever.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from selfhealing.api import names
from selfhealing.api.text import clean_line
from selfhealing.apply.drift import item_key, list_keys, matches
from selfhealing.apply.field_tree import (
    Key,
    extend_path,
    find_unrendered_paths,
    index_parts,
    intersect_trees,
    merge_tree,
    parse_tree,
    remove_fields,
)
from selfhealing.cache.managed_fields import (
    MAX_MANAGER_LENGTH,
    OWN_MANAGERS,
    read_fields,
    subtract_fields,
)

Json = Mapping[str, Any]

SCALE: Final = "scale"
"""The subresource by which an autoscaler sets the replicas."""

_ALLOCATED_FIELDS: Final = (
    "f:replicas",
    "f:clusterIP",
    "f:clusterIPs",
    "f:ipFamilies",
    "f:ipFamilyPolicy",
    "f:healthCheckNodePort",
)
"""Fields of a spec that an autoscaler or the API server sets, where the manifest does not."""

_APPLIED_HASH_FIELD: Final = f"f:{names.ANNOTATION_APPLIED_HASH}"


class Contestant(NamedTuple):
    """A field manager that has changed fields of a manifest."""

    manager: str
    subresource: str
    paths: tuple[str, ...]


def find_contestants(raw: Json, desired: Json) -> tuple[Contestant, ...]:
    """Return the other field managers of a raw child that own fields with other values.

    Args:
        raw: the child, with its managedFields.
        desired: the manifest.
    """
    found = (
        Contestant(
            clean_line(str(entry.get("manager", "")))[:MAX_MANAGER_LENGTH],
            str(entry.get("subresource") or ""),
            tuple(_find_changed_paths(raw, read_fields(entry), desired)),
        )
        for entry in _entries(raw)
        if entry.get("manager") not in OWN_MANAGERS
    )
    return tuple(contestant for contestant in found if contestant.paths)


def find_drift_paths(
    live: Any,  # noqa: ANN401 - any JSON value
    desired: Any,  # noqa: ANN401 - any JSON value
    field: str = "",
    parent: str = "",
    path: str = "",
) -> Iterator[str]:
    """Yield the paths of the fields of ``desired`` that have other values in ``live``."""
    if matches(live, desired, field, parent):
        return
    inner: list[str] = []
    if isinstance(live, Mapping) and isinstance(desired, Mapping):
        for key, value in desired.items():
            inner += find_drift_paths(live.get(key), value, key, field, extend_path(path, key))
    elif isinstance(live, Sequence) and isinstance(desired, Sequence):
        inner += _find_changed_items(live, desired, field, parent, path)
    yield from inner or (path,)


def _find_changed_items(
    live: Sequence[Any], desired: Sequence[Any], field: str, parent: str, path: str
) -> Iterator[str]:
    keys = list_keys(field, desired, parent) if not isinstance(desired, str) else None
    if keys is None:
        return
    by_key = {item_key(item, keys): item for item in live if isinstance(item, Mapping)}
    for item in desired:
        values = item_key(item, keys)
        item_path = extend_path(path, tuple(zip(keys, map(str, values), strict=True)))
        yield from find_drift_paths(by_key.get(values), item, path=item_path)


def remove_obsolete_fields(raw: Json, desired: Json) -> dict[str, Json]:
    """Return the parts of a raw child without what is no longer asked for, by JSON pointer.

    That is what the operator has applied and another manager owns, too; and in the spec also what
    somebody has written who brought the mark of an earlier manifest back, as a restore from a
    backup, ``kubectl replace`` and ``kubectl rollout undo`` do. Parts without a change are left
    out.
    """
    own: dict[str, Any] = {}
    others: dict[str, Any] = {}
    restored: dict[str, Any] = {}
    for entry in _entries(raw):
        fields = read_fields(entry)
        if entry.get("manager") == names.FIELD_MANAGER:
            merge_tree(own, fields)
        elif not entry.get("subresource") and entry.get("manager") not in OWN_MANAGERS:
            merge_tree(others, fields)
            if _APPLIED_HASH_FIELD in _descend(fields, "f:metadata", "f:annotations"):
                merge_tree(restored, _descend(fields, "f:spec"))
    shared = intersect_trees(own, others)
    obsolete = dict(_descend(shared, "f:spec"))
    merge_tree(obsolete, restored)
    for field in _ALLOCATED_FIELDS:
        obsolete.pop(field, None)
    parts = (
        ("/spec", raw.get("spec"), obsolete, desired.get("spec"), ("f:spec",)),
        *(
            (
                f"/metadata/{field}",
                raw["metadata"].get(field),
                _descend(shared, "f:metadata", f"f:{field}"),
                desired["metadata"].get(field),
                ("f:metadata", f"f:{field}"),
            )
            for field in ("labels", "annotations")
        ),
    )
    return {
        pointer: remove_fields(
            live,
            tree,
            subtract_fields(_descend(others, *path), tree),
            rendered,
            has_whole_items=True,
        )
        for pointer, live, tree, rendered, path in parts
        if live and any(find_unrendered_paths(live, tree, rendered))
    }


def _entries(raw: Json) -> Iterator[Json]:
    for entry in raw["metadata"].get("managedFields") or ():
        if isinstance(entry, Mapping):
            yield entry


def _descend(fields: Json, *keys: str) -> Json:
    for key in keys:
        fields = fields.get(key, {})
    return fields


def _find_changed_paths(
    live: Any,  # noqa: ANN401 - any JSON value
    tree: Json,
    desired: Any,  # noqa: ANN401 - any JSON value
    path: str = "",
    parent: str = "",
) -> Iterator[str]:
    owned = parse_tree(tree)
    live_parts, desired_parts = index_parts(live, owned), index_parts(desired, owned)
    for key, inner in owned.items():
        if key not in live_parts or key not in desired_parts:
            continue
        inner_path = extend_path(path, key)
        if parse_tree(inner):
            yield from _find_changed_paths(
                live_parts[key], inner, desired_parts[key], inner_path, _name(key)
            )
        elif not matches(live_parts[key], desired_parts[key], _name(key), parent):
            yield inner_path


def _name(key: Key) -> str:
    return key if isinstance(key, str) else ""
