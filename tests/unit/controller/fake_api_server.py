"""A small API server in memory for what heals: it keeps objects, and a diary of what was asked."""

from collections.abc import AsyncIterator
from copy import deepcopy
from dataclasses import replace
from typing import Any, cast

import orjson

from selfhealing.api.healing_status import (
    ActionOutcome,
    DiagnosisStatus,
    HealingAction,
    HealingStatus,
    QuarantineStatus,
    Remediation,
)
from selfhealing.api.spec import SelfHealingAppSpec, parse_spec
from selfhealing.api.status import SelfHealingAppStatus
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.controller.fair_slots import FairSlots
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ConflictError, ForbiddenError, NotFoundError
from selfhealing.kube.resources import Resource
from selfhealing.remediation.reconcile_input import ReconcileInput, build_reconcile_input
from selfhealing.render.overrides import template_revision
from selfhealing.render.pod import build_pod_template
from tests.unit import builders

Json = dict[str, Any]

READS = {"get", "list", "log", "dry-run", "try-resize"}
"""The verbs of requests that change nothing."""

APP_SPEC: Json = {"image": builders.IMAGE, "port": 5000}


class FakeApiServer:
    """What is there, and what was asked of it.

    Attributes:
        objects_by_path: the objects, by kind and name; the first pods come with their ReplicaSets.
        asked: every request as "verb Kind/name", in order.
        errors: by such a request, or by its verb alone, what is answered instead.
        budget: whether PodDisruptionBudgets allow evictions.
    """

    def __init__(self, *objects: Json) -> None:
        self.objects_by_path: dict[tuple[str, str], Json] = {}
        self.requests: list[str] = []
        self.errors: dict[str, Exception] = {}
        self.allows_eviction = True
        for manifest in objects:
            self.put_object(manifest)
            for owner in manifest["metadata"].get("ownerReferences") or ():
                if owner.get("kind") == "ReplicaSet":
                    self.put_object(builders.replica_set(owner["uid"]))

    @property
    def client(self) -> Client:
        """The cluster as it is given to what is tested."""
        return cast("Client", self)

    def put_object(self, manifest: Json) -> None:
        """Let an object be there."""
        self.objects_by_path[manifest["kind"], manifest["metadata"]["name"]] = deepcopy(manifest)

    def list_names(self, kind: str) -> list[str]:
        """The names of all objects of a kind."""
        return sorted(name for other, name in self.objects_by_path if other == kind)

    def write_requests(self) -> list[str]:
        """What was asked but for reads."""
        return [request for request in self.requests if request.split()[0] not in READS]

    async def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """Answer as Client.get does."""
        assert builders.NAMESPACE == namespace
        self._record_request("get", resource.kind, name)
        return deepcopy(self.objects_by_path.get((resource.kind, name)))

    async def get_metadata(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """Answer as Client.get_metadata does."""
        raw = await self.get(resource, namespace, name)
        return {"metadata": raw["metadata"]} if raw is not None else None

    async def list_metadata(
        self, resource: Resource, namespace: str | None, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Json]:
        """Answer as Client.list_metadata does."""
        async for raw in self.list_objects(resource, namespace, labels, fields):
            yield {"metadata": raw["metadata"]}

    async def list_objects(
        self,
        resource: Resource,
        namespace: str | None,  # noqa: ARG002 - as Client.objects
        labels: str = "",
        fields: str = "",  # noqa: ARG002 - as Client.objects
    ) -> AsyncIterator[Json]:
        """Answer as Client.objects does."""
        assert labels in {"", "selfhealing.dev/app=web", "selfhealing.dev/config-copy=web"}
        assert "list" in resource.verbs
        self._record_request("list", resource.kind)
        for (kind, _), manifest in self.objects_by_path.items():
            key, _, value = labels.partition("=")
            is_selected = not key.endswith("config-copy") or value == manifest["metadata"].get(
                "labels", {}
            ).get(key)
            if kind == resource.kind and is_selected:
                yield deepcopy(manifest)

    async def read_log(self, namespace: str, pod: str, container: str, **_: object) -> str:
        """Answer as Client.log does."""
        assert (builders.NAMESPACE, "app") == (namespace, container)
        self._record_request("log", "Pod", pod)
        return "it went wrong\n"

    async def create(self, resource: Resource, body: Json) -> Json:
        """Answer as Client.create does."""
        name = body["metadata"]["name"]
        self._record_request("create", resource.kind, name)
        if (resource.kind, name) in self.objects_by_path:
            raise ConflictError(409, "AlreadyExists", f"{name} already exists")
        identity = {"uid": f"uid-of-{name}", "resourceVersion": "1"}
        body = {**body, "metadata": {**body["metadata"], **identity}}
        self.put_object(body)
        return body

    async def try_create_pod(self, body: Json) -> None:
        """Answer as Client.try_create_pod does; the request names the image."""
        self._record_request("dry-run", body["kind"], body["spec"]["containers"][0]["image"])

    async def merge_patch(
        self, resource: Resource, namespace: str, name: str, patch: Json, subresource: str = ""
    ) -> Json:
        """Answer as Client.merge does."""
        assert builders.NAMESPACE == namespace
        self._record_request(f"merge{'/' if subresource else ''}{subresource}", resource.kind, name)
        live = self._get_live(resource.kind, name)
        expected_version = patch.get("metadata", {}).get("resourceVersion")
        if expected_version not in {None, live["metadata"]["resourceVersion"]}:
            raise ConflictError(409, "Conflict", "it has changed")
        merged = _apply_merge_patch(live, patch)
        merged["metadata"]["resourceVersion"] = str(int(live["metadata"]["resourceVersion"]) + 1)
        self.put_object(merged)
        return merged

    async def delete(
        self, resource: Resource, namespace: str, name: str, uid: str, **_: object
    ) -> Json | None:
        """Answer as Client.delete does: pods go later."""
        assert builders.NAMESPACE == namespace
        self._record_request("delete", resource.kind, name)
        live = self.objects_by_path.get((resource.kind, name))
        if live is None:
            return None
        if live["metadata"]["uid"] != uid:
            raise ConflictError(409, "Conflict", "another uid")
        if resource.kind != "Pod":
            del self.objects_by_path[resource.kind, name]
            return None
        live["metadata"] |= {"deletionTimestamp": builders.iso(200), "resourceVersion": "90"}
        return deepcopy(live)

    async def evict_pod(self, namespace: str, pod: str, uid: str, resource_version: int) -> bool:
        """Answer as Client.evict does."""
        assert builders.NAMESPACE == namespace
        self._record_request("evict", "Pod", pod)
        live = self.objects_by_path.get(("Pod", pod))
        if live is None:
            return True
        if (live["metadata"]["uid"], live["metadata"]["resourceVersion"]) != (
            uid,
            str(resource_version),
        ):
            raise ConflictError(409, "Conflict", "it has changed")
        return self.allows_eviction

    async def resize_pod(
        self, namespace: str, pod: str, patch: Json, *, dry_run: bool = False
    ) -> Json:
        """Answer as Client.resize_pod does."""
        assert builders.NAMESPACE == namespace
        self._record_request("try-resize" if dry_run else "resize", "Pod", pod)
        live = self._get_live("Pod", pod)
        changed = apply_resize(live, patch)
        if not dry_run:
            changed["metadata"]["resourceVersion"] = "91"
            self.put_object(changed)
        return changed

    def _get_live(self, kind: str, name: str) -> Json:
        if (kind, name) not in self.objects_by_path:
            raise NotFoundError(404, "NotFound", f"{name} not found")
        return self.objects_by_path[kind, name]

    def _record_request(self, verb: str, kind: str, name: str = "") -> None:
        request = f"{verb} {kind}/{name}" if name else f"{verb} {kind}"
        self.requests.append(request)
        for pattern in (request, f"{verb} {kind}", verb):
            if pattern in self.errors:
                raise self.errors[pattern]


def apply_resize(live: Json, patch: Json) -> Json:
    """Return a pod after a strategic merge patch of its containers."""
    changed = deepcopy(live)
    for field, containers in patch["spec"].items():
        by_name = {container["name"]: container for container in containers}
        assert by_name.keys() <= {container["name"] for container in live["spec"][field]}
        for container in changed["spec"][field]:
            container.update(by_name.get(container["name"], {}))
    return changed


def _apply_merge_patch(live: Json, patch: Json) -> Json:
    """RFC 7386."""
    result = deepcopy(live)
    for field, value in patch.items():
        if value is None:
            result.pop(field, None)
        elif isinstance(value, dict):
            result[field] = _apply_merge_patch(result.get(field) or {}, value)
        else:
            result[field] = deepcopy(value)
    return result


def forbidden_error(message: str = "no right") -> ApiError:
    """An answer that only people can change."""
    return ForbiddenError(403, "Forbidden", message)


def build_slots(count: int = 100) -> FairSlots:
    """Slots for all, or for few; nobody is enqueued."""
    return FairSlots(count, lambda *_: None, lambda: 0.0)


def build_spec(**more: Any) -> SelfHealingAppSpec:  # noqa: ANN401 - JSON
    """The spec of the app."""
    return parse_spec({**APP_SPEC, **more})


def build_inputs(
    snapshot: AppSnapshot,
    record: HealingStatus | None = None,
    scale: float = 1,
    seconds: float = 100,
    **more: Any,  # noqa: ANN401 - of the spec
) -> ReconcileInput:
    """The input of a reconcile of the app with such a spec, whose status holds this record."""
    status = orjson.dumps(SelfHealingAppStatus(healing=record).to_json())
    stored = replace(snapshot, app=replace(snapshot.app, status=status))
    return build_reconcile_input(stored, build_spec(**more), builders.at(seconds), scale)


def revision_of(**more: Any) -> str:  # noqa: ANN401 - JSON
    """The version that such a spec asks for."""
    return template_revision(build_pod_template(builders.APP, build_spec(**more)))


def build_action(
    remedy: Remediation = Remediation.REPLACE_POD,
    action_id: int = 1,
    *,
    at: float = 90,
    outcome: ActionOutcome = ActionOutcome.IN_PROGRESS,
    **more: Any,  # noqa: ANN401 - its fields
) -> HealingAction:
    """A decision, made at ``at`` seconds after noon."""
    fields = {"diagnosis": "CrashLooping", "evidence": f"{action_id}.txt", **more}
    return HealingAction(
        id=action_id, remediation=remedy, outcome=outcome, at=builders.at(at), **fields
    )


def build_record(*history: HealingAction, **more: Any) -> HealingStatus:  # noqa: ANN401 - its fields
    """What is remembered of the app."""
    fields = {"mode": "Auto", "budget_left": 3, "desired_revision": revision_of(), **more}
    return HealingStatus(history=list(history), **fields)


def build_quarantine(pod: str, until: float) -> QuarantineStatus:
    """A pod that was taken out of the app."""
    return QuarantineStatus(pod=pod, uid=f"uid-of-{pod}", until=builders.at(until))


def build_diagnosis(kind: str = "CrashLooping", cause: str = "Pod") -> DiagnosisStatus:
    """Something that ails the app."""
    return DiagnosisStatus(type=kind, cause=cause, confidence="High", pods=1)
