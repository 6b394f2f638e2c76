"""The small HTTP servers: metrics, and health while kopf's own does not answer yet."""

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from selfhealing.kube.metrics import REGISTRY

logger = logging.getLogger(__name__)


class HttpEndpoint:
    """Answers one path on one port."""

    def __init__(
        self, port: int, path: str, handler: Callable[[web.Request], Awaitable[web.Response]]
    ) -> None:
        """Prepare to let ``answer`` answer; port 0 means no server at all."""
        self._port = port
        self._path = path
        self._handler = handler
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen on the port.

        A port that is taken is no reason not to heal: it is logged, and there is no such endpoint.
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
                "no %s: %s; choose another port, see selfhealing-operator --help", name, error
            )

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()


def metrics_endpoint(port: int) -> HttpEndpoint:
    """Prometheus metrics on ``/metrics``."""

    async def handle(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    return HttpEndpoint(port, "/metrics", handle)


def startup_health_endpoint(port: int) -> HttpEndpoint:
    """``/healthz`` of an operator that is well and waits; kopf's own answers after the start."""

    async def handle(_: web.Request) -> web.Response:
        return web.json_response({"waiting": "for the API server and the SelfHealingApp kind"})

    return HttpEndpoint(port, "/healthz", handle)
