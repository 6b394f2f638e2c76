"""Builds the revisions of an app, the ReplicaSets of its Deployment or its Job, with their pods."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from selfhealing.api import names
from selfhealing.api.healing_status import HealingStatus
from selfhealing.apply.drift import matches
from selfhealing.cache.parse import parse_time
from selfhealing.plugin.view.model import PodModel, RevisionModel, RevisionRole
from selfhealing.plugin.view.objects import Json

_REVISION_NUMBER: Final = "deployment.kubernetes.io/revision"
"""On a Deployment and its ReplicaSets: the number in ``kubectl rollout history``."""


class Workload(NamedTuple):
    """The objects that make the pods of an app.

    Attributes:
        deployment: the app's Deployment; None without one.
        job: the app's Job; None without one.
        replica_sets: the ReplicaSets of the Deployment.
        saved_revisions: the ControllerRevisions of the app.
    """

    deployment: Json | None
    job: Json | None
    replica_sets: Sequence[Json]
    saved_revisions: Sequence[Json]


def build_revisions(
    workload: Workload,
    record: HealingStatus | None,
    pods_by_controller: Mapping[str, tuple[PodModel, ...]],
) -> tuple[RevisionModel, ...]:
    """Build the revisions, the newest first.

    Args:
        workload: the objects.
        record: the healing record.
        pods_by_controller: the app's pods by the UID of their ReplicaSet or Job.
    """
    deployment, job = workload.deployment, workload.job
    if deployment is None:
        return () if job is None else (_build_job(job, pods_by_controller),)
    current_number = _number(deployment)
    ordered = sorted(workload.replica_sets, key=_number, reverse=True)
    roles = _find_roles(ordered, current_number, workload.saved_revisions, record)
    return tuple(
        RevisionModel(
            kind="ReplicaSet",
            name=raw["metadata"]["name"],
            number=_number(raw),
            images=_images(raw),
            wanted=(raw.get("spec") or {}).get("replicas", 1),
            ready=(raw.get("status") or {}).get("readyReplicas", 0),
            created=parse_time(raw["metadata"].get("creationTimestamp")),
            current=bool(current_number) and _number(raw) == current_number,
            roles=roles.get(raw["metadata"]["uid"], ()),
            pods=pods_by_controller.get(raw["metadata"]["uid"], ()),
        )
        for raw in ordered
    )


def _build_job(job: Json, pods_by_controller: Mapping[str, tuple[PodModel, ...]]) -> RevisionModel:
    spec, status = job.get("spec") or {}, job.get("status") or {}
    return RevisionModel(
        kind="Job",
        name=job["metadata"]["name"],
        number=0,
        images=_images(job),
        wanted=spec.get("parallelism", 1),
        ready=status.get("ready", 0),
        created=parse_time(job["metadata"].get("creationTimestamp")),
        current=True,
        roles=(),
        pods=pods_by_controller.get(job["metadata"]["uid"], ()),
    )


def _find_roles(
    replica_sets: Sequence[Json],
    current_number: int,
    saved_revisions: Sequence[Json],
    record: HealingStatus | None,
) -> dict[str, tuple[RevisionRole, ...]]:
    """Find what each ReplicaSet is to the operator, by its UID.

    The operator's name of a revision is not on a ReplicaSet, so the saved pod templates are looked
    for in it. While a revision is rolled back, its ReplicaSet is the newest that runs none of them.
    """
    roles: dict[str, list[RevisionRole]] = {raw["metadata"]["uid"]: [] for raw in replica_sets}
    if record is None:
        return {}
    saved = {raw["metadata"]["name"]: raw for raw in saved_revisions}
    wanted_roles = (
        (record.stable_revision, RevisionRole.STABLE),
        (record.previous_stable_revision, RevisionRole.PREVIOUS_STABLE),
    )
    for raw in replica_sets:
        found = roles[raw["metadata"]["uid"]]
        if record.failed_revision is None and _number(raw) == current_number:
            found.append(RevisionRole.DESIRED)
        for revision, role in wanted_roles:
            if revision is not None and _runs(raw, saved, revision):
                found.append(role)
    if record.failed_revision is not None:
        others = (raw for raw in replica_sets if not roles[raw["metadata"]["uid"]])
        failed = next((raw for raw in others if _number(raw) != current_number), None)
        if failed is not None:
            roles[failed["metadata"]["uid"]] += [RevisionRole.DESIRED, RevisionRole.FAILED]
    return {uid: tuple(found) for uid, found in roles.items()}


def _runs(replica_set: Json, saved: Mapping[str, Json], revision: str) -> bool:
    """Whether a ReplicaSet has the pod template that is saved of a revision."""
    app = ((replica_set["metadata"].get("labels")) or {}).get(names.LABEL_APP, "")
    stored = saved.get(names.revision_name(app, revision)) or {}
    template = (stored.get("data") or {}).get("template")
    live = (replica_set.get("spec") or {}).get("template") or {}
    return template is not None and matches(live, template)


def _number(raw: Json) -> int:
    """Return the number of a revision; 0 if it has none."""
    value = str((raw["metadata"].get("annotations") or {}).get(_REVISION_NUMBER, ""))
    return int(value) if value.isdecimal() and value.isascii() else 0


def _images(raw: Json) -> tuple[str, ...]:
    """Return the images of the containers, the app's first."""
    template = (raw.get("spec") or {}).get("template") or {}
    containers = (template.get("spec") or {}).get("containers") or ()
    ordered = sorted(containers, key=lambda each: each.get("name") != names.CONTAINER_NAME)
    return tuple(each.get("image", "") for each in ordered)
