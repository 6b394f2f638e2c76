"""Carries out what ``heal.children`` decides: looks, applies, hands over, deletes."""

import logging
import re
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from selfhealing.api import names
from selfhealing.api.names import JOB, WORKLOADS
from selfhealing.api.spec import SelfHealingAppSpec
from selfhealing.api.status import read
from selfhealing.apply.child_diff import (
    Need,
    Removal,
    handover,
    has_run,
    judge,
    leaving,
    removals,
)
from selfhealing.apply.config_hash import config_mark
from selfhealing.apply.reset import reset
from selfhealing.apply.result import Change, Obstacle, Outcome, Problem
from selfhealing.cache.child_views import CHILD_VIEWS
from selfhealing.cache.snapshot import Facts
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey, AppView, ChildView
from selfhealing.controller.optional_kinds import PACE, OptionalKinds
from selfhealing.kube.client import Client
from selfhealing.kube.errors import (
    ApiError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
)
from selfhealing.kube.resources import APPS, CHILDREN, OPTIONAL
from selfhealing.render import Overrides, Owner, children
from selfhealing.render.overrides import NOTHING

logger = logging.getLogger(__name__)

Json = dict[str, Any]

_NO_VERSION: Final = "1"
"""A resource version that no object has: etcd's first revision is used up before any object."""
_HANDOVER_TRIES: Final = 5
_VALUE: Final = re.compile(r": Invalid value: .*: (?=field is immutable)", re.DOTALL)
"""The value of a field that cannot be changed: a whole pod template takes thousands of letters."""


@dataclass(slots=True)
class _Progress:
    """What has been done so far in one reconcile."""

    changes: list[Change] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    """Kinds of which somebody else's object has the app's name."""


