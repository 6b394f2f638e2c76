"""The overrides of remediations: an earlier pod template, a higher memory limit, more pods.

A remediation never edits the spec. Its overrides are applied to the rendered manifests for as long
as they are in the status.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from selfhealing.api import names
from selfhealing.api.quantity import parse_quantity
from selfhealing.render.meta import Owner, build_metadata

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Overrides:
    """Values that replace parts of the spec; all are empty without a remediation in force.

    Attributes:
        pod_template: a whole pod template.
        memory_limit: a memory limit of the app's container, as a Kubernetes quantity.
        min_replicas: a lower bound of the autoscaler's ``minReplicas``.
        excluded_node: a node on which no new pod is scheduled.
        failed_revision: the revision that ``pod_template`` replaces.
    """

    pod_template: Mapping[str, Any] | None = None
    memory_limit: str = ""
    min_replicas: int | None = None
    excluded_node: str = ""
    failed_revision: str = ""

    def apply_to(self, template: Json) -> Json:
        """Return the pod template to run instead of ``template``."""
        result = template if self.pod_template is None else dict(self.pod_template)
        if self._raises(get_memory_limit(result)):
            result = template_with_memory_limit(result, self.memory_limit)
        return exclude_node(result, self.excluded_node) if self.excluded_node else result

    def _raises(self, limit: str) -> bool:
        """Whether the override is above ``limit``: it neither lowers a limit nor adds one."""
        override, current = parse_quantity(self.memory_limit), parse_quantity(limit)
        return override is not None and current is not None and override > current


NO_OVERRIDES: Final = Overrides()

REQUIRED_NODE_AFFINITY: Final = "requiredDuringSchedulingIgnoredDuringExecution"


def template_revision(pod_template: Mapping[str, Any]) -> str:
    """Return the revision of an app: the hash of the pod template of its spec."""
    template = orjson.dumps(pod_template, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(template).hexdigest()[:10]


def get_config_hash(template: Mapping[str, Any]) -> str:
    """Return the hash of the ConfigMaps and Secrets that a template's pods read; empty without."""
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(names.ANNOTATION_CONFIG_HASH, ""))


def without_config_hash(template: Mapping[str, Any]) -> Json:
    """Return a template without the hash of its configuration, to compare it with another."""
    metadata = template.get("metadata") or {}
    annotations = {
        name: value
        for name, value in (metadata.get("annotations") or {}).items()
        if name != names.ANNOTATION_CONFIG_HASH
    }
    return {**template, "metadata": {**metadata, "annotations": annotations}}


def get_memory_limit(template: Mapping[str, Any]) -> str:
    """Return the memory limit of the app's container as it is written; empty without one."""
    limits = (_app_container(template).get("resources") or {}).get("limits") or {}
    return str(limits.get("memory", ""))


def template_with_memory_limit(template: Json, limit: str) -> Json:
    """Return a pod template with another memory limit of the app's container.

    A memory request that equals the limit is changed with it, to keep the pod's QoS class, which
    cannot change in a running pod.
    """
    app_container = _app_container(template)
    spec = template["spec"]
    changed = {
        **app_container,
        "resources": resources_with_memory_limit(app_container.get("resources") or {}, limit),
    }
    containers = [
        changed if container is app_container else container for container in spec["containers"]
    ]
    return {**template, "spec": {**spec, "containers": containers}}


def exclude_node(template: Json, node: str) -> Json:
    """Return a pod template whose pods are not scheduled on a node.

    The node affinity is required, because the scheduler may weigh spreading above a preferred one.
    The expression is added to each term, because terms are alternatives.
    """
    spec = template["spec"]
    affinity = spec.get("affinity") or {}
    nodes = affinity.get("nodeAffinity") or {}
    required = nodes.get(REQUIRED_NODE_AFFINITY) or {}
    not_on_node = {"key": "metadata.name", "operator": "NotIn", "values": [node]}
    current_terms: list[Json] = required.get("nodeSelectorTerms") or [{}]
    terms = [
        {**term, "matchFields": [*(term.get("matchFields") or ()), not_on_node]}
        for term in current_terms
    ]
    nodes = {**nodes, REQUIRED_NODE_AFFINITY: {**required, "nodeSelectorTerms": terms}}
    return {**template, "spec": {**spec, "affinity": {**affinity, "nodeAffinity": nodes}}}


def resources_with_memory_limit(resources: Mapping[str, Any], limit: str) -> Json:
    """Return the resources of a container with another memory limit, and an equal request."""
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    result = {**resources, "limits": {**limits, "memory": limit}}
    if "memory" in requests and requests["memory"] == limits.get("memory"):
        result["requests"] = {**requests, "memory": limit}
    return result


def get_image(template: Mapping[str, Any]) -> str:
    """Return the image of the app's container."""
    return str(_app_container(template).get("image", ""))


def _app_container(template: Mapping[str, Any]) -> Mapping[str, Any]:
    containers = template["spec"]["containers"]
    container: Mapping[str, Any] = next(c for c in containers if c["name"] == names.CONTAINER_NAME)
    return container


def revision_name(app: str, revision: str) -> str:
    """Return the name of the ControllerRevision that stores a revision of ``app``."""
    return f"{app}-{revision}"


def build_revision(
    owner: Owner,
    revision: str,
    pod_template: Mapping[str, Any],
    memory_limit: str = "",
    number: int = 1,
) -> Json:
    """Return the apps/v1 ControllerRevision that stores the pod template of a revision.

    The Deployment's ReplicaSets do not serve for that: revisionHistoryLimit may delete them.

    Args:
        owner: the app.
        revision: the hash of the template.
        pod_template: the template of the spec, without overrides.
        memory_limit: the memory limit that the revision was found to need; empty without one.
        number: orders the revisions of an app, the latest has the highest.
    """
    meta = build_metadata(owner)
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {**meta, "name": revision_name(owner.name, revision)},
        "revision": number,
        "data": {
            "template": dict(pod_template),
            **({"memoryLimit": memory_limit} if memory_limit else {}),
        },
    }
