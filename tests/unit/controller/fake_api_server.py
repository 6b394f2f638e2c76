"""A small API server in memory for what heals: it keeps objects, and a diary of what was asked."""

from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any, cast

from selfhealing.api.healing_status import (
    ActionOutcome,
    DiagnosisStatus,
    HealingAction,
    HealingStatus,
    QuarantineStatus,
    Remedy,
)
from selfhealing.api.spec import SelfHealingAppSpec, parse
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ConflictError, ForbiddenError, NotFoundError
from selfhealing.kube.resources import Resource
from selfhealing.render.overrides import version
from tests.unit import builders

Json = dict[str, Any]

SPEC: Json = {"image": builders.IMAGE, "port": 5000}


class Cluster:
    """What is there, and what was asked of it.

    Attributes:
        objects_by_path: the objects, by kind and name.
        asked: every request as "verb Kind/name", in order.
        errors: by such a request, or by its verb alone, what is answered instead.
        budget: whether PodDisruptionBudgets allow evictions.
    """

    def __init__(self, *objects: Json) -> None:
        self.objects_by_path: dict[tuple[str, str], Json] = {}
        self.asked: list[str] = []
        self.errors: dict[str, Exception] = {}
        self.budget = True
        for thing in objects:
            self.put(thing)

    @property
    def client(self) -> Client:
        """The cluster as it is given to what is tested."""
        return cast("Client", self)

    def put(self, thing: Json) -> None:
        """Let an object be there."""
        self.objects_by_path[thing["kind"], thing["metadata"]["name"]] = deepcopy(thing)

    def there(self, kind: str) -> list[str]:
        """The names of all objects of a kind."""
        return sorted(name for other, name in self.objects_by_path if other == kind)

    def writes(self) -> list[str]:
        """What was asked but for reads."""
        return [each for each in self.asked if each.split()[0] not in {"get", "list", "log"}]

    async def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """Answer as Client.get does."""
        assert builders.NAMESPACE == namespace
        self._ask("get", resource.kind, name)
        return deepcopy(self.objects_by_path.get((resource.kind, name)))

    async def objects(
        self,
        resource: Resource,
        namespace: str | None,  # noqa: ARG002 - as Client.objects
        labels: str = "",
        fields: str = "",  # noqa: ARG002 - as Client.objects
    ) -> AsyncIterator[Json]:
        """Answer as Client.objects does."""
        assert labels in {"", "selfhealing.dev/app=web"}
        self._ask("list", resource.kind)
        for (kind, _), thing in self.objects_by_path.items():
            if kind == resource.kind:
                yield deepcopy(thing)

    async def log(self, namespace: str, pod: str, container: str, **_: object) -> str:
        """Answer as Client.log does."""
        assert (builders.NAMESPACE, "app") == (namespace, container)
        self._ask("log", "Pod", pod)
        return "it went wrong\n"

    async def create(self, resource: Resource, body: Json) -> Json:
        """Answer as Client.create does."""
        name = body["metadata"]["name"]
        self._ask("create", resource.kind, name)
        if (resource.kind, name) in self.objects_by_path:
            raise ConflictError(409, "AlreadyExists", f"{name} already exists")
        body = {**body, "metadata": {**body["metadata"], "uid": f"uid-of-{name}"}}
        self.put(body)
        return body

    async def merge(
        self, resource: Resource, namespace: str, name: str, patch: Json, subresource: str = ""
    ) -> Json:
        """Answer as Client.merge does."""
        assert builders.NAMESPACE == namespace
        self._ask(f"merge{'/' if subresource else ''}{subresource}", resource.kind, name)
        live = self._live(resource.kind, name)
        wanted = patch.get("metadata", {}).get("resourceVersion")
        if wanted not in {None, live["metadata"]["resourceVersion"]}:
            raise ConflictError(409, "Conflict", "it has changed")
        merged = _merged(live, patch)
        merged["metadata"]["resourceVersion"] = str(int(live["metadata"]["resourceVersion"]) + 1)
        self.put(merged)
        return merged

    async def delete(
        self, resource: Resource, namespace: str, name: str, uid: str, **_: object
    ) -> Json | None:
        """Answer as Client.delete does: pods go later."""
        assert builders.NAMESPACE == namespace
        self._ask("delete", resource.kind, name)
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

    async def evict(self, namespace: str, pod: str, uid: str, version: int) -> bool:
        """Answer as Client.evict does."""
        assert builders.NAMESPACE == namespace
        self._ask("evict", "Pod", pod)
        live = self.objects_by_path.get(("Pod", pod))
        if live is None:
            return True
        if (live["metadata"]["uid"], live["metadata"]["resourceVersion"]) != (uid, str(version)):
            raise ConflictError(409, "Conflict", "it has changed")
        return self.budget

    async def resize(self, namespace: str, pod: str, patch: Json) -> Json:
        """Answer as Client.resize does."""
        assert builders.NAMESPACE == namespace
        self._ask("resize", "Pod", pod)
        live = self._live("Pod", pod)
        live["spec"]["containers"][0] |= patch["spec"]["containers"][0]
        live["metadata"]["resourceVersion"] = "91"
        return deepcopy(live)

    def _live(self, kind: str, name: str) -> Json:
        if (kind, name) not in self.objects_by_path:
            raise NotFoundError(404, "NotFound", f"{name} not found")
        return self.objects_by_path[kind, name]

    def _ask(self, verb: str, kind: str, name: str = "") -> None:
        said = f"{verb} {kind}/{name}" if name else f"{verb} {kind}"
        self.asked.append(said)
        for each in (said, f"{verb} {kind}", verb):
            if each in self.errors:
                raise self.errors[each]


