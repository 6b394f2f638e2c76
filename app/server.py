"""The WSGI server: waitress, and what it leaves to its users: SIGTERM, a drain, queue length.

waitress reads requests in the main thread and hands complete ones to worker threads through one
queue, all in one process; why it and not gunicorn: docs/adr/0004-demo-app.md.

A stop has two steps. While lingering, requests are served as before, each answer closing its
connection and ``/ready`` saying no, because the cluster takes a moment to stop sending. Then the
port is closed and requests in flight may finish, for a bounded time.
"""

import os
import select
import socket
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import WSGITask

from app.logs import logger
from app.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_TICK: Final = 1.0
"""Seconds between two looks at idle connections; everything else wakes the loop at once."""

_BODY_LIMIT: Final = 64 * 1024
"""No endpoint reads a body; so small a limit also keeps waitress from spilling one to a file, which
a read-only root file system would not take."""

_PANEL_PATH: Final = "/panel"
"""Paths below this close their connections: a Service chooses a replica for each connection, and a
browser that kept one would see only one of them."""


class ListenError(Exception):
    """The address cannot be listened on."""


class _Task(WSGITask):
    def start(self) -> None:
        super().start()
        server = self.channel.server
        polled = str(getattr(self.request, "path", "")).startswith(_PANEL_PATH)
        if polled or (isinstance(server, _Waitress) and server.stopping):
            self.set_close_on_finish()


class _Channel(HTTPChannel):
    task_class = _Task


class _Waitress(TcpWSGIServer):
    channel_class = _Channel
    stopping = False


class Server:
    """One listening socket, its loop and its worker threads."""

    def __init__(
        self, application: "WSGIApplication", settings: Settings, on_stop: Callable[[], None]
    ) -> None:
        """Listen.

        Args:
            application: what answers the requests.
            settings: address, threads and how long a stop may take.
            on_stop: called once, when a stop begins.

        Raises:
            ListenError: the address is taken or not this machine's.
        """
        self._settings = settings
        self._on_stop = on_stop
        self._stop_requested = False
        self._sockets: dict[int, Any] = {}
        self._listener = _listen(settings.host, settings.port)
        host, port = self._listener.getsockname()[:2]
        self.address: Final = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        adjustments = Adjustments(
            sockets=[self._listener],
            threads=settings.threads,
            ident=None,
            asyncore_use_poll=True,
            connection_limit=1000,
            channel_timeout=30,
            cleanup_interval=10,
            max_request_body_size=_BODY_LIMIT,
        )
        self._waitress = _Waitress(
            application,
            self._sockets,
            _sock=self._listener,
            adj=adjustments,
            bind_socket=False,
            sockinfo=(
                self._listener.family,
                self._listener.type,
                self._listener.proto,
                self._listener.getsockname(),
            ),
        )

    def queue_length(self) -> int:
        """Requests received for which no worker thread is free."""
        dispatcher = self._waitress.task_dispatcher
        with dispatcher.lock:
            idle = len(dispatcher.threads) - dispatcher.stop_count - dispatcher.active_count
            return max(0, len(dispatcher.queue) - idle)

    def request_stop(self) -> None:
        """Let ``run`` end soon; safe in a signal handler: it sets a flag and writes to a pipe."""
        if not self._stop_requested:
            self._stop_requested = True
            self._waitress.pull_trigger()

    def run(self) -> None:
        """Serve until a stop is requested, then drain."""
        while not self._stop_requested:
            self._turn(_TICK)
        self._on_stop()
        self._waitress.stopping = True
        self._linger()
        self._finish()

    def _linger(self) -> None:
        end = monotonic() + self._settings.linger_seconds
        while (left := end - monotonic()) > 0:
            self._turn(left)

    def _finish(self) -> None:
        end = monotonic() + self._settings.grace_seconds
        self._close_port()
        self._turn(0)
        while self._busy() and (left := end - monotonic()) > 0:
            self._turn(left)
        dispatcher = self._waitress.task_dispatcher
        if cut := self._busy():
            # Worker threads are daemons: one that is stuck does not keep the process.
            logger.warning("%d request(s) cut off after %g s", cut, self._settings.grace_seconds)
            dispatcher.set_thread_count(0)
            return
        dispatcher.shutdown(timeout=1)
        if not dispatcher.threads:  # else one could still write to the pipe
            wasyncore.close_all(self._sockets)

    def _close_port(self) -> None:
        # Connections the kernel has already accepted for us would be reset by closing the port.
        waiting = select.poll()
        waiting.register(self._listener, select.POLLIN)
        for _ in range(self._waitress.adj.backlog):
            if not waiting.poll(0):
                break
            self._waitress.handle_accept()
        # Not its own close(): that also closes the pipe with which workers wake this loop.
        wasyncore.dispatcher.close(self._waitress)

    def _busy(self) -> int:
        """Connections with a request that is arriving, waiting, worked on or being answered."""
        channels = [c for c in self._sockets.values() if isinstance(c, HTTPChannel)]
        return sum(1 for c in channels if c.requests or c.request or c.total_outbufs_len)

    def _turn(self, timeout: float) -> None:
        wasyncore.loop(timeout, use_poll=True, map=self._sockets, count=1)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server(
            (host, port), family=family, backlog=1024, dualstack_ipv6=host == "::"
        )
    except OSError as error:
        # create_server has put the address into the text of the error, for a second time.
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ListenError(f"cannot listen on {host} port {port}: {reason}") from error
