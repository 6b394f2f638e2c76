"""Raw children to views, one function for each kind."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from selfhealing.api import names
from selfhealing.cache.parse import Json, conditions, packed, time, version
from selfhealing.cache.views import (
    TEXT_LIMIT,
    Amounts,
    AutoscalerView,
    BudgetView,
    ChildView,
    DeploymentView,
    JobView,
    MetricView,
    ServiceView,
    VerticalView,
)

DEADLINE: Final = 600
"""Kubernetes' default of a Deployment's progressDeadlineSeconds."""

BACKOFF_LIMIT: Final = 6
"""Kubernetes' default of a Job's backoffLimit."""

_REPLICA_SET: Final = re.compile(r'[Rr]eplica ?[Ss]et "(?P<name>[^"]+)"')


def _common(kind: str, raw: Json) -> dict[str, Any]:
    meta = raw["metadata"]
    annotations = meta.get("annotations") or {}
    owners = meta.get("ownerReferences") or ()
    kept = ("name", "namespace", "labels", "annotations", "ownerReferences")
    return {
        "kind": kind,
        "name": meta["name"],
        "uid": meta["uid"],
        "resource_version": version(meta),
        "owned_by": _owner(owners),
        "applied": annotations.get(names.ANNOTATION_APPLIED, ""),
        "adopt": annotations.get(names.ANNOTATION_ADOPT) == "true",
        "deleting": "deletionTimestamp" in meta,
        "document": packed(
            {
                "apiVersion": raw.get("apiVersion"),
                "kind": kind,
                "metadata": {field: meta[field] for field in kept if field in meta},
                "spec": raw.get("spec") or {},
            }
        ),
        "conditions": conditions(raw.get("status") or {}),
    }


def _owner(references: Sequence[Json]) -> str:
    """The uid of the controlling owner; of an app that owns it where there is none such."""
    controlling = (found["uid"] for found in references if found.get("controller"))
    apps = (
        found["uid"]
        for found in references
        if found["kind"] == names.KIND and found["apiVersion"].startswith(f"{names.GROUP}/")
    )
    return next(controlling, None) or next(apps, "")


def deployment_view(raw: Json) -> DeploymentView:
    """View a Deployment."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    return DeploymentView(
        **_common("Deployment", raw),
        generation=raw["metadata"].get("generation", 0),
        observed_generation=status.get("observedGeneration", 0),
        replicas=spec.get("replicas", 1),
        updated_replicas=status.get("updatedReplicas", 0),
        available_replicas=status.get("availableReplicas", 0),
        min_ready_seconds=spec.get("minReadySeconds", 0),
        progress_deadline_seconds=spec.get("progressDeadlineSeconds", DEADLINE),
        template_hash=_template_hash(raw["metadata"]["name"], status),
        owns_replicas=_owns_replicas(raw),
    )


def _template_hash(name: str, status: Json) -> str:
    """The pod-template-hash of the current template, from the name of its ReplicaSet.

    The condition Progressing names it in every message that it has (pkg/controller/deployment,
    Kubernetes 1.36): ``ReplicaSet "web-5d4f8c7b9" is progressing.``
    """
    progressing = next((c for c in conditions(status) if c.type == "Progressing"), None)
    match = _REPLICA_SET.search(progressing.message) if progressing else None
    if match is None or not match["name"].startswith(f"{name}-"):
        return ""
    return sys.intern(match["name"].removeprefix(f"{name}-"))


