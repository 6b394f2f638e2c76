"""Turns raw children into views: one function per kind."""

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from selfhealing.api import names
from selfhealing.api.linear_regex import compile_pattern
from selfhealing.cache.managed_fields import has_other_managers, parse_template_edits
from selfhealing.cache.network_views import IngressView, RouteView, ServiceView
from selfhealing.cache.parse import (
    Json,
    clean_message,
    compact_json,
    condition_views,
    parse_owner_uid,
    parse_resource_version,
    parse_time,
    parse_word,
)
from selfhealing.cache.views import (
    MAX_EDIT_BYTES,
    MAX_MANIFEST_BYTES,
    ChildView,
    ConditionView,
    DeploymentView,
    HpaView,
    JobView,
    MetricView,
    PdbView,
    ResourceQuantities,
    TemplateEdit,
    VpaView,
)

DEFAULT_PROGRESS_DEADLINE_SECONDS: Final = 600
"""Seconds. Kubernetes' default of a Deployment's progressDeadlineSeconds."""

DEFAULT_BACKOFF_LIMIT: Final = 6
"""Retries. Kubernetes' default of a Job's backoffLimit."""

MAX_METRICS: Final = 32
"""Metrics of an autoscaler that are kept; the spec of an app has 20 at most."""

_DIGEST_BYTES: Final = 16

MAX_ROUTE_PARENTS: Final = 16
"""Answers of gateways that are read; the spec has at most 8 parents, each with its controller."""

_ROUTE_CONDITIONS: Final = frozenset({"Accepted", "ResolvedRefs"})
"""The conditions of a Gateway that must be True for an HTTPRoute (Gateway API, RouteConditionType).
"""

_REPLICA_SET: Final = compile_pattern(r'[Rr]eplica ?[Ss]et "(?P<name>[^"]+)"')


