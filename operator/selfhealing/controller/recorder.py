"""Writes Kubernetes Events: repeats are counted, many of one reason folded, and floods dropped.

Events never delay or fail a reconcile. They wait in a bounded queue, in which the namespaces take
turns; an Event that the queue or the API server refuses is counted and dropped.
"""

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from cachetools import LRUCache

from selfhealing.api import names
from selfhealing.cache.views import AppView
from selfhealing.controller.event_folder import EventFolder, FoldedEvent
from selfhealing.controller.round_robin import RoundRobin
from selfhealing.evidence.redaction import redact_message
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, NotFoundError, UnavailableError
from selfhealing.kube.metrics import EVENTS_DROPPED
from selfhealing.kube.resources import EVENT_SERIES
from selfhealing.kube.server_clock import format_micro_time
from selfhealing.status.events import Event

logger = logging.getLogger(__name__)

MAX_QUEUED_EVENTS: Final = 2000
MAX_NAMESPACE_EVENTS: Final = 200
"""The most Events of one namespace that wait: those of its apps do not displace others."""
MAX_SERIES: Final = 2000
"""The most Events whose repeats are recognised."""
SERIES_WINDOW: Final = 600.0
"""Seconds after which a repeat is a new Event: the 10 minutes of client-go's correlator."""
FOLD_POLL_INTERVAL: Final = 60.0
"""Seconds between two looks for folded Events that may be written."""


@dataclass(slots=True)
class _Series:
    name: str
    last_seen: float
    count: int


class EventRecorder:
    """Writes the Events of apps in the background."""

    def __init__(
        self, client: Client, clock: Callable[[], float], server_now: Callable[[], datetime]
    ) -> None:
        """``clock`` returns monotonic seconds, ``server_now`` the API server's time."""
        self._client = client
        self._clock = clock
        self._server_now = server_now
        self._folder = EventFolder(clock)
        self._queue: RoundRobin[str, FoldedEvent] = RoundRobin()
        self._wakeup = asyncio.Event()
        self._series: LRUCache[tuple[str, Event], _Series] = LRUCache(MAX_SERIES)
        self._instance = f"{socket.gethostname()}-{os.getpid()}"

    def record_event(self, app: AppView, event: Event) -> None:
        """Queue an Event without what may be a secret, if it is not one of many.

        It is dropped when the queue, or its namespace's part of it, is full.
        """
        event = Event(event.type, event.reason, redact_message(event.message)).truncate()
        app = replace(app, spec=b"", status=b"")  # it is kept, also when the app is deleted
        count = self._folder.admit(app, event)
        if count:
            self._enqueue(app, event, count)

    def _enqueue(self, app: AppView, event: Event, count: int) -> None:
        namespace = app.key.namespace
        if (
            len(self._queue) >= MAX_QUEUED_EVENTS
            or self._queue.count(namespace) >= MAX_NAMESPACE_EVENTS
        ):
            EVENTS_DROPPED.labels("QueueFull").inc(count)
            return
        self._queue.push(namespace, (app, event, count))
        self._wakeup.set()

    async def run(self) -> None:
        """Write the queued Events, for ever."""
        while True:
            app, event, count = await self._take_event()
            try:
                await self._write_event(app, event, count)
            except ApiError as error:
                cause = "NoAnswer" if isinstance(error, UnavailableError) else "Refused"
                EVENTS_DROPPED.labels(cause).inc(count)
                logger.debug("%s: event %s not written: %s", app.key, event.reason, error)

    async def _take_event(self) -> FoldedEvent:
        while (found := self._queue.pop()) is None:
            self._wakeup.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(FOLD_POLL_INTERVAL):
                    await self._wakeup.wait()
            for app, event, count in self._folder.take_due():
                self._enqueue(app, event, count)
        return found[1]

    async def _write_event(self, app: AppView, event: Event, count: int) -> None:
        series_key = (app.uid, event)
        now = self._clock()
        series = self._series.get(series_key)
        if series is not None and now - series.last_seen < SERIES_WINDOW:
            series.count += count
            series.last_seen = now
            try:
                await self._client.merge_patch(
                    EVENT_SERIES,
                    app.key.namespace,
                    series.name,
                    {"series": self._build_series(series.count)},
                )
            except NotFoundError:  # it has expired
                del self._series[series_key]
                await self._write_event(app, event, count)
            return
        body = self._build_event(app, event)
        if count > 1:  # the API server takes no series of one
            body["series"] = self._build_series(count)
        await self._client.create(EVENT_SERIES, body)
        self._series[series_key] = _Series(body["metadata"]["name"], now, count)

    def _build_series(self, count: int) -> dict[str, Any]:
        return {"count": count, "lastObservedTime": format_micro_time(self._server_now())}

    def _build_event(self, app: AppView, event: Event) -> dict[str, Any]:
        return {
            "apiVersion": EVENT_SERIES.api_version,
            "kind": "Event",
            "metadata": {
                "name": f"{app.key.name}.{uuid.uuid4().hex[:16]}",
                "namespace": app.key.namespace,
            },
            "eventTime": format_micro_time(self._server_now()),
            "reportingController": names.EVENT_CONTROLLER,
            "reportingInstance": self._instance,
            "action": event.reason,
            "reason": event.reason,
            "type": event.type,
            "note": event.message,
            "regarding": {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "namespace": app.key.namespace,
                "name": app.key.name,
                "uid": app.uid,
            },
        }
