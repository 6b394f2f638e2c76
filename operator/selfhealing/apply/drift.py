"""Detects drift: whether a live object still has the applied values.

Only the fields of the manifest are compared. Others belong to other field managers: Kubernetes'
defaults, an autoscaler's replicas, an injected sidecar. The API server may return a quantity in
another notation ("0.5" as "500m"), and may leave out empty values or replace them by defaults.
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
"""The keys of list items, by field: ``x-kubernetes-list-map-keys`` in the published schema of
Kubernetes 1.36. Other field managers may add items to these lists."""

ORDERED_LISTS: Final = frozenset({"env", "initContainers"})
"""Lists with keys whose order has a meaning: ``$(NAME)`` refers to an earlier variable, and init
containers run one after the other. Only the items of the manifest are in its order."""

PORT_KEYS: Final[tuple[tuple[str, ...], ...]] = (
    ("containerPort", "protocol"),
    ("port", "protocol"),
)
"""The keys of ``ports`` in a container and in a Service."""

POLICY_RULES: Final = frozenset({"ingress", "egress"})
"""The parents of ``ports`` in a NetworkPolicy, where the list is atomic: an added port is drift."""

ATOMIC_MAPS: Final = frozenset(
    {"selector", "nodeSelector", "labelSelector", "namespaceSelector", "podSelector", "matchLabels"}
)
"""Maps with ``x-kubernetes-map-type: atomic`` in the published schema of Kubernetes 1.36: an added
key is drift."""

QUANTITY_PARENTS: Final = frozenset({"limits", "requests", "capacity", "minAllowed", "maxAllowed"})
"""Maps whose values are all quantities."""

MEANINGFUL_WHEN_EMPTY: Final = frozenset(
    {"emptyDir", "labelSelector", "namespaceSelector", "podSelector"}
)
"""Maps whose empty value differs from a missing one."""

DEFAULTS_OF_EMPTY_VALUES: Final[Mapping[str, frozenset[str | int]]] = {
    "path": frozenset({"/"}),
    "scheme": frozenset({"HTTP"}),
    "protocol": frozenset({"TCP"}),
    "periodSeconds": frozenset({10}),
    "timeoutSeconds": frozenset({1}),
    "successThreshold": frozenset({1}),
    "failureThreshold": frozenset({3}),
    "imagePullPolicy": frozenset({"Always", "IfNotPresent"}),
    "terminationMessagePath": frozenset({"/dev/termination-log"}),
    "terminationMessagePolicy": frozenset({"File"}),
    "apiVersion": frozenset({"v1"}),
    "iscsiInterface": frozenset({"default"}),
    "pool": frozenset({"rbd"}),
    "user": frozenset({"admin"}),
    "keyring": frozenset({"/etc/ceph/keyring"}),
    "storageMode": frozenset({"ThinProvisioned"}),
    "fsType": frozenset({"xfs"}),
}
"""The defaults that the API server puts in the place of an empty string or 0, by field
(pkg/apis/core/v1/defaults.go of Kubernetes 1.36)."""

QUANTITIES: Final = frozenset({"sizeLimit", "divisor", "averageValue"})
"""Fields that always hold a quantity."""


def matches(live: Any, desired: Any, field: str = "", parent: str = "") -> bool:  # noqa: ANN401 - any JSON value
    """Whether every field of ``desired`` has the same value in ``live``.

    Args:
        live: a JSON value that the API server returned.
        desired: the JSON value that was applied.
        field: the name of the field with these values; it tells list keys and quantities.
        parent: the name of the field that contains ``field``.
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
        return _list_matches(live or (), desired, field, parent)
    if not desired and live in DEFAULTS_OF_EMPTY_VALUES.get(field, ()):
        return True
    return _scalar_matches(live, desired, is_quantity=_holds_quantity(field, parent))


def _may_be_omitted(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Whether the API server may leave the value out of an object (Go's omitempty)."""
    return not value


def _list_matches(live: Any, desired: Sequence[Any], field: str, parent: str) -> bool:  # noqa: ANN401 - any JSON value
    if not isinstance(live, Sequence):
        return False
    keys = list_keys(field, desired, parent)
    if keys is None:
        return len(live) == len(desired) and all(
            matches(live_item, desired_item, field)
            for live_item, desired_item in zip(live, desired, strict=True)
        )
    by_key = {item_key(item, keys): item for item in live if isinstance(item, Mapping)}
    if field in ORDERED_LISTS:
        desired_keys = [item_key(item, keys) for item in desired]
        wanted = set(desired_keys)
        if [key for key in by_key if key in wanted] != list(dict.fromkeys(desired_keys)):
            return False
    return all(matches(by_key.get(item_key(item, keys), ()), item, field) for item in desired)


def list_keys(field: str, desired: Sequence[Any], parent: str = "") -> tuple[str, ...] | None:
    """Return the key fields of a list's items; None for an atomic list.

    Args:
        field: the name of the list.
        desired: the list that was applied.
        parent: the name of the field that contains it, if that is known.
    """
    if field == "ports" and parent not in POLICY_RULES:
        return next((k for k in PORT_KEYS if all(k[0] in item for item in desired)), None)
    return LIST_KEYS.get(field)


def item_key(item: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[Any, ...]:
    """Return the values of a list item's key fields."""
    return tuple(item.get(key, "TCP" if key == "protocol" else None) for key in keys)


def _holds_quantity(field: str, parent: str) -> bool:
    # "value" is a quantity in an autoscaler's "target", and text in an environment variable.
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
