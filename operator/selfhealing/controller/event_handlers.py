"""What the watches bring: raw events into the store, the keys they concern to the queue."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from selfhealing.api import names
from selfhealing.api.config import CONFIG_KINDS
from selfhealing.cache.child_views import CHILD_VIEWS
from selfhealing.cache.config_digests import config_view
from selfhealing.cache.parse import (
    app_view,
    key_of_app,
    key_of_child,
    key_of_pod,
    kill_view,
    pod_view,
    version,
)
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.workqueue import WorkQueue

logger = logging.getLogger(__name__)

DELETED: Final = "DELETED"

Event = Mapping[str, Any]


class Observer:
    """Keeps the store as the cluster is and asks for work on every app that something changed of.

    Every method takes a watch event ``{type, object}``; a type other than DELETED means "it is so".

    Attributes:
        relisted: set when a watch had to list anew (an event without a type): what was deleted in
            the gap, nobody has said.
    """

    def __init__(self, store: Store, queue: WorkQueue[AppKey], debounce: float) -> None:
        """Observe into ``store``; an app is worked on ``debounce`` seconds after its first news."""
        self._store = store
        self._queue = queue
        self._debounce = debounce
        self.relisted = asyncio.Event()

    def app(self, event: Event) -> None:
        """Take a SelfHealingApp: a new spec is worked on at once."""
        raw = self._object(event)
        key = key_of_app(raw)
        if event["type"] == DELETED:
            self._store.drop_app(key, raw["metadata"]["uid"], version(raw["metadata"]))
            self._queue.add(key)
        elif self._store.put_app(app_view(raw)):
            self._queue.add(key)

    def child(self, event: Event) -> None:
        """Take a child that carries the app's label."""
        raw = self._object(event)
        key = key_of_child(raw)
        view = CHILD_VIEWS[raw["kind"]](raw)
        if event["type"] == DELETED:
            self._store.drop_child(key, view.kind, view.uid, view.resource_version)
            self._news(key)
        elif self._store.put_child(key, view):
            self._news(key)

    def pod(self, event: Event) -> None:
        """Take a pod that carries the app's label."""
        raw = self._object(event)
        key = key_of_pod(raw)
        if key is None:
            return
        if event["type"] == DELETED:
            self._store.put_pod(key, pod_view(raw))  # its last state may be news
            self._store.drop_pod(raw["metadata"]["uid"], version(raw["metadata"]))
            self._news(key)
        elif self._store.put_pod(key, pod_view(raw)):
            self._news(key)

    def event(self, event: Event) -> None:
        """Take a kubelet's Event about a killed container."""
        if event["type"] == DELETED:
            return
        view = kill_view(event["object"])
        key = self._store.put_kill(view) if view is not None else None
        if key is not None:
            self._news(key)

    def config(self, event: Event) -> None:
        """Take a ConfigMap or a Secret, of which only a digest is kept."""
        view = config_view(self._object(event))
        if event["type"] == DELETED:
            readers = self._store.configs.drop(view.kind, view.key, view.uid)
        else:
            readers = self._store.configs.put(view)
        for key in readers:
            self._news(key)

    def gone(self, kind: str, uid: str, key: AppKey) -> None:
        """Take it that an object is gone, though no watch said so."""
        if kind in CONFIG_KINDS:
            for reader in self._store.configs.drop(kind, key, uid):
                self._queue.add(reader)
            return
        if kind == names.KIND:
            self._store.drop_app(key, uid)
        elif kind == "Pod":
            self._store.drop_pod(uid)
        else:
            self._store.drop_child(key, kind, uid)
        self._queue.add(key)

    def _object(self, event: Event) -> Mapping[str, Any]:
        if event["type"] is None:
            self.relisted.set()
        found: Mapping[str, Any] = event["object"]
        return found

    def _news(self, key: AppKey) -> None:
        if self._store.app(key) is not None:
            self._queue.add(key, self._debounce)