class Children:
    """Keeps the children of apps as their specs say."""

    def __init__(self, client: Client, store: Store, optional: OptionalKinds) -> None:
        self._client = client
        self._optional = optional
        self._store = store
        self._rewritten: dict[str, bytes] = {}
        """By uid, the children of which an apply did not bring what was applied."""

    async def sync(self, facts: Facts, spec: SelfHealingAppSpec, overrides: Overrides) -> Outcome:
        """Make the children of one app right; writes only what differs.

        What was written is put into the store at once, so that nothing is written again because
        the watch has not brought it yet.

        Raises:
            UnavailableError: the API server is out of reach; nothing can be said or done.
        """
        app = facts.app
        owner = Owner(app.key.namespace, app.key.name, app.uid)
        desired = children(owner, spec, overrides, config_mark(facts, spec))
        progress = _Progress()
        # Removals first: an autoscaler must not act on replicas that are set by hand again.
        for removal in removals(facts, desired):
            await _noting(removal.kind, progress, self._remove(app.key, removal, progress))
        # Then in order: an autoscaler that does not find its Deployment reports an error.
        minimum = spec.autoscaling.min_replicas if spec.autoscaling else 0
        for child in desired:
            if _target(child) in progress.taken:
                continue  # it would scale somebody else's pods
            if self._optional.lacks(child["kind"]):
                progress.problems.append(_not_installed(child["kind"]))
                continue
            await _noting(child["kind"], progress, self._child(facts, child, minimum, progress))
        healing = overrides != NOTHING
        return Outcome(tuple(progress.changes), tuple(progress.problems), healing=healing)

    async def _remove(self, key: AppKey, removal: Removal, progress: _Progress) -> None:
        await self._delete(key, removal)
        progress.changes.append(Change(removal.kind, None))

    async def _delete(self, key: AppKey, removal: Removal) -> None:
        """Delete a child; one that makes pods stays until they have stopped."""
        kind = removal.kind
        raw = await self._client.delete(
            CHILDREN[kind],
            key.namespace,
            removal.name,
            removal.uid,
            pods_first=kind in WORKLOADS,
        )
        if raw is None:
            self._store.drop_child(key, kind, removal.uid)
        else:
            self._store.put_child(key, CHILD_VIEWS[kind](raw))

    async def _child(self, facts: Facts, desired: Json, minimum: int, progress: _Progress) -> None:
        kind = desired["kind"]
        key = facts.app.key
        live = facts.children.get(kind)
        if kind == JOB and has_run(read(orjson.loads(facts.app.status)).job, live, desired):
            return
        now = self._store.facts(key) or facts  # with what has just been removed
        if (other := leaving(now, desired)) is not None:
            progress.problems.append(_terminating(other, facts))
            return
        if live is None and await self._make(facts.app, desired, minimum):
            progress.changes.append(Change(kind, Need.CREATE))
            return
        live = live or await self._look(facts.app, kind)
        answered = self._rewritten.get(live.uid, b"") if live is not None else b""
        need = judge(facts.app.uid, live, desired, answered)
        if need is Need.KEEP:
            return
        if need is Need.REFUSE:
            progress.taken.add(kind)
            progress.problems.append(_name_conflict(kind, key, live))
        elif need is Need.WAIT:
            progress.problems.append(_terminating(kind, facts))
        elif need is Need.REPLACE and live is not None:
            await self._delete(key, Removal(kind, live.name, live.uid))
            progress.changes.append(Change(kind, need))
            progress.problems.append(_terminating(kind, facts))
        else:
            if need is Need.CREATE:
                await self._check_alive(facts.app)
            await self._apply(facts.app, live, desired, minimum)
            progress.changes.append(Change(kind, need))

    async def _make(self, app: AppView, desired: Json, minimum: int) -> bool:
        """Make a child of a new app with one request; False when it needs a look first.

        A version that no object has makes it a conflict if there is an object of that name: a
        stranger's is not overwritten, not even one that came a moment ago.
        """
        if not _is_new(app):
            return False
        body = _beginning(desired, minimum)
        body = {**body, "metadata": {**body["metadata"], "resourceVersion": _NO_VERSION}}
        try:
            raw = await self._client.apply(CHILDREN[body["kind"]], body, names.FIELD_MANAGER)
        except ConflictError:
            return False
        self._take(app.key, desired, raw)
        return True

    async def _look(self, app: AppView, kind: str) -> ChildView | None:
        """Ask the API server for a child that the watch does not show.

        The watch sees only labelled objects, and may be behind: before the first write the object
        itself is asked for, so that a stranger's is never overwritten.
        """
        raw = await self._client.get(CHILDREN[kind], app.key.namespace, app.key.name)
        if raw is None:
            return None
        view = CHILD_VIEWS[kind](raw)
        if view.owned_by == app.uid:  # no watch would tell of the end of a stranger
            self._store.put_child(app.key, view)
        return view

    async def _check_alive(self, app: AppView) -> None:
        """Make sure that an app still exists before a child of it is made.

        A child that is gone may be gone with its owner, of whose end the watch has not told yet, or
        never will. A new app, without a status, has just been seen.

        Raises:
            GoneError: the app is gone.
        """
        if _is_new(app):
            return
        raw = await self._client.get(APPS, app.key.namespace, app.key.name)
        if (
            raw is None
            or raw["metadata"]["uid"] != app.uid
            or "deletionTimestamp" in raw["metadata"]
        ):
            raise GoneError(404, "Gone", "the resource is gone: its children are not made anew")

    async def _apply(
        self, app: AppView, live: ChildView | None, desired: Json, minimum: int
    ) -> None:
        resource = CHILDREN[desired["kind"]]
        if live is None:
            body = _beginning(desired, minimum)
            raw = await self._client.apply(resource, body, names.FIELD_MANAGER)
        else:
            live = await self._hand_over(app, live, desired, minimum)
            try:
                raw = await self._client.apply(resource, desired, names.FIELD_MANAGER)
            except InvalidError:
                if not await self._reset(app.key, live, desired):
                    raise
                raw = await self._client.apply(resource, desired, names.FIELD_MANAGER)
        self._take(app.key, desired, raw)

    def _take(self, key: AppKey, desired: Json, raw: Json) -> None:
        """Store the answer to an apply; an answer that is not what was applied is remembered."""
        kind = desired["kind"]
        view = CHILD_VIEWS[kind](raw)
        self._store.put_child(key, view)
        self._rewritten.pop(view.uid, None)
        if judge(view.owned_by, view, desired) is Need.CORRECT:
            self._rewritten[view.uid] = view.document
            logger.warning("%s: something rewrites the %s as it is applied: a webhook?", key, kind)

    async def _hand_over(
        self, app: AppView, live: ChildView, desired: Json, minimum: int
    ) -> ChildView:
        """Let another manager own the replicas that the operator lets go of; returns what is live.

        The version makes it a conflict if the autoscaler has moved them meanwhile: then they are
        looked at again, and mostly there is nothing left to hand over.
        """
        kind, meta = desired["kind"], desired["metadata"]
        for _ in range(_HANDOVER_TRIES):
            replicas = handover(live, desired, minimum) if kind == "Deployment" else None
            if replicas is None:
                return live
            body = {
                "apiVersion": desired["apiVersion"],
                "kind": kind,
                "metadata": {
                    "name": meta["name"],
                    "namespace": meta["namespace"],
                    "resourceVersion": str(live.resource_version),
                },
                "spec": {"replicas": replicas},
            }
            try:
                raw = await self._client.apply(CHILDREN[kind], body, names.HANDOVER_MANAGER)
            except ConflictError:
                found = await self._look(app, kind)
                if found is None:
                    raise
                live = found
            else:
                return CHILD_VIEWS[kind](raw)
        raise ConflictError(409, "Conflict", "the Deployment changes all the time")

    async def _reset(self, key: AppKey, live: ChildView, desired: Json) -> bool:
        """Take away from ``live`` what stands in the way of an apply.

        Returns False when that is nothing, or would not help either: then the spec is wrong.
        """
        spec = orjson.loads(live.document)["spec"]
        wanted = reset(spec, desired["spec"])
        if wanted == spec:
            return False
        resource = CHILDREN[live.kind]
        steps = [
            # Makes it a conflict if the object is no longer the one that was looked at.
            {
                "op": "replace",
                "path": "/metadata/resourceVersion",
                "value": str(live.resource_version),
            },
            {"op": "replace", "path": "/spec", "value": wanted},
        ]
        try:
            raw = await self._client.edit(
                resource, key.namespace, key.name, steps, names.RESET_MANAGER
            )
        except InvalidError:
            return False
        # It must own nothing: a field stays for as long as anybody owns it.
        managers = [entry.get("manager") for entry in raw["metadata"].get("managedFields", ())]
        if names.RESET_MANAGER in managers:
            path = f"/metadata/managedFields/{managers.index(names.RESET_MANAGER)}"
            steps = [
                {"op": "test", "path": f"{path}/manager", "value": names.RESET_MANAGER},
                {"op": "remove", "path": path},
            ]
            await self._client.edit(resource, key.namespace, key.name, steps, names.RESET_MANAGER)
        return True


