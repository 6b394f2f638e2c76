"""TCP ports of this machine for processes that tests start."""

import itertools
import os
import socket

FIRST_PORT = 20_000
PORTS_PER_WORKER = 500
MAX_WORKERS = 20
"""All ports lie below 30000, where node ports begin, and so below those of clients: the kernel
would give one of these to a client between the look and the use."""

_numbers = itertools.count(os.getpid())
"""Another start in each process: two runs side by side seldom look at the same port."""


def find_free_port() -> int:
    """Find a TCP port that nobody listens on, and that no other worker of this run is given.

    Raises:
        RuntimeError: all ports of this worker are in use.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % MAX_WORKERS
    first = FIRST_PORT + worker * PORTS_PER_WORKER
    for _ in range(PORTS_PER_WORKER):
        port = first + next(_numbers) % PORTS_PER_WORKER
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"every port from {first} to {first + PORTS_PER_WORKER - 1} is in use")
