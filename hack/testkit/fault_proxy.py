"""An HTTP proxy to the API server that records requests and injects faults.

It listens on 127.0.0.1 without TLS and adds the credentials of the kubeconfig, as ``kubectl proxy``
does.
"""

import asyncio
import json
import re
import ssl
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pykube
from aiohttp import web

from hack.testkit.fault_points import Fault, FaultKind, FaultPoints, parse_resource
from hack.testkit.kube_client import KUBECONFIG
from hack.testkit.ports import find_free_port
from hack.testkit.watch_stream import build_status, pass_events, watch_error_response

HOP_BY_HOP = {"connection", "content-length", "host", "transfer-encoding", "keep-alive"}
ACCEPT_STEPS = 5
"""Rounds of the event loop in which a connection that was accepted gets its handler."""


@dataclass(frozen=True)
class ProxiedRequest:
    """A request that was forwarded or answered by the proxy."""

    method: str
    path: str
    is_watch: bool
    agent: str

    @property
    def is_write(self) -> bool:
        """Whether it changes something."""
        return self.method != "GET"


@dataclass
class InjectedError:
    """An error that the proxy returns for a number of requests."""

    method: str
    path: re.Pattern[str]
    status: int
    reason: str
    remaining: int


@dataclass
class FaultRules:
    """The faults that are active."""

    watch_error: int = 0
    """Status code of the error of watches that resume; 0 for none."""
    watch_path: re.Pattern[str] = field(default_factory=lambda: re.compile(""))
    """A pattern for the paths of these watches."""
    stalls_requests: bool = False
    """Whether new requests get no response."""
    write_delay: float = 0.0
    """Seconds for which each write waits before it is forwarded, as for a slow webhook."""
    hidden_group: str = ""
    """An API group that discovery does not list."""
    injected_errors: list[InjectedError] = field(default_factory=list)


