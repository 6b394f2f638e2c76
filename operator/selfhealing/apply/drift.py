"""Is a live object what was applied? Decided without a write, on the fields that are ours.

A field that is not in the manifest belongs to somebody else and is not looked at: Kubernetes'
defaults, an autoscaler's replicas, an injected sidecar. A quantity may come back in another
spelling ("0.5" as "500m"), and what is empty may not come back at all.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from selfhealing.api.quantity import parse_quantity

LIST_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "hostAliases": ("ip",),
    "claims": ("name",),
    "resourceClaims": ("name",),
    "imagePullSecrets": ("name",),
    "ownerReferences": ("uid",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
"""Lists of maps whose items are told apart by key, as ``x-kubernetes-list-map-keys`` says in the
published schema of Kubernetes 1.36; others may add items to them."""

PORT_KEYS: Final[tuple[tuple[str, ...], ...]] = (
    ("containerPort", "protocol"),
    ("port", "protocol"),
)
"""The keys of ``ports`` in a container and in a Service."""

ATOMIC_MAPS: Final = frozenset(
    {"selector", "nodeSelector", "labelSelector", "namespaceSelector", "matchLabels"}
)
"""Maps that are one value as a whole, as ``x-kubernetes-map-type: atomic`` says in the published
schema of Kubernetes 1.36: a key that somebody adds changes what is ours."""

QUANTITY_PARENTS: Final = frozenset({"limits", "requests", "capacity", "minAllowed", "maxAllowed"})
"""Maps whose values are all quantities."""

MEANINGFUL_WHEN_EMPTY: Final = frozenset({"emptyDir", "labelSelector", "namespaceSelector"})
"""Maps that say something also when they are empty: they are not the same as none."""

QUANTITIES: Final = frozenset({"sizeLimit", "divisor", "averageValue"})
"""Fields that hold a quantity wherever they stand."""


def matches(live: Any, desired: Any, field: str = "", parent: str = "") -> bool:  # noqa: ANN401 - any JSON value
    """Whether every field of ``desired`` stands in ``live`` with the same meaning.

    Args:
        live: a JSON value as the API server returned it.
        desired: the JSON value that was applied.
        field: the name of the field that holds both: some lists have keys, some texts are numbers.
        parent: the name of the field around that one.
    """
    if isinstance(desired, Mapping):
        if live is None:
            return field not in MEANINGFUL_WHEN_EMPTY and all(
                _may_be_omitted(value) for value in desired.values()
            )
        return (
            isinstance(live, Mapping)
            and not (field in ATOMIC_MAPS and live.keys() - desired.keys())
            and all(matches(live.get(key), value, key, field) for key, value in desired.items())
        )
    if isinstance(desired, Sequence) and not isinstance(desired, str):
        return _list_matches(live or (), desired, field)
    return _scalar_matches(live, desired, is_quantity=_holds_quantity(field, parent))


def _may_be_omitted(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Whether the API server may leave ``value`` out of what it returns (Go's omitempty)."""
    return not value


def _list_matches(live: Any, desired: Sequence[Any], field: str) -> bool:  # noqa: ANN401 - any JSON value
    if not isinstance(live, Sequence):
        return False
    keys = list_keys(field, desired)
    if keys is None:
        return len(live) == len(desired) and all(
            matches(live_item, desired_item, field)
            for live_item, desired_item in zip(live, desired, strict=True)
        )
    by_key = {item_key(item, keys): item for item in live if isinstance(item, Mapping)}
    return all(matches(by_key.get(item_key(item, keys), ()), item, field) for item in desired)


def list_keys(field: str, desired: Sequence[Any]) -> tuple[str, ...] | None:
    """The fields by which the items of a list are told apart; None for a list that is one value."""
    if field == "ports":
        return next((k for k in PORT_KEYS if all(k[0] in item for item in desired)), None)
    return LIST_KEYS.get(field)


def item_key(item: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[Any, ...]:
    """What tells an item of a list apart from the others."""
    return tuple(item.get(key, "TCP" if key == "protocol" else None) for key in keys)


def _holds_quantity(field: str, parent: str) -> bool:
    # A HorizontalPodAutoscaler's "value" stands in "target"; that of a variable must match as text.
    return (
        field in QUANTITIES or parent in QUANTITY_PARENTS or (field, parent) == ("value", "target")
    )


def _scalar_matches(live: Any, desired: Any, *, is_quantity: bool) -> bool:  # noqa: ANN401 - any JSON value
    if live is None:
        return _may_be_omitted(desired)
    if live == desired:
        return True
    if not is_quantity:
        return False
    live_quantity, desired_quantity = parse_quantity(live), parse_quantity(desired)
    return live_quantity is not None and live_quantity == desired_quantity
