"""Replicas of the app as processes, and a way to them that spreads connections like a Service."""

import contextlib
import itertools
import json
import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Self

from hack.testkit.app_process import AppProcess


class Replicas:
    """What a Deployment and a Service would be: named processes and one address for all."""

    def __init__(self, *names: str, **settings: str) -> None:
        self._stack = ExitStack()
        self._settings = settings
        self._turn: Iterator[str] = itertools.cycle(names)
        self.processes = {name: AppProcess(name, **settings) for name in names}
        for process in self.processes.values():
            self._stack.push(process)
        self._ports = {name: process.port for name, process in self.processes.items()}
        self.serving = set(names)
        self._front = _Front(self)
        self.port = int(self._front.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}/panel"

    def __enter__(self) -> Self:
        threading.Thread(target=self._front.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._front.shutdown()
        self._front.server_close()
        self._stack.close()

    @property
    def names(self) -> list[str]:
        """The replicas' names."""
        return list(self.processes)

    def state(self, name: str) -> dict[str, Any]:
        """How a replica says it is."""
        found: dict[str, Any] = json.loads(self.processes[name].ask("/panel/state")[1])
        return found

    def restart(self, name: str) -> None:
        """What a kubelet does: end what is left, and start it anew at the same address."""
        old = self.processes[name]
        old.popen.kill()
        old.wait()
        settings = {**self._settings, "PORT": str(self._ports[name])}
        self.processes[name] = self._stack.enter_context(AppProcess(name, **settings))
        assert self.processes[name].port == self._ports[name]

    def choose(self) -> int:
        """The port of the replica whose turn it is; 0 where none serves."""
        if not self.serving:
            return 0
        return self._ports[next(name for name in self._turn if name in self.serving)]


class _Front(socketserver.ThreadingTCPServer):
    """Passes each connection to one replica."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas
        super().__init__(("127.0.0.1", 0), _Connection)


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """Pass bytes both ways until either side ends."""
        assert isinstance(self.server, _Front)
        port = self.server.replicas.choose()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as there:
            ways = {self.request: there, there: self.request}
            while True:
                for source in select.select(list(ways), [], [], 60)[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    ways[source].sendall(data)
