"""Builds the model of an app from its raw objects."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from selfhealing.api import names
from selfhealing.api.status import Phase, SelfHealingAppStatus, read_status
from selfhealing.cache.child_views import CHILD_VIEWS
from selfhealing.cache.ownership import prove_ownership
from selfhealing.cache.parse import (
    has_owner,
    key_of_app,
    parse_controller_uid,
    parse_time,
    pod_view,
    replica_set_view,
)
from selfhealing.plugin.view.children import build_child
from selfhealing.plugin.view.level import Level
from selfhealing.plugin.view.model import AppModel, PodModel
from selfhealing.plugin.view.objects import AppObjects, Json, clean_object
from selfhealing.plugin.view.pods import PodBuilder
from selfhealing.plugin.view.revisions import Workload, build_revisions
from selfhealing.plugin.view.timeline import build_timeline

_PHASE_LEVELS: Final[Mapping[Phase, Level]] = {
    Phase.READY: Level.OK,
    Phase.COMPLETED: Level.OK,
    Phase.PENDING: Level.BUSY,
    Phase.PROGRESSING: Level.BUSY,
    Phase.HEALING: Level.BUSY,
    Phase.PAUSED: Level.WARNING,
    Phase.DEGRADED: Level.FAILED,
    Phase.QUARANTINED: Level.FAILED,
    Phase.INVALID: Level.FAILED,
}

_SEVERITY: Final = (Level.FAILED, Level.WARNING, Level.BUSY, Level.NEUTRAL, Level.OK)


def build_apps(objects: Sequence[AppObjects]) -> tuple[AppModel, ...]:
    """Build the models of many apps, those that need a person first, then by name."""
    models = [build_app(each) for each in objects]
    return tuple(sorted(models, key=lambda model: (_SEVERITY.index(model.level), model.key)))


def build_app(objects: AppObjects) -> AppModel:
    """Build the model of an app; with nothing but the app itself it has no children and pods."""
    app = clean_object(objects.app)
    children = {kind: clean_object(raw) for kind, raw in objects.children.items()}
    replica_sets = [clean_object(raw) for raw in objects.replica_sets]
    events = [clean_object(raw) for raw in objects.events]
    meta, spec = app["metadata"], app.get("spec") or {}
    status = read_status(app.get("status") or {})
    created = parse_time(meta.get("creationTimestamp"))
    pods = _sort_pods(objects, meta["uid"], children, PodBuilder(status, events))
    own_children = {
        kind: raw for kind, raw in children.items() if has_owner(raw["metadata"], meta["uid"])
    }
    deployment = own_children.get(names.DEPLOYMENT)
    workload = Workload(
        deployment,
        own_children.get(names.JOB),
        [raw for raw in replica_sets if _controls(deployment, raw)],
        [raw for raw in objects.controller_revisions if has_owner(raw["metadata"], meta["uid"])],
    )
    revisions = build_revisions(workload, status.healing, pods.by_controller)
    shown_pods = [pod for revision in revisions for pod in revision.pods]
    return AppModel(
        key=key_of_app(app),
        uid=meta["uid"],
        resource_version=str(meta.get("resourceVersion", "")),
        generation=meta.get("generation", 0),
        created=created,
        current=status.observed_generation == meta.get("generation", 0),
        deleting="deletionTimestamp" in meta,
        paused=bool(spec.get("paused")),
        level=_level(status),
        status=status,
        children=tuple(
            build_child(kind, children[kind], meta["uid"])
            for kind in CHILD_VIEWS
            if kind in children
        ),
        revisions=revisions,
        other_pods=pods.others,
        timeline=build_timeline(status, created, revisions, [*shown_pods, *pods.others], events),
        gaps=objects.gaps,
        read_at=objects.read_at,
    )


class _SortedPods(NamedTuple):
    """The pods with the app's label.

    Attributes:
        by_controller: the app's own pods, by the UID of their ReplicaSet or Job.
        others: its isolated pods, and those that no chain of controllers leads to the app.
    """

    by_controller: Mapping[str, tuple[PodModel, ...]]
    others: tuple[PodModel, ...]


def _sort_pods(
    objects: AppObjects, app_uid: str, children: Mapping[str, Json], builder: PodBuilder
) -> _SortedPods:
    child_views = {
        kind: CHILD_VIEWS[kind](children[kind]) for kind in names.WORKLOAD_KINDS if kind in children
    }
    replica_sets = {raw["metadata"]["uid"]: replica_set_view(raw) for raw in objects.replica_sets}
    own: dict[str, list[PodModel]] = defaultdict(list)
    others: list[PodModel] = []
    for raw in sorted(objects.pods, key=lambda pod: str(pod["metadata"]["name"])):
        cleaned = clean_object(raw)
        view = pod_view(cleaned)
        labels = cleaned["metadata"].get("labels") or {}
        if names.LABEL_QUARANTINED in labels:
            others.append(builder.build(view, isolated=True))
        elif prove_ownership(view, app_uid, child_views, replica_sets) is None:
            others.append(builder.build(view))
        else:
            own[view.controller_uid].append(builder.build(view))
    return _SortedPods({uid: tuple(pods) for uid, pods in own.items()}, tuple(others))


def _controls(deployment: Json | None, replica_set: Json) -> bool:
    return deployment is not None and (
        parse_controller_uid(replica_set["metadata"]) == deployment["metadata"]["uid"]
    )


def _level(status: SelfHealingAppStatus) -> Level:
    return Level.NEUTRAL if status.phase is None else _PHASE_LEVELS[status.phase]
