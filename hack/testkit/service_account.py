"""A service account for a test, with exactly the permissions that the test gives it."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hack.testkit.kube_client import KUBECONFIG, Json, KubeClient
from hack.testkit.yaml_text import parse_yaml
from selfhealing.kube.resources import (
    CLUSTER_SCOPED,
    LEASES,
    SERVED_NAMESPACE,
    Resource,
    namespace_scoped_resources,
)

Permission = tuple[str, str, str]
"""A verb, a resource or subresource in its plural, and an API group."""


def list_operator_permissions(
    resources: Iterable[Resource] = (
        *namespace_scoped_resources("configmaps"),
        SERVED_NAMESPACE,
        LEASES,
    ),
) -> list[Permission]:
    """Return the permissions that the operator needs in a namespace."""
    permissions: list[Permission] = []
    for resource in resources:
        parts = {"": resource.verbs, **resource.subresources}
        for sub, verbs in parts.items():
            name = f"{resource.plural}/{sub}" if sub else resource.plural
            permissions += [(verb, name, resource.group) for verb in sorted(verbs)]
    return permissions


def create_service_account(
    kube: KubeClient, namespace: str, name: str, permissions: Sequence[Permission], folder: Path
) -> Path:
    """Create a service account with these permissions in ``namespace``.

    Returns:
        The path of a kubeconfig with its token.
    """
    meta = {"name": name, "namespace": namespace}
    kube.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
    set_permissions(kube, namespace, name, permissions)
    kube.create(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": name,
            },
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        }
    )
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": meta,
        "spec": {"expirationSeconds": 3600},
    }
    url = kube.url("ServiceAccount", namespace, name, "token")
    answer = kube.http.session.post(url, json=request, timeout=20)
    assert answer.ok, answer.text
    return _write_kubeconfig(answer.json()["status"]["token"], folder / f"{name}.kubeconfig")


@contextmanager
def allow_reading_everywhere(
    kube: KubeClient, namespace: str, name: str, resources: Iterable[Resource]
) -> Iterator[None]:
    """Let a service account of ``namespace`` read ``resources`` in the whole cluster meanwhile."""
    role = f"{namespace}-{name}"
    api_group = "rbac.authorization.k8s.io"
    read_verbs = {"get", "list", "watch"}
    objects: list[Json] = [
        {
            "apiVersion": f"{api_group}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": role},
            "rules": [
                {
                    "apiGroups": [resource.group],
                    "resources": [resource.plural],
                    "verbs": sorted(resource.verbs & read_verbs),
                }
                for resource in (*resources, *CLUSTER_SCOPED)
                if resource.verbs & read_verbs
            ],
        },
        {
            "apiVersion": f"{api_group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": role},
            "roleRef": {"apiGroup": api_group, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        },
    ]
    for manifest in objects:
        kube.create(manifest)
    try:
        yield
    finally:
        for manifest in objects:
            kube.delete(manifest["kind"], "", role)


def set_permissions(
    kube: KubeClient, namespace: str, name: str, permissions: Sequence[Permission]
) -> None:
    """Replace the permissions of the service account."""
    kube.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": name, "namespace": namespace},
            "rules": [
                {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
                for verb, resource, group in permissions
            ],
        }
    )


def _write_kubeconfig(token: str, path: Path) -> Path:
    known: dict[str, Any] = parse_yaml(KUBECONFIG.read_text())
    cluster: Json = known["clusters"][0]["cluster"]
    context = {"cluster": "test", "user": "test"}
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "test", "cluster": cluster}],
                "users": [{"name": "test", "user": {"token": token}}],
                "contexts": [{"name": "test", "context": context}],
                "current-context": "test",
            }
        )
    )
    return path
