"""The manifests that install the operator, as Python objects.

The RBAC rules are generated from ``kube.resources``, the table of the calls that the API client
may make. ``cli.manifests`` prints the objects, ``cli.chart`` makes the Helm chart of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from selfhealing.api import names
from selfhealing.api.config_refs import ConfigWatch
from selfhealing.cli.admission_policies import (
    PolicyScope,
    build_admission_policies,
    service_account_user,
)
from selfhealing.cli.network_policy import build_network_policy
from selfhealing.cli.pod_security_policies import build_pod_security_policies
from selfhealing.cli.spec_warnings import build_spec_warnings
from selfhealing.controller.metrics_auth import METRICS_PATH
from selfhealing.controller.settings import ENVIRONMENT_PREFIX, MetricsAuth, Settings
from selfhealing.kube.resources import (
    APPS,
    CLUSTER_SCOPED,
    LEASES,
    METRICS_AUTH,
    SERVED_NAMESPACE,
    Resource,
    namespace_scoped_resources,
)

NAME: Final = "selfhealing-operator"
NAMESPACE: Final = "selfhealing-system"
DEFAULT_IMAGE: Final = "localhost/selfhealing-operator:dev"
LABELS: Final = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/part-of": names.GROUP}
USER_ID: Final = 65532
METRICS_PORT: Final[int] = Settings.model_fields["metrics_port"].default
HEALTH_PORT: Final[int] = Settings.model_fields["health_port"].default
DEFAULT_CONFIG_WATCH: Final[ConfigWatch] = Settings.model_fields["config_watch"].default
DEFAULT_METRICS_AUTH: Final[MetricsAuth] = Settings.model_fields["metrics_auth"].default
METRICS_READER_ROLE: Final = "selfhealing-metrics-reader"
"""The ClusterRole of who may read the metrics with ``--metrics-auth token``."""

Json = dict[str, Any]


def build_rbac_rules(resources: Iterable[Resource]) -> list[Json]:
    """Return the RBAC rules for resources: one per resource or subresource."""
    rbac_rules: list[Json] = []
    for resource in resources:
        targets = [(resource.plural, resource.verbs)]
        targets += [(f"{resource.plural}/{s}", verbs) for s, verbs in resource.subresources.items()]
        rbac_rules.extend(
            {"apiGroups": [resource.group], "resources": [plural], "verbs": sorted(verbs)}
            for plural, verbs in targets
        )
    return rbac_rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One installation of the operator.

    Attributes:
        image: the operator's image.
        namespaces: the namespaces to serve; empty for the whole cluster.
        config_watch: the setting of that name, on which the rights on ConfigMaps and Secrets
            depend.
        metrics_auth: the setting of that name; token needs the right to review tokens.
        has_admission_policies: False leaves out the ValidatingAdmissionPolicies.
        name: the name of the objects, and what the names of the others begin with.
        namespace: where the operator runs.
    """

    image: str = DEFAULT_IMAGE
    namespaces: Sequence[str] = ()
    config_watch: ConfigWatch = DEFAULT_CONFIG_WATCH
    metrics_auth: MetricsAuth = DEFAULT_METRICS_AUTH
    has_admission_policies: bool = True
    name: str = NAME
    namespace: str = NAMESPACE

    def metadata(self, name: str = "", namespace: str | None = "") -> Json:
        """Return metadata with the labels; name and namespace are by default the installation's.

        Args:
            name: the name of the object.
            namespace: its namespace; None for an object of the cluster.
        """
        where = {} if namespace is None else {"namespace": namespace or self.namespace}
        return {"name": name or self.name, **where, "labels": dict(LABELS)}