def _common_fields(kind: str, raw: Json, content_fields: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the fields that all views have.

    Args:
        kind: the kind of the object.
        raw: the object.
        content_fields: the fields beside metadata and spec that are compared.
    """
    meta = raw["metadata"]
    annotations = meta.get("annotations") or {}
    metadata_fields = ("name", "namespace", "labels", "annotations", "ownerReferences")
    return {
        "kind": kind,
        "name": meta["name"],
        "uid": meta["uid"],
        "resource_version": parse_resource_version(meta),
        "owner_uid": parse_owner_uid(meta),
        "applied_hash": parse_word(annotations.get(names.ANNOTATION_APPLIED_HASH, "")),
        "adopt": annotations.get(names.ANNOTATION_ADOPT) == "true",
        "deleting": "deletionTimestamp" in meta,
        "has_other_managers": has_other_managers(meta),
        "manifest_json": compact_json(
            {
                "apiVersion": raw.get("apiVersion"),
                "kind": kind,
                "metadata": {field: meta[field] for field in metadata_fields if field in meta},
                "spec": raw.get("spec") or {},
                **{field: raw[field] for field in content_fields if field in raw},
            }
        ),
        "conditions": condition_views(raw.get("status") or {}),
        "is_owned_by_namesake": any(
            (owner["kind"], owner["name"]) == (names.KIND, meta["name"])
            and owner["apiVersion"].startswith(f"{names.GROUP}/")
            for owner in meta.get("ownerReferences") or ()
        ),
    }


def hash_manifest(view: ChildView) -> bytes:
    """Return a digest of the manifest of a child."""
    return hashlib.blake2b(view.manifest_json, digest_size=_DIGEST_BYTES).digest()


def bound_manifest(view: ChildView) -> ChildView:
    """Return a child without its manifest if that is larger than MAX_MANIFEST_BYTES.

    The foreign edits stay, so that a diagnosis can be attributed to them.
    """
    edits = view.template_edits if isinstance(view, DeploymentView) else ()
    size = len(view.manifest_json) + sum(len(edit.fields) for edit in edits)
    return view if size <= MAX_MANIFEST_BYTES else drop_manifest(view)


def drop_manifest(view: ChildView) -> ChildView:
    """Return a child with a digest in place of its manifest."""
    if view.manifest_digest:
        return view
    edits = view.template_edits if isinstance(view, DeploymentView) else ()
    digest = hashlib.blake2b(view.manifest_json, digest_size=_DIGEST_BYTES)
    for edit in edits:
        digest.update(repr(edit).encode(errors="backslashreplace"))
    bounded = replace(view, manifest_json=b"", manifest_digest=digest.digest())
    if isinstance(bounded, DeploymentView):
        return replace(bounded, template_edits=tuple(_bound_edits(edits)))
    return bounded


def _bound_edits(edits: Sequence[TemplateEdit]) -> Iterator[TemplateEdit]:
    """Yield the edits, those that have no room in MAX_EDIT_BYTES without their fields."""
    room = MAX_EDIT_BYTES
    for edit in edits:
        if len(edit.fields) > room:
            yield replace(edit, fields=b"")
        else:
            room -= len(edit.fields)
            yield edit


def deployment_view(raw: Json) -> DeploymentView:
    """View a Deployment."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    annotations = raw["metadata"].get("annotations") or {}
    template_metadata = (spec.get("template") or {}).get("metadata") or {}
    template_annotations = template_metadata.get("annotations") or {}
    return DeploymentView(
        **_common_fields("Deployment", raw),
        generation=raw["metadata"].get("generation", 0),
        observed_generation=status.get("observedGeneration", 0),
        replicas=spec.get("replicas", 1),
        updated_replicas=status.get("updatedReplicas", 0),
        available_replicas=status.get("availableReplicas", 0),
        min_ready_seconds=spec.get("minReadySeconds", 0),
        progress_deadline_seconds=spec.get(
            "progressDeadlineSeconds", DEFAULT_PROGRESS_DEADLINE_SECONDS
        ),
        template_hash=_template_hash(raw["metadata"]["name"], status),
        owns_replicas=_is_only_replicas_manager(raw),
        failed_revision=parse_word(annotations.get(names.ANNOTATION_FAILED_REVISION, "")),
        config_hash=parse_word(template_annotations.get(names.ANNOTATION_CONFIG_HASH, "")),
        has_own_account=_has_own_account(raw),
        template_edits=parse_template_edits(raw["metadata"]),
    )


def _template_hash(name: str, status: Json) -> str:
    """Return the pod-template-hash of the current pods, from the name of their ReplicaSet.

    Every message of the condition Progressing names it (pkg/controller/deployment, Kubernetes
    1.36): ``ReplicaSet "web-5d4f8c7b9" is progressing.`` Empty if there is none.
    """
    progressing = next((c for c in condition_views(status) if c.type == "Progressing"), None)
    match = _REPLICA_SET.search(progressing.message) if progressing else None
    if match is None or not match["name"].startswith(f"{name}-"):
        return ""
    return sys.intern(match["name"].removeprefix(f"{name}-"))


def _is_only_replicas_manager(raw: Json) -> bool:
    """Whether the operator is the only field manager of ``replicas``.

    Then an apply without ``replicas`` would reset it to 1.
    """
    managers = [
        entry.get("manager")
        for entry in raw["metadata"].get("managedFields") or ()
        if "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    ]
    return managers == [names.FIELD_MANAGER]


def job_view(raw: Json) -> JobView:
    """View a Job."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    true_conditions = {
        c["type"]: c for c in status.get("conditions") or () if c["status"] == "True"
    }
    # FailureTarget is set first; Failed follows when the last pod has stopped.
    failure = true_conditions.get("Failed") or true_conditions.get("FailureTarget") or {}
    result = next((kind for kind in ("Complete", "Failed") if kind in true_conditions), "")
    finished_at = status.get("completionTime") or true_conditions.get("Failed", {}).get(
        "lastTransitionTime"
    )
    return JobView(
        **_common_fields("Job", raw),
        run_hash=parse_word(
            (raw["metadata"].get("annotations") or {}).get(names.ANNOTATION_RUN_HASH, "")
        ),
        parallelism=spec.get("parallelism", 1),
        completions=spec.get("completions"),
        backoff_limit=spec.get("backoffLimit", DEFAULT_BACKOFF_LIMIT),
        active_deadline_seconds=spec.get("activeDeadlineSeconds"),
        suspended=bool(spec.get("suspend")),
        succeeded=status.get("succeeded", 0),
        failed=status.get("failed", 0),
        result=result,
        reason=sys.intern(clean_message(failure.get("reason"))),
        message=clean_message(failure.get("message")),
        started_at=parse_time(status.get("startTime")),
        finished_at=parse_time(finished_at),
        has_own_account=_has_own_account(raw),
    )


def _has_own_account(raw: Json) -> bool:
    template = (raw.get("spec") or {}).get("template") or {}
    account = (template.get("spec") or {}).get("serviceAccountName")
    return bool(account == raw["metadata"]["name"])


def service_view(raw: Json) -> ServiceView:
    """View a Service."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    # Only a port of TCP can have the app's URL.
    tcp_ports = [each for each in spec.get("ports") or () if each.get("protocol", "TCP") == "TCP"]
    port: Json = next(iter(tcp_ports), {})
    ingress: Sequence[Json] = (status.get("loadBalancer") or {}).get("ingress") or ({},)
    return ServiceView(
        **_common_fields("Service", raw),
        port=port.get("port", 0),
        node_port=port.get("nodePort", 0),
        ingress=ingress[0].get("hostname") or ingress[0].get("ip") or "",
        needs_load_balancer=spec.get("type") == "LoadBalancer",
    )


def ingress_view(raw: Json) -> IngressView:
    """View an Ingress of networking.k8s.io/v1.

    Of several addresses the first in the alphabet is kept: their order may change.
    """
    balancer = (raw.get("status") or {}).get("loadBalancer") or {}
    points: Sequence[Json] = balancer.get("ingress") or ()
    addresses = (clean_message(point.get("hostname") or point.get("ip")) for point in points)
    address = min(filter(None, addresses), default="")
    return IngressView(**_common_fields("Ingress", raw), address=address)


def route_view(raw: Json) -> RouteView:
    """View an HTTPRoute of gateway.networking.k8s.io/v1.

    What a controller said of an earlier generation does not count.
    """
    generation = raw["metadata"].get("generation", 0)
    accepted: set[str] = set()
    refusals: dict[str, ConditionView] = {}
    for parent in ((raw.get("status") or {}).get("parents") or ())[:MAX_ROUTE_PARENTS]:
        name = parse_word((parent.get("parentRef") or {}).get("name", ""))
        current = [
            condition
            for condition in parent.get("conditions") or ()
            if condition.get("observedGeneration", generation) >= generation
        ]
        views = [
            view
            for view in condition_views({"conditions": current})
            if view.type in _ROUTE_CONDITIONS
        ]
        refusal = next((view for view in views if view.status != "True"), None)
        if refusal is not None:
            refusals[name] = replace(refusal, since=None)
        elif views:
            accepted.add(name)
    refused_by = min(refusals, default="")
    return RouteView(
        **_common_fields("HTTPRoute", raw),
        accepted_by=tuple(sorted(accepted - refusals.keys())),
        refused_by=refused_by,
        refusal=refusals.get(refused_by),
    )


def hpa_view(raw: Json) -> HpaView:
    """View a HorizontalPodAutoscaler of autoscaling/v2."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    current = {_metric_name(m): m for m in status.get("currentMetrics") or () if m.get("type")}
    return HpaView(
        **_common_fields("HorizontalPodAutoscaler", raw),
        current_replicas=status.get("currentReplicas", 0),
        desired_replicas=status.get("desiredReplicas", 0),
        min_replicas=spec.get("minReplicas", 1),
        max_replicas=spec.get("maxReplicas", 0),
        last_scale_time=parse_time(status.get("lastScaleTime")),
        metrics=tuple(
            MetricView(
                name=(name := _metric_name(metric)),
                current=_format_metric_value(
                    _metric_source(current.get(name, {})).get("current") or {}
                ),
                target=_format_metric_value(_metric_source(metric).get("target") or {}),
            )
            for metric in (spec.get("metrics") or ())[:MAX_METRICS]
        ),
    )


def _metric_source(metric: Json) -> Json:
    """Return the part of a MetricSpec or MetricStatus that its type names."""
    kind = metric.get("type", "")
    source: Json = metric.get(kind[:1].lower() + kind[1:]) or {}
    return source


def _metric_name(metric: Json) -> str:
    source = _metric_source(metric)
    name: str = source.get("name") or (source.get("metric") or {}).get("name", "")
    return parse_word(name)


def _format_metric_value(value: Json) -> str:
    """Format a MetricTarget or MetricValueStatus: "31%", "128Mi"; empty if it has no value."""
    if "averageUtilization" in value:
        return f"{value['averageUtilization']}%"
    return parse_word(value.get("averageValue") or value.get("value") or "")


def pdb_view(raw: Json) -> PdbView:
    """View a PodDisruptionBudget."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    limits = (f"{f} {spec[f]}" for f in ("minAvailable", "maxUnavailable") if f in spec)
    is_observed = status.get("observedGeneration", 0) >= raw["metadata"].get("generation", 1)
    return PdbView(
        **_common_fields("PodDisruptionBudget", raw),
        limit=sys.intern(next(limits, "")),
        disruptions_allowed=status.get("disruptionsAllowed", 0) if is_observed else None,
        current_healthy=status.get("currentHealthy", 0) if is_observed else None,
        desired_healthy=status.get("desiredHealthy", 0) if is_observed else None,
    )


def vpa_view(raw: Json) -> VpaView:
    """View a VerticalPodAutoscaler of autoscaling.k8s.io/v1."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    policies = (spec.get("resourcePolicy") or {}).get("containerPolicies") or ()
    recommendations = (status.get("recommendation") or {}).get("containerRecommendations") or ()
    recommendation = _find_app_container(recommendations)
    return VpaView(
        **_common_fields("VerticalPodAutoscaler", raw),
        update_mode=sys.intern((spec.get("updatePolicy") or {}).get("updateMode", "")),
        controlled_resources=tuple(
            map(sys.intern, _find_app_container(policies).get("controlledResources") or ())
        ),
        target=_resource_quantities(recommendation.get("target")),
        lower_bound=_resource_quantities(recommendation.get("lowerBound")),
        upper_bound=_resource_quantities(recommendation.get("upperBound")),
    )


def _find_app_container(entries: Sequence[Json]) -> Json:
    """Return the entry for the app's container; empty without one."""
    return next((e for e in entries if e.get("containerName") == names.CONTAINER_NAME), {})


def _resource_quantities(raw: Json | None) -> ResourceQuantities | None:
    if not raw:
        return None
    return ResourceQuantities(parse_word(raw.get("cpu", "")), parse_word(raw.get("memory", "")))


def service_account_view(raw: Json) -> ChildView:
    """View a ServiceAccount, which has no spec."""
    return ChildView(
        **_common_fields(names.SERVICE_ACCOUNT, raw, ("automountServiceAccountToken",))
    )


CHILD_VIEWS: Final[Mapping[str, Callable[[Json], ChildView]]] = {
    "Deployment": deployment_view,
    "Job": job_view,
    "Service": service_view,
    "Ingress": ingress_view,
    "NetworkPolicy": lambda raw: ChildView(**_common_fields("NetworkPolicy", raw)),
    "HorizontalPodAutoscaler": hpa_view,
    "PodDisruptionBudget": pdb_view,
    "VerticalPodAutoscaler": vpa_view,
    names.SERVICE_ACCOUNT: service_account_view,
    "HTTPRoute": route_view,
    "PodMonitor": lambda raw: ChildView(**_common_fields("PodMonitor", raw)),
}
"""By each kind of child that the operator creates, the function that parses it."""
