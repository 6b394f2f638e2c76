"""Runs vegeta: one process sends the requests, one prints a line for each result.

Both end after the duration, with this process, or with the ``with`` block.
"""

import contextlib
import queue
import subprocess
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Self

from hack.loadtest.plan import REQUEST_TIMEOUT, LoadPlan
from hack.localcluster.subprocesses import parent_death_command
from hack.testkit.errors import ToolError

_POLL_INTERVAL = 0.25
_MAX_QUEUED_RESULTS = 10_000
"""Results that may wait to be counted; vegeta blocks when there are more."""


class Attack:
    """A running load test; a context manager."""

    def __init__(self, plan: LoadPlan, vegeta: str, url: str) -> None:
        self._sender = _start_process(plan.vegeta_command(vegeta), subprocess.PIPE)
        self._encoder = _start_process([vegeta, "encode", "-to", "json"], self._sender.stdout)
        _require_pipe(self._sender.stdout).close()  # the teller has it
        with contextlib.suppress(BrokenPipeError), _require_pipe(self._sender.stdin) as target:
            target.write(f"GET {url}\n".encode())
        self._results: queue.Queue[str | None] = queue.Queue(_MAX_QUEUED_RESULTS)
        self._reader = threading.Thread(target=self._read_results, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        """Return the load test, which runs already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop both processes."""
        for process in (self._sender, self._encoder):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
        with contextlib.suppress(queue.Empty):
            while True:  # a reader that waits for room goes on
                self._results.get_nowait()
        self._reader.join(5)
        for stream in (self._sender.stderr, self._encoder.stdout, self._encoder.stderr):
            _require_pipe(stream).close()

    def results(self) -> Iterator[str | None]:
        """Yield each result, a line of JSON, and None after a moment without one.

        Raises:
            ToolError: vegeta failed.
        """
        while True:
            try:
                line = self._results.get(timeout=_POLL_INTERVAL)
            except queue.Empty:
                yield None
                continue
            if line is None:
                break
            yield line
        try:
            code = self._sender.wait(REQUEST_TIMEOUT)
        except subprocess.TimeoutExpired:
            code = 0  # it waits for answers that nobody counts any more
        if code:
            message = _require_pipe(self._sender.stderr).read().decode(errors="replace").strip()
            raise ToolError(f"vegeta failed: {message or f'exit code {code}'}")

    def _read_results(self) -> None:
        for line in _require_pipe(self._encoder.stdout):
            self._results.put(line.decode())
        self._results.put(None)


def _start_process(command: list[str], source: int | IO[bytes] | None) -> subprocess.Popen[bytes]:
    # A session of their own: Ctrl-C is for us, who then tell them.
    return subprocess.Popen(
        [*parent_death_command(), *command],
        stdin=source,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _require_pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # noqa: S101  each was asked for
    return stream
