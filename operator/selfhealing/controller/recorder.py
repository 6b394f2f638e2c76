"""Writes Kubernetes Events without spam: repeats are counted on the first one, floods are cut.

Events are a courtesy: they never delay or fail a reconcile. They wait in a bounded queue; what the
queue or the API server refuses is counted and dropped.
"""

import asyncio
import logging
import os
import socket
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from selfhealing.api import names
from selfhealing.cache.views import AppView
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, NotFoundError
from selfhealing.kube.metrics import EVENTS_DROPPED
from selfhealing.kube.resources import EVENT_SERIES
from selfhealing.status.event import Notice

logger = logging.getLogger(__name__)

QUEUE_LIMIT: Final = 2000
REMEMBERED: Final = 2000
"""Events whose repeats are recognised."""
SERIES_WINDOW: Final = 600.0
"""Seconds after which a repeat is told as a new Event; client-go's correlator takes 10 minutes."""


@dataclass(slots=True)
class _Told:
    name: str
    at: float
    count: int


class Recorder:
    """Tells people about an app by Kubernetes Events."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._queue: asyncio.Queue[tuple[AppView, Notice]] = asyncio.Queue(QUEUE_LIMIT)
        self._told: OrderedDict[tuple[str, Notice], _Told] = OrderedDict()
        self._instance = f"{socket.gethostname()}-{os.getpid()}"

    def tell(self, app: AppView, notice: Notice) -> None:
        """Have an Event written soon."""
        try:
            self._queue.put_nowait((app, notice))
        except asyncio.QueueFull:
            EVENTS_DROPPED.inc()

    async def run(self) -> None:
        """Write the Events that were told, for ever."""
        while True:
            app, notice = await self._queue.get()
            try:
                await self._write(app, notice)
            except ApiError as error:
                EVENTS_DROPPED.inc()
                logger.debug("%s: event %s not written: %s", app.key, notice.reason, error)

    async def _write(self, app: AppView, notice: Notice) -> None:
        slot = (app.uid, notice)
        now = asyncio.get_running_loop().time()
        told = self._told.get(slot)
        if told is not None and now - told.at < SERIES_WINDOW:
            told.count += 1
            told.at = now
            self._told.move_to_end(slot)
            try:
                await self._client.merge(
                    EVENT_SERIES,
                    app.key.namespace,
                    told.name,
                    {"series": {"count": told.count, "lastObservedTime": _now()}},
                )
            except NotFoundError:  # it has expired
                del self._told[slot]
                await self._write(app, notice)
            return
        body = self._event(app, notice)
        await self._client.create(EVENT_SERIES, body)
        self._told[slot] = _Told(body["metadata"]["name"], now, 1)
        self._told.move_to_end(slot)
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)

    def _event(self, app: AppView, notice: Notice) -> dict[str, Any]:
        return {
            "apiVersion": EVENT_SERIES.api_version,
            "kind": "Event",
            "metadata": {
                "name": f"{app.key.name}.{uuid.uuid4().hex[:16]}",
                "namespace": app.key.namespace,
            },
            "eventTime": _now(),
            "reportingController": f"{names.GROUP}/operator",
            "reportingInstance": self._instance,
            "action": notice.reason,
            "reason": notice.reason,
            "type": notice.type,
            "note": notice.message,
            "regarding": {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "namespace": app.key.namespace,
                "name": app.key.name,
                "uid": app.uid,
            },
        }


def _now() -> str:
    """The time as metav1.MicroTime."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
