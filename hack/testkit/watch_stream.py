"""The lines of a watch, on their way through the proxy of the tests."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

from hack.testkit.fault_points import FaultPoints
from hack.testkit.kube_client import Json

WATCH_ERRORS = {
    410: ("Expired", "too old resource version: 1 (2)"),
    500: ("InternalError", "etcdserver: no leader"),
}
"""Reasons and messages of the errors that a watch may end with, by status code."""

UNSEEN_SECONDS = 2.0
"""After a swallowed event a watch lasts so long without a later event about the same object. Then
it expires, as the API server ends the watch of a client that has fallen behind, and the client has
to list again: a watch that loses an event and goes on is none that Kubernetes offers."""


async def pass_events(
    points: FaultPoints, resource: str, content: aiohttp.StreamReader
) -> AsyncIterator[bytes]:
    """Yield the lines of a watch, with the faults of ``points``.

    The events of a frozen resource come late, all and in order. A swallowed one does not come, and
    unless a later event about the same object follows, the watch ends with 410.
    """
    unseen: dict[str, float] = {}  # when the watch expires, by the UID of the object
    rest = b""
    points.watched.add(resource)
    while True:
        try:
            async with asyncio.timeout_at(min(unseen.values(), default=None)):
                chunk = await content.readany()
        except TimeoutError:
            break
        if not chunk:
            break
        *lines, rest = (rest + chunk).split(b"\n")
        for line in filter(None, lines):
            event: Json = json.loads(line)
            uid = event["object"].get("metadata", {}).get("uid", "")
            if points.on_event(resource, event["type"]):
                unseen.setdefault(uid, asyncio.get_running_loop().time() + UNSEEN_SECONDS)
                continue
            unseen.pop(uid, None)
            await points.wait_for_thaw(resource)
            yield line + b"\n"
    yield build_watch_error(410) if unseen else rest


def build_status(status: int, reason: str, message: str) -> Json:
    """Return a Kubernetes Status object for a failed request."""
    return {
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": status,
    }


def build_watch_error(status: int) -> bytes:
    """Return the line of an ERROR event."""
    error = {"type": "ERROR", "object": build_status(status, *WATCH_ERRORS[status])}
    return json.dumps(error).encode() + b"\n"


def watch_error_response(status: int) -> web.Response:
    """Return a watch stream that consists of one ERROR event."""
    return web.Response(body=build_watch_error(status), content_type="application/json")
