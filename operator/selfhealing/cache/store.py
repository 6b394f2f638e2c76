"""The views of all watched objects, by app.

An older version of an object never replaces a newer one, and a deleted object does not come back.
So the response to a write can be stored at once, although the watch delivers the same version, or
an older one, later.

Pods are stored by their label, and are an app's only if a chain of controllers leads to the app
(``cache.ownership``). That is decided whenever a part of the chain arrives, and stays decided when
a part of it goes before the pod.

Of a child that is too large only the fields of its view are kept, whoever owns it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from cachetools import FIFOCache

from selfhealing.api import names
from selfhealing.cache.child_views import bound_manifest, drop_manifest
from selfhealing.cache.config_digests import ConfigIndex
from selfhealing.cache.event_views import ContainerKillEvent, PodEvent
from selfhealing.cache.ownership import OwnershipProof, prove_ownership
from selfhealing.cache.pod_events import PodEvents
from selfhealing.cache.ready_losses import ReadyLosses
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import AppKey, AppView, ChildView, ForeignPod, PodView, ReplicaSetView

MAX_FOREIGN_PODS: Final = 10
"""Foreign pods of one app that a snapshot names."""

MAX_EARLY_MANIFEST_BYTES: Final = 32 * 1024 * 1024
"""The most that is kept of the manifests of children whose app is not known, or not known yet:
those of 4,000 apps. Anybody may create objects with the label of an app that does not exist."""

MAX_TOMBSTONES: Final = 4096
"""Deleted objects that are remembered, so that a late response or watch event does not restore
them."""

_K = TypeVar("_K")
_V = TypeVar("_V", AppView, ChildView, PodView, ReplicaSetView)


class Store:
    """Apps, children, pods and their Events. Not thread-safe: one event loop owns it.

    Attributes:
        config_index: the ConfigMaps and Secrets that apps refer to, with their digests.
        refused_namespaces: those that refuse the operator: what is stored of them may be old.
    """

    def __init__(self) -> None:
        self.config_index = ConfigIndex()
        self.refused_namespaces: set[str] = set()
        self._apps: dict[AppKey, AppView] = {}
        self._children: dict[AppKey, dict[str, ChildView]] = {}
        self._early_bytes: dict[AppKey, int] = {}
        """Bytes of the manifests that are kept of children whose app is not known."""
        self._early_total = 0
        self._pods: dict[AppKey, dict[str, PodView]] = {}
        self._app_of_pod: dict[str, AppKey] = {}
        self._replica_sets: dict[str, ReplicaSetView] = {}
        self._app_of_replica_set: dict[str, AppKey] = {}
        self._proofs: dict[str, OwnershipProof] = {}
        """By the UID of a pod. A pod without one is foreign, or a part of its chain is unknown."""
        self._deleted_pods: dict[AppKey, dict[str, PodView]] = {}
        self._app_of_deleted_pod: dict[str, AppKey] = {}
        self._pod_events = PodEvents()
        self._ready_losses = ReadyLosses()
        self._tombstones: FIFOCache[str, int] = FIFOCache(MAX_TOMBSTONES)
        self._unreadable: FIFOCache[str, None] = FIFOCache(MAX_TOMBSTONES)

    # Each upsert_* returns whether something changed.

    def upsert_app(self, view: AppView) -> bool:
        """Store an app."""
        changed = self._upsert(self._apps, view.key, view)
        if changed:
            self._bound_children(view.key)
            self._prove_pods(view.key)
        return changed

    def upsert_child(self, key: AppKey, view: ChildView) -> bool:
        """Store a child of ``key``, without a manifest that is too large or not the app's own."""
        view = self._bound_child(key, view)
        changed = self._upsert_nested(self._children, key, view.kind, view)
        self._count_early(key)
        if changed and view.kind in names.WORKLOAD_KINDS:
            self._prove_pods(key)
        return changed

    def upsert_replica_set(self, key: AppKey, view: ReplicaSetView) -> bool:
        """Store a ReplicaSet with the label of ``key``."""
        changed = self._upsert(self._replica_sets, view.uid, view)
        if view.uid in self._replica_sets:
            self._app_of_replica_set[view.uid] = key
        if changed:
            self._prove_pods(key)
        return changed

    def upsert_pod(self, key: AppKey, view: PodView) -> bool:
        """Store a pod of ``key``; a pod whose label has changed is removed from its former app."""
        previous_app = self._app_of_pod.get(view.uid)
        if previous_app is not None and previous_app != key:
            self._remove_pod(previous_app, view.uid)
            del self._app_of_pod[view.uid]
        before = self._pods.get(key, {}).get(view.uid)
        changed = self._upsert_nested(self._pods, key, view.uid, view)
        if view.uid in self._pods.get(key, {}):
            self._app_of_pod[view.uid] = key
            self._prove_pod(key, self._pods[key][view.uid])
        if changed and before is not None:
            self._ready_losses.note_change(before, view)
        return changed

    def upsert_pod_event(self, event: PodEvent) -> AppKey | None:
        """Store an Event about a pod of an app.

        Returns:
            The app of the pod; None if the pod is unknown or foreign, or the Event is not new or is
            from another namespace.
        """
        uid = event.pod_uid
        key = self._app_of_pod.get(uid) or self._app_of_deleted_pod.get(uid)
        if key is None or event.namespace != key.namespace:
            return None
        pod = self._pods.get(key, {}).get(uid) or self._deleted_pods[key][uid]
        if isinstance(event, ContainerKillEvent) and not event.probe and pod.kubelet_restarts:
            return None  # the pod is being deleted: for a failed probe the Event names the probe
        is_new = self._pod_events.add(event)
        is_proved = uid in self._proofs or uid in self._app_of_deleted_pod
        return key if is_new and is_proved else None

    # Each delete_* takes the resource version of the deletion, if known. Only older versions are
    # rejected afterwards: a pod or child whose label is restored comes back with a newer one.

    def delete_app(self, key: AppKey, uid: str, resource_version: int = 0) -> None:
        """Remove an app, if its UID is ``uid``."""
        stored = self._apps.get(key)
        if stored is not None and stored.uid == uid:
            del self._apps[key]
            resource_version = max(resource_version, stored.resource_version)
            self._bound_children(key)
            self.release_counted(key, tuple(self._deleted_pods.get(key, {}).values()))
            self.config_index.set_references(key, {})
        self._add_tombstone(uid, resource_version)

    def delete_child(self, key: AppKey, kind: str, uid: str, resource_version: int = 0) -> None:
        """Remove a child, if its UID is ``uid``."""
        children = self._children.get(key, {})
        stored = children.get(kind)
        if stored is not None and stored.uid == uid:
            del children[kind]
            resource_version = max(resource_version, stored.resource_version)
            if not children:
                del self._children[key]
            self._count_early(key)
        self._add_tombstone(uid, resource_version)

    def delete_replica_set(self, uid: str, resource_version: int = 0) -> None:
        """Remove a ReplicaSet. The pods that it has proved to be an app's stay proved."""
        stored = self._replica_sets.pop(uid, None)
        self._app_of_replica_set.pop(uid, None)
        if stored is not None:
            resource_version = max(resource_version, stored.resource_version)
        self._add_tombstone(uid, resource_version)

    def delete_pod(self, uid: str, resource_version: int = 0) -> AppKey | None:
        """Remove a pod and its Events.

        A pod of the app with restarts stays among the deleted pods until ``release_counted`` is
        called.

        Returns:
            The app that the pod belonged to; None if the pod is unknown.
        """
        key = self._app_of_pod.pop(uid, None)
        if key is not None:
            is_proved = uid in self._proofs
            pod = self._remove_pod(key, uid)
            resource_version = max(resource_version, pod.resource_version)
            if is_proved and key in self._apps and any(c.restarts for c in pod.containers):
                self._deleted_pods.setdefault(key, {})[uid] = pod
                self._app_of_deleted_pod[uid] = key
            else:
                self._pod_events.forget(uid)
        self._add_tombstone(uid, resource_version)
        return key

    def release_counted(self, key: AppKey, pods: Iterable[PodView]) -> None:
        """Remove deleted pods and their Events once their restarts are counted."""
        deleted = self._deleted_pods.get(key, {})
        for pod in pods:
            deleted.pop(pod.uid, None)
            if self._app_of_deleted_pod.pop(pod.uid, None) is not None:
                self._pod_events.forget(pod.uid)
        if not deleted:
            self._deleted_pods.pop(key, None)

    def keys(self) -> Collection[AppKey]:
        """Return the keys of all apps."""
        return self._apps.keys()

    def apps(self) -> Iterator[AppView]:
        """Iterate over all apps."""
        return iter(self._apps.values())

    def app(self, key: AppKey) -> AppView | None:
        """Return one app; None if it is unknown."""
        return self._apps.get(key)

    def uids(self, kind: str) -> dict[str, AppKey]:
        """Return the UIDs of all stored objects of a kind, to compare them with a list.

        Returns:
            By UID the app of the object.
        """
        if kind == names.KIND:
            return {view.uid: key for key, view in self._apps.items()}
        if kind == "Pod":
            return dict(self._app_of_pod)
        if kind == "ReplicaSet":
            return dict(self._app_of_replica_set)
        return {
            children[kind].uid: key for key, children in self._children.items() if kind in children
        }

    def has_handled(self, uid: str) -> bool:
        """Whether an object was removed, or cannot be parsed: the watches have delivered it."""
        return uid in self._tombstones or uid in self._unreadable

    def note_unreadable(self, uid: str) -> None:
        """Note an object that the watches deliver and that cannot be parsed."""
        self._unreadable[uid] = None

    def has_pod(self, uid: str) -> bool:
        """Whether a pod is known."""
        return uid in self._app_of_pod

    def children_of(self, key: AppKey) -> Mapping[str, ChildView] | None:
        """Return the children of one app, by kind; None if the app is unknown."""
        return self._children.get(key, {}) if key in self._apps else None

    def snapshot(self, key: AppKey) -> AppSnapshot | None:
        """Return all views of one app, in an order that does not depend on their arrival.

        Returns:
            The snapshot; None if the app is unknown.
        """
        app = self._apps.get(key)
        if app is None:
            return None
        labelled = _sort_pods(self._pods.get(key, {}).values())
        pods = tuple(pod for pod in labelled if pod.uid in self._proofs)
        foreign_pods = [
            ForeignPod(pod.name, pod.uid, pod.created)
            for pod in labelled
            if pod.uid not in self._proofs and not pod.deleting
        ]
        deleted_pods = _sort_pods(self._deleted_pods.get(key, {}).values())
        return AppSnapshot(
            app=app,
            children=dict(self._children.get(key, {})),
            pods=pods,
            deleted_pods=deleted_pods,
            foreign_pods=tuple(sorted(foreign_pods, key=_age_sort_key)[:MAX_FOREIGN_PODS]),
            foreign_pod_count=len(foreign_pods),
            config_digests=self.config_index.digests_for(key),
            kill_events=tuple(self._pod_events.find_kills((*pods, *deleted_pods))),
            probe_failures=tuple(self._pod_events.find_probe_failures(pods)),
            pod_warnings=tuple(self._pod_events.find_warnings(pods)),
            ready_losses=self._ready_losses.find(pods),
        )

    def _prove_pods(self, key: AppKey) -> None:
        for pod in self._pods.get(key, {}).values():
            self._prove_pod(key, pod)

    def _prove_pod(self, key: AppKey, pod: PodView) -> None:
        """Decide whether a pod is the app's; a proof holds until the app or the controller changes.

        A pod that its controller has released is the app's no longer.
        """
        app = self._apps.get(key)
        if app is None:
            self._proofs.pop(pod.uid, None)
            return
        if self._proofs.get(pod.uid) == (app.uid, pod.controller_uid):
            return
        proof = prove_ownership(pod, app.uid, self._children.get(key, {}), self._replica_sets)
        if proof is None:
            self._proofs.pop(pod.uid, None)
        else:
            self._proofs[pod.uid] = proof

    def _upsert(self, objects: dict[_K, _V], key: _K, view: _V) -> bool:
        """Store ``view`` unless a newer version is stored; return whether its content is new.

        Resource versions of one kind are comparable, also between different objects (see
        ``parse_resource_version``).
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

    def _bound_child(self, key: AppKey, view: ChildView) -> ChildView:
        """Return a child without its manifest, unless it belongs to the app.

        The manifest of another one is read when it is needed (``child_diff.is_manifest_needed``). A
        child may come before its app: then its manifest is kept as long as there is room.
        """
        app = self._apps.get(key)
        if app is not None:
            is_kept = view.owner_uid == app.uid
        else:
            others = self._early_total - self._early_bytes.get(key, 0)
            is_kept = others + len(view.manifest_json) <= MAX_EARLY_MANIFEST_BYTES
        return bound_manifest(view) if is_kept else drop_manifest(view)

    def _bound_children(self, key: AppKey) -> None:
        """Bound the children of an app that has come or gone."""
        children = self._children.get(key, {})
        for kind, child in children.items():
            children[kind] = self._bound_child(key, child)
        self._count_early(key)

    def _count_early(self, key: AppKey) -> None:
        """Count what is kept of the children of an app that is not known."""
        is_early = key not in self._apps
        children = self._children.get(key, {}).values() if is_early else ()
        size = sum(len(child.manifest_json) for child in children)
        self._early_total += size - self._early_bytes.pop(key, 0)
        if size:
            self._early_bytes[key] = size

    def _add_tombstone(self, uid: str, resource_version: int) -> None:
        self._tombstones[uid] = max(resource_version, self._tombstones.get(uid, 0))

    def _remove_pod(self, key: AppKey, uid: str) -> PodView:
        pods = self._pods[key]
        pod = pods.pop(uid)
        self._proofs.pop(uid, None)
        self._ready_losses.forget(uid)
        if not pods:
            del self._pods[key]
        return pod


def _age_sort_key(pod: ForeignPod) -> tuple[str, str]:
    return str(pod.created), pod.name


def _sort_pods(pods: Iterable[PodView]) -> tuple[PodView, ...]:
    return tuple(sorted(pods, key=lambda pod: (pod.name, pod.uid)))
