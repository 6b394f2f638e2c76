"""Reads, creates, applies and deletes single children of apps."""

import logging
from typing import Any, Final

from cachetools import LRUCache

from selfhealing.api import names
from selfhealing.api.names import WORKLOAD_KINDS
from selfhealing.apply.child_diff import ChildAction, PruneTarget, diff_child, initial_manifest
from selfhealing.cache.child_views import CHILD_VIEWS, hash_manifest
from selfhealing.cache.parse import parse_owner_uid
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppView, ChildView
from selfhealing.controller.replica_handover import hand_over_replicas
from selfhealing.controller.spec_reset import reset_spec
from selfhealing.kube.client import Client
from selfhealing.kube.errors import AppDeletedError, ConflictError, InvalidError
from selfhealing.kube.resources import APPS, CHILDREN, Resource

logger = logging.getLogger(__name__)

Json = dict[str, Any]

_UNUSED_RESOURCE_VERSION: Final = "1"
"""A resource version that no object has: etcd's first revision precedes every object."""

_MAX_REMEMBERED: Final = 4096
"""Children whose last answer is remembered; another one is compared as if it were new."""


class ChildWriter:
    """Writes children, and puts the answers of the API server into the store at once."""

    def __init__(self, client: Client, store: Store) -> None:
        self._client = client
        self._store = store
        self._mutated_manifests: LRUCache[str, bytes] = LRUCache(_MAX_REMEMBERED)
        """By UID, the digests of answers to applies that differ from what was applied."""
        self._written: LRUCache[tuple[str, str], str] = LRUCache(_MAX_REMEMBERED)
        """By UID of the app and kind, the applied hash that this process wrote last."""

    def mutated_digest(self, uid: str) -> bytes:
        """Return the digest of the manifest that was stored in place of the applied one.

        It is empty if the child was stored as it was applied.
        """
        digest: bytes = self._mutated_manifests.get(uid, b"")
        return digest

    def was_last_written(self, app: AppView, desired: Json) -> bool:
        """Return whether this process wrote this manifest last for its kind."""
        applied_hash = desired["metadata"]["annotations"][names.ANNOTATION_APPLIED_HASH]
        return bool(self._written.get((app.uid, desired["kind"])) == applied_hash)

    async def read_live(self, app: AppView, kind: str) -> ChildView | None:
        """Read a child that the cache does not hold from the API server.

        The watch delivers only labelled objects, and may be behind. The object is read before the
        first write, so that one of another owner is never overwritten.
        """
        raw = await self._client.get(CHILDREN[kind], app.key.namespace, app.key.name)
        if raw is None:
            return None
        view = CHILD_VIEWS[kind](raw)
        if view.owner_uid == app.uid:  # no watch reports the deletion of an unowned one
            self._store.upsert_child(app.key, view)
        return view

    async def create_child(
        self, app: AppView, desired: Json, min_replicas: int
    ) -> ChildView | None:
        """Create a child of a new app with one request; None when it has to be read first.

        With a resource version that no object has, the apply is a conflict if an object of that
        name exists: an object of another owner is never overwritten, however new it is.

        Args:
            app: the app.
            desired: the manifest of the child.
            min_replicas: the fewest pods that the autoscaler may choose; 0 without an autoscaler.
        """
        if not _is_new(app):
            return None
        body = initial_manifest(desired, min_replicas)
        body = {
            **body,
            "metadata": {**body["metadata"], "resourceVersion": _UNUSED_RESOURCE_VERSION},
        }
        try:
            raw = await self._client.apply(CHILDREN[body["kind"]], body, names.FIELD_MANAGER)
        except ConflictError:
            return None
        return self._store_response(app, desired, raw)

    async def apply_child(
        self, app: AppView, live: ChildView | None, desired: Json, min_replicas: int
    ) -> ChildView:
        """Apply a child; return it as the API server has stored it.

        Args:
            app: the app.
            live: the child; None to create it.
            desired: its manifest.
            min_replicas: the fewest pods that the autoscaler may choose; 0 without an autoscaler.
        """
        resource = CHILDREN[desired["kind"]]
        if live is None:
            body = initial_manifest(desired, min_replicas)
            raw = await self._client.apply(resource, body, names.FIELD_MANAGER)
        else:
            live = await hand_over_replicas(
                self._client,
                lambda: self.read_live(app, desired["kind"]),
                live,
                desired,
                min_replicas,
            )
            # Not onto an object that has taken the name since: the cache may be behind.
            body = {**desired, "metadata": {**desired["metadata"], "uid": live.uid}}
            try:
                raw = await self._client.apply(resource, body, names.FIELD_MANAGER)
            except InvalidError:
                await self._require_same_object(resource, app, live)
                if "spec" not in desired or not await reset_spec(
                    self._client, app.key, live, desired
                ):
                    raise
                raw = await self._client.apply(resource, body, names.FIELD_MANAGER)
        return self._store_response(app, desired, raw)

    async def delete_child(self, app: AppView, target: PruneTarget) -> None:
        """Delete a child; a workload stays until its pods have stopped.

        Raises:
            ConflictError: it belongs to another owner by now, which the watch has not told yet.
        """
        kind, key = target.kind, app.key
        found = await self._client.get_metadata(CHILDREN[kind], key.namespace, target.name)
        meta = found["metadata"] if found is not None else {}
        if meta.get("uid") == target.uid and parse_owner_uid(meta) != app.uid:
            raise ConflictError(409, "Conflict", f"the {kind} {target.name} has another owner now")
        raw = await self._client.delete(
            CHILDREN[kind],
            key.namespace,
            target.name,
            target.uid,
            resource_version=meta.get("resourceVersion", ""),
            foreground=kind in WORKLOAD_KINDS,
        )
        if raw is None:
            self._store.delete_child(key, kind, target.uid)
        else:
            self._store.upsert_child(key, CHILD_VIEWS[kind](raw))

    async def ensure_app_exists(self, app: AppView) -> None:
        """Check that an app still exists before a child of it is created or owned again.

        A child may be gone, or have lost its owner (``--cascade=orphan``), because its app is
        deleted, which the watch has not reported yet. With the owner again, the garbage collector
        would delete a child that was to stay. An app without a status is new and is not checked.

        Raises:
            AppDeletedError: the app is deleted.
        """
        if _is_new(app):
            return
        raw = await self._client.get(APPS, app.key.namespace, app.key.name)
        if (
            raw is None
            or raw["metadata"]["uid"] != app.uid
            or "deletionTimestamp" in raw["metadata"]
        ):
            raise AppDeletedError(
                404, "Gone", "the resource is deleted: its children are not written"
            )

    async def _require_same_object(self, resource: Resource, app: AppView, live: ChildView) -> None:
        """Raise ConflictError if another object has the name of the child by now.

        The API server answers an apply with another UID as it answers any invalid object.
        """
        found = await self._client.get_metadata(resource, app.key.namespace, live.name)
        if found is None or found["metadata"]["uid"] != live.uid:
            raise ConflictError(409, "Conflict", f"the {live.kind} {live.name} is another one now")

    def _store_response(self, app: AppView, desired: Json, raw: Json) -> ChildView:
        """Put the answer to an apply into the store; log it if it is not what was applied."""
        kind = desired["kind"]
        view = CHILD_VIEWS[kind](raw)
        self._store.upsert_child(app.key, view)
        self._written[app.uid, kind] = view.applied_hash
        self._mutated_manifests.pop(view.uid, None)
        if diff_child(view.owner_uid, view, desired) is ChildAction.REVERT_DRIFT:
            self._mutated_manifests[view.uid] = hash_manifest(view)
            logger.warning(
                "%s: something rewrites the %s as it is applied: a mutating webhook?", app.key, kind
            )
        return view


def _is_new(app: AppView) -> bool:
    """Whether an app has no status: it is reconciled for the first time."""
    return app.status == b"{}"
