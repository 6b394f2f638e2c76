"""Renders the parts of a simulated cluster as objects of the API server.

The field names, reasons and texts are those of Kubernetes 1.36 and containerd 2.
"""

from typing import Final

from hack.worlds.model import ContainerKind, Json, SimContainer, SimNode, SimPod, SimReplicaSet
from hack.worlds.timeline import to_timestamp

NAMESPACE: Final = "shop"
APP: Final = "web"
APP_UID: Final = "uid-app-web"

UNREACHABLE_TAINT: Final = "node.kubernetes.io/unreachable"
_NEVER_STARTED: Final = "1970-01-01T00:00:00Z"

DEFAULT_TOLERATIONS: Final[tuple[Json, ...]] = tuple(
    {
        "key": f"node.kubernetes.io/{key}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 300,
    }
    for key in ("not-ready", "unreachable")
)
"""What the admission plugin DefaultTolerationSeconds adds to each pod."""


def render_pod(pod: SimPod) -> Json:
    """Return a pod."""
    inits = [c for c in pod.containers if c.kind is not ContainerKind.MAIN]
    mains = [c for c in pod.containers if c.kind is ContainerKind.MAIN]
    metadata: Json = {
        "namespace": NAMESPACE,
        "name": pod.name,
        "uid": pod.uid,
        "resourceVersion": str(pod.resource_version),
        "creationTimestamp": to_timestamp(pod.created),
        "labels": pod.labels,
        "ownerReferences": pod.owner_references,
    }
    if pod.deleted_at is not None:
        metadata["deletionTimestamp"] = to_timestamp(pod.deleted_at)
        metadata["deletionGracePeriodSeconds"] = 30
    if pod.finalizers:
        metadata["finalizers"] = pod.finalizers
    status: Json = {
        "phase": pod.phase,
        "conditions": _pod_conditions(pod),
    }
    if pod.bound_at:
        status["startTime"] = to_timestamp(pod.bound_at)
    if pod.node:
        status["hostIP"] = f"10.0.0.{pod.node[-1]}"
        status["containerStatuses"] = [_container_status(c, pod) for c in mains]
        if inits:
            status["initContainerStatuses"] = [_container_status(c, pod) for c in inits]
    if pod.reason:
        status["reason"], status["message"] = pod.reason, pod.message
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {**pod.spec, **({"nodeName": pod.node} if pod.node else {})},
        "status": status,
    }


def _pod_conditions(pod: SimPod) -> list[Json]:
    if not pod.node and not pod.unschedulable:
        return []
    if not pod.node:
        return [
            {
                "type": "PodScheduled",
                "status": "False",
                "lastTransitionTime": to_timestamp(pod.created),
                "reason": "Unschedulable",
                "message": pod.unschedulable,
            }
        ]
    why: Json = {}
    if not pod.ready and not pod.is_cut_off:
        unready = " ".join(
            c.name for c in pod.containers if c.kind is not ContainerKind.INIT and not c.ready
        )
        why = {
            "reason": "ContainersNotReady",
            "message": f"containers with unready status: [{unready}]",
        }
    if pod.phase == "Failed":
        why = {"reason": "PodFailed"}
    ready_at = to_timestamp(pod.ready_at)
    conditions: list[Json] = [
        {
            "type": "PodScheduled",
            "status": "True",
            "lastTransitionTime": to_timestamp(pod.bound_at),
        },
        {
            "type": "Initialized",
            "status": str(pod.initialized),
            "lastTransitionTime": to_timestamp(pod.initialized_at or pod.bound_at),
            **({} if pod.initialized else {"reason": "ContainersNotInitialized"}),
        },
        {"type": "Ready", "status": str(pod.ready), "lastTransitionTime": ready_at, **why},
        {
            "type": "ContainersReady",
            "status": str(pod.ready or pod.is_cut_off),
            "lastTransitionTime": ready_at,
            **why,
        },
    ]
    if pod.disruption is not None:
        conditions.append(pod.disruption)
    if pod.resize_pending is not None:
        reason, message = pod.resize_pending
        conditions.append(
            {
                "type": "PodResizePending",
                "status": "True",
                "reason": reason,
                "message": message,
                "lastTransitionTime": ready_at,
            }
        )
    return conditions