def _owns_replicas(raw: Json) -> bool:
    """Whether leaving ``replicas`` out of the next apply would reset it to 1.

    So it is when the operator's manager owns the field and nobody else does.
    """
    owners = [
        entry.get("manager")
        for entry in raw["metadata"].get("managedFields") or ()
        if "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    ]
    return owners == [names.FIELD_MANAGER]


def job_view(raw: Json) -> JobView:
    """View a Job."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    held = {c["type"]: c for c in status.get("conditions") or () if c["status"] == "True"}
    # FailureTarget comes first, Failed when the last pod has stopped.
    failure = held.get("Failed") or held.get("FailureTarget") or {}
    result = next((kind for kind in ("Complete", "Failed") if kind in held), "")
    end = status.get("completionTime") or held.get("Failed", {}).get("lastTransitionTime")
    return JobView(
        **_common("Job", raw),
        run=(raw["metadata"].get("annotations") or {}).get(names.ANNOTATION_RUN, ""),
        parallelism=spec.get("parallelism", 1),
        completions=spec.get("completions"),
        backoff_limit=spec.get("backoffLimit", BACKOFF_LIMIT),
        active_deadline=spec.get("activeDeadlineSeconds"),
        suspended=bool(spec.get("suspend")),
        succeeded=status.get("succeeded", 0),
        failed=status.get("failed", 0),
        result=result,
        reason=sys.intern(failure.get("reason", "")),
        message=failure.get("message", "")[:TEXT_LIMIT],
        started_at=time(status.get("startTime")),
        finished_at=time(end),
    )


def service_view(raw: Json) -> ServiceView:
    """View a Service."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    ports: Sequence[Json] = spec.get("ports") or ({},)
    ingress: Sequence[Json] = (status.get("loadBalancer") or {}).get("ingress") or ({},)
    return ServiceView(
        **_common("Service", raw),
        type=sys.intern(spec.get("type", "ClusterIP")),
        port=ports[0].get("port", 0),
        node_port=ports[0].get("nodePort", 0),
        ingress=ingress[0].get("hostname") or ingress[0].get("ip") or "",
    )


def autoscaler_view(raw: Json) -> AutoscalerView:
    """View a HorizontalPodAutoscaler of autoscaling/v2."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    current = {_metric_name(m): m for m in status.get("currentMetrics") or () if m.get("type")}
    return AutoscalerView(
        **_common("HorizontalPodAutoscaler", raw),
        current=status.get("currentReplicas", 0),
        desired=status.get("desiredReplicas", 0),
        minimum=spec.get("minReplicas", 1),
        maximum=spec.get("maxReplicas", 0),
        last_scale_time=time(status.get("lastScaleTime")),
        metrics=tuple(
            MetricView(
                name=(name := _metric_name(metric)),
                current=_amount(_source(current.get(name, {})).get("current") or {}),
                target=_amount(_source(metric).get("target") or {}),
            )
            for metric in spec.get("metrics") or ()
        ),
    )


def _source(metric: Json) -> Json:
    """The part of a MetricSpec or MetricStatus that its type names ("Resource": "resource")."""
    kind = metric.get("type", "")
    found: Json = metric.get(kind[:1].lower() + kind[1:]) or {}
    return found


def _metric_name(metric: Json) -> str:
    source = _source(metric)
    name: str = source.get("name") or (source.get("metric") or {}).get("name", "")
    return sys.intern(name)


def _amount(value: Json) -> str:
    """A MetricTarget or MetricValueStatus as people read it: "31%", "128Mi"; empty if unknown."""
    if "averageUtilization" in value:
        return f"{value['averageUtilization']}%"
    return str(value.get("averageValue") or value.get("value") or "")


def budget_view(raw: Json) -> BudgetView:
    """View a PodDisruptionBudget."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    given = (f"{f} {spec[f]}" for f in ("minAvailable", "maxUnavailable") if f in spec)
    counted = status.get("observedGeneration", 0) >= raw["metadata"].get("generation", 1)
    return BudgetView(
        **_common("PodDisruptionBudget", raw),
        limit=sys.intern(next(given, "")),
        allowed=status.get("disruptionsAllowed", 0) if counted else None,
        healthy=status.get("currentHealthy", 0) if counted else None,
        required=status.get("desiredHealthy", 0) if counted else None,
    )


def vertical_view(raw: Json) -> VerticalView:
    """View a VerticalPodAutoscaler of autoscaling.k8s.io/v1."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    policies = (spec.get("resourcePolicy") or {}).get("containerPolicies") or ()
    told = (status.get("recommendation") or {}).get("containerRecommendations") or ()
    ours = _of_app(told)
    return VerticalView(
        **_common("VerticalPodAutoscaler", raw),
        mode=sys.intern((spec.get("updatePolicy") or {}).get("updateMode", "")),
        controls=tuple(map(sys.intern, _of_app(policies).get("controlledResources") or ())),
        target=_amounts(ours.get("target")),
        lower=_amounts(ours.get("lowerBound")),
        upper=_amounts(ours.get("upperBound")),
    )


def _of_app(entries: Sequence[Json]) -> Json:
    """The entry about the app's own container."""
    return next((e for e in entries if e.get("containerName") == names.CONTAINER_NAME), {})


def _amounts(raw: Json | None) -> Amounts | None:
    return Amounts(str(raw.get("cpu", "")), str(raw.get("memory", ""))) if raw else None


CHILD_VIEWS: Final[Mapping[str, Callable[[Json], ChildView]]] = {
    "Deployment": deployment_view,
    "Job": job_view,
    "Service": service_view,
    "HorizontalPodAutoscaler": autoscaler_view,
    "PodDisruptionBudget": budget_view,
    "VerticalPodAutoscaler": vertical_view,
}
"""How each kind of child is viewed; the kinds that the operator makes."""
