"""The API server as the operator sees it: the methods of `selfhealing.kube.client.Client`.

No request waits. A request may be the last one of its process: then the operator is killed before
or after the write.
"""

import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import orjson

from hack.worlds import raw
from hack.worlds.cluster import Cluster
from hack.worlds.merge import merge_patch
from hack.worlds.model import Json, SimPod, cpu_limit
from hack.worlds.requests import Requests
from selfhealing.api import names
from selfhealing.kube.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnavailableError,
    error_from_status,
)
from selfhealing.kube.resources import POD_METRICS, Resource

OPERATOR = "operator"
RESIZE_DELAY = 2.0
METRICS_RESOLUTION = 15.0
"""Seconds. metrics-server's flag metric-resolution; a younger container is not measured."""


class OperatorKilledError(BaseException):
    """The process of the operator was killed at a request."""


class SimClient:
    """The requests of one process of the operator.

    Attributes:
        writes: the number of writes so far, dry runs not counted.
        kill_at: the number of the write at which the process is killed; None for never.
        kills_before: it is killed before that write, not after it.
    """

    def __init__(self, cluster: Cluster, requests: Requests) -> None:
        self._cluster = cluster
        self._requests = requests
        self.writes = 0
        self.kill_at: int | None = None
        self.kills_before = False
        self.is_dead = False

    # Reads.

    async def get(self, resource: Resource, _: str, name: str) -> Json | None:
        """Read one object; None if it does not exist."""
        self._check()
        return self._find(resource.kind, name)

    get_metadata = get

    async def list_objects(
        self, resource: Resource, _: str | None, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Json]:
        """Read all objects of a kind."""
        del labels, fields
        self._check()
        for item in self._list(resource.kind):
            yield item

    list_metadata = list_objects

    async def read_log(self, *_: Any, **__: Any) -> str:  # noqa: ANN401 - as the client
        """Read a log: there is none."""
        return ""

    def _find(self, kind: str, name: str) -> Json | None:  # noqa: PLR0911 - one return for each kind
        cluster = self._cluster
        if kind == names.KIND:
            return cluster.app if cluster.app and name == raw.APP else None
        if kind == "Pod":
            found = next((pod for pod in cluster.pods.values() if pod.name == name), None)
            return raw.render_pod(found) if found is not None else None
        if kind == "Namespace":
            labels = (
                {"pod-security.kubernetes.io/enforce": "baseline"}
                if cluster.laws.enforces_baseline
                else {}
            )
            return {"metadata": {"name": name, "uid": f"uid-{name}", "labels": labels}}
        if kind in {"ConfigMap", "Secret"}:
            return cluster.configs.get((kind, name))
        if kind == "ControllerRevision":
            return cluster.revisions.get(name)
        if kind == "ReplicaSet":
            return next((i for i in self._list(kind) if i["metadata"]["name"] == name), None)
        if kind == "Node":
            node = cluster.nodes.get(name)
            return raw.render_node(node) if node is not None else None
        return cluster.render_child(kind) if name == raw.APP else None

    def _list(self, kind: str) -> list[Json]:  # noqa: PLR0911 - one return for each kind
        cluster = self._cluster
        if kind == names.KIND:
            return [cluster.app]
        if kind == "Pod":
            return [raw.render_pod(pod) for pod in cluster.pods.values()]
        if kind == "NetworkPolicy":
            return cluster.network_policies
        if kind == POD_METRICS.kind:
            return list(self._measure_pods()) if cluster.laws.metrics_up else []
        if kind == "Node":
            return [raw.render_node(node) for node in cluster.nodes.values()]
        if kind == "ReplicaSet":
            deployment = cluster.children.get("Deployment")
            uid = deployment.uid if deployment else ""
            return [raw.render_replica_set(rs, uid) for rs in cluster.replica_sets.values()]
        if kind in {"ConfigMap", "Secret"}:
            return [value for (each, _), value in cluster.configs.items() if each == kind]
        if kind == "ControllerRevision":
            return list(cluster.revisions.values())
        if kind == "ResourceQuota" and cluster.laws.quota_memory is not None:
            hard = {"requests.memory": f"{cluster.laws.quota_memory}Mi"}
            return [{"metadata": {"name": "compute", "uid": "uid-quota"}, "spec": {"hard": hard}}]
        child = cluster.render_child(kind)
        return [child] if child is not None else []

    def _measure_pods(self) -> Iterator[Json]:
        """Measure the CPU that containers use, at most their limit, as metrics-server does."""
        cluster = self._cluster
        for pod in cluster.pods.values():
            used = {
                container.name: min(program.cpu, cpu_limit(limited) or program.cpu)
                for container in pod.containers
                if container.state == "running"
                and container.started_at <= cluster.now - METRICS_RESOLUTION
                and (program := cluster.program_of(container)) is not None
                for limited in (cluster.find_limits(pod, container),)
            }
            if used:
                yield raw.render_pod_metrics(pod, used, cluster.now)

    # Writes.

    async def apply(self, resource: Resource, body: Json, field_manager: str) -> Json:
        """Apply a manifest."""
        version = body["metadata"].get("resourceVersion")
        child = self._cluster.children.get(resource.kind)
        if version is not None and (
            child is None or child.raw["metadata"].get("resourceVersion") != version
        ):
            if child is None:
                body = {
                    **body,
                    "metadata": {
                        k: v for k, v in body["metadata"].items() if k != "resourceVersion"
                    },
                }
            else:
                raise ConflictError(409, "Conflict", "the object has been modified")
        with _Write(self):
            self._cluster.apply(resource.kind, body, field_manager)
        answer = self._cluster.render_child(resource.kind)
        assert answer is not None  # noqa: S101 - it was just written
        return answer

    async def merge_patch(
        self, resource: Resource, _: str, name: str, patch: Json, subresource: str = ""
    ) -> Json:
        """Patch an object."""
        live = self._find(resource.kind, name)
        if live is None:
            raise NotFoundError(404, "NotFound", f"{resource.kind} {name} not found")
        meta = patch.get("metadata") or {}
        version = meta.get("resourceVersion")
        if version is not None and live["metadata"]["resourceVersion"] != version:
            raise ConflictError(409, "Conflict", "the object has been modified")
        patch = orjson.loads(orjson.dumps(patch))
        for field in ("resourceVersion", "uid"):
            (patch.get("metadata") or {}).pop(field, None)
        with _Write(self):
            if resource.kind == names.KIND:
                status = merge_patch(self._cluster.app.get("status") or {}, patch["status"])
                self._cluster.app = {**self._cluster.app, "status": status}
                self._cluster.app["metadata"] = dict(self._cluster.app["metadata"])
                self._cluster.touch_app()
            elif resource.kind == "Pod":
                self._patch_pod(name, patch)
            elif resource.kind in {"ConfigMap", "Secret"}:
                merged = merge_patch(live, patch)
                merged["metadata"]["resourceVersion"] = str(self._cluster.next_version())
                self._cluster.configs[resource.kind, name] = merged
            else:
                child = self._cluster.children[resource.kind]
                child.raw = merge_patch(child.raw, patch)
                self._cluster.touch_child(resource.kind, is_spec=not subresource)
        answer = self._find(resource.kind, name)
        assert answer is not None  # noqa: S101 - it was just written
        return answer

    def _patch_pod(self, name: str, patch: Json) -> None:
        """Take a pod out of its ReplicaSet, or change its labels."""
        pod = next(pod for pod in self._cluster.pods.values() if pod.name == name)
        meta = patch.get("metadata") or {}
        if "labels" in meta:
            pod.labels = merge_patch(pod.labels, meta["labels"])
        if "ownerReferences" in meta:
            pod.owner_references = meta["ownerReferences"]
        is_released = names.LABEL_APP not in pod.labels or not any(
            owner.get("controller") for owner in pod.owner_references
        )
        if is_released and pod.owner_uid:
            self._cluster.note_removal(pod, OPERATOR)
            pod.owner_uid = ""
            self._cluster.tell(OPERATOR, f"isolates {pod.name}")
        self._cluster.touch_pod(pod)

    async def json_patch(
        self, resource: Resource, _: str, name: str, operations: Sequence[Json], manager: str
    ) -> Json:
        """Apply a JSON patch of whole fields to a child."""
        child = self._cluster.children.get(resource.kind)
        if child is None:
            raise NotFoundError(404, "NotFound", f"{resource.kind} {name} not found")
        with _Write(self):
            is_spec = False
            for operation in operations:
                path = operation["path"].strip("/").split("/")
                if path == ["metadata", "resourceVersion"]:
                    if operation["value"] != child.raw["metadata"]["resourceVersion"]:
                        raise ConflictError(409, "Conflict", "the object has been modified")
                elif path[:2] == ["metadata", "managedFields"]:
                    child.edits.pop(manager, None)
                    child.managers.pop(manager, None)
                else:
                    is_spec = True
                    _set_path(child.raw, path, operation)
            if is_spec:
                # Nobody owns what the patch has removed.
                child.edits = {
                    key: value for key, value in child.edits.items() if key.startswith("apply ")
                }
                self._cluster.touch_child(resource.kind, is_spec=True)
        answer = self._cluster.render_child(resource.kind)
        assert answer is not None  # noqa: S101 - it was just written
        return answer

    async def create(self, resource: Resource, body: Json) -> Json:
        """Create an object."""
        name = body["metadata"]["name"]
        stores: dict[str, dict[Any, Json]] = {"ControllerRevision": self._cluster.revisions}
        if resource.kind in {"ConfigMap", "Secret"}:
            store, key = self._cluster.configs, (resource.kind, name)
        elif resource.kind in stores:
            store, key = stores[resource.kind], name
        else:
            return body  # a review, or an Event
        if key in store:
            raise ConflictError(409, "AlreadyExists", f"{name} already exists")
        with _Write(self):
            meta = {
                **body["metadata"],
                "uid": f"uid-{name}-{self._cluster.next_name()}",
                "resourceVersion": str(self._cluster.next_version()),
            }
            store[key] = orjson.loads(orjson.dumps({**body, "metadata": meta}))
            if resource.kind in {"ConfigMap", "Secret"}:
                self._cluster.note_config(store[key])
        return store[key]

    async def try_create_pod(self, body: Json) -> None:
        """Answer a dry run of a pod as admission would."""
        self._check()
        refusal = self.dry_run_pod({"metadata": body.get("metadata", {}), "spec": body["spec"]})
        if refusal:
            status = 500 if refusal.startswith("Internal error") else 403
            raise error_from_status(status, "Forbidden", refusal)

    def dry_run_pod(self, template: Json) -> str | None:
        """Return why a pod of a template would be refused now; None if it would not."""
        return self._requests.find_refusal(template, "dryrun") or None

    async def replace(self, resource: Resource, body: Json) -> Json:
        """Replace an object: nothing in these worlds is replaced."""
        raise NotFoundError(404, "NotFound", f"{resource.kind} {body['metadata']['name']}")

    async def delete(
        self,
        resource: Resource,
        _: str,
        name: str,
        uid: str,
        *,
        resource_version: str = "",
        foreground: bool = False,
    ) -> Json | None:
        """Delete an object, if its UID is ``uid``."""
        del foreground
        live = self._find(resource.kind, name)
        if live is None:
            return None
        if live["metadata"]["uid"] != uid or (
            resource_version and live["metadata"]["resourceVersion"] != resource_version
        ):
            raise ConflictError(409, "Conflict", "the object has been modified")
        with _Write(self):
            if resource.kind == "Pod":
                self._requests.delete_pod(self._cluster.pods[uid], OPERATOR)
            elif resource.kind == "ControllerRevision":
                self._cluster.revisions.pop(name)
            elif resource.kind in {"ConfigMap", "Secret"}:
                self._cluster.set_config(resource.kind, name, None)
            else:
                child = self._cluster.children.pop(resource.kind)
                self._cluster.emit(resource.kind, "DELETED", child)
        return self._find(resource.kind, name)

    async def evict_pod(self, _: str, pod: str, uid: str, resource_version: int) -> bool:
        """Evict a pod, if its PodDisruptionBudget allows it."""
        found = self._cluster.pods.get(uid)
        if found is None or found.name != pod:
            return True
        if found.resource_version != resource_version:
            raise ConflictError(409, "Conflict", "the pod has been modified")
        if not self._requests.can_evict(found):
            self._cluster.tell(OPERATOR, f"may not evict {pod}: its budget does not allow it")
            return False
        with _Write(self):
            self._requests.delete_pod(found, OPERATOR)
        return True

    async def resize_pod(self, _: str, pod: str, patch: Json, *, dry_run: bool = False) -> Json:
        """Change the limits of a running pod; the kubelet follows later."""
        found = next((each for each in self._cluster.pods.values() if each.name == pod), None)
        if found is None:
            raise NotFoundError(404, "NotFound", pod)
        self._check()
        if excess := self._requests.find_excess(patch["spec"]["containers"]):
            raise ForbiddenError(403, "Forbidden", f'pods "{pod}" is forbidden: {excess}')
        if dry_run:
            return raw.render_pod(found)
        wanted = {c["name"]: c["resources"] for c in patch["spec"]["containers"]}
        with _Write(self):
            containers = [
                {**c, "resources": merge_patch(c.get("resources") or {}, wanted[c["name"]])}
                if c["name"] in wanted
                else c
                for c in found.spec["containers"]
            ]
            found.spec = {**found.spec, "containers": containers}
            specs = {c["name"]: c for c in containers}
            is_cpu = any(
                cpu_limit(c.spec) != cpu_limit(specs.get(c.name, c.spec)) for c in found.containers
            )
            limits = {name: r.get("limits") or {} for name, r in wanted.items()}
            for container in found.containers:
                container.spec = specs.get(container.name, container.spec)
            self._cluster.tell(OPERATOR, f"resizes {pod} to {limits}")
            self._resize(found, limits, is_cpu=is_cpu)
            self._cluster.touch_pod(found)
        return raw.render_pod(found)

    def _resize(self, pod: SimPod, limits: dict[str, Json], *, is_cpu: bool) -> None:
        how = self._cluster.laws.resize
        if how:
            message = "Node didn't have enough capacity: memory"
            pod.resize_pending = how, message
            return

        def apply_limits() -> None:
            if pod.uid in self._cluster.pods:
                pod.applied_limits |= limits
                self._cluster.touch_pod(pod)
                # A container that is killed for memory stays in its loop (Kubernetes issue 138760).
                for callback in self._cluster.on_resize if is_cpu else ():
                    callback(pod)

        self._cluster.timeline.after(RESIZE_DELAY, apply_limits)

    def _check(self) -> None:
        if self.is_dead:
            raise OperatorKilledError
        if self._cluster.laws.is_api_cut_off:
            raise UnavailableError(0, "", "no answer")


class _Write:
    """One write, at which the process may be killed."""

    def __init__(self, client: SimClient) -> None:
        self._client = client

    def __enter__(self) -> None:
        client = self._client
        client._check()  # noqa: SLF001 - a part of the client
        client.writes += 1
        if client.kills_before and client.writes == client.kill_at:
            raise OperatorKilledError

    def __exit__(self, kind: object, *_: object) -> None:
        client = self._client
        if kind is None and not client.kills_before and client.writes == client.kill_at:
            raise OperatorKilledError


def _set_path(document: Json, path: list[str], operation: Json) -> None:
    target: Any = document
    for part in itertools.islice(path, len(path) - 1):
        part = part.replace("~1", "/").replace("~0", "~")  # noqa: PLW2901 - as the RFC says
        target = target[int(part)] if isinstance(target, list) else target.setdefault(part, {})
    last = path[-1].replace("~1", "/").replace("~0", "~")
    if operation["op"] == "remove":
        if isinstance(target, list):
            del target[int(last)]
        else:
            target.pop(last, None)
    elif isinstance(target, list):
        target[int(last)] = operation["value"]
    else:
        target[last] = operation["value"]
