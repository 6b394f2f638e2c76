"""What to do about one child: make it, put it right, leave it, or keep the hands off it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from selfhealing.api import names
from selfhealing.api.names import JOB, WORKLOAD_KINDS
from selfhealing.api.status import JobStatus
from selfhealing.apply.drift import matches
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import ChildView, DeploymentView, JobView
from selfhealing.health.job_run import parse_job_run_spec

Json = Mapping[str, Any]


class ChildAction(StrEnum):
    """What a live child needs."""

    NOOP = "keep"
    CREATE = "create"
    UPDATE = "update"
    """The spec, or the operator's own idea of it, has changed."""
    REVERT_DRIFT = "correct"
    """Somebody changed a field that is the operator's."""
    ADOPT = "adopt"
    """Somebody else's object that carries ANNOTATION_ADOPT."""
    CONFLICT = "refuse"
    """Somebody else's object: never taken over."""
    REPLACE = "replace"
    """It cannot be changed as the spec has: it is deleted, and made anew when it is gone."""
    WAIT = "wait"
    """It is being deleted; a new one can be made when it is gone."""


@dataclass(frozen=True, slots=True)
class PruneTarget:
    """A child whose part of the spec is gone."""

    kind: str
    name: str
    uid: str


def diff_child(
    owner_uid: str, live: ChildView | None, desired: Json, last_response: bytes = b""
) -> ChildAction:
    """Say what the child ``desired`` of the app ``owner_uid`` needs, given what is ``live``.

    ``answered`` is the document with which the API server answered the last apply. An admission
    webhook may rewrite a field of ours: what it made of the apply is not applied against for ever.
    """
    if live is None:
        return ChildAction.CREATE
    if live.deleting:
        return ChildAction.WAIT
    is_up_to_date = (
        live.applied_hash == desired["metadata"]["annotations"][names.ANNOTATION_APPLIED_HASH]
    )
    if live.owner_uid != owner_uid:
        return _diff_unowned(live, is_up_to_date=is_up_to_date)
    if not is_up_to_date:
        return ChildAction.REPLACE if _is_another_run(live, desired) else ChildAction.UPDATE
    if live.manifest_json == last_response or matches(orjson.loads(live.manifest_json), desired):
        return ChildAction.NOOP
    return ChildAction.REVERT_DRIFT


def _is_another_run(live: ChildView, desired: Json) -> bool:
    """Whether a Job is to run something else, or once more.

    What is run can never be changed in a Job. How often and how long it is tried can, but a Job
    that has failed by that is over.
    """
    if not isinstance(live, JobView):
        return False
    desired_run = parse_job_run_spec(desired)
    if not live.run_hash:  # somebody took the mark off
        template = {"template": desired["spec"]["template"]}
        return not matches(orjson.loads(live.manifest_json)["spec"], template)
    limits = (live.backoff_limit, live.active_deadline_seconds)
    has_failed = bool(live.reason)
    return live.run_hash != desired_run.run_hash or (has_failed and limits != desired_run[1:])


def has_already_run(job_status: JobStatus | None, live: ChildView | None, desired: Json) -> bool:
    """Whether ``desired`` is a Job that has ended and then was deleted: it is not run again."""
    return (
        desired["kind"] == JOB
        and (live is None or live.deleting)
        and job_status is not None
        and job_status.result is not None
        and parse_job_run_spec(desired).matches(job_status)
    )


def find_blocking_workload(snapshot: AppSnapshot, desired: Json) -> str | None:
    """The other kind of workload whose pods must be gone before ``desired`` may make some."""
    if desired["kind"] not in WORKLOAD_KINDS:
        return None
    other_workloads = (
        snapshot.children.get(kind) for kind in WORKLOAD_KINDS if kind != desired["kind"]
    )
    return next(
        (
            child.kind
            for child in other_workloads
            if child is not None and child.owner_uid == snapshot.app.uid
        ),
        None,
    )


def _diff_unowned(live: ChildView, *, is_up_to_date: bool) -> ChildAction:
    if live.owner_uid:
        return ChildAction.WAIT if _is_owned_by_predecessor(live) else ChildAction.CONFLICT
    if is_up_to_date:  # the hash covers the owner's uid: it is ours, somebody took the owner off
        return ChildAction.REVERT_DRIFT
    return ChildAction.ADOPT if live.adopt else ChildAction.CONFLICT


def _is_owned_by_predecessor(live: ChildView) -> bool:
    """Whether a child belongs to a deleted resource of the same name, and goes with it."""
    owners = orjson.loads(live.manifest_json)["metadata"].get("ownerReferences", ())
    return any(
        (owner["kind"], owner["name"]) == (names.KIND, live.name)
        and owner["apiVersion"].startswith(f"{names.GROUP}/")
        for owner in owners
    )


def find_prune_targets(snapshot: AppSnapshot, desired: tuple[Json, ...]) -> tuple[PruneTarget, ...]:
    """The children that belong to the app and that its spec no longer asks for.

    What makes pods goes last: an autoscaler that does not find its target reports an error.
    """
    desired_kinds = {child["kind"] for child in desired}
    return tuple(
        PruneTarget(kind, child.name, child.uid)
        for kind, child in sorted(
            snapshot.children.items(),
            key=lambda kind_and_child: (kind_and_child[0] in WORKLOAD_KINDS, kind_and_child[0]),
        )
        if kind not in desired_kinds and child.owner_uid == snapshot.app.uid and not child.deleting
    )


def handover_replicas(live: ChildView | None, desired: Json, min_replicas: int) -> int | None:
    """The replicas that must be kept while their ownership passes to the autoscaler.

    Leaving out a field that only the operator owns would reset it (to 1 pod); so another manager
    takes the field first. A Deployment at 0 is raised to ``minimum``: an autoscaler leaves a
    target of 0 alone for good (Kubernetes' "Implicit maintenance-mode deactivation").

    Returns:
        The number to hand over, or None when there is nothing to hand over. With no Deployment
        yet, the number to make it with.
    """
    if "replicas" in desired["spec"]:
        return None
    if live is None:
        return min_replicas if min_replicas > 1 else None
    if not isinstance(live, DeploymentView) or not live.owns_replicas:
        return None
    return live.replicas or min_replicas
