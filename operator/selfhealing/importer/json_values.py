"""Reads values of untrusted manifests, and walks through them."""

from collections.abc import Callable
from typing import Any, Final

from selfhealing.apply.drift import LIST_KEYS, PORT_KEYS

Json = dict[str, Any]

Where = tuple[str, ...]
"""The path of a value; an item of a list is its key in brackets."""

KEY_FIELDS: Final = {
    **{
        field: LIST_KEYS[field]
        for field in (
            "containers",
            "initContainers",
            "env",
            "volumes",
            "volumeMounts",
            "imagePullSecrets",
            "hostAliases",
        )
    },
    "rules": ("host",),
    "paths": ("path",),
    "resizePolicy": ("resourceName",),
}
"""By the field of a list, the fields that identify its items; others are known by their index."""


def as_map(value: object) -> Json:
    """Return a map as it is, and an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Return a list as it is, and an empty one in place of anything else."""
    return value if isinstance(value, list) else []


def as_maps(value: object) -> list[Json]:
    """Return the maps in a list; an empty list in place of anything else."""
    return [item for item in as_list(value) if isinstance(item, dict)]


def get_path(value: object, *fields: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value at a path of fields; None if there is none."""
    for field in fields:
        value = as_map(value).get(field)
    return value


def drop_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a copy without null fields, as the API server stores it."""
    if isinstance(value, dict):
        return {str(key): drop_nulls(item) for key, item in value.items() if item is not None}
    return [drop_nulls(item) for item in value] if isinstance(value, list) else value


def quote_fractions(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a copy in which fractions are text.

    Of the kinds that are imported only quantities may be fractions (``cpu: 0.5``). The API server
    takes them unquoted, but not in a custom resource, where a quantity is an integer or a string.
    """
    if isinstance(value, dict):
        return {key: quote_fractions(item) for key, item in value.items()}
    if isinstance(value, list):
        return [quote_fractions(item) for item in value]
    return str(value) if isinstance(value, float) else value


def change_objects(value: Any, change: Callable[[Json], Json]) -> Any:  # noqa: ANN401 - any JSON value
    """Return a copy in which every object is what ``change`` makes of it, the inner ones first."""
    if isinstance(value, list):
        return [change_objects(item, change) for item in value]
    if not isinstance(value, dict):
        return value
    return change({key: change_objects(item, change) for key, item in value.items()})


def has_leaves(value: object) -> bool:
    """Whether there is a scalar in a value; to Kubernetes an empty map or list means not given."""
    if isinstance(value, dict):
        return any(map(has_leaves, value.values()))
    return any(map(has_leaves, value)) if isinstance(value, list) else True


def list_keys(field: str, items: list[Any]) -> list[str]:
    """Return a key for each item of a list: what identifies it, or its index."""
    if field == "ports":
        return _unique_keys(
            items,
            next(
                (
                    fields
                    for fields in PORT_KEYS
                    if items and all(isinstance(item, dict) and fields[0] in item for item in items)
                ),
                (),
            ),
        )
    return _unique_keys(items, KEY_FIELDS.get(field, ()))


def _unique_keys(items: list[Any], fields: tuple[str, ...]) -> list[str]:
    keys = [
        "/".join(
            str(as_map(item).get(field, "TCP" if field == "protocol" else "")) for field in fields
        )
        for item in items
    ]
    is_unique = bool(fields) and len(set(keys)) == len(keys)
    return [f"[{key}]" for key in (keys if is_unique else range(len(items)))]
