"""The app's children."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.unit.builders.common import APP, APP_UID, NAMESPACE, Json, iso


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
