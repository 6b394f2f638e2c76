"""Builds a spec to replace the live one if the API server refuses a server-side apply.

An apply merges the operator's fields into the live object. The API server refuses the result if
fields of other managers

- exclude the applied ones: another handler of a probe, another source of a volume, or the defaults
  of RollingUpdate beside Recreate;
- duplicate a port: one whose number was edited still has the name of the applied port.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from selfhealing.apply.drift import item_key, list_keys

REPLACED_AS_A_WHOLE: Final = frozenset(
    {
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
        "lifecycle",
        "strategy",
        "env",
        "volumes",
        "selector",
        "nodeSelector",
    }
)
"""Fields whose parts exclude each other; in a list, the parts of one item."""

MUTUALLY_EXCLUSIVE: Final[Mapping[str, str]] = {
    "minAvailable": "maxUnavailable",
    "maxUnavailable": "minAvailable",
    "sessionAffinityConfig": "sessionAffinity",
}
"""Fields that exclude each other, but not their other siblings."""


def reset_to_desired(live: Any, desired: Any, field: str = "") -> Any:  # noqa: ANN401 - any JSON value
    """Merge ``desired`` into ``live`` and remove what conflicts with it.

    Fields of other managers that do not conflict are kept.

    Args:
        live: a JSON value that the API server returned.
        desired: the JSON value to apply.
        field: the name of the field with these values.
    """
    if isinstance(desired, Mapping):
        if not isinstance(live, Mapping) or field in REPLACED_AS_A_WHOLE:
            return desired
        kept = {
            key: value for key, value in live.items() if MUTUALLY_EXCLUSIVE.get(key) not in desired
        }
        return {
            **kept,
            **{key: reset_to_desired(live.get(key), desired[key], key) for key in desired},
        }
    if isinstance(desired, Sequence) and not isinstance(desired, str):
        return _reset_list(live or (), desired, field)
    return desired


def _reset_list(live: Sequence[Any], desired: Sequence[Any], field: str) -> list[Any]:
    keys = list_keys(field, desired)
    if keys is None:
        return list(desired)
    by_key = {item_key(item, keys): item for item in live}
    desired_keys = {item_key(item, keys) for item in desired}
    # The API server refuses two ports of one name, and a port without a name beside another port.
    taken_names = {None, *(item.get("name") for item in desired)} if field == "ports" else set()
    return [
        *(reset_to_desired(by_key.get(item_key(item, keys)), item, field) for item in desired),
        *(
            item
            for item in live
            if item_key(item, keys) not in desired_keys and item.get("name") not in taken_names
        ),
    ]
