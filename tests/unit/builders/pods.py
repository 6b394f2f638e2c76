"""Pods, their containers and Events, and nodes."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tests.unit.builders.common import APP, IMAGE, NAMESPACE, Json, controller_reference, iso


def termination(
    code: int = 1,
    reason: str = "",
    *,
    started: float | None = 0,
    finished: float | None = 10,
    message: str = "",
) -> Json:
    """Return the end of a container, as it is in ``terminated``."""
    return {
        "exitCode": code,
        "reason": reason or ("Error" if code else "Completed"),
        "startedAt": None if started is None else iso(started),
        "finishedAt": None if finished is None else iso(finished),
        **({"message": message} if message else {}),
    }


def container(
    state: Json,
    *,
    name: str = "app",
    ready: bool = False,
    restarts: int = 0,
    last: Json | None = None,
    started: bool | None = None,
) -> Json:
    """Return a container's status; ``started``: whether its startup probe has succeeded."""
    return {
        "name": name,
        "ready": ready,
        **({} if started is None else {"started": started}),
        "restartCount": restarts,
        "state": state,
        "lastState": {"terminated": last} if last else {},
    }


def running(since: float = 0, *, ready: bool = True, **more: Any) -> Json:  # noqa: ANN401 - as container
    """Return the status of a running container."""
    return container({"running": {"startedAt": iso(since)}}, ready=ready, **more)


def waiting(reason: str, message: str = "", **more: Any) -> Json:  # noqa: ANN401 - as container
    """Return the status of a waiting container."""
    return container({"waiting": {"reason": reason, "message": message}}, **more)


def terminated(termination: Json, **more: Any) -> Json:  # noqa: ANN401 - as container
    """Return the status of a container that has ended and is not restarted yet."""
    return container({"terminated": termination}, **more)


def crash_loop(restarts: int, last: Json, *, back_off: int = 10, **more: Any) -> Json:  # noqa: ANN401
    """Return the status of a container in CrashLoopBackOff."""
    message = f"back-off {back_off}s restarting failed container=app pod=web_shop(1)"
    return waiting("CrashLoopBackOff", message, restarts=restarts, last=last, **more)


def pod(
    name: str = "web-abc-1",
    *statuses: Json,
    ready: bool | None = None,
    since: float = 0,
    ready_reason: str | None = None,
    init: Sequence[Json] = (),
    init_spec: Sequence[Json] = (),
    phase: str = "Running",
    node: str = "node-1",
    created: float | None = 0,
    conditions: Sequence[Json] = (),
    labels: Mapping[str, str] | None = None,
    status: Mapping[str, Any] | None = None,
    image: str = IMAGE,
    tolerations: Sequence[Json] = (),
    volumes: Sequence[Json] = (),
    memory_limit: str = "",
    applied_memory_limit: str = "",
    container_spec: Mapping[str, Any] | None = None,
    version: int = 1,
    **meta: Any,  # noqa: ANN401 - JSON
) -> Json:
    """Return a pod; by default it is ready if all its containers are.

    It belongs to the ReplicaSet of its pod-template-hash; without one, give ``ownerReferences``.

    ``container_spec`` has more fields of each container's spec, such as probes.
    ``memory_limit`` is the memory limit in its spec, ``applied_memory_limit`` that in its status.
    Its name has the pod-template-hash: ``abc`` in ``web-abc-1``.
    """
    is_ready = bool(statuses) and all(s["ready"] for s in statuses) if ready is None else ready
    reason = ("" if is_ready else "ContainersNotReady") if ready_reason is None else ready_reason
    ready_condition = {
        "type": "Ready",
        "status": str(is_ready),
        "lastTransitionTime": iso(since),
        **({"reason": reason} if reason else {}),
    }
    initialized = all(
        s["state"].get("terminated", {}).get("exitCode") == 0 or s["name"] in _sidecars(init_spec)
        for s in init
    )
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": NAMESPACE,
            "name": name,
            "uid": f"uid-of-{name}",
            "resourceVersion": str(version),
            "labels": {
                "selfhealing.dev/app": APP,
                "pod-template-hash": name.split("-")[1],
            }
            if labels is None
            else dict(labels),
            **({} if created is None else {"creationTimestamp": iso(created)}),
            "ownerReferences": [controller_reference("ReplicaSet", replica_set_uid(name))],
            **meta,
        },
        "spec": {
            **({"nodeName": node} if node else {}),
            **({"tolerations": list(tolerations)} if tolerations else {}),
            **({"volumes": list(volumes)} if volumes else {}),
            "containers": [
                {
                    "name": s["name"],
                    "image": image,
                    **_limits(memory_limit),
                    **(container_spec or {}),
                }
                for s in statuses
            ],
            "initContainers": [
                *({"name": s["name"], "image": image} for s in init),
                *init_spec,
            ],
        },
        "status": {
            "phase": phase,
            **({"hostIP": f"10.0.0.{node[-1]}"} if node else {}),
            "conditions": [
                {"type": "Initialized", "status": str(initialized)},
                *([ready_condition] if statuses else []),
                *conditions,
            ],
            "containerStatuses": [{**s, **_limits(applied_memory_limit)} for s in statuses],
            "initContainerStatuses": list(init),
            **(status or {}),
        },
    }


def replica_set_uid(pod_name: str) -> str:
    """Return the UID of the ReplicaSet of a pod with this name."""
    return f"uid-of-web-{pod_name.split('-')[1]}"