class FaultProxy:
    """The proxy, in a thread of its own.

    Attributes:
        requests: all requests, in order.
        points: the numbered writes and watch events since ``place_faults``.
    """

    def __init__(self, folder: Path, upstream: Path = KUBECONFIG) -> None:
        self.requests: list[ProxiedRequest] = []
        self.points = FaultPoints()
        self.kubeconfig = folder / "proxy.kubeconfig"
        self._upstream = pykube.KubeConfig.from_file(str(upstream))
        self._rules = FaultRules()
        self._port = find_free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self._session: aiohttp.ClientSession | None = None
        self._watches: set[asyncio.Task[Any]] = set()

    # -- what tests do with it ------------------------------------------------------------------

    def count_requests(self, matches: Callable[[ProxiedRequest], bool]) -> int:
        """Count the requests of a kind."""
        return sum(matches(request) for request in list(self.requests))

    def disconnect(self) -> None:
        """Close all connections and refuse new ones, as if the API server were down."""
        self._run(self._disconnect())

    def reconnect(self) -> None:
        """Accept connections again."""
        self._run(self._listen())

    def fail_watches(self, status: int, path: str = "") -> None:
        """Answer watches that resume with this error; 0 ends it."""
        self._rules.watch_path = re.compile(path)
        self._rules.watch_error = status

    def stall_requests(self, *, stall: bool = True) -> None:
        """Give new requests no response."""
        self._rules.stalls_requests = stall

    def delay_writes(self, seconds: float) -> None:
        """Let each write wait before it is forwarded; 0 ends it."""
        self._rules.write_delay = seconds

    def inject_errors(
        self, method: str, path: str, status: int, *, times: int, reason: str = ""
    ) -> None:
        """Answer the next requests of a kind with an error."""
        self._rules.injected_errors.append(
            InjectedError(method, re.compile(path), status, reason, times)
        )

    def hide_group(self, group: str) -> None:
        """Hide an API group from discovery; an empty name ends it."""
        self._rules.hidden_group = group

    def close_watches(self) -> None:
        """Close the connections of all open watches."""
        self._run(self._close_watches())

    def place_faults(self, *faults: Fault) -> None:
        """Number the writes and watch events from now on, and place each fault at its point.

        At a kill the proxy forwards nothing more, as if the operator were dead already, and sets
        ``points.reached``; ``stall_requests(stall=False)`` lets the next process in.
        """
        self.points.arm(faults, self._loop.time())

    # -- its life -------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the proxy and write a kubeconfig that uses it."""
        self._thread.start()
        self._run(self._open())
        context = {"cluster": "proxy", "user": "proxy"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "proxy", "cluster": {"server": f"http://127.0.0.1:{self._port}"}}
            ],
            "users": [{"name": "proxy", "user": {}}],
            "contexts": [{"name": "proxy", "context": context}],
            "current-context": "proxy",
        }
        self.kubeconfig.write_text(json.dumps(config))

    def stop(self) -> None:
        """Stop the proxy."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=20)

    async def _open(self) -> None:
        self._session = aiohttp.ClientSession(
            self._upstream.cluster["server"],
            connector=aiohttp.TCPConnector(limit=0, ssl=tls_context(self._upstream)),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._server = web.AppRunner(
            app, handle_signals=False, access_log=None, shutdown_timeout=0.1
        )
        await self._server.setup()
        await self._listen()

    async def _listen(self) -> None:
        assert self._server is not None
        assert self._server.server is not None
        self._listener = await self._loop.create_server(
            self._server.server, "127.0.0.1", self._port, reuse_address=True
        )

    async def _disconnect(self) -> None:
        assert self._server is not None
        if self._listener is not None:
            # A connection that is being accepted while its server closes would never be closed
            # (Python 3.11, Server._attach): accept none, and wait for those that were accepted.
            for listening in self._listener.sockets:
                self._loop.remove_reader(listening.fileno())
            for _ in range(ACCEPT_STEPS):
                await asyncio.sleep(0)
            self._listener.close()
            self._listener = None
        for connection in list(self._server.server.connections if self._server.server else ()):
            if connection.transport is not None:
                connection.transport.abort()

    async def _close_watches(self) -> None:
        for watch in list(self._watches):
            watch.cancel()

    async def _close(self) -> None:
        await self._disconnect()
        assert self._server is not None
        await self._server.cleanup()
        assert self._session is not None
        await self._session.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    # -- one request ----------------------------------------------------------------------------

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        is_watch = request.query.get("watch") == "true"
        agent = request.headers.get("User-Agent", "")
        self.requests.append(ProxiedRequest(request.method, request.path, is_watch, agent))
        if self._rules.stalls_requests:
            return await _never()
        if self._rules.hidden_group and request.path.startswith(
            f"/apis/{self._rules.hidden_group}"
        ):
            return web.Response(status=404, text="404 page not found")
        if self._rules.hidden_group and request.path == "/apis":
            return await self._list_groups_without(self._rules.hidden_group)
        injected = self._next_injected_error(request)
        if injected is not None:
            return error_response(injected)
        is_resumed_watch = is_watch and "resourceVersion" in request.query
        if (
            is_resumed_watch
            and self._rules.watch_error
            and self._rules.watch_path.search(request.path)
        ):
            return watch_error_response(self._rules.watch_error)
        return await (self._forward_watch if is_watch else self._forward_at_point)(request)

    def _next_injected_error(self, request: web.Request) -> InjectedError | None:
        for error in self._rules.injected_errors:
            matches = error.method == request.method and error.path.search(request.path)
            if error.remaining > 0 and matches:
                error.remaining -= 1
                return error
        return None

    async def _forward_at_point(self, request: web.Request) -> web.StreamResponse:
        """Forward a request, unless the operator is to be killed at it."""
        kill = self.points.on_write(request.method, request.path, request.query_string)
        if kill is None:
            await asyncio.sleep(self._rules.write_delay if request.method != "GET" else 0)
            return await self._forward(request)
        if kill is FaultKind.KILL_AFTER:
            async with self._send_upstream(request) as answer:
                await answer.read()
        self._rules.stalls_requests = True
        self.points.reached.set()
        return await _never()

    async def _forward_watch(self, request: web.Request) -> web.StreamResponse:
        """Forward the events of a watch, unless the fault keeps some of them back."""
        resource = parse_resource(request.path)
        task = asyncio.current_task()
        assert task is not None
        self._watches.add(task)
        try:
            async with self._send_upstream(request) as answer:
                events = (
                    pass_events(self.points, resource, answer.content)
                    if answer.status == 200
                    else answer.content.iter_any()
                )
                return await _send_chunks(request, answer, events)
        finally:
            self._watches.discard(task)

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        async with self._send_upstream(request) as answer:
            return await _send_chunks(request, answer, answer.content.iter_any())

    async def _list_groups_without(self, group: str) -> web.Response:
        """Return the list of API groups without one of them."""
        assert self._session is not None
        async with self._session.get("/apis", headers={"Accept": "application/json"}) as answer:
            found = json.loads(await answer.read())
        found["groups"] = [entry for entry in found["groups"] if entry["name"] != group]
        return web.json_response(found)

    @asynccontextmanager
    async def _send_upstream(self, request: web.Request) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._session is not None
        headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
        body = await request.read()
        async with self._session.request(
            request.method, request.rel_url, headers=headers, data=body or None
        ) as answer:
            yield answer


def tls_context(config: pykube.KubeConfig) -> ssl.SSLContext:
    """Return a TLS context with the CA and the client certificate of a kubeconfig."""
    context = ssl.create_default_context(cafile=config.cluster["certificate-authority"].filename())
    if "client-certificate" in config.user:
        context.load_cert_chain(
            config.user["client-certificate"].filename(), config.user["client-key"].filename()
        )
    return context


def error_response(error: InjectedError) -> web.Response:
    """Return the response of a request that the proxy refuses."""
    text = f"refused by a test with {error.status}"
    return web.json_response(build_status(error.status, error.reason, text), status=error.status)


async def _send_chunks(
    request: web.Request, answer: aiohttp.ClientResponse, chunks: AsyncIterable[bytes]
) -> web.StreamResponse:
    """Answer with ``chunks`` and the status and headers of the API server's answer."""
    headers = {k: v for k, v in answer.headers.items() if k.lower() not in HOP_BY_HOP}
    response = web.StreamResponse(status=answer.status, headers=headers)
    with suppress(ConnectionError):  # the client may be gone
        await response.prepare(request)
        async for chunk in chunks:
            await response.write(chunk)
        await response.write_eof()
    return response


async def _never() -> web.StreamResponse:
    """Give no response; the task is cancelled when the proxy stops."""
    await asyncio.Event().wait()
    raise AssertionError


@contextmanager
def run_fault_proxy(folder: Path) -> Iterator[FaultProxy]:
    """Run a proxy during the block."""
    proxy = FaultProxy(folder)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
