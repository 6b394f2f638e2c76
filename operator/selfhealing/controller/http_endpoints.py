"""HTTP servers for metrics and health; each has a bounded number of connections."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Final, cast

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from selfhealing.controller.http_listener import HttpListener
from selfhealing.controller.liveness import StalledError
from selfhealing.controller.metrics_auth import METRICS_PATH, Access, MetricsAuthorizer
from selfhealing.controller.serving_certificate import ServingCertificate
from selfhealing.kube.metrics import REGISTRY

logger = logging.getLogger(__name__)

RENDER_INTERVAL: Final = 1.0
"""Seconds for which metrics are answered from one rendering, which takes time of the event loop."""


class HttpEndpoint:
    """Serves one path on one port."""

    def __init__(
        self,
        port: int,
        path: str,
        handler: Callable[[web.Request], Awaitable[web.Response]],
        tls_files: tuple[str, str] | None = None,
    ) -> None:
        """``handler`` answers the requests; port 0 means that no server is started.

        ``tls_files`` are the certificate and its key; None for plain HTTP.
        """
        self._port = port
        self._path = path
        self._handler = handler
        self._runner: web.AppRunner | None = None
        self._tls_files = tls_files
        self._listener: HttpListener | None = None

    async def start(self) -> None:
        """Listen on the port.

        A port that is in use and a certificate that cannot be loaded are logged, and the operator
        runs without this endpoint.
        """
        if not self._port:
            return
        app = web.Application()
        app.router.add_get(self._path, self._answer_once)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        name = self._path.strip("/")
        try:
            certificate = ServingCertificate(*self._tls_files) if self._tls_files else None
        except OSError as error:
            files = " and ".join(self._tls_files or ())
            logger.warning("no endpoint for %s: %s: %s", name, files, error)
            return
        server = cast("web.Server", self._runner.server)
        self._listener = HttpListener(server, self._path, certificate)
        try:
            self._listener.start(self._port)
        except OSError as error:
            logger.warning(
                "no endpoint for %s: %s; choose another port, see selfhealing-operator --help",
                name,
                error,
            )

    async def _answer_once(self, request: web.Request) -> web.Response:
        """Answer one request and close the connection: nobody can send many without waiting."""
        try:
            response = await self._handler(request)
        except Exception:
            # All errors: aiohttp's own log of them is off, and none may pass without a trace.
            logger.exception("a request to %s failed", self._path)
            response = web.Response(status=500)
        response.force_close()
        return response

    async def stop(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            await self._listener.stop()
        if self._runner is not None:
            await self._runner.cleanup()


def metrics_endpoint(
    port: int,
    authorizer: MetricsAuthorizer | None = None,
    tls_files: tuple[str, str] | None = None,
) -> HttpEndpoint:
    """Prometheus metrics on ``/metrics``.

    Args:
        port: the port; 0 for no endpoint.
        authorizer: decides who may read them; None for everybody.
        tls_files: the certificate and its key; None for plain HTTP.
    """

    async def handle(request: web.Request) -> web.Response:
        if authorizer is not None:
            access = await authorizer.authorize(request.headers.get("Authorization", ""))
            if access is not Access.ALLOWED:
                return _refuse(access)
        return web.Response(
            body=rendered_metrics.get(), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    rendered_metrics = _RenderedMetrics()
    return HttpEndpoint(port, METRICS_PATH, handle, tls_files)


class _RenderedMetrics:
    """The text of all metrics, made anew after RENDER_INTERVAL seconds at the earliest."""

    def __init__(self) -> None:
        self._text = b""
        self._expires = float("-inf")

    def get(self) -> bytes:
        """Return the text."""
        if monotonic() >= self._expires:
            self._text = generate_latest(REGISTRY)
            self._expires = monotonic() + RENDER_INTERVAL
        return self._text


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
