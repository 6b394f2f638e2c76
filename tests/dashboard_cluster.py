"""The cluster that the tests of the dashboard read: five apps, one of which waits for a person."""

from datetime import datetime
from threading import Lock
from typing import Any

from selfhealing.kube.errors import NotFoundError
from selfhealing.kube.resources import (
    APPS,
    CHILDREN,
    CONFIG_MAPS,
    EVENTS,
    PODS,
    REPLICA_SETS,
    Resource,
)
from selfhealing.plugin.cluster.kubectl_proxy import ObjectList
from tests.unit import builders
from tests.unit.builders import app, at, iso

Json = dict[str, Any]

NOW = 5400.0
"""Seconds after noon at which the cluster is read."""

HOSTILE = '<img src=x onerror="window.broken=1">\u202e'
"""Text from outside that tries to be HTML, and to reorder what stands beside it."""

EVIDENCE = (
    f"Action 2: Rollback, decided {iso(1800)}\npod web-old-1 \u202e<b>log</b>\n| line of a log"
)


class DashboardCluster:
    """Objects by kind, as ``KubectlProxy`` reads them. May be used by threads.

    Attributes:
        requests: what was asked for.
        patches: the patches that were written.
        error: is raised by every request; None for none.
    """

    def __init__(self) -> None:
        self.objects = _build_objects()
        self.requests: list[str] = []
        self.patches: list[Json] = []
        self.error: Exception | None = None
        self._lock = Lock()

    @property
    def now(self) -> datetime:
        """The API server's time."""
        return at(NOW)

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """Read an object."""
        self._note(f"get {resource.kind} {name}")
        for each in self.objects.get(resource.kind, ()):
            meta = each["metadata"]
            if (meta["namespace"], meta["name"]) == (namespace, name):
                return each
        raise NotFoundError(404, "NotFound", f"there is no {resource.kind} {name}")

    def list(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        labels: str = "",
        fields: str = "",
        max_items: int = 5000,
    ) -> ObjectList:
        """Read the objects of a kind; the only selector of fields is that of the Events."""
        self._note(f"list {resource.kind}")
        label, _, value = labels.partition("=")
        found = [
            each
            for each in self.objects.get(resource.kind, ())
            if namespace in {None, each["metadata"]["namespace"]}
            and (not label or each["metadata"].get("labels", {}).get(label) == value)
            and (not fields.endswith("=Pod") or each["involvedObject"]["kind"] == "Pod")
        ]
        return ObjectList(found[:max_items], is_cut=len(found) > max_items)

    def merge_patch(self, resource: Resource, namespace: str, name: str, patch: Json) -> Json:
        """Merge a patch into an object."""
        self._note(f"patch {resource.kind} {name}")
        found = self.get(resource, namespace, name)
        self.patches.append(patch)
        found["spec"].update(patch.get("spec", {}))
        return found

    def _note(self, request: str) -> None:
        with self._lock:
            self.requests.append(request)
        if self.error is not None:
            raise self.error


def _build_objects() -> dict[str, list[Json]]:
    kinds = ("Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget")
    children = [
        builders.deployment(3, annotations={"deployment.kubernetes.io/revision": "7"}),
        builders.service(),
        builders.hpa(3, 3),
        builders.pdb(),
    ]
    assert set(kinds) <= set(CHILDREN)
    evidence = builders.child("ConfigMap", name="web-evidence")
    return {
        APPS.kind: [_web(), *_other_apps()],
        **{kind: [each] for kind, each in zip(kinds, children, strict=True)},
        REPLICA_SETS.kind: [
            _replica_set("new", 7, 1800, "registry.example/shop/web:2.4.0", 1, 0),
            _replica_set("old", 6, -7200, "registry.example/shop/web:2.3.1", 3, 3),
        ],
        PODS.kind: _pods(),
        EVENTS.kind: [builders.pod_event("web-new-1", "BackOff", f"restarting {HOSTILE}", 5350)],
        CONFIG_MAPS.kind: [{**evidence, "data": {"2-rollback.txt": EVIDENCE}}],
    }