def _is_new(app: AppView) -> bool:
    """Whether an app has no status yet, so that it has just been seen for the first time."""
    return app.status == b"{}"


def _beginning(desired: Json, minimum: int) -> Json:
    """What is applied where there is nothing yet: with the pods that an autoscaler begins with.

    They are handed over to it by the first apply that leaves them out.
    """
    replicas = handover(None, desired, minimum) if desired["kind"] == "Deployment" else None
    if replicas is None:
        return desired
    return {**desired, "spec": {**desired["spec"], "replicas": replicas}}


def _target(child: Json) -> str:
    """The kind that an autoscaler acts on; empty for other children."""
    spec = child["spec"]
    kind: str = (spec.get("scaleTargetRef") or spec.get("targetRef") or {}).get("kind", "")
    return kind


async def _noting(kind: str, progress: _Progress, step: Awaitable[None]) -> None:
    """Carry out ``step``; what the API server refuses becomes a problem that the status shows."""
    try:
        await step
    except (InvalidError, ForbiddenError, ConflictError, NotFoundError) as error:
        progress.problems.append(_problem(kind, error))


def _terminating(kind: str, facts: Facts) -> Problem:
    stopping = [pod.name for pod in facts.pods if pod.deleting] if kind in WORKLOADS else []
    more = f" and {len(stopping) - 1} more" if len(stopping) > 1 else ""
    pods = f": waiting for {stopping[0]}{more} to stop" if stopping else ""
    return Problem(Obstacle.CHILD_TERMINATING, f"the old {kind} is still being deleted{pods}")


def _not_installed(kind: str) -> Problem:
    return Problem(
        Obstacle.NOT_INSTALLED,
        f"this cluster has no {CHILDREN[kind].api_version} {kind}: install it, or remove that part "
        f"of the spec; it is looked for every {PACE:.0f} s, and the app runs without it",
    )


def _name_conflict(kind: str, key: AppKey, live: ChildView | None) -> Problem:
    if live is not None and live.owned_by:
        advice = "it belongs to another controller: rename one of the two"
    else:
        advice = (
            f"rename one of the two, delete the {kind}, or let it be taken over: "
            f"kubectl -n {key.namespace} annotate {kind.lower()}/{key.name} "
            f"{names.ANNOTATION_ADOPT}=true"
        )
    return Problem(
        Obstacle.NAME_CONFLICT,
        f"there is a {kind} {key.name} that this resource did not make; {advice}",
    )


def _problem(kind: str, error: ApiError) -> Problem:
    text = f"{kind}: {error.message}"
    if isinstance(error, InvalidError):
        if "field is immutable" in error.message:
            text = _VALUE.sub(": ", text) + (
                " - Kubernetes cannot change that field in place: delete the "
                f"{kind} and it is made anew"
            )
        return Problem(Obstacle.INVALID_SPEC, text)
    if isinstance(error, ForbiddenError):
        return Problem(_forbidden(error), text)
    if isinstance(error, NotFoundError):
        # An object that is not there has a reason; a kind that is not served has none.
        if not error.reason and kind in {resource.kind for resource in OPTIONAL}:
            return _not_installed(kind)
        return Problem(Obstacle.NAMESPACE_TERMINATING, text)
    return Problem(Obstacle.CONFLICT, text)


def _forbidden(error: ForbiddenError) -> Obstacle:
    if "exceeded quota" in error.message:
        return Obstacle.QUOTA_EXCEEDED
    if "being terminated" in error.message:
        return Obstacle.NAMESPACE_TERMINATING
    return Obstacle.FORBIDDEN
