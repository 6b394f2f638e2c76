"""What a live spec becomes where server-side apply alone cannot make it right.

An apply adds our fields to what is there. Two things stand in its way, and the API server refuses
the result:

- what excludes ours, in fields that are not ours to remove: another handler of a probe, another
  source of a volume, or the defaults of RollingUpdate beside Recreate;
- a port that may not stand beside ours: one whose number somebody edited has our name still.
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
"""Fields of which some parts exclude each other; in lists, parts of one entry."""

MUTUALLY_EXCLUSIVE: Final[Mapping[str, str]] = {
    "minAvailable": "maxUnavailable",
    "maxUnavailable": "minAvailable",
}
"""Fields of which only one may be given, beside others that are not theirs to exclude."""


def reset_to_desired(live: Any, desired: Any, field: str = "") -> Any:  # noqa: ANN401 - any JSON value
    """Lay ``desired`` over ``live`` so that nothing of ``live`` stands in its way.

    What others added and does no harm stays.
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
    # Two ports of one name are refused, and so is one without a name beside another.
    taken_names = {None, *(item.get("name") for item in desired)} if field == "ports" else set()
    return [
        *(reset_to_desired(by_key.get(item_key(item, keys)), item, field) for item in desired),
        *(
            item
            for item in live
            if item_key(item, keys) not in desired_keys and item.get("name") not in taken_names
        ),
    ]
