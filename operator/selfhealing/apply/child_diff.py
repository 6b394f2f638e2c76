"""Compares one desired child with the live one: create, update, revert, adopt or refuse."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from selfhealing.api import names
from selfhealing.api.names import JOB, SERVICE_ACCOUNT, WORKLOAD_KINDS
from selfhealing.api.status import JobStatus
from selfhealing.apply.adoption import has_other_selector, selects_the_same
from selfhealing.apply.drift import matches
from selfhealing.cache.child_views import hash_manifest
from selfhealing.cache.ownership import is_own_orphan
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import ChildView, DeploymentView, JobView
from selfhealing.health.job_run import parse_job_run_spec
from selfhealing.health.pod_problems import TERMINAL_PHASES

Json = Mapping[str, Any]


class ChildAction(StrEnum):
    """What a live child needs."""

    NOOP = "noop"
    CREATE = "create"
    UPDATE = "update"
    """The desired manifest has changed: a new spec, or a new version of the operator."""
    REVERT_DRIFT = "revertDrift"
    """A field that the operator owns was changed by another field manager."""
    ADOPT = "adopt"
    """The object has no owner, and carries ANNOTATION_ADOPT or was made by the operator."""
    CONFLICT = "conflict"
    """It is not touched: the object has another owner, or none and there is no reason to adopt it,
    or it is a Deployment with another selector."""
    REPLACE = "replace"
    """An immutable field has changed: the object is deleted, and recreated when it is gone."""
    WAIT = "wait"
    """The object is being deleted, and can be recreated when it is gone."""


@dataclass(frozen=True, slots=True)
class PruneTarget:
    """A child that the spec no longer asks for."""

    kind: str
    name: str
    uid: str


def diff_child(
    owner_uid: str, live: ChildView | None, desired: Json, last_response: bytes = b""
) -> ChildAction:
    """Return what to do to bring a live child to its desired manifest.

    Args:
        owner_uid: the UID of the app.
        live: the child as it is observed; None if it does not exist.
        desired: the manifest, with its applied hash.
        last_response: ``hash_manifest`` of the response to the last apply. An admission webhook
            may have changed fields of it; those are not reverted, as each apply would repeat it.
    """
    if live is None:
        return ChildAction.CREATE
    if live.deleting:
        return ChildAction.WAIT
    is_up_to_date = _is_up_to_date(live, desired)
    if live.owner_uid != owner_uid:
        return _diff_unowned(live, desired, is_up_to_date=is_up_to_date)
    if not is_up_to_date:
        return ChildAction.REPLACE if _is_another_run(live, desired) else ChildAction.UPDATE
    is_as_applied = bool(last_response) and hash_manifest(live) == last_response
    if is_as_applied or matches(orjson.loads(live.manifest_json), desired):
        return ChildAction.NOOP
    return ChildAction.REVERT_DRIFT


def is_manifest_needed(owner_uid: str, live: ChildView) -> bool:
    """Whether a child without its manifest has to be read before it is compared or applied.

    An object of somebody else is never read, nor one without an owner and the operator's mark:
    anybody may make it large.
    """
    if live.owner_uid:
        return live.owner_uid == owner_uid
    return live.adopt or bool(live.applied_hash)


def _is_up_to_date(live: ChildView, desired: Json) -> bool:
    applied_hash: str = desired["metadata"]["annotations"][names.ANNOTATION_APPLIED_HASH]
    return live.applied_hash == applied_hash


def _is_another_run(live: ChildView, desired: Json) -> bool:
    """Whether a new Job must replace the live one.

    That is so if an immutable field has changed, or if the retries or the time limit have changed
    after the Job has failed.
    """
    if not isinstance(live, JobView):
        return False
    desired_run = parse_job_run_spec(desired)
    if not live.run_hash:  # the annotation was removed
        template = {"template": desired["spec"]["template"]}
        return not matches(orjson.loads(live.manifest_json)["spec"], template)
    limits = (live.backoff_limit, live.active_deadline_seconds)
    has_failed = bool(live.reason)
    return live.run_hash != desired_run.run_hash or (has_failed and limits != desired_run[1:])


def has_already_run(job_status: JobStatus | None, live: ChildView | None, desired: Json) -> bool:
    """Whether ``desired`` is a Job that has completed and was then deleted: it is not rerun."""
    return (
        desired["kind"] == JOB
        and (live is None or live.deleting)
        and job_status is not None
        and job_status.result is not None
        and parse_job_run_spec(desired).matches(job_status)
    )


def find_blocking_workload(
    app_uid: str, children: Mapping[str, ChildView], desired: Json
) -> str | None:
    """Return the kind of the app's other workload, which must be gone before this one is created.

    None if nothing blocks ``desired``, or if it is no workload.
    """
    if desired["kind"] not in WORKLOAD_KINDS:
        return None
    other_workloads = (children.get(kind) for kind in WORKLOAD_KINDS if kind != desired["kind"])
    return next(
        (
            child.kind
            for child in other_workloads
            if child is not None and child.owner_uid == app_uid
        ),
        None,
    )


def _diff_unowned(live: ChildView, desired: Json, *, is_up_to_date: bool) -> ChildAction:
    if live.owner_uid:
        # The owner is an earlier app of this name: garbage collection deletes the child.
        return ChildAction.WAIT if live.is_owned_by_namesake else ChildAction.CONFLICT
    if is_up_to_date:  # the hash covers the owner's UID: only the owner reference was removed
        return ChildAction.REVERT_DRIFT
    is_offered = live.adopt or _is_orphan_of(live, desired)
    can_adopt = is_offered and not has_other_selector(live, desired)
    return ChildAction.ADOPT if can_adopt else ChildAction.CONFLICT


def _is_orphan_of(live: ChildView, desired: Json) -> bool:
    """Whether a child without an owner was made by the operator for an app of the same name.

    Such a child is left by ``kubectl delete --cascade=orphan`` and by a restore from a backup. A
    Job of another run is not taken: it would be deleted for the run that is wanted.
    """
    if not (live.applied_hash and live.manifest_json):
        return False
    manifest = orjson.loads(live.manifest_json)
    if not is_own_orphan(manifest["metadata"], live.name):
        return False
    if isinstance(live, JobView) and live.run_hash != parse_job_run_spec(desired).run_hash:
        return False
    return selects_the_same(live, desired)


def find_prune_targets(snapshot: AppSnapshot, desired: tuple[Json, ...]) -> tuple[PruneTarget, ...]:
    """Return the children that the app owns and its spec no longer asks for.

    The workload comes last, because an autoscaler without its target reports an error. The
    ServiceAccount stays while a pod may run as it, whose token would become invalid.
    """
    desired_kinds = {child["kind"] for child in desired}
    return tuple(
        PruneTarget(kind, child.name, child.uid)
        for kind, child in sorted(
            snapshot.children.items(),
            key=lambda kind_and_child: (kind_and_child[0] in WORKLOAD_KINDS, kind_and_child[0]),
        )
        if kind not in desired_kinds
        and child.owner_uid == snapshot.app.uid
        and not child.deleting
        and not (kind == SERVICE_ACCOUNT and _is_account_in_use(snapshot))
    )


def _is_account_in_use(snapshot: AppSnapshot) -> bool:
    """Whether the workload has the app's ServiceAccount, or a pod is left of a version that may."""
    workload = snapshot.deployment or snapshot.job
    if workload is None:
        return bool(snapshot.pods)
    if workload.has_own_account:
        return True
    if not isinstance(workload, DeploymentView):
        return False
    return workload.observed_generation < workload.generation or any(
        pod.template_hash != workload.template_hash and pod.phase not in TERMINAL_PHASES
        for pod in snapshot.pods
    )


