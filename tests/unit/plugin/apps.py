"""Apps with what belongs to them, and a cluster that has them."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any

from selfhealing.kube.errors import ApiError, NotFoundError
from selfhealing.kube.resources import APPS, Resource
from selfhealing.plugin.cluster.kubectl_proxy import ObjectList
from selfhealing.plugin.view.objects import AppObjects
from tests.unit import builders as b

Json = dict[str, Any]

NOW = b.at(3600)
NUMBER = "deployment.kubernetes.io/revision"


def owned(raw: Json) -> Json:
    """Return an object that the app owns."""
    raw["metadata"]["ownerReferences"] = [{**b.app_reference(), "controller": True}]
    return raw


def child(kind: str, spec: Json | None = None, status: Json | None = None, **meta: Any) -> Json:  # noqa: ANN401 - JSON
    """Return a child of the app, as the API server has it."""
    metadata = {
        "namespace": b.NAMESPACE,
        "name": b.APP,
        "uid": f"uid-of-{kind}",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": b.iso(0),
        **meta,
    }
    return owned({"kind": kind, "metadata": metadata, "spec": spec or {}, "status": status or {}})


def deployment(number: int = 2, **status: Any) -> Json:  # noqa: ANN401 - JSON
    """Return the app's Deployment, which runs the revision of this number."""
    counts = {"observedGeneration": 1, "availableReplicas": 2, "updatedReplicas": 2, **status}
    return child(
        "Deployment", {"replicas": 2}, counts, annotations={NUMBER: str(number)}, generation=1
    )


def template(image: str) -> Json:
    """Return a pod template."""
    return {
        "metadata": {"labels": {"selfhealing.dev/app": b.APP}},
        "spec": {
            "containers": [{"name": "log", "image": "log:v1"}, {"name": "app", "image": image}]
        },
    }


def replica_set(name: str, number: int, image: str = "web:v1", **spec: Any) -> Json:  # noqa: ANN401 - JSON
    """Return a ReplicaSet of the Deployment; its pods are named ``web-NAME-1``."""
    raw = b.replica_set(
        f"uid-of-web-{name}", annotations={NUMBER: str(number)}, creationTimestamp=b.iso(number)
    )
    raw["spec"] = {"replicas": 0, "template": template(image), **spec}
    raw["status"] = {"readyReplicas": spec.get("replicas", 0)}
    return raw


def saved_revision(revision: str, image: str) -> Json:
    """Return the ControllerRevision of a stable revision."""
    meta = {"name": f"{b.APP}-{revision}", "namespace": b.NAMESPACE, "uid": f"uid-{revision}"}
    return owned({"metadata": meta, "data": {"template": template(image)}})


def operator_event(reason: str, message: str, seconds: float, **fields: Any) -> Json:  # noqa: ANN401 - JSON
    """Return an Event of the operator about the app."""
    return {
        "metadata": {"namespace": b.NAMESPACE, "name": reason, "creationTimestamp": b.iso(seconds)},
        "involvedObject": {**b.app_reference(), "namespace": b.NAMESPACE},
        "reportingComponent": "selfhealing.dev/operator",
        "reason": reason,
        "message": message,
        "eventTime": b.iso(seconds),
        **fields,
    }


def condition(kind: str, status: str, reason: str, message: str = "") -> Json:
    """Return a condition of the app."""
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": b.iso(0),
    }


