"""Handlers of watch events: they update the store and enqueue the apps that are concerned."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final

from selfhealing.api import names
from selfhealing.cache.child_views import CHILD_VIEWS
from selfhealing.cache.parse import (
    app_view,
    key_of_app,
    key_of_child,
    key_of_pod,
    parse_resource_version,
    pod_view,
    replica_set_view,
)
from selfhealing.cache.parse_events import POD_EVENT_REASONS, pod_event
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.json_fields import UNREAD_KEY
from selfhealing.kube.resources import REPLICA_SETS

logger = logging.getLogger(__name__)

DELETED: Final = "DELETED"

WatchEvent = Mapping[str, Any]


_Handler = Callable[["EventHandlers", WatchEvent], None]


def _skip_unreadable(handle: _Handler) -> _Handler:
    """Log the error of an object that cannot be parsed, and note the object as delivered."""

    @wraps(handle)
    def guarded_handle(self: "EventHandlers", event: WatchEvent) -> None:
        if UNREAD_KEY in event["object"]:
            self._forget_unread(event["object"])
            return
        try:
            handle(self, event)
        except Exception:
            logger.exception("could not handle an event of a %s", event["object"].get("kind"))
            self._store.note_unreadable(event["object"]["metadata"].get("uid", ""))

    return guarded_handle


class EventHandlers:
    """Updates the store and enqueues every app that has changed.

    Every method takes a watch event ``{type, object}``. A type other than DELETED, or none, means
    that the object exists.

    Attributes:
        relisted: set when a watch has listed again (an event without a type): objects that were
            deleted in the gap are not reported.
    """

    def __init__(
        self,
        store: Store,
        queue: WorkQueue[AppKey],
        debounce: float,
    ) -> None:
        """An app is reconciled ``debounce`` seconds after the first change of its objects."""
        self._store = store
        self._queue = queue
        self._debounce = debounce
        self.relisted = asyncio.Event()

    @_skip_unreadable
    def on_app(self, event: WatchEvent) -> None:
        """Handle a SelfHealingApp; a change of it is reconciled at once."""
        raw = self._extract_object(event)
        key = key_of_app(raw)
        if event["type"] == DELETED:  # also of an app that cannot be parsed
            self._store.delete_app(
                key, raw["metadata"]["uid"], parse_resource_version(raw["metadata"])
            )
            self._queue.add(key)
            return
        view = app_view(raw)
        if self._store.upsert_app(view):
            self._queue.add(key)

    @_skip_unreadable
    def on_child(self, event: WatchEvent) -> None:
        """Handle a child with the app's label."""
        raw = self._extract_object(event)
        key = key_of_child(raw)
        view = CHILD_VIEWS[raw["kind"]](raw)
        if event["type"] == DELETED:
            self._store.delete_child(key, view.kind, view.uid, view.resource_version)
            self._enqueue(key)
        elif self._store.upsert_child(key, view):
            self._enqueue(key)

    @_skip_unreadable
    def on_replica_set(self, event: WatchEvent) -> None:
        """Handle a ReplicaSet with the app's label: it proves pods to be the app's."""
        raw = self._extract_object(event)
        key = key_of_pod(raw)
        if key is None:
            return
        view = replica_set_view(raw)
        if event["type"] == DELETED:
            self._store.delete_replica_set(view.uid, view.resource_version)
        elif self._store.upsert_replica_set(key, view):
            self._enqueue(key)

    @_skip_unreadable
    def on_pod(self, event: WatchEvent) -> None:
        """Handle a pod with the app's label."""
        raw = self._extract_object(event)
        key = key_of_pod(raw)
        if key is None:
            return
        if event["type"] == DELETED:
            self._store.upsert_pod(key, pod_view(raw))  # its last state may count
            self._store.delete_pod(raw["metadata"]["uid"], parse_resource_version(raw["metadata"]))
            self._enqueue(key)
        elif self._store.upsert_pod(key, pod_view(raw)):
            self._enqueue(key)

    def on_pod_event(self, event: WatchEvent) -> None:
        """Handle the kubelet's Event about a pod."""
        raw = event["object"]
        if event["type"] == DELETED or raw.get("reason") not in POD_EVENT_REASONS:
            return
        # Anybody may write such Events: those of unknown pods must cost next to nothing.
        if not self._store.has_pod((raw.get("involvedObject") or {}).get("uid", "")):
            return
        view = pod_event(raw)
        key = self._store.upsert_pod_event(view) if view is not None else None
        if key is not None:
            self._enqueue(key)

    def on_missing(self, kind: str, uid: str, key: AppKey) -> None:
        """Handle an object that is deleted although no watch has reported it."""
        if kind == names.KIND:
            self._store.delete_app(key, uid)
        elif kind == REPLICA_SETS.kind:
            self._store.delete_replica_set(uid)
        elif kind == "Pod":
            self._store.delete_pod(uid)
        else:
            self._store.delete_child(key, kind, uid)
        self._queue.add(key)

    def _forget_unread(self, raw: Mapping[str, Any]) -> None:
        """Forget an object of which only the identity was read, and note it as delivered.

        It has more fields than are parsed. The status names such a child when it is read to be
        compared.
        """
        meta = raw["metadata"]
        logger.warning(
            "ignored the %s %s/%s: it has too many fields",
            raw.get("kind"),
            meta.get("namespace"),
            meta["name"],
        )
        self.on_missing(raw.get("kind", ""), meta["uid"], key_of_app(raw))
        self._store.note_unreadable(meta["uid"])

    def _extract_object(self, event: WatchEvent) -> Mapping[str, Any]:
        if event["type"] is None:
            self.relisted.set()
        raw: Mapping[str, Any] = event["object"]
        return raw

    def _enqueue(self, key: AppKey) -> None:
        if self._store.app(key) is not None:
            self._queue.add(key, self._debounce)
