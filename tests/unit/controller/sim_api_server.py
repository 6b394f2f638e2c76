"""An API server in memory with several namespaces, its controllers, and a check of every write.

It checks each write of the operator at the moment at which it arrives: the object has to
be the app's by its chain of owners, as it stands then.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

from selfhealing.kube.client import Client
from selfhealing.kube.errors import ConflictError, NotFoundError
from selfhealing.kube.resources import Resource
from tests.unit import builders
from tests.unit.controller.fake_api_server import apply_resize

Json = dict[str, Any]
ObjectKey = tuple[str, str, str]
"""Kind, namespace and name."""

FORBIDDEN = ("hostNetwork", "hostPath", "privileged", "nodeName")
"""What no spec of these apps asks for, so that no template may have it."""


@dataclass
class SimApiServer:
    """The objects of the cluster, and what the operator wrote.

    Attributes:
        seconds: the time, in seconds after noon.
        writes: what the operator wrote, by namespace.
        violations: writes to objects that are not the app's.
        undelivered: the watch events that the operator has not got yet.
    """

    seconds: float = 0
    objects: dict[ObjectKey, Json] = field(default_factory=dict)
    writes: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    undelivered: list[tuple[str, Json]] = field(default_factory=list)
    version: int = 100
    created: dict[str, int] = field(default_factory=dict)

    @property
    def client(self) -> Client:
        """The server as it is given to the operator."""
        return cast("Client", self)

    # Everybody but the operator.

    def put(self, manifest: Json) -> Json:
        """Create or replace an object, with a new resource version; a new one has a new UID."""
        meta = manifest["metadata"]
        namespace, kind = meta["namespace"], manifest["kind"]
        live = self.objects.get((kind, namespace, meta["name"]))
        if live is None:
            number = self.created[namespace] = self.created.get(namespace, 0) + 1
            uid = f"{namespace}-{kind}-{number}"
            created = builders.iso(self.seconds)
        else:
            uid, created = live["metadata"]["uid"], live["metadata"]["creationTimestamp"]
        self.version += 1
        stored = deepcopy(manifest)
        stored["metadata"] |= {
            "uid": uid,
            "creationTimestamp": created,
            "resourceVersion": str(self.version),
        }
        if live is not None and live.get("spec") != stored.get("spec"):
            stored["metadata"]["generation"] = live["metadata"].get("generation", 1) + 1
        self.objects[kind, namespace, meta["name"]] = stored
        self.undelivered.append(("MODIFIED", deepcopy(stored)))
        return stored

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object at once."""
        stored = self.objects.pop((kind, namespace, name), None)
        if stored is not None:
            self.version += 1
            stored["metadata"]["resourceVersion"] = str(self.version)
            self.undelivered.append(("DELETED", deepcopy(stored)))

    def find(self, kind: str, namespace: str, name: str = "web") -> Json | None:
        """A copy of an object."""
        return deepcopy(self.objects.get((kind, namespace, name)))

    def select(self, kind: str, namespace: str) -> Iterator[Json]:
        """Copies of all objects of a kind in a namespace, by name."""
        for (other, where, _), manifest in sorted(self.objects.items(), key=lambda item: item[0]):
            if (other, where) == (kind, namespace):
                yield deepcopy(manifest)

    def run_controllers(self) -> None:
        """Let the garbage collector, the Deployment and the ReplicaSet controllers act."""
        for namespace in sorted({where for _, where, _ in self.objects}):
            for pod in self.select("Pod", namespace):
                if "deletionTimestamp" in pod["metadata"]:
                    self.remove("Pod", namespace, pod["metadata"]["name"])
            for deployment in self.select("Deployment", namespace):
                self._roll_out(namespace, deployment)

    def _roll_out(self, namespace: str, deployment: Json) -> None:
        meta, spec = deployment["metadata"], deployment["spec"]
        hash_ = str(hash_of(spec.get("template")))
        name = f"{meta['name']}-{hash_}"
        replica_set = self.objects.get(("ReplicaSet", namespace, name))
        reference = builders.controller_reference("Deployment", meta["uid"], name=meta["name"])
        if replica_set is None:
            labels = {"selfhealing.dev/app": meta["name"], "pod-template-hash": hash_}
            replica_set = self.put(
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "metadata": {
                        "name": name,
                        "namespace": namespace,
                        "labels": labels,
                        "ownerReferences": [reference],
                    },
                }
            )
        elif not replica_set["metadata"].get("ownerReferences"):  # an orphan is adopted
            replica_set["metadata"]["ownerReferences"] = [reference]
            replica_set = self.put(replica_set)
        elif replica_set["metadata"]["ownerReferences"][0]["uid"] != meta["uid"]:
            return
        own = [
            pod
            for pod in self.select("Pod", namespace)
            if controller_uid(pod) == replica_set["metadata"]["uid"]
        ]
        for _ in range(spec.get("replicas", 1) - len(own)):
            self._create_pod(namespace, meta["name"], replica_set, spec)
        for pod in self.select("Pod", namespace):  # those of the other revisions go
            owner = controller_uid(pod)
            others = self.select("ReplicaSet", namespace)
            if owner != replica_set["metadata"]["uid"] and any(
                owner == other["metadata"]["uid"] and controller_uid(other) == meta["uid"]
                for other in others
            ):
                self.remove("Pod", namespace, pod["metadata"]["name"])
        count = spec.get("replicas", 1)
        status = {
            "observedGeneration": meta.get("generation", 1),
            "updatedReplicas": count,
            "availableReplicas": count,
            "conditions": [
                {
                    **builders.progressing_condition(),
                    "message": f'ReplicaSet "{name}" has successfully progressed.',
                }
            ],
        }
        if deployment.get("status") != status:
            self.put({**deployment, "status": status})

    def _create_pod(self, namespace: str, app: str, replica_set: Json, spec: Json) -> None:
        number = self.created.get(namespace, 0)
        meta = replica_set["metadata"]
        name = f"{meta['name']}-{number}"
        labels = spec["template"]["metadata"]["labels"]
        pod = builders.pod(
            name,
            builders.running(self.seconds),
            since=self.seconds,
            created=self.seconds,
            labels={
                **labels,
                "selfhealing.dev/app": app,
                "pod-template-hash": meta["name"].rpartition("-")[2],
            },
            memory_limit="100Mi",
            ownerReferences=[
                builders.controller_reference("ReplicaSet", meta["uid"], name=meta["name"])
            ],
        )
        pod["metadata"]["namespace"] = namespace
        self.put(pod)

    # The operator.

    async def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """Answer as Client.get does."""
        resource.path(namespace, name)  # refuses what is no name
        return self.find(resource.kind, namespace, name)

    async def get_metadata(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """Answer as Client.get_metadata does."""
        raw = await self.get(resource, namespace, name)
        return {"metadata": raw["metadata"]} if raw is not None else None

    def list_metadata(self, *selection: Any) -> AsyncIterator[Json]:  # noqa: ANN401 - as list_objects
        """Answer as Client.list_metadata does."""
        return self.list_objects(*selection)

    async def list_objects(
        self, resource: Resource, namespace: str | None, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Json]:
        """Answer as Client.list_objects does: there are no Events and no metrics."""
        del resource, namespace, labels, fields
        for _ in ():
            yield {}

    async def read_log(self, *_: object, **__: object) -> str:
        """Answer as Client.read_log does."""
        return "it went wrong\n"

    async def create(self, resource: Resource, body: Json) -> Json:
        """Answer as Client.create does."""
        meta = body["metadata"]
        if self.find(resource.kind, meta["namespace"], meta["name"]) is not None:
            raise ConflictError(409, "AlreadyExists", f"{meta['name']} already exists")
        self._check_write("create", body, body)
        return deepcopy(self.put(body))

    async def apply(self, resource: Resource, body: Json, _: str) -> Json:
        """Answer as Client.apply does."""
        meta = body["metadata"]
        live = self.find(resource.kind, meta["namespace"], meta["name"])
        if live is not None and meta.get("resourceVersion") not in {
            None,
            live["metadata"]["resourceVersion"],
        }:
            raise ConflictError(409, "Conflict", "it has changed")
        self._check_write("apply", live or body, body)
        merged = {**(live or {}), **body, "metadata": {**(live or {}).get("metadata", {}), **meta}}
        return deepcopy(self.put(merged))

    async def merge_patch(
        self, resource: Resource, namespace: str, name: str, patch: Json, subresource: str = ""
    ) -> Json:
        """Answer as Client.merge_patch does."""
        live = self._require(resource, namespace, name)
        for precondition in ("uid", "resourceVersion"):
            expected = patch.get("metadata", {}).get(precondition)
            if expected not in {None, live["metadata"][precondition]}:
                raise ConflictError(409, "Conflict", "it has changed")
        self._check_write(f"patch/{subresource}", live, patch)
        return deepcopy(self.put(merge(live, patch)))

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        uid: str,
        *,
        resource_version: str = "",
        foreground: bool = False,
    ) -> Json | None:
        """Answer as Client.delete does: pods go later."""
        del foreground
        live = self.find(resource.kind, namespace, name)
        if live is None:
            return None
        meta = live["metadata"]
        if meta["uid"] != uid or resource_version not in {"", meta["resourceVersion"]}:
            raise ConflictError(409, "Conflict", "another object")
        self._check_write("delete", live, {})
        if resource.kind == "Pod":
            return self._mark_deleted(live)
        self.remove(resource.kind, namespace, name)
        return None

    async def evict_pod(self, namespace: str, pod: str, uid: str, resource_version: int) -> bool:
        """Answer as Client.evict_pod does."""
        live = self.find("Pod", namespace, pod)
        if live is None:
            return True
        meta = live["metadata"]
        if (meta["uid"], meta["resourceVersion"]) != (uid, str(resource_version)):
            raise ConflictError(409, "Conflict", "it has changed")
        self._check_write("evict", live, {})
        self._mark_deleted(live)
        return True

    async def resize_pod(
        self, namespace: str, pod: str, patch: Json, *, dry_run: bool = False
    ) -> Json:
        """Answer as Client.resize_pod does."""
        live = self.find("Pod", namespace, pod)
        if live is None:
            raise NotFoundError(404, "NotFound", pod)
        if dry_run:
            return apply_resize(live, patch)
        if patch["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"]:
            raise ConflictError(409, "Conflict", "it has changed")
        self._check_write("resize", live, patch)
        return deepcopy(self.put(apply_resize(live, patch)))

    def _mark_deleted(self, live: Json) -> Json:
        live["metadata"]["deletionTimestamp"] = builders.iso(self.seconds)
        return deepcopy(self.put(live))

    def _require(self, resource: Resource, namespace: str, name: str) -> Json:
        live = self.find(resource.kind, namespace, name)
        if live is None:
            raise NotFoundError(404, "NotFound", f"{name} not found")
        return live

    # The check of writes.

    def _check_write(self, verb: str, live: Json, body: Json) -> None:
        """Record a write, and whether the object is the app's at this moment."""
        meta, kind = live["metadata"], live["kind"]
        namespace, name = meta["namespace"], meta["name"]
        content = orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()
        request = f"{verb} {kind}/{namespace}/{name}"
        self.writes.setdefault(namespace, []).append((request, content))
        if not self._is_of_app(live) and not is_offered(live, body):
            self.violations.append(request)
        if kind == "Deployment" and any(f'"{field}"' in content for field in FORBIDDEN):
            self.violations.append(f"{request} with a privilege")

    def _is_of_app(self, live: Json) -> bool:
        namespace, kind = live["metadata"]["namespace"], live["kind"]
        app = self.objects.get(("SelfHealingApp", namespace, "web"))
        if app is None:
            return False
        if kind == "SelfHealingApp":
            return bool(live["metadata"]["uid"] == app["metadata"]["uid"])
        by_uid = {
            thing["metadata"]["uid"]: thing
            for (_, where, _), thing in self.objects.items()
            if where == namespace
        }
        seen: Json | None = live
        for _ in range(4):
            if seen is None:
                return False
            uids = owner_uids(seen)
            if app["metadata"]["uid"] in uids:
                return True
            seen = by_uid.get(controller_uid(seen))
        return False


