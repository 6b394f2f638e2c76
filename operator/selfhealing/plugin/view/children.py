"""Describes the children of an app, each in a clause."""

from selfhealing.cache.child_views import CHILD_VIEWS
from selfhealing.cache.network_views import IngressView, RouteView, ServiceView
from selfhealing.cache.parse import parse_time
from selfhealing.cache.views import ChildView, DeploymentView, HpaView, JobView, PdbView, VpaView
from selfhealing.plugin.view.level import Level
from selfhealing.plugin.view.model import ChildModel
from selfhealing.plugin.view.objects import Json


def build_child(kind: str, raw: Json, app_uid: str) -> ChildModel:
    """Describe a child.

    Args:
        kind: its kind, one of ``CHILD_VIEWS``.
        raw: the object, cleaned.
        app_uid: the UID of the app.
    """
    view = CHILD_VIEWS[kind](raw)
    owned = view.owner_uid == app_uid
    state, level = _describe(view)
    if view.deleting:
        state, level = "is being deleted", Level.BUSY
    if not owned:
        state, level = "belongs to somebody else", Level.WARNING
    created = parse_time(raw["metadata"].get("creationTimestamp"))
    return ChildModel(kind, view.name, state, level, owned, created)


def _describe(view: ChildView) -> tuple[str, Level]:  # noqa: PLR0911 - one return for each kind
    """Return what a child says of itself, and how it is."""
    match view:
        case DeploymentView():
            return _describe_deployment(view)
        case JobView():
            return _describe_job(view)
        case HpaView():
            return _describe_autoscaler(view)
        case PdbView():
            return _describe_budget(view)
        case RouteView():
            return _describe_route(view)
        case ServiceView():
            return _describe_service(view)
        case IngressView():
            return (view.address, Level.OK) if view.address else ("no address yet", Level.BUSY)
        case VpaView() if view.target is not None:
            amounts = zip(view.target._fields, view.target, strict=True)
            text = ", ".join(f"{name} {amount}" for name, amount in amounts if amount)
            return f"recommends {text}", Level.OK
        case _:
            return "", Level.NEUTRAL


def _describe_deployment(view: DeploymentView) -> tuple[str, Level]:
    text = f"{view.available_replicas} of {view.replicas} available"
    stalled = next(
        (c for c in view.conditions if c.type == "Progressing" and c.status == "False"), None
    )
    if stalled is not None:
        return f"{text}; {stalled.reason}", Level.FAILED
    if view.observed_generation < view.generation or view.updated_replicas < view.replicas:
        return f"{text}; {view.updated_replicas} updated", Level.BUSY
    return text, Level.OK if view.available_replicas >= view.replicas else Level.WARNING


def _describe_job(view: JobView) -> tuple[str, Level]:
    counts = f"{view.succeeded} succeeded, {view.failed} failed"
    if view.result == "Complete":
        return f"complete; {counts}", Level.OK
    if view.result:
        return f"failed: {view.reason}; {counts}", Level.FAILED
    if view.suspended:
        return f"suspended; {counts}", Level.WARNING
    return f"running; {counts}", Level.BUSY


def _describe_autoscaler(view: HpaView) -> tuple[str, Level]:
    metrics = ", ".join(
        f"{metric.name} {metric.current or '?'}/{metric.target}" for metric in view.metrics
    )
    text = f"{view.desired_replicas} of {view.min_replicas} to {view.max_replicas} pods"
    text = f"{text}; {metrics}" if metrics else text
    inactive = next(
        (c for c in view.conditions if c.type == "ScalingActive" and c.status == "False"), None
    )
    if inactive is not None and inactive.reason != "ScalingDisabled":
        return f"{text}; {inactive.reason}", Level.WARNING
    return text, Level.OK


def _describe_budget(view: PdbView) -> tuple[str, Level]:
    if view.disruptions_allowed is None:
        return view.limit, Level.BUSY
    text = f"{view.limit}; {view.disruptions_allowed} may be evicted now"
    return text, Level.OK if view.disruptions_allowed else Level.WARNING


def _describe_route(view: RouteView) -> tuple[str, Level]:
    if view.refusal is not None:
        return f"refused by {view.refused_by}: {view.refusal.reason}", Level.FAILED
    if not view.accepted_by:
        return "no gateway has answered", Level.BUSY
    return f"accepted by {', '.join(view.accepted_by)}", Level.OK


def _describe_service(view: ServiceView) -> tuple[str, Level]:
    port = f"port {view.port}" if view.port else "no port of TCP"
    node_port = f"{view.node_port} on every node" if view.node_port else ""
    if view.needs_load_balancer and not view.ingress:
        return f"{port}; the load balancer has no address yet", Level.BUSY
    return "; ".join(part for part in (port, node_port, view.ingress) if part), Level.OK
