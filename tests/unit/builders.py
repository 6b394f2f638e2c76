"""Builders of objects as the API server returns them. A test gives only the fields that matter.

Times are in seconds after NOON, as in ``running(since=20)``. By default all objects belong to the
app ``web`` in the namespace ``shop``.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

Json = dict[str, Any]

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NAMESPACE = "shop"
APP = "web"
APP_UID = "uid-of-web"
IMAGE = "web:v1"


def at(seconds: float) -> datetime:
    """Return the time at these seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def iso(seconds: float) -> str:
    """Return the time at these seconds after noon, as Kubernetes writes it."""
    return at(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def app(spec: Json | None = None, status: Json | None = None, **meta: Any) -> Json:  # noqa: ANN401 - JSON
    """Return a SelfHealingApp."""
    return {
        "apiVersion": "selfhealing.dev/v1alpha1",
        "kind": "SelfHealingApp",
        "metadata": {
            "namespace": NAMESPACE,
            "name": APP,
            "uid": APP_UID,
            "resourceVersion": "1",
            "generation": 1,
            **meta,
        },
        "spec": {"image": IMAGE, "port": 5000} if spec is None else spec,
        **({"status": status} if status is not None else {}),
    }


def config(
    kind: str = "ConfigMap",
    name: str = "settings",
    *,
    version: int = 1,
    uid: str = "",
    namespace: str = NAMESPACE,
    labels: Json | None = None,
    **contents: Any,  # noqa: ANN401 - JSON
) -> Json:
    """Return a ConfigMap or a Secret."""
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": uid or f"uid-of-{name}",
            "resourceVersion": str(version),
            "labels": labels or {},
        },
        **contents,
    }


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


def controller_reference(kind: str, uid: str, *, name: str = "") -> Json:
    """Return the owner reference to a controller."""
    group = {"ReplicaSet": "apps/v1", "Deployment": "apps/v1", "Job": "batch/v1"}
    return {
        "apiVersion": group.get(kind, "example.com/v1"),
        "kind": kind,
        "name": name or uid.removeprefix("uid-of-"),
        "uid": uid,
        "controller": True,
    }


def app_reference(uid: str = APP_UID) -> Json:
    """Return the owner reference of a pod that was isolated from the app."""
    return {
        "apiVersion": "selfhealing.dev/v1alpha1",
        "kind": "SelfHealingApp",
        "name": APP,
        "uid": uid,
    }


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


def progressing_condition(
    reason: str = "NewReplicaSetAvailable", current: str = "abc", *, status: str = "True"
) -> Json:
    """Return a Deployment's condition Progressing, which names the current ReplicaSet."""
    texts = {
        "NewReplicaSetAvailable": 'ReplicaSet "{}" has successfully progressed.',
        "NewReplicaSetCreated": 'Created new replica set "{}"',
        "FoundNewReplicaSet": 'Found new replica set "{}"',
        "ReplicaSetUpdated": 'ReplicaSet "{}" is progressing.',
        "ProgressDeadlineExceeded": 'ReplicaSet "{}" has timed out progressing.',
    }
    text = texts.get(reason, "Deployment is paused").format(f"{APP}-{current}")
    return {"type": "Progressing", "status": status, "reason": reason, "message": text}


def replica_failure_condition(message: str) -> Json:
    """Return a Deployment's condition ReplicaFailure: the API server refuses its pods."""
    return {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": message,
    }


def child(
    kind: str,
    spec: Json | None = None,
    status: Json | None = None,
    *,
    owner: str = APP_UID,
    version: int = 1,
    **meta: Any,  # noqa: ANN401 - JSON
) -> Json:
    """Return a child of the app."""
    versions = {
        "Deployment": "apps/v1",
        "Job": "batch/v1",
        "Service": "v1",
        "ServiceAccount": "v1",
        "Ingress": "networking.k8s.io/v1",
        "NetworkPolicy": "networking.k8s.io/v1",
        "HTTPRoute": "gateway.networking.k8s.io/v1",
        "PodMonitor": "monitoring.coreos.com/v1",
        "PodDisruptionBudget": "policy/v1",
        "VerticalPodAutoscaler": "autoscaling.k8s.io/v1",
    }
    reference = {
        "apiVersion": "selfhealing.dev/v1alpha1",
        "kind": "SelfHealingApp",
        "name": APP,
        "uid": owner,
        "controller": True,
    }
    return {
        "apiVersion": versions.get(kind, "autoscaling/v2"),
        "kind": kind,
        "metadata": {
            "namespace": NAMESPACE,
            "name": APP,
            "uid": f"uid-of-{kind}",
            "resourceVersion": str(version),
            "labels": {"selfhealing.dev/app": APP},
            **({"ownerReferences": [reference]} if owner else {}),
            **meta,
        },
        "spec": spec or {},
        "status": status or {},
    }


