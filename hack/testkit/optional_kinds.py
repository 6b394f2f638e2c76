"""Small definitions of kinds that a cluster may not serve: HTTPRoute and PodMonitor.

They have the fields that the operator writes, with the defaults of the real ones, which must not
look like drift. A definition that the cluster has already is left alone, and these stay after the
tests, since others may use them.
"""

from collections.abc import Mapping
from typing import Final

from hack.testkit.kube_client import Json, KubeClient
from hack.testkit.served_kinds import ensure_served

TEXT: Final[Json] = {"type": "string"}


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _default(value: str | int, kind: str = "string") -> Json:
    return {"type": kind, "default": value}


_PARENT: Final = _object(
    group=_default("gateway.networking.k8s.io"),
    kind=_default("Gateway"),
    name=TEXT,
    namespace=TEXT,
    sectionName=TEXT,
)
_PATH: Final = _object(type=_default("PathPrefix"), value=_default("/"))
_BACKEND: Final = _object(
    group=_default(""),
    kind=_default("Service"),
    name=TEXT,
    port={"type": "integer"},
    weight=_default(1, "integer"),
)

SPECS: Final[Mapping[str, tuple[str, Json]]] = {
    "HTTPRoute": (
        "gateway.networking.k8s.io",
        _object(
            parentRefs=_list(_PARENT),
            hostnames=_list(TEXT),
            rules=_list(
                _object(matches=_list(_object(path=_PATH)), backendRefs=_list(_BACKEND)),
            ),
        ),
    ),
    "PodMonitor": (
        "monitoring.coreos.com",
        _object(
            selector=_object(
                matchLabels={"type": "object", "additionalProperties": TEXT},
            ),
            podMetricsEndpoints=_list(
                _object(port=TEXT, path=TEXT, interval=TEXT, scrapeTimeout=TEXT)
            ),
        ),
    ),
}
"""By kind its group, and the schema of its spec."""


def ensure_kind_served(kube: KubeClient, kind: str) -> None:
    """Install the definition of a kind, and wait until it is served."""
    group, spec = SPECS[kind]
    plural = f"{kind.lower()}s"
    name = f"{plural}.{group}"
    ensure_served(kube, name, lambda: _build_definition(name, kind, plural, group, spec))


def _build_definition(name: str, kind: str, plural: str, group: str, spec: Json) -> Json:
    status: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    annotations = {}
    if group.endswith(".k8s.io"):
        # The API server demands it for a group of this domain, and takes any word for a test.
        annotations = {"api-approved.kubernetes.io": "unapproved, a definition for tests"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": _object(spec=spec, status=status)},
                }
            ],
        },
    }