def handover_replicas(live: ChildView | None, desired: Json, min_replicas: int) -> int | None:
    """Return the replicas to keep while the autoscaler takes over the field ``replicas``.

    An apply without a field that only the operator owns would reset it, here to 1 pod. So another
    field manager takes it over first. A Deployment with 0 replicas is raised to ``min_replicas``,
    because an autoscaler never scales a target from 0 (Kubernetes' "Implicit maintenance-mode
    deactivation").

    Returns:
        The replicas to hand over, or to create the Deployment with if it does not exist; None if
        there is nothing to hand over.
    """
    if "replicas" in desired["spec"]:
        return None
    if live is None:
        return min_replicas if min_replicas > 1 else None
    if not isinstance(live, DeploymentView) or not live.owns_replicas:
        return None
    return live.replicas or min_replicas


def initial_manifest(desired: dict[str, Any], min_replicas: int) -> dict[str, Any]:
    """Add the replicas that an autoscaler starts with to a Deployment that is created.

    The first apply without them hands them over.
    """
    replicas = (
        handover_replicas(None, desired, min_replicas) if desired["kind"] == "Deployment" else None
    )
    if replicas is None:
        return desired
    return {**desired, "spec": {**desired["spec"], "replicas": replicas}}


def scale_target_kind(child: Json) -> str:
    """Return the kind that an autoscaler targets; an empty string for other children."""
    spec = child.get("spec") or {}
    kind: str = (spec.get("scaleTargetRef") or spec.get("targetRef") or {}).get("kind", "")
    return kind
