"""All kinds of objects that the operator reads or writes, with the verbs that it needs.

The client refuses a call that is not in this table, and the RBAC rules in deploy/ are generated
from it: the operator has the rights that its code uses, and no others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from selfhealing.api import names
from selfhealing.api.config_refs import CONFIG_MAP, ROOT_CA_CONFIG_MAP, SECRET, ConfigWatch

_FORBIDDEN_IN_SEGMENT: Final = frozenset("/%?#")
"""Characters that would end a segment of a URL path, or begin another."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object, with the verbs that the operator needs on it and its subresources."""

    group: str
    version: str
    kind: str
    plural: str
    verbs: frozenset[str]
    subresources: Mapping[str, frozenset[str]]
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """The apiVersion of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """Return the URL path of the collection, of an object, or of an object's subresource.

        Raises:
            ValueError: ``name`` is no segment of a path (IsValidPathSegmentName in
                k8s.io/apimachinery): it would lead to another object.
        """
        if name in {".", ".."} or not _FORBIDDEN_IN_SEGMENT.isdisjoint(name):
            msg = f"not the name of an object: {name!r}"
            raise ValueError(msg)
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if namespace and self.namespaced:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/" + "/".join(parts)

    def allows(self, verb: str, subresource: str = "") -> bool:
        """Whether ``verb`` is in the table for this kind or its subresource."""
        return verb in (self.subresources.get(subresource, ()) if subresource else self.verbs)


def _resource(  # noqa: PLR0913 - a row of a table
    group: str,
    version: str,
    kind: str,
    plural: str,
    verbs: str,
    *,
    namespaced: bool = True,
    **subresources: str,
) -> Resource:
    return Resource(
        group,
        version,
        kind,
        plural,
        frozenset(verbs.split()),
        {
            name: frozenset(subresource_verbs.split())
            for name, subresource_verbs in subresources.items()
        },
        namespaced=namespaced,
    )


APPS: Final = _resource(
    names.GROUP,
    names.VERSION,
    names.KIND,
    names.PLURAL,
    "get list watch",
    status="patch",
    # For blockOwnerDeletion in the children's owner references, where the admission plugin
    # OwnerReferencesPermissionEnforcement is enabled (OpenShift).
    finalizers="update",
)
PODS: Final = _resource(
    "",
    "v1",
    "Pod",
    "pods",
    "get list watch patch delete create",
    eviction="create",
    resize="patch",
    log="get",
)
"""Pods are created in dry runs only, before a rollback (docs/adr/0024-dry-runs.md). Remediations
evict them, raise their memory limit, isolate them by label,
and delete them if their node is lost."""
REPLICA_SETS: Final = _resource("apps", "v1", "ReplicaSet", "replicasets", "get list watch")
"""The link between a pod and its Deployment, by which a pod is proved to be the app's."""
CONTROLLER_REVISIONS: Final = _resource(
    "apps", "v1", "ControllerRevision", "controllerrevisions", "get list create delete"
)
"""The pod templates of stable revisions, for rollbacks."""
EVENTS: Final = _resource("", "v1", "Event", "events", "list watch")
EVENT_SERIES: Final = _resource("events.k8s.io", "v1", "Event", "events", "create patch")
"""The same objects as EVENTS, which are read in core/v1, because only there can a field selector
select by reason."""
CONFIG_MAPS: Final = _resource("", "v1", "ConfigMap", "configmaps", "create delete get patch")
"""They store evidence, and copies of the ConfigMaps that stable revisions read. One is read before
each write, as an object of that name may have another owner."""
WATCHED_CONFIG_MAPS: Final = replace(CONFIG_MAPS, verbs=CONFIG_MAPS.verbs | {"list", "watch"})
_SECRETS: Final = _resource("", "v1", "Secret", "secrets", "get list watch")
CONFIG_SOURCES: Final[Mapping[ConfigWatch, tuple[Resource, ...]]] = {
    "all": (WATCHED_CONFIG_MAPS, _SECRETS),
    "configmaps": (WATCHED_CONFIG_MAPS,),
    "off": (),
}
"""By the setting ``config_watch``, the kinds whose metadata is watched to replace pods when one
changes. Those that an app refers to are read one by one. RBAC cannot grant metadata alone."""
CONFIG_FIELD_SELECTORS: Final[Mapping[str, str]] = {
    CONFIG_MAP: f"metadata.name!={ROOT_CA_CONFIG_MAP}",
    SECRET: "type!=helm.sh/release.v1",
}
"""Field selectors that exclude objects that no pod reads. Helm stores each release, up to 1 MB, in
a Secret."""
LEASES: Final = _resource("coordination.k8s.io", "v1", "Lease", "leases", "get create update")

