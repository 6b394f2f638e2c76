"""Every kind of object that the operator touches, with what it does to it.

The client refuses a call that is not in this table, and deploy/ takes its RBAC rules from it: so
the rules are what the code uses, no less and no more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from selfhealing.api import names
from selfhealing.api.config_refs import CONFIG_MAP, ROOT_CA_CONFIG_MAP, SECRET, ConfigWatch


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object, and the verbs that the operator needs on it."""

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
        """The path of its collection, of one object or of one object's subresource."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if namespace and self.namespaced:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/" + "/".join(parts)

    def allows(self, verb: str, subresource: str = "") -> bool:
        """Whether the operator said that it needs ``verb``."""
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
    # Needed where the admission plugin OwnerReferencesPermissionEnforcement is on (OpenShift), for
    # the children's blockOwnerDeletion.
    finalizers="update",
)
PODS: Final = _resource(
    "",
    "v1",
    "Pod",
    "pods",
    "get list watch patch delete",
    eviction="create",
    resize="patch",
    log="get",
)
"""Never created, and written to only to heal: evicted, given more memory, set apart by its label,
deleted where its node is lost."""
CONTROLLER_REVISIONS: Final = _resource(
    "apps", "v1", "ControllerRevision", "controllerrevisions", "get create delete"
)
"""Templates that have worked, to go back to."""
EVENTS: Final = _resource("", "v1", "Event", "events", "list watch")
EVENT_SERIES: Final = _resource("events.k8s.io", "v1", "Event", "events", "create patch")
"""The same objects; read by the old name because only that can select by reason."""
CONFIG_MAPS: Final = _resource("", "v1", "ConfigMap", "configmaps", "create get patch")
"""Evidence is kept in them; looked at before a write, because the name may be somebody else's."""
_WATCHED_CONFIG_MAPS: Final = replace(CONFIG_MAPS, verbs=CONFIG_MAPS.verbs | {"list", "watch"})
_SECRETS: Final = _resource("", "v1", "Secret", "secrets", "list watch")
CONFIG_SOURCES: Final[Mapping[ConfigWatch, tuple[Resource, ...]]] = {
    "all": (_WATCHED_CONFIG_MAPS, _SECRETS),
    "configmaps": (_WATCHED_CONFIG_MAPS,),
    "off": (),
}
"""What is watched so that pods are made anew for another configuration, by the setting."""
CONFIG_FIELD_SELECTORS: Final[Mapping[str, str]] = {
    CONFIG_MAP: f"metadata.name!={ROOT_CA_CONFIG_MAP}",
    SECRET: "type!=helm.sh/release.v1",
}
"""Field selectors that leave out what no pod reads: Helm keeps each release, up to 1 MB, in one."""
LEASES: Final = _resource("coordination.k8s.io", "v1", "Lease", "leases", "get create update")

POD_METRICS: Final = _resource("metrics.k8s.io", "v1beta1", "PodMetrics", "pods", "list")
"""Asked for while an app wants more memory before it is killed; a cluster may not serve it."""

CHILDREN: Final[Mapping[str, Resource]] = {
    resource.kind: resource
    for resource in (
        _resource("apps", "v1", "Deployment", "deployments", "get list watch create patch delete"),
        _resource("batch", "v1", "Job", "jobs", "get list watch create patch delete"),
        _resource("", "v1", "Service", "services", "get list watch create patch delete"),
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
    )
}
"""The kinds of children; an apply needs create and patch."""

WATCHED_CHILDREN: Final = tuple(child for child in CHILDREN.values() if child.allows("watch"))
"""The kinds of children that every cluster serves."""

OPTIONAL_CHILDREN: Final = tuple(child for child in CHILDREN.values() if not child.allows("watch"))
"""Those that a cluster may not serve: they are listed where they are asked for, not watched
(docs/decisions/0010-kinds-that-may-be-missing.md)."""

CUSTOM_RESOURCE_DEFINITIONS: Final = _resource(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    "list watch",
    namespaced=False,
)
"""kopf watches these to notice when the SelfHealingApp kind appears."""

NAMESPACES: Final = _resource("", "v1", "Namespace", "namespaces", "list watch", namespaced=False)
"""kopf watches these when it serves more than one named namespace."""

NODES: Final = _resource("", "v1", "Node", "nodes", "list", namespaced=False)
"""Counted when one is lost: are many of them, it is the network (runtime/census.py)."""

NAMESPACE_SCOPED: Final[tuple[Resource, ...]] = (
    APPS,
    *CHILDREN.values(),
    PODS,
    POD_METRICS,
    CONTROLLER_REVISIONS,
    EVENTS,
    EVENT_SERIES,
    CONFIG_MAPS,
)
"""Needed wherever apps are served, in the whole cluster or in the named namespaces, whatever is set
(see ``in_scope``)."""
CLUSTER_SCOPED: Final[tuple[Resource, ...]] = (CUSTOM_RESOURCE_DEFINITIONS, NAMESPACES, NODES)


def namespace_scoped_resources(config_watch: ConfigWatch) -> tuple[Resource, ...]:
    """What is needed wherever apps are served, with this setting ``config_watch``."""
    sources = CONFIG_SOURCES[config_watch]
    kinds = {source.kind for source in sources}
    return (*(resource for resource in NAMESPACE_SCOPED if resource.kind not in kinds), *sources)
