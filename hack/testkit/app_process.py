"""The demo app as a process, for tests with signals, sockets or several threads."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from hack.testkit.wait import eventually

_ROOT = Path(__file__).parents[2]
_TIMEOUT = 30.0
_APP_ARGUMENTS = ("-m", "app")
_POD_SCRIPT = """
import socket, sys
name = sys.argv.pop()
socket.gethostname = lambda: name
from app.__main__ import main
sys.exit(main())
"""


def wait_until(condition: Callable[[], bool], description: str) -> None:
    """Wait until a condition is true, with a poll of 5 ms."""
    eventually(condition, timeout=_TIMEOUT, description=description, poll=0.005)


class AppProcess:
    """``python -m app`` on a port of its own; it is killed at the end of the ``with`` block."""

    def __init__(self, hostname: str = "", **settings: str) -> None:
        """Start the process.

        Args:
            hostname: the host name that the app sees, as in a pod; empty for that of the machine.
            settings: environment variables.
        """
        environ = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LANG"}}
        defaults = {"HOST": "127.0.0.1", "PORT": "0", "LINGER_SECONDS": "0"}
        self.lines: list[str] = []
        self.popen = subprocess.Popen(
            [
                sys.executable,
                "-W",
                "error",
                *(["-c", _POD_SCRIPT, hostname] if hostname else _APP_ARGUMENTS),
            ],
            cwd=_ROOT,
            env={**environ, **defaults, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.popen.kill()
        self.wait_for_exit()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        with self.popen.stdout as stdout:
            self.lines.extend(line.rstrip("\n") for line in stdout)

    @property
    def port(self) -> int:
        """The port, once the app listens."""
        wait_until(lambda: self.has_logged("listening on") or self.has_ended, "the app listens")
        found = re.search(r"listening on [^ ]*:(\d+),", "\n".join(self.lines))
        assert found, self.lines
        return int(found[1])

    @property
    def has_ended(self) -> bool:
        """Whether the process has exited and its output is read."""
        return self.popen.poll() is not None and not self._reader.is_alive()

    def has_logged(self, text: str) -> bool:
        """Return whether a line of the log contains the text."""
        return any(text in line for line in self.lines)

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection that stays open between requests."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=_TIMEOUT)

    def get(self, path: str) -> tuple[int, str]:
        """Send a GET on a new connection; return status code and body."""
        connection = self.connect()
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def send_action(self, path: str) -> str:
        """Request an action of the app and return its message."""
        return str(json.loads(self.get(path)[1])["message"])

    def read_metric(self, sample: str) -> float:
        """Return a value of ``/metrics``; 0 if it is missing."""
        for line in self.get("/metrics")[1].splitlines():
            name, _, value = line.rpartition(" ")
            if name == sample:
                return float(value)
        return 0.0

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.popen.send_signal(signal.SIGTERM)

    def wait_for_exit(self) -> int:
        """Wait for the end of the process and return the exit code."""
        code = self.popen.wait(_TIMEOUT)
        self._reader.join(_TIMEOUT)
        return code

    def stop(self) -> int:
        """Send SIGTERM, wait for the end and return the exit code."""
        self.terminate()
        return self.wait_for_exit()


class BackgroundRequest(threading.Thread):
    """A request in a thread; ``status_code`` is 0 if the connection was cut, -1 before the end."""

    def __init__(self, app: AppProcess, path: str) -> None:
        super().__init__()
        self._app, self._path = app, path
        self.status_code = -1
        self.start()

    def run(self) -> None:
        """Send the request and record the status code."""
        try:
            self.status_code = self._app.get(self._path)[0]
        except (OSError, http.client.HTTPException):
            self.status_code = 0