POD_METRICS: Final = _resource("metrics.k8s.io", "v1beta1", "PodMetrics", "pods", "list")
"""Listed for apps with ``healing.memory``, to raise a limit before an OOM kill. A cluster may not
serve it."""

CHILDREN: Final[Mapping[str, Resource]] = {
    resource.kind: resource
    for resource in (
        _resource("apps", "v1", "Deployment", "deployments", "get list watch create patch delete"),
        _resource("batch", "v1", "Job", "jobs", "get list watch create patch delete"),
        _resource("", "v1", "Service", "services", "get list watch create patch delete"),
        _resource(
            "", "v1", "ServiceAccount", "serviceaccounts", "get list watch create patch delete"
        ),
        _resource(
            "networking.k8s.io",
            "v1",
            "Ingress",
            "ingresses",
            "get list watch create patch delete",
        ),
        _resource(
            "networking.k8s.io",
            "v1",
            "NetworkPolicy",
            "networkpolicies",
            "get list watch create patch delete",
        ),
        _resource(
            "autoscaling",
            "v2",
            "HorizontalPodAutoscaler",
            "horizontalpodautoscalers",
            "get list watch create patch delete",
        ),
        _resource(
            "policy",
            "v1",
            "PodDisruptionBudget",
            "poddisruptionbudgets",
            "get list watch create patch delete",
        ),
        _resource(
            "autoscaling.k8s.io",
            "v1",
            "VerticalPodAutoscaler",
            "verticalpodautoscalers",
            "get list create patch delete",
        ),
        _resource(
            "gateway.networking.k8s.io",
            "v1",
            "HTTPRoute",
            "httproutes",
            "get list create patch delete",
        ),
        _resource(
            "monitoring.coreos.com",
            "v1",
            "PodMonitor",
            "podmonitors",
            "get list create patch delete",
        ),
    )
}
"""The kinds of children. Server-side apply needs the verbs create and patch."""

WATCHED_CHILDREN: Final = tuple(child for child in CHILDREN.values() if child.allows("watch"))
"""The kinds of children that every cluster serves."""

OPTIONAL_CHILDREN: Final = tuple(child for child in CHILDREN.values() if not child.allows("watch"))
"""The kinds of children that a cluster may not serve. They are not watched, but listed if an app
needs them (docs/adr/0010-kinds-that-may-be-missing.md)."""

CUSTOM_RESOURCE_DEFINITIONS: Final = _resource(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    "list watch",
    namespaced=False,
)
"""kopf watches these to detect the SelfHealingApp kind."""

NAMESPACES: Final = _resource(
    "", "v1", "Namespace", "namespaces", "get list watch", namespaced=False
)
"""kopf watches these if it serves several named namespaces. One is read for its labels
(controller/namespace_labels.py)."""
SERVED_NAMESPACE: Final = replace(NAMESPACES, verbs=frozenset({"get"}))
"""The right of a Role in a served namespace: that Namespace itself may be read."""

NODES: Final = _resource("", "v1", "Node", "nodes", "list", namespaced=False)
"""Listed when a node is lost: if many are, the cause is the network (controller/node_health.py)."""

TOKEN_REVIEWS: Final = _resource(
    "authentication.k8s.io", "v1", "TokenReview", "tokenreviews", "create", namespaced=False
)
SUBJECT_ACCESS_REVIEWS: Final = _resource(
    "authorization.k8s.io",
    "v1",
    "SubjectAccessReview",
    "subjectaccessreviews",
    "create",
    namespaced=False,
)
METRICS_AUTH: Final = (TOKEN_REVIEWS, SUBJECT_ACCESS_REVIEWS)
"""Needed where the setting ``metrics_auth`` is token (controller/metrics_auth.py)."""

NAMESPACE_SCOPED: Final[tuple[Resource, ...]] = (
    APPS,
    *CHILDREN.values(),
    REPLICA_SETS,
    PODS,
    POD_METRICS,
    CONTROLLER_REVISIONS,
    EVENTS,
    EVENT_SERIES,
    CONFIG_MAPS,
)
"""The resources that are needed in each served namespace, whatever the settings (see
``namespace_scoped_resources``)."""
CLUSTER_SCOPED: Final[tuple[Resource, ...]] = (CUSTOM_RESOURCE_DEFINITIONS, NAMESPACES, NODES)


def namespace_scoped_resources(config_watch: ConfigWatch) -> tuple[Resource, ...]:
    """Return the resources that are needed in each served namespace.

    Args:
        config_watch: the setting of that name.
    """
    sources = CONFIG_SOURCES[config_watch]
    kinds = {source.kind for source in sources}
    return (*(resource for resource in NAMESPACE_SCOPED if resource.kind not in kinds), *sources)
