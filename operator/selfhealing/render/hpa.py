"""Renders the HorizontalPodAutoscaler."""

from typing import Any

from selfhealing.api.spec import AutoscalingSpec, SelfHealingAppSpec
from selfhealing.render.meta import Owner, build_metadata, omit_empty, omit_none
from selfhealing.render.overrides import NO_OVERRIDES, Overrides


def build_hpa(
    owner: Owner, spec: SelfHealingAppSpec, overrides: Overrides = NO_OVERRIDES
) -> dict[str, Any] | None:
    """Return the autoscaling/v2 HorizontalPodAutoscaler of an app; None without autoscaling.

    Without a metric Kubernetes targets 80 % of the requested CPU.
    """
    autoscaling = spec.autoscaling
    if autoscaling is None:
        return None
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": build_metadata(owner),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": owner.name},
            "minReplicas": _min_replicas(autoscaling, overrides),
            "maxReplicas": autoscaling.max_replicas,
            **omit_empty(metrics=_metrics(autoscaling)),
            **omit_none(behavior=autoscaling.behavior),
        },
    }


def _min_replicas(autoscaling: AutoscalingSpec, overrides: Overrides) -> int:
    """Return ``minReplicas``, which an autoscaler also keeps to while it has no metrics."""
    requested = max(autoscaling.min_replicas, overrides.min_replicas or 0)
    return min(requested, autoscaling.max_replicas)


def scaled_resources(autoscaling: AutoscalingSpec | None) -> set[str]:
    """Return the resources that an autoscaler scales on: cpu, memory."""
    if autoscaling is None:
        return set()
    metrics = _metrics(autoscaling)
    if not metrics:
        return {"cpu"}  # Kubernetes' default metric
    sources = (metric.get("resource") or metric.get("containerResource") for metric in metrics)
    return {source["name"] for source in sources if source}


def utilization_resources(autoscaling: AutoscalingSpec | None) -> list[str]:
    """Return the resources whose target is a percentage of the pods' request, in a stable order."""
    if autoscaling is None:
        return []
    metrics = _metrics(autoscaling)
    if not metrics:
        return ["cpu"]  # Kubernetes' default metric
    sources = (metric.get("resource") or {} for metric in metrics)
    return sorted(
        source["name"]
        for source in sources
        if (source.get("target") or {}).get("type") == "Utilization"
    )


def _metrics(autoscaling: AutoscalingSpec) -> list[dict[str, Any]]:
    targets = {
        "cpu": autoscaling.target_cpu_utilization_percentage,
        "memory": autoscaling.target_memory_utilization_percentage,
    }
    shorthand = [
        build_utilization_metric(resource, percentage)
        for resource, percentage in targets.items()
        if percentage is not None
    ]
    return [*shorthand, *autoscaling.metrics]


def build_utilization_metric(resource: str, percentage: int) -> dict[str, Any]:
    """Return the metric by which the pods use this percentage of what they request."""
    target = {"type": "Utilization", "averageUtilization": percentage}
    return {"type": "Resource", "resource": {"name": resource, "target": target}}
