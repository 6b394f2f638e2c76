"""The slim store of everything that is watched, by app.

It takes views and gives Facts. An older version of an object never replaces a newer one, and one
that is gone stays gone, so that the answer to a write may be stored at once and the watch may bring
the same, or less, later.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Final, TypeVar

from cachetools import FIFOCache

from selfhealing.api import names
from selfhealing.api.config_refs import CONFIG_KINDS
from selfhealing.cache.config_digests import ConfigIndex
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import AppKey, AppView, ChildView, ContainerKillEvent, PodView

MAX_KILL_EVENTS: Final = 4096
"""Probe kills that are kept; those of pods that are not ours pass through here too."""

MAX_TOMBSTONES: Final = 4096
"""Objects whose end is remembered, for the late answer to a write or a late watch event."""

_K = TypeVar("_K")
_V = TypeVar("_V", AppView, ChildView, PodView)


class Store:
    """Apps, children, pods and probe kills. Not thread-safe: one event loop owns it.

    Attributes:
        configs: what the pods are configured by.
    """

    def __init__(self) -> None:
        self.config_index = ConfigIndex()
        self._apps: dict[AppKey, AppView] = {}
        self._children: dict[AppKey, dict[str, ChildView]] = {}
        self._pods: dict[AppKey, dict[str, PodView]] = {}
        self._app_of_pod: dict[str, AppKey] = {}
        self._deleted_pods: dict[AppKey, dict[str, PodView]] = {}
        self._probe_kills: FIFOCache[tuple[str, str], ContainerKillEvent] = FIFOCache(
            MAX_KILL_EVENTS
        )
        self._unattributed_kills: FIFOCache[tuple[str, str], ContainerKillEvent] = FIFOCache(
            MAX_KILL_EVENTS
        )
        """Kills without a word of a probe, kept apart: every pod that is deleted has one."""
        self._tombstones: FIFOCache[str, int] = FIFOCache(MAX_TOMBSTONES)

    # Each put_* returns whether something changed.

    def upsert_app(self, view: AppView) -> bool:
        """Store an app."""
        return self._upsert(self._apps, view.key, view)

    def upsert_child(self, key: AppKey, view: ChildView) -> bool:
        """Store a child of ``key``."""
        return self._upsert_nested(self._children, key, view.kind, view)

    def upsert_pod(self, key: AppKey, view: PodView) -> bool:
        """Store a pod of ``key``; a pod whose label was changed leaves its former app."""
        previous_app = self._app_of_pod.get(view.uid)
        if previous_app is not None and previous_app != key:
            self._remove_pod(previous_app, view.uid)
            del self._app_of_pod[view.uid]
        changed = self._upsert_nested(self._pods, key, view.uid, view)
        if view.uid in self._pods.get(key, {}):
            self._app_of_pod[view.uid] = key
        return changed

    def upsert_kill_event(self, event: ContainerKillEvent) -> AppKey | None:
        """Store a kill; returns the app whose pod it was, if that is known and it is news."""
        key = self._app_of_pod.get(event.pod_uid)
        if not event.probe and key is not None and self._pods[key][event.pod_uid].kubelet_restarts:
            return None  # the kubelet would have named the probe
        kills = self._probe_kills if event.probe else self._unattributed_kills
        container_key = (event.pod_uid, event.container)
        stored = kills.get(container_key)
        if stored is not None and stored.at >= event.at:
            return None
        kills[container_key] = event
        return key

    # Each drop_* takes the version at which the object went, where that is known: only what is
    # older stays away. A pod or a child may come back with a newer one, when its label does.

    def delete_app(self, key: AppKey, uid: str, resource_version: int = 0) -> None:
        """Forget an app, if it is still the one with ``uid``."""
        stored = self._apps.get(key)
        if stored is not None and stored.uid == uid:
            del self._apps[key]
            resource_version = max(resource_version, stored.resource_version)
            self.release_counted(key, tuple(self._deleted_pods.get(key, {}).values()))
            self.config_index.set_references(key, frozenset())
        self._add_tombstone(uid, resource_version)

    def delete_child(self, key: AppKey, kind: str, uid: str, resource_version: int = 0) -> None:
        """Forget a child, if it is still the one with ``uid``."""
        children = self._children.get(key, {})
        stored = children.get(kind)
        if stored is not None and stored.uid == uid:
            del children[kind]
            resource_version = max(resource_version, stored.resource_version)
            if not children:
                del self._children[key]
        self._add_tombstone(uid, resource_version)

    def delete_pod(self, uid: str, resource_version: int = 0) -> AppKey | None:
        """Forget a pod and its probe kills; returns the app that it belonged to.

        One whose containers were restarted is remembered as departed until that is accounted for.
        """
        key = self._app_of_pod.pop(uid, None)
        if key is not None:
            pod = self._remove_pod(key, uid)
            resource_version = max(resource_version, pod.resource_version)
            self._deleted_pods.setdefault(key, {})[uid] = pod
            if key not in self._apps or not any(c.restarts for c in pod.containers):
                self.release_counted(key, (pod,))
        self._add_tombstone(uid, resource_version)
        return key

    def release_counted(self, key: AppKey, pods: Iterable[PodView]) -> None:
        """Forget pods that are gone, and their probe kills: their restarts are accounted for."""
        deleted = self._deleted_pods.get(key, {})
        for pod in pods:
            deleted.pop(pod.uid, None)
            for container in pod.containers:
                for kills in (self._probe_kills, self._unattributed_kills):
                    kills.pop((pod.uid, container.name), None)
        if not deleted:
            self._deleted_pods.pop(key, None)

    def keys(self) -> Collection[AppKey]:
        """The keys of all apps."""
        return self._apps.keys()

    def apps(self) -> Iterator[AppView]:
        """All apps."""
        return iter(self._apps.values())

    def app(self, key: AppKey) -> AppView | None:
        """One app."""
        return self._apps.get(key)

    def uids(self, kind: str) -> dict[str, AppKey]:
        """The uid and the app of every stored object of ``kind``, to be compared with a list.

        A ConfigMap or a Secret is no one app's: it goes by its own namespace and name.
        """
        if kind == names.KIND:
            return {view.uid: key for key, view in self._apps.items()}
        if kind == "Pod":
            return dict(self._app_of_pod)
        if kind in CONFIG_KINDS:
            return self.config_index.uids(kind)
        return {
            children[kind].uid: key for key, children in self._children.items() if kind in children
        }

    def snapshot(self, key: AppKey) -> AppSnapshot | None:
        """Everything known of one app, in an order that does not depend on when it came.

        Returns:
            The facts, or None if there is no such app.
        """
        app = self._apps.get(key)
        if app is None:
            return None
        pods = _sort_pods(self._pods.get(key, {}).values())
        deleted_pods = _sort_pods(self._deleted_pods.get(key, {}).values())
        return AppSnapshot(
            app=app,
            children=dict(self._children.get(key, {})),
            pods=pods,
            deleted_pods=deleted_pods,
            config_digests=self.config_index.digests_for(key),
            kill_events=tuple(
                kill
                for pod in (*pods, *deleted_pods)
                for container in pod.containers
                for kills in (self._probe_kills, self._unattributed_kills)
                if (kill := kills.get((pod.uid, container.name))) is not None
            ),
        )

    def _upsert(self, objects: dict[_K, _V], key: _K, view: _V) -> bool:
        """Store ``view`` unless it is older; returns whether it says anything new.

        Versions order within a kind, whichever object they belong to (see ``parse.version``).
        """
        stored = objects.get(key)
        if self._tombstones.get(view.uid, -1) >= view.resource_version:
            return False
        if stored is not None and stored.resource_version > view.resource_version:
            return False
        objects[key] = view
        return stored is None or replace(stored, resource_version=view.resource_version) != view

    def _upsert_nested(
        self, objects_by_app: dict[AppKey, dict[str, _V]], key: AppKey, object_key: str, view: _V
    ) -> bool:
        objects = objects_by_app.get(key, {})
        changed = self._upsert(objects, object_key, view)
        if objects:
            objects_by_app[key] = objects
        return changed

    def _add_tombstone(self, uid: str, resource_version: int) -> None:
        self._tombstones[uid] = max(resource_version, self._tombstones.get(uid, 0))

    def _remove_pod(self, key: AppKey, uid: str) -> PodView:
        pods = self._pods[key]
        pod = pods.pop(uid)
        if not pods:
            del self._pods[key]
        return pod


def _sort_pods(pods: Iterable[PodView]) -> tuple[PodView, ...]:
    return tuple(sorted(pods, key=lambda pod: (pod.name, pod.uid)))
