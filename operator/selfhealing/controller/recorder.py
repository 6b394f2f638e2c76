"""Writes Kubernetes Events: a repeat is counted on the first Event, and floods are dropped.

Events never delay or fail a reconcile. They wait in a bounded queue, in which the namespaces take
turns; an Event that the queue or the API server refuses is counted and dropped.
"""

import asyncio
import logging
import os
import socket
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cachetools import LRUCache

from selfhealing.api import names
from selfhealing.cache.views import AppView
from selfhealing.controller.round_robin import RoundRobin
from selfhealing.evidence.redaction import redact_message
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, NotFoundError
from selfhealing.kube.metrics import EVENTS_DROPPED
from selfhealing.kube.resources import EVENT_SERIES
from selfhealing.status.events import Event

logger = logging.getLogger(__name__)

MAX_QUEUED_EVENTS: Final = 2000
MAX_NAMESPACE_EVENTS: Final = 200
"""The most Events of one namespace that wait: those of its apps do not displace others."""
MAX_SERIES: Final = 2000
"""The most Events whose repeats are recognised."""
SERIES_WINDOW: Final = 600.0
"""Seconds after which a repeat is a new Event: the 10 minutes of client-go's correlator."""


@dataclass(slots=True)
class _Series:
    name: str
    last_seen: float
    count: int


class EventRecorder:
    """Writes the Events of apps in the background."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._queue: RoundRobin[str, tuple[AppView, Event]] = RoundRobin()
        self._wakeup = asyncio.Event()
        self._series: LRUCache[tuple[str, Event], _Series] = LRUCache(MAX_SERIES)
        self._instance = f"{socket.gethostname()}-{os.getpid()}"

    def record_event(self, app: AppView, event: Event) -> None:
        """Queue an Event without what may be a secret.

        It is dropped when the queue, or its namespace's part of it, is full.
        """
        event = Event(event.type, event.reason, redact_message(event.message)).truncate()
        namespace = app.key.namespace
        if (
            len(self._queue) >= MAX_QUEUED_EVENTS
            or self._queue.count(namespace) >= MAX_NAMESPACE_EVENTS
        ):
            EVENTS_DROPPED.inc()
            return
        self._queue.push(namespace, (app, event))
        self._wakeup.set()

    async def run(self) -> None:
        """Write the queued Events, for ever."""
        while True:
            app, event = await self._take_event()
            try:
                await self._write_event(app, event)
            except ApiError as error:
                EVENTS_DROPPED.inc()
                logger.debug("%s: event %s not written: %s", app.key, event.reason, error)

    async def _take_event(self) -> tuple[AppView, Event]:
        while (found := self._queue.pop()) is None:
            self._wakeup.clear()
            await self._wakeup.wait()
        return found[1]

    async def _write_event(self, app: AppView, event: Event) -> None:
        series_key = (app.uid, event)
        now = asyncio.get_running_loop().time()
        series = self._series.get(series_key)
        if series is not None and now - series.last_seen < SERIES_WINDOW:
            series.count += 1
            series.last_seen = now
            try:
                await self._client.merge_patch(
                    EVENT_SERIES,
                    app.key.namespace,
                    series.name,
                    {"series": {"count": series.count, "lastObservedTime": _format_now()}},
                )
            except NotFoundError:  # it has expired
                del self._series[series_key]
                await self._write_event(app, event)
            return
        body = self._build_event(app, event)
        await self._client.create(EVENT_SERIES, body)
        self._series[series_key] = _Series(body["metadata"]["name"], now, 1)

    def _build_event(self, app: AppView, event: Event) -> dict[str, Any]:
        return {
            "apiVersion": EVENT_SERIES.api_version,
            "kind": "Event",
            "metadata": {
                "name": f"{app.key.name}.{uuid.uuid4().hex[:16]}",
                "namespace": app.key.namespace,
            },
            "eventTime": _format_now(),
            "reportingController": f"{names.GROUP}/operator",
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


def _format_now() -> str:
    """Format the current time as metav1.MicroTime."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