def is_offered(live: Json, body: Json) -> bool:
    """Whether a child without an owner may be taken over.

    Either it is annotated for that, or the operator made it for an app of that name: then its owner
    reference was removed, or lost by a restore.
    """
    metadata = live["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    is_child = live["kind"] in {"Deployment", "Service", "PodDisruptionBudget"}
    was_made_by_operator = (
        "selfhealing.dev/applied" in annotations
        and labels.get("selfhealing.dev/app") == metadata["name"]
        and labels.get("app.kubernetes.io/managed-by") == "selfhealing-operator"
    )
    has_hash = _applied_hash(live) is not None and _applied_hash(live) == _applied_hash(body)
    is_annotated = annotations.get("selfhealing.dev/adopt") == "true"
    return is_child and not owner_uids(live) and (is_annotated or was_made_by_operator or has_hash)


def _applied_hash(manifest: Json) -> str | None:
    annotations = manifest.get("metadata", {}).get("annotations") or {}
    return annotations.get("selfhealing.dev/applied")


def hash_of(template: object) -> int:
    """A number for a pod template, the same in each process."""
    return sum(orjson.dumps(template, option=orjson.OPT_SORT_KEYS)) % 9973


def controller_uid(manifest: Json) -> str:
    """The UID of the controller of an object; empty without one."""
    owners = manifest["metadata"].get("ownerReferences") or ()
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")


def owner_uids(manifest: Json) -> set[str]:
    """The UIDs of all owners of an object."""
    return {owner["uid"] for owner in manifest["metadata"].get("ownerReferences") or ()}


def merge(live: Json, patch: Mapping[str, Any]) -> Json:
    """RFC 7386."""
    result = deepcopy(live)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = merge(result.get(key) or {}, value)
        else:
            result[key] = deepcopy(value)
    return result