def deployment(
    replicas: int = 2,
    *,
    updated: int | None = None,
    available: int | None = None,
    conditions: Sequence[Json] | None = None,
    observed: bool = True,
    min_ready_seconds: int = 0,
    deadline: int = 600,
    **more: Any,  # noqa: ANN401 - as child
) -> Json:
    """Return the app's Deployment; by default it is rolled out completely."""
    return child(
        "Deployment",
        {
            "replicas": replicas,
            "minReadySeconds": min_ready_seconds,
            "progressDeadlineSeconds": deadline,
        },
        {
            "observedGeneration": 2 if observed else 1,
            "updatedReplicas": replicas if updated is None else updated,
            "availableReplicas": replicas if available is None else available,
            "conditions": [progressing_condition()] if conditions is None else list(conditions),
        },
        generation=2,
        **more,
    )


def job(
    *,
    run_hash: str = "mark",
    spec: Json | None = None,
    result: str = "",
    reason: str = "",
    message: str = "",
    status: Json | None = None,
    **more: Any,  # noqa: ANN401 - as child
) -> Json:
    """Return the app's Job; by default it runs one pod and has not completed."""
    conditions = {
        "": [],
        "Complete": ["SuccessCriteriaMet", "Complete"],
        "Failed": ["FailureTarget", "Failed"],
    }.get(result, [result])
    return child(
        "Job",
        {"parallelism": 1, "completions": 1, "backoffLimit": 6, **(spec or {})},
        {
            "startTime": iso(0),
            "conditions": [
                {
                    "type": kind,
                    "status": "True",
                    "reason": reason,
                    "message": message,
                    "lastTransitionTime": iso(60),
                }
                for kind in conditions
            ],
            **({"completionTime": iso(50), "succeeded": 1} if result == "Complete" else {}),
            **(status or {}),
        },
        annotations={"selfhealing.dev/run": run_hash},
        **more,
    )


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


def service(
    kind: str = "ClusterIP",
    *,
    node_port: int = 0,
    protocol: str = "TCP",
    ingress: Sequence[Json] = (),
    **more: Any,  # noqa: ANN401 - as child
) -> Json:
    """Return the app's Service."""
    port = {"port": 80, "protocol": protocol, **({"nodePort": node_port} if node_port else {})}
    return child(
        "Service",
        {"type": kind, "ports": [port]},
        {"loadBalancer": {"ingress": list(ingress)} if ingress else {}},
        **more,
    )


def hpa(
    current: int = 2,
    desired: int = 2,
    *,
    cpu: int | None = 31,
    target: int = 50,
    active: str | None = "True",
    reason: str = "ValidMetricFound",
    message: str = "the HPA was able to compute the replica count",
    since: float | None = None,
    **more: Any,  # noqa: ANN401 - as child
) -> Json:
    """Return the app's HorizontalPodAutoscaler; ``since`` is when ScalingActive last changed."""
    condition = {"type": "ScalingActive", "status": active, "reason": reason, "message": message}
    if since is not None:
        condition["lastTransitionTime"] = iso(since)
    return child(
        "HorizontalPodAutoscaler",
        {
            "minReplicas": 1,
            "maxReplicas": 5,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": target},
                    },
                }
            ],
        },
        {
            "currentReplicas": current,
            "desiredReplicas": desired,
            "conditions": [condition] if active else [],
            "currentMetrics": []
            if cpu is None
            else [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "current": {"averageUtilization": cpu, "averageValue": "31m"},
                    },
                }
            ],
        },
        **more,
    )


def pdb(
    allowed: int = 1,
    healthy: int = 2,
    required: int = 1,
    *,
    limit: Mapping[str, int | str] | None = None,
    observed: bool = True,
    **more: Any,  # noqa: ANN401 - as child
) -> Json:
    """Return the app's PodDisruptionBudget; by default one of two pods may be evicted."""
    return child(
        "PodDisruptionBudget",
        {"maxUnavailable": 1} if limit is None else dict(limit),
        {
            "observedGeneration": 2 if observed else 1,
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": required,
        },
        generation=2,
        **more,
    )


def vpa(
    target: Mapping[str, str] | None = None,
    *,
    lower: Mapping[str, str] | None = None,
    upper: Mapping[str, str] | None = None,
    mode: str = "Off",
    conditions: Sequence[Json] = (),
    **more: Any,  # noqa: ANN401 - as child
) -> Json:
    """Return the app's VerticalPodAutoscaler, with a recommendation for the app's container."""
    ours = {"containerName": "app", "target": target, "lowerBound": lower, "upperBound": upper}
    theirs = {"containerName": "proxy", "target": {"cpu": "7", "memory": "7Gi"}}
    status: Json = {"conditions": list(conditions)}
    if target is not None:
        status["recommendation"] = {
            "containerRecommendations": [theirs, {k: v for k, v in ours.items() if v}]
        }
    policy = {"containerName": "app", "controlledResources": ["cpu", "memory"]}
    return child(
        "VerticalPodAutoscaler",
        {
            "updatePolicy": {"updateMode": mode},
            "resourcePolicy": {
                "containerPolicies": [policy, {"containerName": "*", "mode": "Off"}]
            },
        },
        status,
        **more,
    )