def _web() -> Json:
    history = [
        _action(3, "Rollback", "Proposed", "CrashLooping", 5100),
        _action(2, "Rollback", "Failed", "CrashLooping", 1800, 2100, evidence="2-rollback.txt"),
        _action(1, "RaiseMemory", "Succeeded", "OOMKilled", 300, 900),
    ]
    diagnosis = {
        "type": "CrashLooping",
        "cause": "NewVersion",
        "confidence": "High",
        "pods": 1,
        "container": "app",
        "message": "1 of 4 pods: container app ends with exit code 1 again and again",
        "comparison": "this version changed the image; pods of the version before are ready",
        "since": iso(4980),
    }
    healing = {
        "mode": "Approve",
        "budgetLeft": 3,
        "blockedReason": "AwaitingApproval",
        "diagnoses": [diagnosis],
        "history": history,
        "stableImage": "registry.example/shop/web:2.3.1",
        "stableSince": iso(-3600),
        "desiredSince": iso(4800),
    }
    status = {
        **_status("Degraded", "CrashLooping", "3/4", f"1 of 4 pods crashes {HOSTILE}"),
        "image": "registry.example/shop/web:2.4.0",
        "endpoint": "http://web.shop.svc:80",
        "restarts": {"current": 6, "total": 9},
        "healing": healing,
    }
    return app(status=status, creationTimestamp=iso(-90000))


def _other_apps() -> list[Json]:
    quarantined = {"mode": "Auto", "budgetLeft": 0, "quarantined": True}
    running = {
        "mode": "Auto",
        "budgetLeft": 2,
        "history": [_action(1, "RaiseMemory", "InProgress", "OOMKilled", 5340)],
    }
    return [
        _other("cart", _status("Quarantined", "Quarantined", "0/2", "", healing=quarantined)),
        _other("search", _status("Healing", "Healing", "2/3", "", healing=running)),
        _other("mail", _status("Paused", "Paused", "1/1", ""), paused=True),
        _other("payments", _status("Ready", "AllPodsReady", "5/5", "all pods are ready")),
    ]


def _other(name: str, status: Json, **spec: Any) -> Json:  # noqa: ANN401 - JSON
    return app({"image": "x:1", **spec}, status, name=name, uid=f"uid-of-{name}")


def _status(phase: str, reason: str, ready: str, message: str, **more: Any) -> Json:  # noqa: ANN401
    condition = {
        "type": "Ready",
        "status": "True" if phase == "Ready" else "False",
        "reason": reason,
        "lastTransitionTime": iso(4980),
    }
    return {
        "observedGeneration": 1,
        "phase": phase,
        "ready": ready,
        "message": message or f"the app is {phase.lower()}",
        "conditions": [condition],
        **more,
    }


def _action(  # noqa: PLR0917 - the fields of an action
    action_id: int,
    remediation: str,
    outcome: str,
    diagnosis: str,
    decided: float,
    ended: float | None = None,
    **more: Any,  # noqa: ANN401 - JSON
) -> Json:
    return {
        "id": action_id,
        "remediation": remediation,
        "outcome": outcome,
        "diagnosis": diagnosis,
        "at": iso(decided),
        "message": f"{diagnosis} since 2 minutes; the cause is the new version (certain)",
        **({"endedAt": iso(ended)} if ended is not None else {}),
        **more,
    }


def _replica_set(  # noqa: PLR0917 - a row of a table
    name: str, number: int, created: float, image: str, replicas: int, ready: int
) -> Json:
    made = builders.replica_set(
        f"uid-of-web-{name}",
        annotations={"deployment.kubernetes.io/revision": str(number)},
        creationTimestamp=iso(created),
    )
    template = {"spec": {"containers": [{"name": "app", "image": image}]}}
    spec = {"replicas": replicas, "template": template}
    return {**made, "spec": spec, "status": {"readyReplicas": ready}}


def _pods() -> list[Json]:
    killed = builders.termination(137, "OOMKilled", started=100, finished=290)
    crashed = builders.termination(1, "Error", started=5300, finished=5320)
    return [
        builders.pod("web-old-1", builders.running(-7190), created=-7200),
        builders.pod("web-old-2", builders.running(300, restarts=2, last=killed), created=-7200),
        builders.pod("web-old-3", builders.running(2000), created=1950, node="node-2"),
        builders.pod("web-new-1", builders.crash_loop(6, crashed), created=4800, node="node-2"),
    ]
