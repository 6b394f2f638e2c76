"""What to do about one child: make it, put it right, leave it, or keep the hands off it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from selfhealing.api import names
from selfhealing.api.names import JOB, WORKLOADS
from selfhealing.api.status import JobStatus
from selfhealing.apply.drift import holds
from selfhealing.cache.snapshot import Facts
from selfhealing.cache.views import ChildView, DeploymentView, JobView
from selfhealing.health.job_run import asked

Json = Mapping[str, Any]


class Need(StrEnum):
    """What a live child needs."""

    KEEP = "keep"
    CREATE = "create"
    UPDATE = "update"
    """The spec, or the operator's own idea of it, has changed."""
    CORRECT = "correct"
    """Somebody changed a field that is the operator's."""
    ADOPT = "adopt"
    """Somebody else's object that carries ANNOTATION_ADOPT."""
    REFUSE = "refuse"
    """Somebody else's object: never taken over."""
    REPLACE = "replace"
    """It cannot be changed as the spec has: it is deleted, and made anew when it is gone."""
    WAIT = "wait"
    """It is being deleted; a new one can be made when it is gone."""


@dataclass(frozen=True, slots=True)
class Removal:
    """A child whose part of the spec is gone."""

    kind: str
    name: str
    uid: str


def judge(owner_uid: str, live: ChildView | None, desired: Json, answered: bytes = b"") -> Need:
    """Say what the child ``desired`` of the app ``owner_uid`` needs, given what is ``live``.

    ``answered`` is the document with which the API server answered the last apply. An admission
    webhook may rewrite a field of ours: what it made of the apply is not applied against for ever.
    """
    if live is None:
        return Need.CREATE
    if live.deleting:
        return Need.WAIT
    up_to_date = live.applied == desired["metadata"]["annotations"][names.ANNOTATION_APPLIED]
    if live.owned_by != owner_uid:
        return _not_owned(live, up_to_date=up_to_date)
    if not up_to_date:
        return Need.REPLACE if _is_another_run(live, desired) else Need.UPDATE
    if live.document == answered or holds(orjson.loads(live.document), desired):
        return Need.KEEP
    return Need.CORRECT


def _is_another_run(live: ChildView, desired: Json) -> bool:
    """Whether a Job is to run something else, or once more.

    What is run can never be changed in a Job. How often and how long it is tried can, but a Job
    that has failed by that is over.
    """
    if not isinstance(live, JobView):
        return False
    wanted = asked(desired)
    if not live.run:  # somebody took the mark off
        template = {"template": desired["spec"]["template"]}
        return not holds(orjson.loads(live.document)["spec"], template)
    limits = (live.backoff_limit, live.active_deadline)
    gave_up = bool(live.reason)
    return live.run != wanted.mark or (gave_up and limits != wanted[1:])


def has_run(known: JobStatus | None, live: ChildView | None, desired: Json) -> bool:
    """Whether ``desired`` is a Job that has ended and then was deleted: it is not run again."""
    return (
        desired["kind"] == JOB
        and (live is None or live.deleting)
        and known is not None
        and known.result is not None
        and asked(desired).is_(known)
    )


def leaving(facts: Facts, desired: Json) -> str | None:
    """The other kind of workload whose pods must be gone before ``desired`` may make some."""
    if desired["kind"] not in WORKLOADS:
        return None
    others = (facts.children.get(kind) for kind in WORKLOADS if kind != desired["kind"])
    return next((c.kind for c in others if c is not None and c.owned_by == facts.app.uid), None)


def _not_owned(live: ChildView, *, up_to_date: bool) -> Need:
    if live.owned_by:
        return Need.WAIT if _of_predecessor(live) else Need.REFUSE
    if up_to_date:  # the hash covers the owner's uid: it is ours, somebody took the owner off
        return Need.CORRECT
    return Need.ADOPT if live.adopt else Need.REFUSE


def _of_predecessor(live: ChildView) -> bool:
    """Whether a child belongs to a deleted resource of the same name, and goes with it."""
    owners = orjson.loads(live.document)["metadata"].get("ownerReferences", ())
    return any(
        (owner["kind"], owner["name"]) == (names.KIND, live.name)
        and owner["apiVersion"].startswith(f"{names.GROUP}/")
        for owner in owners
    )


def removals(facts: Facts, desired: tuple[Json, ...]) -> tuple[Removal, ...]:
    """The children that belong to the app and that its spec no longer asks for.

    What makes pods goes last: an autoscaler that does not find its target reports an error.
    """
    wanted = {child["kind"] for child in desired}
    return tuple(
        Removal(kind, child.name, child.uid)
        for kind, child in sorted(facts.children.items(), key=lambda e: (e[0] in WORKLOADS, e[0]))
        if kind not in wanted and child.owned_by == facts.app.uid and not child.deleting
    )


def handover(live: ChildView | None, desired: Json, minimum: int) -> int | None:
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
        return minimum if minimum > 1 else None
    if not isinstance(live, DeploymentView) or not live.owns_replicas:
        return None
    return live.replicas or minimum
