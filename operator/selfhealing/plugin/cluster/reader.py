"""Reads apps with everything that is shown of them."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final, Protocol

from selfhealing.api import names
from selfhealing.api.text import clean_line, join_first
from selfhealing.kube.errors import ApiError, ForbiddenError, NotFoundError
from selfhealing.kube.resources import (
    APPS,
    CHILDREN,
    CONTROLLER_REVISIONS,
    EVENTS,
    PODS,
    REPLICA_SETS,
    Resource,
)
from selfhealing.plugin.cluster.kubectl_proxy import ObjectList
from selfhealing.plugin.errors import PluginError
from selfhealing.plugin.view.objects import AppObjects

MAX_POD_EVENTS: Final = 2000
"""Events about pods of a namespace that are looked through for those of the app."""

MAX_NAMED: Final = 10
"""Apps that are named when the one that was asked for does not exist."""

_NO_KIND: Final = (
    "this cluster has no SelfHealingApps: is it the right --context, and is the operator installed?"
)

_CONNECTIONS: Final = 6
"""Requests at the same time."""

Json = dict[str, Any]


class Cluster(Protocol):
    """What is needed of the API server; ``KubectlProxy`` has it."""

    @property
    def now(self) -> datetime:
        """The API server's time."""

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """Read an object."""

    def list(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        labels: str = "",
        fields: str = "",
        max_items: int = 5000,
    ) -> ObjectList:
        """Read the objects of a kind."""


class AppNotFoundError(PluginError):
    """There is no such app; the message says what to write instead."""


def list_apps(cluster: Cluster, namespace: str | None) -> list[AppObjects]:
    """Read all apps of a namespace, each without what belongs to it.

    Args:
        cluster: the API server.
        namespace: where; None for everywhere.

    Raises:
        AppNotFoundError: the cluster has no such kind.
        ApiError: they cannot be read.
    """
    try:
        found = cluster.list(APPS, namespace)
    except NotFoundError as error:
        raise AppNotFoundError(_NO_KIND) from error
    gaps = ("there are more apps than are shown: choose a namespace",) if found.is_cut else ()
    return [AppObjects(app=raw, read_at=cluster.now, gaps=gaps) for raw in found.items]


def read_app(cluster: Cluster, namespace: str, name: str) -> AppObjects:
    """Read an app with its children, ReplicaSets, pods, saved revisions and Events.

    What cannot be read, for want of a right, is named in ``gaps``.

    Raises:
        AppNotFoundError: there is no app of this name.
        ApiError: the app itself cannot be read.
    """
    try:
        app = cluster.get(APPS, namespace, name)
    except NotFoundError as error:
        raise describe_missing_app(cluster, namespace, name) from error
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        return _Reader(cluster, namespace, name, pool).read(app)


class _Reader:
    """Reads what belongs to one app, several things at a time, and notes what it may not read."""

    def __init__(
        self, cluster: Cluster, namespace: str, name: str, pool: ThreadPoolExecutor
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._name = name
        self._pool = pool
        self._gaps: dict[str, None] = {}

    def read(self, app: Json) -> AppObjects:
        """Read everything but the app."""
        own = f"{names.LABEL_APP}={self._name}"
        isolated = f"{names.LABEL_QUARANTINED}={self._name}"
        children = [self._pool.submit(self._get_child, resource) for resource in CHILDREN.values()]
        replica_sets = self._submit_list(REPLICA_SETS, labels=own)
        pods = self._submit_list(PODS, labels=own)
        isolated_pods = self._submit_list(PODS, labels=isolated)
        saved = self._submit_list(CONTROLLER_REVISIONS, labels=own)
        own_events = self._submit_list(EVENTS, fields=f"involvedObject.name={self._name}")
        pod_events = self._submit_list(
            EVENTS, fields="involvedObject.kind=Pod", max_items=MAX_POD_EVENTS
        )
        found = [child for each in children if (child := each.result()) is not None]
        all_pods = [*pods.result(), *isolated_pods.result()]
        return AppObjects(
            app=app,
            read_at=self._cluster.now,
            children={child["kind"]: child for child in found},
            replica_sets=replica_sets.result(),
            pods=all_pods,
            controller_revisions=saved.result(),
            events=[
                *_select_own([app, *found], own_events.result()),
                *_select_of_pods([*all_pods, *replica_sets.result()], pod_events.result()),
            ],
            gaps=tuple(self._gaps),
        )

    def _get_child(self, resource: Resource) -> Json | None:
        try:
            child = self._cluster.get(resource, self._namespace, self._name)
        except NotFoundError:  # also of a kind that the cluster does not serve
            return None
        except ApiError as error:
            self._note_gap(f"the {resource.kind}", resource, error)
            return None
        return {"apiVersion": resource.api_version, "kind": resource.kind, **child}

    def _submit_list(
        self, resource: Resource, *, labels: str = "", fields: str = "", max_items: int = 5000
    ) -> Future[list[Json]]:
        return self._pool.submit(self._list, resource, labels, fields, max_items)

    def _list(self, resource: Resource, labels: str, fields: str, max_items: int) -> list[Json]:
        try:
            found = self._cluster.list(
                resource, self._namespace, labels=labels, fields=fields, max_items=max_items
            )
        except ApiError as error:
            self._note_gap(resource.plural, resource, error)
            return []
        if found.is_cut:
            self._gaps[f"not all {resource.plural} of {self._namespace} were read"] = None
        return found.items

    def _note_gap(self, what: str, resource: Resource, error: ApiError) -> None:
        if isinstance(error, ForbiddenError):
            text = (
                f"{what} cannot be shown: you may not read {resource.plural} in {self._namespace}"
            )
        else:
            text = f"{what} cannot be shown: {error.message}"
        self._gaps[text] = None


def _select_own(objects: Sequence[Json], events: Iterable[Json]) -> list[Json]:
    """Select the Events about these objects: others may have had the same name."""
    uids = {each["metadata"]["uid"] for each in objects}
    return [raw for raw in events if (raw.get("involvedObject") or {}).get("uid") in uids]


def _select_of_pods(objects: Sequence[Json], events: Iterable[Json]) -> list[Json]:
    """Select the Events about these pods, and about pods of these ReplicaSets that are gone."""
    uids = {each["metadata"]["uid"] for each in objects}
    prefixes = tuple(
        f"{each['metadata']['name']}-" for each in objects if each["kind"] == REPLICA_SETS.kind
    )
    return [
        raw
        for raw in events
        if (target := raw.get("involvedObject") or {}).get("uid") in uids
        or target.get("name", "").startswith(prefixes)
    ]


def describe_missing_app(cluster: Cluster, namespace: str, name: str) -> AppNotFoundError:
    """Return the error for an app that does not exist, with the names that do."""
    try:
        found = cluster.list(APPS, namespace, max_items=MAX_NAMED)
    except NotFoundError:
        return AppNotFoundError(_NO_KIND)
    except ApiError:  # the first error is the one that matters
        return AppNotFoundError(f"there is no SelfHealingApp {name} in {namespace}")
    listed = sorted(clean_line(raw["metadata"]["name"]) for raw in found.items)
    if not listed:
        return AppNotFoundError(
            f"there is no SelfHealingApp in {namespace}; choose another namespace with -n, "
            "or list all with: kubectl selfheal status -A"
        )
    return AppNotFoundError(
        f"there is no SelfHealingApp {name} in {namespace}; there are: "
        f"{join_first(listed, MAX_NAMED)}"
    )