def rolled_back_objects() -> AppObjects:
    """Return an app whose second version crashed, and which runs its first one again."""
    history = [
        {
            "id": 1,
            "remediation": "Rollback",
            "diagnosis": "CrashLooping",
            "target": "rev-1",
            "outcome": "Succeeded",
            "at": b.iso(3000),
            "endedAt": b.iso(3060),
            "message": "all pods of web:v2 crash",
            "evidence": "0001-rollback",
        }
    ]
    healing = {
        "mode": "Auto",
        "budgetLeft": 2,
        "stableRevision": "rev-1",
        "stableImage": "web:v1",
        "stableSince": b.iso(700),
        "failedRevision": "rev-2",
        "history": history,
        "diagnoses": [],
    }
    status = {
        "observedGeneration": 1,
        "phase": "Degraded",
        "ready": "2/2",
        "image": "web:v2",
        "endpoint": "http://10.0.0.1:5000",
        "message": "2 of 2 pods ready; rolled back to web:v1",
        "healing": healing,
        "conditions": [condition("Ready", "False", "RolledBack")],
        "restarts": {
            "total": 5,
            "last": {
                "pod": "web-new-1",
                "container": "app",
                "reason": "Error",
                "exitCode": 1,
                "at": b.iso(2900),
            },
            "counted": [
                {
                    "pod": "web-new-1",
                    "uid": "uid-gone",
                    "container": "app",
                    "count": 4,
                    "reason": "Error",
                    "finishedAt": b.iso(2900),
                }
            ],
        },
    }
    ready = [b.pod(f"web-old-{i}", b.running()) for i in (1, 2)]
    return AppObjects(
        app=b.app(status=status, creationTimestamp=b.iso(0)),
        read_at=NOW,
        children={"Deployment": deployment(3)},
        replica_sets=[
            replica_set("old", 3, "web:v1", replicas=2),
            replica_set("new", 2, "web:v2"),
        ],
        pods=ready,
        controller_revisions=[saved_revision("rev-1", "web:v1")],
        events=[operator_event("Degraded", "rolled back", 3001)],
    )


class FakeCluster:
    """A cluster that has these objects; requests for what ``refused`` names fail."""

    def __init__(self, objects: AppObjects, refused: Mapping[str, ApiError] | None = None) -> None:
        self.objects = objects
        self.refused = dict(refused or {})
        self.patches: list[Json] = []
        self.texts: dict[str, str] = {}
        self.conflicts: list[ApiError] = []
        self.extra: dict[str, list[Json]] = {}

    @property
    def now(self) -> datetime:
        """The time of the cluster."""
        return self.objects.read_at

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """Read an object."""
        self._refuse(resource)
        found = self.objects.children.get(resource.kind)
        if resource is APPS:
            found = self.objects.app
        meta = found["metadata"] if found is not None else {}
        if found is None or (meta["namespace"], meta["name"]) != (namespace, name):
            raise NotFoundError(404, "NotFound", f"{resource.plural} {name} not found")
        return deepcopy(found)

    def list(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        labels: str = "",
        fields: str = "",
        max_items: int = 5000,
    ) -> ObjectList:
        """Read the objects of a kind."""
        self._refuse(resource)
        if (isolated := labels.startswith("selfhealing.dev/quarantined")) or namespace == "other":
            pods = [p for p in self.objects.pods if isolated and _is_isolated(p)]
            return ObjectList(pods if resource.kind == "Pod" else [], is_cut=False)
        by_kind: dict[str, Sequence[Json]] = {
            "SelfHealingApp": [self.objects.app],
            "Pod": [pod for pod in self.objects.pods if not _is_isolated(pod)],
            "ReplicaSet": self.objects.replica_sets,
            "ControllerRevision": self.objects.controller_revisions,
            "Event": [e for e in self.objects.events if _is_about_pod(e) == ("Pod" in fields)],
        }
        child = self.objects.children.get(resource.kind)
        found = by_kind.get(resource.kind) or ([child] if child else [])
        found = [*found, *self.extra.get(resource.plural, [])]
        type_ = {"apiVersion": resource.api_version, "kind": resource.kind}
        items = [{**deepcopy(item), **type_} for item in found]
        return ObjectList(items[:max_items], is_cut=len(items) > max_items)

    def merge_patch(self, resource: Resource, namespace: str, name: str, patch: Json) -> Json:
        """Take note of a patch."""
        assert (namespace, name) == (b.NAMESPACE, b.APP)
        self._refuse(resource)
        if self.conflicts:
            raise self.conflicts.pop()
        self.patches.append(patch)
        return {}

    def read_text(self, path: str, query: Mapping[str, str]) -> str:
        """Read a log."""
        key = f"{path} {query.get('container', '')} {query.get('previous', '')}".strip()
        if key not in self.texts:
            raise NotFoundError(404, "NotFound", f"nothing at {key}")
        return self.texts[key]

    def _refuse(self, resource: Resource) -> None:
        if resource.kind in self.refused:
            raise self.refused[resource.kind]


def _is_isolated(pod: Json) -> bool:
    return "selfhealing.dev/quarantined" in pod["metadata"]["labels"]


def _is_about_pod(event: Json) -> bool:
    return bool(event["involvedObject"]["kind"] == "Pod")
