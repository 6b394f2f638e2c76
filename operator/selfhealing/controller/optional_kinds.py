"""Kinds that a cluster may not serve: they are polled, and only while an app asks for one.

kopf starts a watch when a kind becomes served only if it may watch CRDs in the whole cluster, and a
watch of a kind that is removed ends in an error. A list every POLL_INTERVAL is enough for objects
that change once a minute, and shows whether the kind is served.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from selfhealing.api import names
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.event_handlers import EventHandlers
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, NotFoundError
from selfhealing.kube.resources import OPTIONAL_CHILDREN, Resource

logger = logging.getLogger(__name__)

POLL_INTERVAL: Final = 10.0
"""Seconds between two lists, if they take no longer than a tenth of it."""

PAUSE_RATIO: Final = 10
"""How many times as long as the lists took nothing is listed: anybody may create many large objects
of these kinds."""

MAX_POLL_INTERVAL: Final = 300.0

REQUESTED_BY: Final[Mapping[str, bytes]] = {
    "VerticalPodAutoscaler": b'"verticalScaling":',
    "HTTPRoute": b'"route":',
    "PodMonitor": b'"monitoring":',
}
"""By kind, the text in the stored spec of an app that asks for it. The same text in another field
only costs a list."""


class OptionalKinds:
    """Lists the objects of optional kinds into the store, and knows which kinds are served."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts that it works with
        self,
        client: Client,
        store: Store,
        event_handlers: EventHandlers,
        queue: WorkQueue[AppKey],
        namespaces: Sequence[str],
        clock: Callable[[], float],
    ) -> None:
        """List in ``namespaces``, none means all; ``clock`` returns monotonic seconds."""
        self._client = client
        self._store = store
        self._event_handlers = event_handlers
        self._queue = queue
        self._namespaces: Sequence[str | None] = namespaces or (None,)
        self._clock = clock
        self._pause = POLL_INTERVAL
        self._missing_since: dict[str, float] = {}
        """By kind that is not served, the time of the last list that showed it."""

    def is_missing(self, kind: str) -> bool:
        """Return whether a recent list showed that a kind is not served."""
        missing_since = self._missing_since.get(kind)
        return missing_since is not None and self._clock() - missing_since < 2 * self._pause

    async def run(self) -> None:
        """List the kinds that apps ask for or have objects of, for ever."""
        while True:
            await asyncio.sleep(self._pause)
            started = self._clock()
            for resource in OPTIONAL_CHILDREN:
                if self._find_requesting_apps(resource.kind) or self._store.uids(resource.kind):
                    await self._list_kind(resource)
            pause = max(POLL_INTERVAL, PAUSE_RATIO * (self._clock() - started))
            self._pause = min(pause, MAX_POLL_INTERVAL)

    async def list_all(self) -> None:
        """List every kind once: an app that asked for it earlier may have left objects."""
        for resource in OPTIONAL_CHILDREN:
            await self._list_kind(resource)

    def _find_requesting_apps(self, kind: str) -> list[AppKey]:
        return [app.key for app in self._store.apps() if REQUESTED_BY[kind] in app.spec]

    async def _list_kind(self, resource: Resource) -> None:
        kind = resource.kind
        # Only objects that were stored before the list was made can be stale.
        stored = self._store.uids(kind)
        listed: set[str] = set()
        failed: set[str | None] = set()
        for namespace in self._namespaces:
            if namespace in self._store.refused_namespaces:
                failed.add(namespace)
                continue
            try:
                async for item in self._client.list_objects(resource, namespace, names.LABEL_APP):
                    listed.add(item["metadata"]["uid"])
                    self._event_handlers.on_child(
                        {"type": "MODIFIED", "object": {**item, "kind": kind}}
                    )
            except NotFoundError:
                self._set_served(kind, is_served=False)
                break
            except ApiError as error:
                failed.add(namespace)
                logger.warning(
                    "could not list all objects of kind %s in %s, retry in %.0f s: %s",
                    kind,
                    namespace or "the cluster",
                    self._pause,
                    error,
                )
        else:
            if len(failed) < len(self._namespaces):
                self._set_served(kind, is_served=True)
        for uid, key in stored.items():
            if uid not in listed and not failed & {None, key.namespace}:
                self._event_handlers.on_missing(kind, uid, key)

    def _set_served(self, kind: str, *, is_served: bool) -> None:
        """Note whether a kind is served; when that changes, enqueue the apps that ask for it."""
        was_missing = kind in self._missing_since
        if is_served:
            self._missing_since.pop(kind, None)
        else:
            self._missing_since[kind] = self._clock()
        if was_missing == is_served:
            requesting = self._find_requesting_apps(kind)
            if requesting:
                logger.info(
                    "the kind %s %s", kind, "is served now" if is_served else "is not served"
                )
            for key in requesting:
                self._queue.add(key)
