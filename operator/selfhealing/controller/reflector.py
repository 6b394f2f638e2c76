"""Lists the objects of a kind and watches them, and passes each to a handler (docs/adr/0021).

As client-go's reflector, but nothing is stored here: the handler keeps what it needs. kopf watches
the apps only; it holds whole objects, and cannot ask for metadata.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Final, Protocol

from selfhealing.controller.backoff import Backoff
from selfhealing.controller.event_handlers import WatchEvent
from selfhealing.controller.namespace_access import NamespaceAccess
from selfhealing.kube.client import Client, Selection
from selfhealing.kube.errors import ApiError, UnavailableError, is_refusal
from selfhealing.kube.metrics import WATCH_FAILURES

logger = logging.getLogger(__name__)

BACKOFF_INITIAL: Final = 0.5
BACKOFF_MAX: Final = 30.0
"""Seconds before the first new request after a failure, and at most, as in client-go."""
BACKOFF_JITTER: Final = 0.5
STABLE_SECONDS: Final = 10.0
"""A watch that has lasted this long has worked: its end is not one more failure."""
BOOKMARK: Final = "BOOKMARK"


class WatchHandler(Protocol):
    """What a reflector tells of the objects."""

    def on_list_started(self) -> None:
        """All objects follow, each as an event without a type."""

    def on_event(self, event: WatchEvent) -> None:
        """Handle one object: ``{type, object}``. The type is None for an object of a list."""

    def on_listed(self) -> None:
        """The list is complete."""


class EventHandlerFunc:
    """A handler that needs no more than the events."""

    def __init__(self, on_event: Callable[[WatchEvent], None]) -> None:
        self.on_event = on_event

    def on_list_started(self) -> None:
        """Nothing is to be done."""

    def on_listed(self) -> None:
        """Nothing is to be done."""


class Reflector:
    """Tells a handler of every object of a selection, for ever.

    Attributes:
        listed: set after the first complete list.
    """

    def __init__(  # noqa: PLR0913 - what is watched, and who is told
        self,
        client: Client,
        selection: Selection,
        namespace: str | None,
        handler: WatchHandler,
        max_listed: int | None = None,
        *,
        access: NamespaceAccess | None = None,
    ) -> None:
        """Watch ``selection`` in ``namespace``, None means everywhere.

        ``max_listed`` limits the objects of a list that are read; all later changes are reported.
        ``access`` is told when the namespace refuses the list or the watch.
        """
        self._client = client
        self._selection = selection
        self._namespace = namespace
        self._handler = handler
        self._max_listed = max_listed
        self._access = access
        self._backoff: Backoff[None] = Backoff(
            asyncio.get_running_loop().time,
            initial=BACKOFF_INITIAL,
            maximum=BACKOFF_MAX,
            jitter=BACKOFF_JITTER,
        )
        self.listed = asyncio.Event()

    async def run(self) -> None:
        """List, then watch; list again when the watch cannot be continued."""
        while True:
            try:
                resource_version = await self._list()
                await self._watch_from(resource_version)
            except ApiError as error:
                if self._access is not None and self._namespace and is_refusal(error):
                    self._access.refuse(self._namespace, error)
                await self._wait(error)

    async def _list(self) -> str:
        """Report all objects; return the version from which the changes are watched."""
        resource = self._selection.resource
        resource_version, count = "", 0
        self._handler.on_list_started()
        async with aclosing(self._client.list_pages(self._selection, self._namespace)) as pages:
            async for page in pages:
                resource_version = page.resource_version
                count += len(page.items)
                items = iter(page.items.copy())
                page.items.clear()  # an item may be 80 MB: it must not wait for the next page
                for item in items:
                    # The API server leaves them out of the items of a typed list.
                    item.setdefault("kind", resource.kind)
                    item.setdefault("apiVersion", resource.api_version)
                    self._handle({"type": None, "object": item})
                    del item
                if self._max_listed is not None and count >= self._max_listed:
                    break
        self._handler.on_listed()
        self.listed.set()
        return resource_version

    async def _watch_from(self, resource_version: str) -> None:
        """Watch, and watch on from the last version when the connection ends or breaks."""
        clock = asyncio.get_running_loop().time
        while True:
            started, failure = clock(), None
            try:
                async with aclosing(
                    self._client.watch(self._selection, self._namespace, resource_version)
                ) as events:
                    async for event in events:
                        version = event["object"]["metadata"].get("resourceVersion")
                        resource_version = version or resource_version
                        if event["type"] != BOOKMARK:
                            self._handle(event)
                        del event  # the next one may be hours away
            except UnavailableError as error:
                failure = error
            finally:
                if clock() - started >= STABLE_SECONDS:
                    self._backoff.forget(None)
            await self._wait(failure)

    async def _wait(self, error: ApiError | None) -> None:
        """Wait for the back-off, after a failure or the end of a watch."""
        delay = self._backoff.record_failure(None)
        if error is not None:
            kind = self._selection.resource.kind
            WATCH_FAILURES.labels(kind).inc()
            logger.warning("the watch of %s failed, retry in %.1f s: %s", kind, delay, error)
        await asyncio.sleep(delay)

    def _handle(self, event: WatchEvent) -> None:
        try:
            self._handler.on_event(event)
        except Exception:  # an object that cannot be parsed must not stop the others
            logger.exception("could not handle an event of a %s", self._selection.resource.kind)
