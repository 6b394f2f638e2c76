"""HTTP servers for metrics, and for health until kopf's own server answers."""

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from selfhealing.controller.metrics_auth import METRICS_PATH, Access, MetricsAuthorizer
from selfhealing.kube.metrics import REGISTRY

logger = logging.getLogger(__name__)


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
            await web.TCPSite(self._runner, port=self._port).start()
        except OSError as error:
            name = self._path.strip("/")
            logger.warning(
                "no endpoint for %s: %s; choose another port, see selfhealing-operator --help",
                name,
                error,
            )

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()


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


def startup_health_endpoint(port: int) -> HttpEndpoint:
    """``/healthz`` while the operator waits for its CRD; kopf's own server answers after that."""

    async def handle(_: web.Request) -> web.Response:
        return web.json_response({"waiting": "for the API server and the SelfHealingApp kind"})

    return HttpEndpoint(port, "/healthz", handle)
