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


class AppReplicas:
    """What a Deployment and a Service would be: named processes and one address for all."""

    def __init__(self, *names: str, **settings: str) -> None:
        self._stack = ExitStack()
        self._settings = settings
        self._round_robin: Iterator[str] = itertools.cycle(names)
        self.processes = {name: AppProcess(name, **settings) for name in names}
        for process in self.processes.values():
            self._stack.push(process)
        self._ports = {name: process.port for name, process in self.processes.items()}
        self.serving = set(names)
        self._load_balancer = _LoadBalancer(self)
        self.port = int(self._load_balancer.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}/panel"

    def __enter__(self) -> Self:
        threading.Thread(
            target=self._load_balancer.serve_forever, args=(0.05,), daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._load_balancer.shutdown()
        self._load_balancer.server_close()
        self._stack.close()

    @property
    def names(self) -> list[str]:
        """The replicas' names."""
        return list(self.processes)

    def read_state(self, name: str) -> dict[str, Any]:
        """How a replica says it is."""
        found: dict[str, Any] = json.loads(self.processes[name].get("/panel/state")[1])
        return found

    def restart(self, name: str) -> None:
        """What a kubelet does: end what is left, and start it anew at the same address."""
        old = self.processes[name]
        old.popen.kill()
        old.wait_for_exit()
        settings = {**self._settings, "PORT": str(self._ports[name])}
        self.processes[name] = self._stack.enter_context(AppProcess(name, **settings))
        assert self.processes[name].port == self._ports[name]

    def next_port(self) -> int:
        """The port of the replica whose turn it is; 0 where none serves."""
        if not self.serving:
            return 0
        return self._ports[next(name for name in self._round_robin if name in self.serving)]


class _LoadBalancer(socketserver.ThreadingTCPServer):
    """Passes each connection to one replica."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, replicas: AppReplicas) -> None:
        self.replicas = replicas
        super().__init__(("127.0.0.1", 0), _Connection)


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """Pass bytes both ways until either side ends."""
        assert isinstance(self.server, _LoadBalancer)
        port = self.server.replicas.next_port()
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port)) as upstream,
        ):
            peers = {self.request: upstream, upstream: self.request}
            while True:
                for source in select.select(list(peers), [], [], 60)[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    peers[source].sendall(data)