def _container_status(container: SimContainer, pod: SimPod) -> Json:
    status: Json = {
        "name": container.name,
        "image": container.image,
        "ready": container.ready,
        "started": container.started,
        "restartCount": container.restarts,
        "state": {container.state: _container_state(container)},
        "lastState": {"terminated": container.last} if container.last else {},
    }
    limits = pod.applied_limits.get(container.name)
    if limits:
        status["resources"] = {"limits": limits}
    return status


def _container_state(container: SimContainer) -> Json:
    if container.state == "running":
        return {"startedAt": to_timestamp(container.started_at)}
    if container.state == "terminated":
        return render_termination(container)
    message = {"message": container.message} if container.message else {}
    return {"reason": container.reason, **message}


def render_termination(container: SimContainer) -> Json:
    """Return how a container has ended."""
    has_run = container.reason != "StartError"  # else the times are those of containerd: 0
    return {
        "exitCode": container.exit_code,
        "reason": container.reason,
        "startedAt": to_timestamp(container.started_at) if has_run else _NEVER_STARTED,
        "finishedAt": to_timestamp(container.finished_at),
        **({"message": container.message} if container.message else {}),
    }


def render_replica_set(replica_set: SimReplicaSet, deployment_uid: str) -> Json:
    """Return a ReplicaSet."""
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "namespace": NAMESPACE,
            "name": f"{APP}-{replica_set.hash}",
            "uid": replica_set.uid,
            "resourceVersion": str(replica_set.resource_version),
            "creationTimestamp": to_timestamp(replica_set.created),
            "labels": {
                **(replica_set.template.get("metadata", {}).get("labels") or {}),
                "pod-template-hash": replica_set.hash,
            },
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "name": APP,
                    "uid": deployment_uid,
                    "controller": True,
                }
            ],
        },
        "spec": {"replicas": replica_set.wanted, "template": replica_set.template},
        "status": {"replicas": replica_set.wanted},
    }


def render_pod_metrics(pod: SimPod, used: dict[str, int], now: float) -> Json:
    """Return the PodMetrics of a pod: the millicores that each container uses."""
    return {
        "metadata": {"name": pod.name, "namespace": NAMESPACE},
        "timestamp": to_timestamp(now),
        "containers": [{"name": n, "usage": {"cpu": f"{cpu}m"}} for n, cpu in used.items()],
    }


def render_node(node: SimNode) -> Json:
    """Return a node."""
    taints = list(node.taints)
    if node.marked_lost:
        taints += [
            {"key": UNREACHABLE_TAINT, "effect": effect} for effect in ("NoSchedule", "NoExecute")
        ]
    if node.has_disk_pressure:
        taints.append({"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"})
    if node.is_cordoned:
        taints.append({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"})
    ready = "Unknown" if node.marked_lost else "True"
    allocatable = {"cpu": f"{node.cpu}m", "memory": f"{node.memory}Mi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": node.name,
            "uid": f"uid-{node.name}",
            "resourceVersion": str(node.resource_version),
            "labels": {"kubernetes.io/hostname": node.name, **node.labels},
        },
        "spec": {
            **({"taints": taints} if taints else {}),
            **({"unschedulable": True} if node.is_cordoned else {}),
        },
        "status": {
            "allocatable": allocatable,
            "capacity": allocatable,
            "conditions": [
                {"type": "DiskPressure", "status": str(node.has_disk_pressure)},
                *({"type": key, "status": value} for key, value in node.conditions.items()),
                {"type": "Ready", "status": ready},
            ],
        },
    }


def render_event(pod: SimPod, reason: str, message: str, now: float, count: int, name: str) -> Json:  # noqa: PLR0913, PLR0917 - the fields of an Event
    """Return an Event of the kubelet about a pod."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "namespace": NAMESPACE,
            "name": f"{pod.name}.{name}",
            "uid": f"uid-{pod.name}.{name}",
            "creationTimestamp": to_timestamp(now),
            "resourceVersion": "1",
        },
        "involvedObject": {
            "kind": "Pod",
            "namespace": NAMESPACE,
            "name": pod.name,
            "uid": pod.uid,
        },
        "reason": reason,
        "message": message,
        "type": "Normal" if reason == "Killing" else "Warning",
        "source": {"component": "kubelet", "host": pod.node},
        "reportingComponent": "kubelet",
        "firstTimestamp": to_timestamp(now),
        "lastTimestamp": to_timestamp(now),
        "count": count,
    }
