"""The overrides of remediations: an earlier pod template, higher memory limits, more pods.

A remediation never edits the spec. Its overrides are applied to the rendered manifests for as long
as they are in the status.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from selfhealing.api import names
from selfhealing.api.container_limits import LimitedResource, LimitKey
from selfhealing.api.probe_defaults import DEFAULT_FAILURES
from selfhealing.api.quantity import parse_quantity
from selfhealing.render.meta import Owner, build_metadata
from selfhealing.render.references import mount_config_copies

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Overrides:
    """Values that replace parts of the spec; all are empty without a remediation in force.

    Attributes:
        pod_template: a whole pod template.
        memory_limits: memory limits by container, as Kubernetes quantities.
        min_replicas: a lower bound of the autoscaler's ``minReplicas``.
        excluded_node: a node on which no new pod is scheduled.
        relaxes_liveness: the liveness probe may fail LIVENESS_FACTOR times as often.
        failed_revision: the revision that ``pod_template`` replaces.
        config_copies: the copies that ``pod_template`` reads, by the names of the ConfigMaps.
        removed_edit: the field manager, and the time, of an edit of the Deployment's pod template
            whose fields are removed.
    """

    pod_template: Mapping[str, Any] | None = None
    memory_limits: Mapping[str, str] = field(default_factory=dict)
    min_replicas: int | None = None
    excluded_node: str = ""
    relaxes_liveness: bool = False
    failed_revision: str = ""
    config_copies: Mapping[str, str] = field(default_factory=dict)
    removed_edit: tuple[str, datetime] | None = None

    def apply_to(self, template: Json) -> Json:
        """Return the pod template to run instead of ``template``."""
        result = (
            template
            if self.pod_template is None
            else mount_config_copies(self.pod_template, self.config_copies)
        )
        if self.memory_limits:
            result = template_with_memory_limits(result, self.memory_limits)
        if self.relaxes_liveness:
            result = relax_liveness(result)
        return exclude_node(result, self.excluded_node) if self.excluded_node else result


LIVENESS_FACTOR: Final = 3
"""How many times as often a relaxed liveness probe may fail: with Kubernetes' defaults a container
that hangs is then restarted after 90 s instead of 30."""

_MAX_FAILURES: Final = 2**31 - 1
"""The highest int32."""

NO_OVERRIDES: Final = Overrides()


REVISION_LENGTH: Final = 10
"""Hexadecimal digits of a revision."""

REQUIRED_NODE_AFFINITY: Final = "requiredDuringSchedulingIgnoredDuringExecution"


def template_digest(pod_template: Mapping[str, Any]) -> str:
    """Return the whole hash of a pod template, by which a saved one is proved."""
    template = orjson.dumps(pod_template, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(template).hexdigest()


def template_revision(pod_template: Mapping[str, Any]) -> str:
    """Return the revision of an app: the first digits of the hash of the pod template of its spec.

    They are enough to tell the versions of an app apart, and to name them. Somebody who wants to
    can find another template with the same digits.
    """
    return template_digest(pod_template)[:REVISION_LENGTH]


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


def get_limits(template: Mapping[str, Any]) -> dict[LimitKey, str]:
    """Return the limits of containers that may be raised, as they are written.

    Init containers that end before the app starts are left out: they cannot be resized.
    """
    return {
        LimitKey(str(container["name"]), resource): str(limits[resource])
        for container in long_running_containers(template)
        for limits in ((container.get("resources") or {}).get("limits") or {},)
        for resource in LimitedResource
        if resource in limits
    }


def template_with_memory_limits(template: Json, limits: Mapping[str, str]) -> Json:
    """Return a pod template with higher memory limits of some containers.

    A limit is neither lowered nor added. A memory request that equals the limit is changed with it,
    to keep the pod's QoS class, which cannot change in a running pod.
    """

    def raise_limit(container: Json) -> Json:
        resources = container.get("resources") or {}
        limit = limits.get(container["name"], "")
        if not _is_raised((resources.get("limits") or {}).get("memory"), limit):
            return container
        raised = resources_with_limit(resources, LimitedResource.MEMORY, limit)
        return {**container, "resources": raised}

    return _map_long_running_containers(template, raise_limit)


def _is_raised(current: object, limit: str) -> bool:
    before, after = parse_quantity(current), parse_quantity(limit)
    return before is not None and after is not None and after > before


def relax_liveness(template: Json) -> Json:
    """Return a pod template in which the liveness probe of the app may fail more often."""

    def relax(container: Json) -> Json:
        probe = container.get("livenessProbe")
        if container["name"] != names.CONTAINER_NAME or not probe:
            return container
        failures = min(
            (probe.get("failureThreshold") or DEFAULT_FAILURES) * LIVENESS_FACTOR, _MAX_FAILURES
        )
        return {**container, "livenessProbe": {**probe, "failureThreshold": failures}}

    return _map_long_running_containers(template, relax)


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


def resources_with_limit(
    resources: Mapping[str, Any], resource: LimitedResource, limit: str
) -> Json:
    """Return the resources of a container with another limit, and an equal request."""
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    result = {**resources, "limits": {**limits, resource.value: limit}}
    if resource in requests and requests[resource] == limits.get(resource):
        result["requests"] = {**requests, resource.value: limit}
    return result


def _is_long_running(field: str, container: Mapping[str, Any]) -> bool:
    """Whether a container of this field of the pod runs beside the app."""
    return field == "containers" or container.get("restartPolicy") == "Always"


def long_running_containers(template: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the app's container, the sidecars and the native sidecars of a pod template."""
    for field_name in ("containers", "initContainers"):
        for container in template["spec"].get(field_name) or ():
            if _is_long_running(field_name, container):
                yield container


def _map_long_running_containers(template: Json, change: Callable[[Json], Json]) -> Json:
    """Return a pod template in which ``change`` was applied to each long-running container."""
    spec = template["spec"]
    changed = {
        field_name: [
            change(container) if _is_long_running(field_name, container) else container
            for container in spec[field_name]
        ]
        for field_name in ("containers", "initContainers")
        if spec.get(field_name)
    }
    return {**template, "spec": {**spec, **changed}}


def get_image(template: Mapping[str, Any]) -> str:
    """Return the image of the app's container."""
    containers = template["spec"]["containers"]
    container = next(c for c in containers if c["name"] == names.CONTAINER_NAME)
    return str(container.get("image", ""))


def build_revision(
    owner: Owner,
    revision: str,
    pod_template: Mapping[str, Any],
    memory_limits: Mapping[str, str] | None = None,
    number: int = 1,
) -> Json:
    """Return the apps/v1 ControllerRevision that stores the pod template of a revision.

    The Deployment's ReplicaSets do not serve for that: revisionHistoryLimit may delete them.

    Args:
        owner: the app.
        revision: the hash of the template.
        pod_template: the template of the spec, without overrides.
        memory_limits: the memory limits that the revision was found to need, by container.
        number: orders the revisions of an app, the latest has the highest.
    """
    meta = build_metadata(owner)
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {**meta, "name": names.revision_name(owner.name, revision)},
        "revision": number,
        "data": {
            "template": dict(pod_template),
            **({"memoryLimits": dict(memory_limits)} if memory_limits else {}),
        },
    }