def replica_set(
    uid: str = "uid-of-web-abc",
    *,
    deployment_uid: str = "uid-of-Deployment",
    version: int = 1,
    **meta: Any,  # noqa: ANN401 - JSON
) -> Json:
    """Return a ReplicaSet of the app's Deployment."""
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "namespace": NAMESPACE,
            "name": uid.removeprefix("uid-of-"),
            "uid": uid,
            "resourceVersion": str(version),
            "labels": {"selfhealing.dev/app": APP},
            "ownerReferences": [controller_reference("Deployment", deployment_uid, name=APP)],
            **meta,
        },
    }


def _limits(memory: str) -> Json:
    return {"resources": {"limits": {"cpu": "1", "memory": memory}}} if memory else {}


def _sidecars(init_spec: Sequence[Json]) -> set[str]:
    return {spec["name"] for spec in init_spec if spec.get("restartPolicy") == "Always"}


def unreachable_toleration(seconds: int | None = 300, **more: Any) -> Json:  # noqa: ANN401 - JSON
    """Return a toleration of an unreachable node; by default the one that Kubernetes adds."""
    return {
        "key": "node.kubernetes.io/unreachable",
        "operator": "Exists",
        "effect": "NoExecute",
        **({} if seconds is None else {"tolerationSeconds": seconds}),
        **more,
    }


def unschedulable_condition(message: str) -> Json:
    """Return the condition of a pod that no node fits."""
    return {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
    }


def node(
    name: str = "node-1",
    *,
    ready: str = "True",
    memory_pressure: bool = False,
    taints: Sequence[str] = (),
    zone: str = "",
    conditions: Mapping[str, str] = MappingProxyType({}),
    version: int = 1,
) -> Json:
    """Return a node; ``conditions`` are further ones, by type."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "uid": f"uid-of-{name}",
            "resourceVersion": str(version),
            "labels": {"kubernetes.io/hostname": name}
            | ({"topology.kubernetes.io/zone": zone} if zone else {}),
        },
        "spec": {"taints": [{"key": key, "effect": "NoExecute"} for key in taints]},
        "status": {
            "conditions": [
                {"type": "MemoryPressure", "status": str(memory_pressure)},
                {"type": "Ready", "status": ready},
                *({"type": kind, "status": status} for kind, status in conditions.items()),
            ]
        },
    }


def evicted_pod(
    name: str, *, created: float = 0, reason: str = "Evicted", message: str = ""
) -> Json:
    """Return a pod that its node has rejected or evicted."""
    text = message or "The node was low on resource: memory. Threshold quantity: 100Mi, available:"
    return pod(name, phase="Failed", created=created, status={"reason": reason, "message": text})


def probe_kill_event(
    pod_name: str,
    seconds: float,
    *,
    probe: str = "liveness",
    name: str = "app",
    kind: str = "Pod",
) -> Json:
    """Return the kubelet's Event about a container that it kills after a failed probe."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": NAMESPACE, "name": f"{pod_name}.1", "resourceVersion": "1"},
        "involvedObject": {
            "kind": kind,
            "namespace": NAMESPACE,
            "name": pod_name,
            "uid": f"uid-of-{pod_name}",
        },
        "source": {"component": "kubelet", "host": "node-1"},
        "reason": "Killing",
        "message": f"Container {name} failed {probe} probe, will be restarted",
        "lastTimestamp": iso(seconds),
    }


def http_probe(path: str = "/readyz", port: int = 5000, **more: Any) -> Json:  # noqa: ANN401 - JSON
    """Return an HTTP probe as a pod has it."""
    return {"httpGet": {"path": path, "port": port, "scheme": "HTTP"}, **more}


def pod_event(
    pod_name: str,
    reason: str,
    message: str,
    seconds: float,
    *,
    component: str = "kubelet",
    name: str = "app",
    count: int = 1,
) -> Json:
    """Return an Event about a pod, or about its container ``name``."""
    event = probe_kill_event(pod_name, seconds)
    event["involvedObject"]["fieldPath"] = f"spec.containers{{{name}}}"
    return {
        **event,
        "metadata": {**event["metadata"], "name": f"{pod_name}.{abs(hash(message))}"},
        "source": {"component": component},
        "type": "Warning",
        "reason": reason,
        "message": message,
        "count": count,
    }


def unhealthy_event(
    pod_name: str,
    seconds: float = 20,
    *,
    answer: str = "HTTP probe failed with statuscode: 404",
    probe: str = "Readiness",
    name: str = "app",
    count: int = 3,
) -> Json:
    """Return the kubelet's Event about a failed probe."""
    message = f"{probe} probe failed: {answer}"
    return pod_event(pod_name, "Unhealthy", message, seconds, name=name, count=count)


def pod_stop_event(pod_name: str, seconds: float, *, name: str = "app") -> Json:
    """Return the kubelet's Event that it stops a pod, which has no reason."""
    return {**probe_kill_event(pod_name, seconds), "message": f"Stopping container {name}"}


def job_pod(
    name: str = "web-1",
    *statuses: Json,
    policy: str = "Never",
    job_uid: str = "uid-of-Job",
    probes: Sequence[str] = (),
    **more: Any,  # noqa: ANN401 - as pod
) -> Json:
    """Return a pod of the app's Job."""
    labels = {"selfhealing.dev/app": APP, "batch.kubernetes.io/controller-uid": job_uid}
    owners = [controller_reference("Job", job_uid, name=APP)]
    result = pod(name, *statuses, labels=labels, ownerReferences=owners, **more)
    result["spec"]["restartPolicy"] = policy
    for entry in result["spec"]["containers"]:
        entry |= {f"{probe}Probe": {} for probe in probes}
    return result