def _merged(live: Json, patch: Json) -> Json:
    """RFC 7386."""
    result = deepcopy(live)
    for field, value in patch.items():
        if value is None:
            result.pop(field, None)
        elif isinstance(value, dict):
            result[field] = _merged(result.get(field) or {}, value)
        else:
            result[field] = deepcopy(value)
    return result


def forbidden(what: str = "no right") -> ApiError:
    """An answer that only people can change."""
    return ForbiddenError(403, "Forbidden", what)


def spec(**more: Any) -> SelfHealingAppSpec:  # noqa: ANN401 - JSON
    """The spec of the app."""
    return parse({**SPEC, **more})


def version_of(**more: Any) -> str:  # noqa: ANN401 - JSON
    """The version that such a spec asks for."""
    return version(builders.APP, spec(**more))


def action(
    remedy: Remedy = Remedy.RECYCLE,
    number: int = 1,
    *,
    at: float = 90,
    outcome: ActionOutcome = ActionOutcome.STARTED,
    **more: Any,  # noqa: ANN401 - its fields
) -> HealingAction:
    """A decision, made at ``at`` seconds after noon."""
    fields = {"diagnosis": "CrashLooping", "evidence": f"{number}.txt", **more}
    return HealingAction(id=number, remedy=remedy, outcome=outcome, at=builders.at(at), **fields)


def record(*history: HealingAction, **more: Any) -> HealingStatus:  # noqa: ANN401 - its fields
    """What is remembered of the app."""
    fields = {"mode": "Auto", "budget_left": 3, "template": version_of(), **more}
    return HealingStatus(history=list(history), **fields)


def kept_apart(pod: str, until: float) -> QuarantineStatus:
    """A pod that was taken out of the app."""
    return QuarantineStatus(pod=pod, uid=f"uid-of-{pod}", until=builders.at(until))


def illness(kind: str = "CrashLooping", cause: str = "Pod") -> DiagnosisStatus:
    """Something that ails the app."""
    return DiagnosisStatus(type=kind, cause=cause, confidence="High", pods=1)
