"""The slim store of everything that is watched, by app.

It takes views and gives Facts. An older version of an object never replaces a newer one, and one
that is gone stays gone, so that the answer to a write may be stored at once and the watch may bring
the same, or less, later.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Final, TypeVar

from selfhealing.api import names
from selfhealing.api.config import CONFIG_KINDS
from selfhealing.cache.config_digests import Configs
from selfhealing.cache.snapshot import Facts
from selfhealing.cache.views import AppKey, AppView, ChildView, KillView, PodView

KILLS_LIMIT: Final = 4096
"""Probe kills that are kept; those of pods that are not ours pass through here too."""

GONE_LIMIT: Final = 4096
"""Objects whose end is remembered, for the late answer to a write or a late watch event."""

_K = TypeVar("_K")
_V = TypeVar("_V", AppView, ChildView, PodView)


class Store:
    """Apps, children, pods and probe kills. Not thread-safe: one event loop owns it.

    Attributes:
        configs: what the pods are configured by.
    """

    def __init__(self) -> None:
        self.configs = Configs()
        self._apps: dict[AppKey, AppView] = {}
        self._children: dict[AppKey, dict[str, ChildView]] = {}
        self._pods: dict[AppKey, dict[str, PodView]] = {}
        self._app_of_pod: dict[str, AppKey] = {}
        self._departed: dict[AppKey, dict[str, PodView]] = {}
        self._kills: OrderedDict[tuple[str, str], KillView] = OrderedDict()
        self._stops: OrderedDict[tuple[str, str], KillView] = OrderedDict()
        """Kills without a word of a probe, kept apart: every pod that is deleted has one."""
        self._gone: OrderedDict[str, int] = OrderedDict()

    # Each put_* returns whether something changed.

    def put_app(self, view: AppView) -> bool:
        """Store an app."""
        return self._put(self._apps, view.key, view)

    def put_child(self, key: AppKey, view: ChildView) -> bool:
        """Store a child of ``key``."""
        return self._put_below(self._children, key, view.kind, view)

    def put_pod(self, key: AppKey, view: PodView) -> bool:
        """Store a pod of ``key``; a pod whose label was changed leaves its former app."""
        former = self._app_of_pod.get(view.uid)
        if former is not None and former != key:
            self._take_pod(former, view.uid)
            del self._app_of_pod[view.uid]
        changed = self._put_below(self._pods, key, view.uid, view)
        if view.uid in self._pods.get(key, {}):
            self._app_of_pod[view.uid] = key
        return changed

    def put_kill(self, view: KillView) -> AppKey | None:
        """Store a kill; returns the app whose pod it was, if that is known and it is news."""
        key = self._app_of_pod.get(view.pod_uid)
        if not view.probe and key is not None and self._pods[key][view.pod_uid].restarts_it:
            return None  # the kubelet would have named the probe
        held = self._kills if view.probe else self._stops
        slot = (view.pod_uid, view.container)
        known = held.get(slot)
        if known is not None and known.at >= view.at:
            return None
        held[slot] = view
        held.move_to_end(slot)
        if len(held) > KILLS_LIMIT:
            held.popitem(last=False)
        return key

    # Each drop_* takes the version at which the object went, where that is known: only what is
    # older stays away. A pod or a child may come back with a newer one, when its label does.

    def drop_app(self, key: AppKey, uid: str, version: int = 0) -> None:
        """Forget an app, if it is still the one with ``uid``."""
        held = self._apps.get(key)
        if held is not None and held.uid == uid:
            del self._apps[key]
            version = max(version, held.resource_version)
            self.settle(key, tuple(self._departed.get(key, {}).values()))
            self.configs.refer(key, frozenset())
        self._bury(uid, version)

    def drop_child(self, key: AppKey, kind: str, uid: str, version: int = 0) -> None:
        """Forget a child, if it is still the one with ``uid``."""
        children = self._children.get(key, {})
        held = children.get(kind)
        if held is not None and held.uid == uid:
            del children[kind]
            version = max(version, held.resource_version)
            if not children:
                del self._children[key]
        self._bury(uid, version)

    def drop_pod(self, uid: str, version: int = 0) -> AppKey | None:
        """Forget a pod and its probe kills; returns the app that it belonged to.

        One whose containers were restarted is remembered as departed until that is accounted for.
        """
        key = self._app_of_pod.pop(uid, None)
        if key is not None:
            held = self._take_pod(key, uid)
            version = max(version, held.resource_version)
            self._departed.setdefault(key, {})[uid] = held
            if key not in self._apps or not any(c.restarts for c in held.containers):
                self.settle(key, (held,))
        self._bury(uid, version)
        return key

    def settle(self, key: AppKey, departed: Iterable[PodView]) -> None:
        """Forget pods that are gone, and their probe kills: their restarts are accounted for."""
        held = self._departed.get(key, {})
        for pod in departed:
            held.pop(pod.uid, None)
            for container in pod.containers:
                for kills in (self._kills, self._stops):
                    kills.pop((pod.uid, container.name), None)
        if not held:
            self._departed.pop(key, None)

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
            return self.configs.uids(kind)
        return {held[kind].uid: key for key, held in self._children.items() if kind in held}

    def facts(self, key: AppKey) -> Facts | None:
        """Everything known of one app, in an order that does not depend on when it came.

        Returns:
            The facts, or None if there is no such app.
        """
        app = self._apps.get(key)
        if app is None:
            return None
        pods = _ordered(self._pods.get(key, {}).values())
        departed = _ordered(self._departed.get(key, {}).values())
        return Facts(
            app=app,
            children=dict(self._children.get(key, {})),
            pods=pods,
            departed=departed,
            config=self.configs.of(key),
            kills=tuple(
                kill
                for pod in (*pods, *departed)
                for container in pod.containers
                for held in (self._kills, self._stops)
                if (kill := held.get((pod.uid, container.name))) is not None
            ),
        )

    def _put(self, held: dict[_K, _V], key: _K, view: _V) -> bool:
        """Store ``view`` unless it is older; returns whether it says anything new.

        Versions order within a kind, whichever object they belong to (see ``parse.version``).
        """
        known = held.get(key)
        if self._gone.get(view.uid, -1) >= view.resource_version:
            return False
        if known is not None and known.resource_version > view.resource_version:
            return False
        held[key] = view
        return known is None or replace(known, resource_version=view.resource_version) != view

    def _put_below(
        self, held: dict[AppKey, dict[str, _V]], key: AppKey, slot: str, view: _V
    ) -> bool:
        below = held.get(key, {})
        changed = self._put(below, slot, view)
        if below:
            held[key] = below
        return changed

    def _bury(self, uid: str, version: int) -> None:
        self._gone[uid] = max(version, self._gone.get(uid, 0))
        self._gone.move_to_end(uid)
        if len(self._gone) > GONE_LIMIT:
            self._gone.popitem(last=False)

    def _take_pod(self, key: AppKey, uid: str) -> PodView:
        pods = self._pods[key]
        taken = pods.pop(uid)
        if not pods:
            del self._pods[key]
        return taken


def _ordered(pods: Iterable[PodView]) -> tuple[PodView, ...]:
    return tuple(sorted(pods, key=lambda pod: (pod.name, pod.uid)))
