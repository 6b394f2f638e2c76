"""HTTP servers for metrics and health; each has a bounded number of connections."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, cast

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from selfhealing.controller.liveness import StalledError
from selfhealing.controller.metrics_auth import METRICS_PATH, Access, MetricsAuthorizer
from selfhealing.kube.metrics import REGISTRY

logger = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 64
"""Open connections of an endpoint. Whoever reaches the port may open any number and send nothing;
each takes a file descriptor of the process."""


class HttpEndpoint:
    """Serves one path on one port."""

    def __init__(
        self, port: int, path: str, handler: Callable[[web.Request], Awaitable[web.Response]]
    ) -> None:
        """``handler`` answers the requests; port 0 means that no server is started."""
        self._port = port
        self._path = path
        self._handler = handler
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on the port.

        A port that is in use is logged, and the operator runs without this endpoint.
        """
        if not self._port:
            return
        app = web.Application()
        app.router.add_get(self._path, self._handler)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        try:
            self._listener = await asyncio.get_running_loop().create_server(
                partial(_build_protocol, cast("web.Server", self._runner.server)), port=self._port
            )
        except OSError as error:
            name = self._path.strip("/")
            logger.warning(
                "no endpoint for %s: %s; choose another port, see selfhealing-operator --help",
                name,
                error,
            )

    async def stop(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.close()
        if self._runner is not None:
            await self._runner.cleanup()


def _build_protocol(server: web.Server) -> asyncio.Protocol:
    """Return the protocol of a new connection, for which the oldest ones may have to go."""
    connections = server.connections
    for connection in connections[: max(0, len(connections) - MAX_CONNECTIONS + 1)]:
        connection.force_close()
    return server()


def metrics_endpoint(port: int, authorizer: MetricsAuthorizer | None = None) -> HttpEndpoint:
    """Prometheus metrics on ``/metrics``.

    Args:
        port: the port; 0 for no endpoint.
        authorizer: decides who may read them; None for everybody.
    """

    async def handle(request: web.Request) -> web.Response:
        if authorizer is not None:
            access = await authorizer.authorize(request.headers.get("Authorization", ""))
            if access is not Access.ALLOWED:
                return _refuse(access)
        return web.Response(
            body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    return HttpEndpoint(port, METRICS_PATH, handle)


def _refuse(access: Access) -> web.Response:
    headers = {"WWW-Authenticate": "Bearer"} if access is Access.UNAUTHENTICATED else None
    return web.Response(status=access.value, headers=headers)


def health_endpoint(port: int, check: Callable[[], Mapping[str, object]]) -> HttpEndpoint:
    """The state of the operator on ``/healthz``, for the liveness probe.

    Args:
        port: the port; 0 for no endpoint.
        check: returns the state; raises StalledError if the operator has to be restarted.
    """

    async def handle(_: web.Request) -> web.Response:
        try:
            return web.json_response(check())
        except StalledError as error:
            return web.json_response({"stalled": str(error)}, status=500)

    return HttpEndpoint(port, "/healthz", handle)
