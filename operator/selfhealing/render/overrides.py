"""What healing puts in place of the spec: an earlier pod template, more memory, more pods.

The spec itself is never edited: these are laid over what is rendered from it, for as long as the
status asks for them.
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
    """What stands in place of the spec; all empty when the spec alone counts.

    ``template`` is a whole pod template, ``memory`` a quantity for the app's own container,
    ``min_replicas`` the fewest pods that the autoscaler may choose, ``avoid`` a node that no pod
    may run on.
    """

    pod_template: Mapping[str, Any] | None = None
    memory_limit: str = ""
    min_replicas: int | None = None
    excluded_node: str = ""

    def apply_to(self, template: Json) -> Json:
        """The pod template that is to be run instead of ``template``."""
        result = template if self.pod_template is None else dict(self.pod_template)
        if self._raises(get_memory_limit(result)):
            result = template_with_memory_limit(result, self.memory_limit)
        return exclude_node(result, self.excluded_node) if self.excluded_node else result

    def _raises(self, limit: str) -> bool:
        """Whether the memory is more than this limit: a limit is never lowered, nor made up."""
        override, current = parse_quantity(self.memory_limit), parse_quantity(limit)
        return override is not None and current is not None and override > current


NO_OVERRIDES: Final = Overrides()

REQUIRED_NODE_AFFINITY: Final = "requiredDuringSchedulingIgnoredDuringExecution"


def template_revision(pod_template: Mapping[str, Any]) -> str:
    """Hash the pod template that a spec asks for: the revision of the app."""
    template = orjson.dumps(pod_template, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(template).hexdigest()[:10]


def get_memory_limit(template: Mapping[str, Any]) -> str:
    """The memory limit of the app's own container as it is written; empty when there is none."""
    limits = (_app_container(template).get("resources") or {}).get("limits") or {}
    return str(limits.get("memory", ""))


def template_with_memory_limit(template: Json, limit: str) -> Json:
    """The ``template`` with another memory limit for the app's own container.

    A request that was equal to the limit goes with it: else the pod would get another class of
    service, which a running pod cannot.
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
    """The ``template``, which must not run on a node.

    A wish would not do: the scheduler weighs it no more than its own to spread the pods. Terms
    are alternatives, so each of them must say it.
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
    """The ``resources`` of a container with another memory limit."""
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    result = {**resources, "limits": {**limits, "memory": limit}}
    if "memory" in requests and requests["memory"] == limits.get("memory"):
        result["requests"] = {**requests, "memory": limit}
    return result


def _app_container(template: Mapping[str, Any]) -> Mapping[str, Any]:
    containers = template["spec"]["containers"]
    container: Mapping[str, Any] = next(c for c in containers if c["name"] == names.CONTAINER_NAME)
    return container


def revision_name(app: str, revision: str) -> str:
    """The name of the ControllerRevision that keeps a version of ``app``."""
    return f"{app}-{revision}"


def build_revision(owner: Owner, revision: str, pod_template: Mapping[str, Any]) -> Json:
    """The apps/v1 ControllerRevision that keeps the pod template ``body``, a version of the app.

    Revisions of a Deployment are ReplicaSets, which its revisionHistoryLimit may take away.
    """
    meta = build_metadata(owner)
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {**meta, "name": revision_name(owner.name, revision)},
        "revision": 1,
        "data": dict(pod_template),
    }