def build_manifests(installation: Installation) -> list[Json]:
    """Return all manifests of the operator, in the order in which they can be applied."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": installation.namespace,
                "labels": {**LABELS, "pod-security.kubernetes.io/enforce": "restricted"},
            },
        },
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": installation.metadata()},
        *build_lease_rights(installation),
        *build_rights(installation),
        *build_user_roles(),
        *(build_metrics_auth(installation) if installation.metrics_auth == "token" else ()),
        *(build_policies(installation) if installation.has_admission_policies else ()),
        build_deployment(installation),
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": installation.metadata(),
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": dict(LABELS)}},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": installation.metadata(f"{installation.name}-metrics"),
            "spec": {
                "selector": dict(LABELS),
                "ports": [{"name": "metrics", "port": METRICS_PORT, "targetPort": "metrics"}],
            },
        },
        build_network_policy(installation.metadata(), LABELS),
    ]


def build_policies(installation: Installation) -> Iterator[Json]:
    """Yield the ValidatingAdmissionPolicies, each followed by its binding."""
    scope = PolicyScope(
        prefix=installation.name,
        labels=LABELS,
        user=service_account_user(installation.namespace, installation.name),
        namespaces=installation.namespaces,
    )
    yield from build_admission_policies(scope)
    yield from build_pod_security_policies(scope)
    yield from build_spec_warnings(scope)


def build_lease_rights(installation: Installation) -> Iterator[Json]:
    """Yield the Role for leader election, and its binding."""
    lease = {"apiGroups": [LEASES.group], "resources": [LEASES.plural]}
    name = Settings.model_fields["lease_name"].default
    yield from _role_and_binding(
        installation,
        installation.metadata(f"{installation.name}-leases"),
        [
            {**lease, "verbs": ["create"]},  # a create cannot be limited by name
            {**lease, "verbs": sorted(LEASES.verbs - {"create"}), "resourceNames": [name]},
        ],
    )


def build_rights(installation: Installation) -> Iterator[Json]:
    """Yield a ClusterRole, or a Role in each namespace that is served, with its binding."""
    scope = namespace_scoped_resources(installation.config_watch)
    if not installation.namespaces:
        metadata = installation.metadata(namespace=None)
        rules = build_rbac_rules((*scope, *CLUSTER_SCOPED))
        yield from _role_and_binding(installation, metadata, rules)
    for namespace in installation.namespaces:
        metadata = installation.metadata(namespace=namespace)
        rules = build_rbac_rules((*scope, SERVED_NAMESPACE))
        yield from _role_and_binding(installation, metadata, rules)


def _role_and_binding(
    installation: Installation, metadata: Json, rules: list[Json]
) -> Iterator[Json]:
    """Yield a Role, or a ClusterRole where ``metadata`` has no namespace, bound to the operator."""
    api = "rbac.authorization.k8s.io"
    kind = "Role" if "namespace" in metadata else "ClusterRole"
    account = {"name": installation.name, "namespace": installation.namespace}
    yield {"apiVersion": f"{api}/v1", "kind": kind, "metadata": metadata, "rules": rules}
    yield {
        "apiVersion": f"{api}/v1",
        "kind": f"{kind}Binding",
        "metadata": metadata,
        "roleRef": {"apiGroup": api, "kind": kind, "name": metadata["name"]},
        "subjects": [{"kind": "ServiceAccount", **account}],
    }


def build_user_roles() -> Iterator[Json]:
    """Yield the ClusterRoles that extend the cluster's roles view, edit and admin."""
    read_verbs = ["get", "list", "watch"]
    write_verbs = ["create", "delete", "deletecollection", "patch", "update"]
    for role, verbs in (("view", read_verbs), ("edit", read_verbs + write_verbs)):
        aggregated_roles = ("view", "edit", "admin") if role == "view" else ("edit", "admin")
        aggregation_labels = {
            f"rbac.authorization.k8s.io/aggregate-to-{name}": "true" for name in aggregated_roles
        }
        resources = [APPS.plural, f"{APPS.plural}/status"]
        if role == "edit":
            resources = [APPS.plural, f"{APPS.plural}/scale"]
        yield {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {
                "name": f"{names.PLURAL}-{role}",
                "labels": {**LABELS, **aggregation_labels},
            },
            "rules": [{"apiGroups": [names.GROUP], "resources": resources, "verbs": verbs}],
        }


def build_metrics_auth(installation: Installation) -> Iterator[Json]:
    """Yield the right to review the readers of the metrics, and a ClusterRole for the readers."""
    yield from _role_and_binding(
        installation,
        installation.metadata(f"{installation.name}-metrics-auth", None),
        build_rbac_rules(METRICS_AUTH),
    )
    yield {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": installation.metadata(METRICS_READER_ROLE, None),
        "rules": [{"nonResourceURLs": [METRICS_PATH], "verbs": ["get"]}],
    }


def build_deployment(installation: Installation) -> Json:
    """Return the Deployment of the operator."""
    environment = {"LOG_FORMAT": "json"}
    if installation.namespaces:
        environment["NAMESPACES"] = ",".join(installation.namespaces)
    if installation.config_watch != DEFAULT_CONFIG_WATCH:
        environment["CONFIG_WATCH"] = installation.config_watch
    if installation.metrics_auth != DEFAULT_METRICS_AUTH:
        environment["METRICS_AUTH"] = installation.metrics_auth
    probe = {"httpGet": {"path": "/healthz", "port": "health"}, "timeoutSeconds": 5}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": installation.metadata(),
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": dict(LABELS)},
            "template": {
                "metadata": {"labels": dict(LABELS)},
                "spec": {
                    "serviceAccountName": installation.name,
                    "enableServiceLinks": False,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": USER_ID,
                        "runAsGroup": USER_ID,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    # In a cluster with one worker node, the other replica runs on the control
                    # plane's node, and survives the loss of the worker.
                    "tolerations": [
                        {
                            "key": "node-role.kubernetes.io/control-plane",
                            "operator": "Exists",
                            "effect": "NoSchedule",
                        }
                    ],
                    "topologySpreadConstraints": [
                        {
                            "maxSkew": 1,
                            "topologyKey": "kubernetes.io/hostname",
                            # ScheduleAnyway can be outweighed by the score of a node that has the
                            # image. matchLabelKeys leaves out the pods that a rollout replaces.
                            "whenUnsatisfiable": "DoNotSchedule",
                            "matchLabelKeys": ["pod-template-hash"],
                            "nodeTaintsPolicy": "Honor",
                            "labelSelector": {"matchLabels": dict(LABELS)},
                        }
                    ],
                    "containers": [
                        {
                            "name": "operator",
                            "image": installation.image,
                            "imagePullPolicy": "IfNotPresent",
                            "env": [
                                {"name": ENVIRONMENT_PREFIX + name, "value": value}
                                for name, value in environment.items()
                            ],
                            "ports": [
                                {"name": "metrics", "containerPort": METRICS_PORT},
                                {"name": "health", "containerPort": HEALTH_PORT},
                            ],
                            "livenessProbe": {**probe, "initialDelaySeconds": 15},
                            "readinessProbe": {**probe, "periodSeconds": 5},
                            "resources": {
                                "requests": {"cpu": "50m", "memory": "128Mi"},
                                "limits": {"memory": "512Mi"},
                            },
                            "securityContext": {
                                "allowPrivilegeEscalation": False,
                                "readOnlyRootFilesystem": True,
                                "capabilities": {"drop": ["ALL"]},
                            },
                        }
                    ],
                },
            },
        },
    }
