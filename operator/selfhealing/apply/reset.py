"""What a live spec becomes where server-side apply alone cannot make it right.

An apply adds our fields to what is there. Two things stand in its way, and the API server refuses
the result:

- what excludes ours, in fields that are not ours to remove: another handler of a probe, another
  source of a volume, or the defaults of RollingUpdate beside Recreate;
- a port that may not stand beside ours: one whose number somebody edited has our name still.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from selfhealing.apply.drift import identity, list_keys

EXCLUSIVE: Final = frozenset(
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

RIVALS: Final[Mapping[str, str]] = {
    "minAvailable": "maxUnavailable",
    "maxUnavailable": "minAvailable",
}
"""Fields of which only one may be given, beside others that are not theirs to exclude."""


def reset(live: Any, desired: Any, field: str = "") -> Any:  # noqa: ANN401 - any JSON value
    """Lay ``desired`` over ``live`` so that nothing of ``live`` stands in its way.

    What others added and does no harm stays.
    """
    if isinstance(desired, Mapping):
        if not isinstance(live, Mapping) or field in EXCLUSIVE:
            return desired
        kept = {key: value for key, value in live.items() if RIVALS.get(key) not in desired}
        return {**kept, **{key: reset(live.get(key), desired[key], key) for key in desired}}
    if isinstance(desired, Sequence) and not isinstance(desired, str):
        return _list(live or (), desired, field)
    return desired


def _list(live: Sequence[Any], desired: Sequence[Any], field: str) -> list[Any]:
    keys = list_keys(field, desired)
    if keys is None:
        return list(desired)
    by_key = {identity(item, keys): item for item in live}
    ours = {identity(item, keys) for item in desired}
    # Two ports of one name are refused, and so is one without a name beside another.
    taken = {None, *(item.get("name") for item in desired)} if field == "ports" else set()
    return [
        *(reset(by_key.get(identity(item, keys)), item, field) for item in desired),
        *(
            item
            for item in live
            if identity(item, keys) not in ours and item.get("name") not in taken
        ),
    ]
