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
from selfhealing.api.quantity import quantity
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.render.meta import Owner, metadata
from selfhealing.render.pod import build_pod_template

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Overrides:
    """What stands in place of the spec; all empty when the spec alone counts.

    ``template`` is a whole pod template, ``memory`` a quantity for the app's own container,
    ``min_replicas`` the fewest pods that the autoscaler may choose, ``avoid`` a node that no pod
    may run on.
    """

    template: Mapping[str, Any] | None = None
    memory: str = ""
    min_replicas: int | None = None
    avoid: str = ""

    def over(self, template: Json) -> Json:
        """The pod template that is to be run instead of ``template``."""
        chosen = template if self.template is None else dict(self.template)
        if self._is_more(memory_limit(chosen)):
            chosen = with_memory(chosen, self.memory)
        return away_from(chosen, self.avoid) if self.avoid else chosen

    def _is_more(self, limit: str) -> bool:
        """Whether the memory is more than this limit: a limit is never lowered, nor made up."""
        ours, theirs = quantity(self.memory), quantity(limit)
        return ours is not None and theirs is not None and ours > theirs


NOTHING: Final = Overrides()

REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"


def version(name: str, spec: SelfHealingAppSpec, config: str = "") -> str:
    """The version of an app: a hash of the pod template that its spec asks for.

    The mark of what its pods are configured by (``config``) is a part of it.
    """
    template = orjson.dumps(build_pod_template(name, spec, config), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(template).hexdigest()[:10]


def memory_limit(template: Mapping[str, Any]) -> str:
    """The memory limit of the app's own container as it is written; empty when there is none."""
    limits = (_main(template).get("resources") or {}).get("limits") or {}
    return str(limits.get("memory", ""))


def with_memory(template: Json, limit: str) -> Json:
    """The ``template`` with another memory limit for the app's own container.

    A request that was equal to the limit goes with it: else the pod would get another class of
    service, which a running pod cannot.
    """
    main = _main(template)
    spec = template["spec"]
    changed = {**main, "resources": raised(main.get("resources") or {}, limit)}
    containers = [changed if each is main else each for each in spec["containers"]]
    return {**template, "spec": {**spec, "containers": containers}}


def away_from(template: Json, node: str) -> Json:
    """The ``template``, which must not run on a node.

    A wish would not do: the scheduler weighs it no more than its own to spread the pods. Terms
    are alternatives, so each of them must say it.
    """
    spec = template["spec"]
    affinity = spec.get("affinity") or {}
    nodes = affinity.get("nodeAffinity") or {}
    required = nodes.get(REQUIRED) or {}
    not_there = {"key": "metadata.name", "operator": "NotIn", "values": [node]}
    places: list[Json] = required.get("nodeSelectorTerms") or [{}]
    terms = [{**p, "matchFields": [*(p.get("matchFields") or ()), not_there]} for p in places]
    nodes = {**nodes, REQUIRED: {**required, "nodeSelectorTerms": terms}}
    return {**template, "spec": {**spec, "affinity": {**affinity, "nodeAffinity": nodes}}}


def raised(resources: Mapping[str, Any], limit: str) -> Json:
    """The ``resources`` of a container with another memory limit."""
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    result = {**resources, "limits": {**limits, "memory": limit}}
    if "memory" in requests and requests["memory"] == limits.get("memory"):
        result["requests"] = {**requests, "memory": limit}
    return result


def _main(template: Mapping[str, Any]) -> Mapping[str, Any]:
    containers = template["spec"]["containers"]
    found: Mapping[str, Any] = next(c for c in containers if c["name"] == names.CONTAINER_NAME)
    return found


def kept_name(app: str, template: str) -> str:
    """The name of the ControllerRevision that keeps a version of ``app``."""
    return f"{app}-{template}"


def build_kept(owner: Owner, template: str, body: Mapping[str, Any]) -> Json:
    """The apps/v1 ControllerRevision that keeps the pod template ``body``, a version of the app.

    Revisions of a Deployment are ReplicaSets, which its revisionHistoryLimit may take away.
    """
    meta = metadata(owner)
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {**meta, "name": kept_name(owner.name, template)},
        "revision": 1,
        "data": dict(body),
    }
