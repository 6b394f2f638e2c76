"""Checks the types of the fields that the importer reads, as the API server would."""

from collections.abc import Iterator
from typing import Any, Final

_STRINGS: Final = frozenset(
    {
        "apiVersion",
        "kind",
        "name",
        "namespace",
        "image",
        "protocol",
        "path",
        "pathType",
        "host",
        "mountPath",
        "containerName",
        "container",
        "resourceName",
        "ip",
        "ingressClassName",
        "serviceAccountName",
        "serviceAccount",
        "secretName",
    }
)
_STRING_MAPS: Final = frozenset({"labels", "annotations", "matchLabels", "nodeSelector"})
_MAPS: Final = frozenset(
    {
        "metadata",
        "spec",
        "template",
        "selector",
        "strategy",
        "http",
        "backend",
        "service",
        "httpGet",
        "tcpSocket",
        "grpc",
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
        "lifecycle",
        "securityContext",
        "labelSelector",
        "scaleTargetRef",
        "resource",
        "target",
        "resourceFieldRef",
        "containerResource",
        "valueFrom",
        "volumeClaimTemplate",
        "preStop",
        "postStart",
        "rollingUpdate",
        "affinity",
        "behavior",
    }
)
_LISTS: Final = frozenset(
    {
        "containers",
        "initContainers",
        "ports",
        "env",
        "envFrom",
        "volumes",
        "volumeMounts",
        "rules",
        "paths",
        "tls",
        "metrics",
        "imagePullSecrets",
        "hostAliases",
        "resizePolicy",
        "sources",
        "topologySpreadConstraints",
        "tolerations",
        "readinessGates",
        "resourceClaims",
    }
)
_NUMBERS_OR_NAMES: Final = frozenset({"port", "targetPort"})
_NUMBERS: Final = frozenset(
    {"containerPort", "hostPort", "nodePort", "replicas", "minReplicas", "maxReplicas", "number"}
)


_STRING: Final = "string"
_MAP: Final = "object"
_STRING_MAP: Final = "map of strings, in quotes where YAML reads something else"
_LIST: Final = "list of objects"
_NUMBER: Final = "whole number"
_NUMBER_OR_NAME: Final = "number or name of a port"

_TYPES: Final = {
    **dict.fromkeys(_STRINGS, _STRING),
    **dict.fromkeys(_MAPS, _MAP),
    **dict.fromkeys(_STRING_MAPS, _STRING_MAP),
    **dict.fromkeys(_LISTS, _LIST),
    **dict.fromkeys(_NUMBERS, _NUMBER),
    **dict.fromkeys(_NUMBERS_OR_NAMES, _NUMBER_OR_NAME),
}
_EXCEPTIONS: Final = {
    ("service", "port"): _MAP,  # the backend of an Ingress
    ("volumes", "image"): _MAP,
    ("grpc", "service"): _STRING,
    ("resourceFieldRef", "resource"): _STRING,
}
"""By the field that holds an object, and its field."""


def find_wrong_types(value: Any, path: str = "", field: str = "") -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Yield where a field has a wrong type, and which one it should have.

    Args:
        value: the value.
        path: its path.
        field: the field that holds it.
    """
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from find_wrong_types(item, f"{path}[{index}]", field)
    elif isinstance(value, dict):
        for key, item in value.items():
            inner = f"{path}.{key}"
            if (wanted := _wanted_type(key, item, field)) is not None:
                yield f"{inner[1:]} is no {wanted}"
            elif key not in _STRING_MAPS:
                yield from find_wrong_types(item, inner, key)


def _wanted_type(key: str, value: object, holder: str) -> str | None:
    """Return the type that a field must have and has not; None if it is as it should be."""
    wanted = _EXCEPTIONS.get((holder, key)) or _TYPES.get(key)
    return None if wanted is None or _has_type(value, wanted) else wanted


def _has_type(value: object, wanted: str) -> bool:
    if wanted == _STRING:
        return isinstance(value, str)
    if wanted == _MAP:
        return isinstance(value, dict)
    if wanted == _STRING_MAP:
        return isinstance(value, dict) and all(isinstance(v, str) for v in value.values())
    if wanted == _LIST:
        return isinstance(value, list) and all(isinstance(item, dict) for item in value)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return is_number or (wanted == _NUMBER_OR_NAME and isinstance(value, str))
