"""Operator processes that are forked instead of started, as tests start hundreds of them.

The imports of an operator take more than a second of CPU time. Here one process, the fork server of
``multiprocessing``, has done them; a copy of it runs ``main`` of the package, with an environment
and a log of its own, and ends at SIGKILL like any other process.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from kubernetes.aio.config import kube_config

from hack.testkit.kube_client import KUBECONFIG, ROOT
from hack.testkit.operator_process import ChildProcess, OperatorProcess, build_environment
from selfhealing.__main__ import main
from selfhealing.api.spec import parse_spec
from selfhealing.api.status import SelfHealingAppStatus

POLL_INTERVAL = 0.01

# Models are built when they are first used: here once, for all copies.
parse_spec({"image": "any"})
SelfHealingAppStatus.model_validate({}, by_alias=True, by_name=False)


_lock = threading.Lock()
"""``multiprocessing`` reaps all children whenever one starts, which two threads must not do."""


def get_fork_server() -> ForkServerContext:
    """Return the fork server, started with the modules of this checkout."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "kubernetes.aio.client"])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{ROOT / 'operator'}{os.pathsep}{ROOT}"
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    return context


def run_main(environment: Mapping[str, str], log: str) -> None:
    """Become the operator: the body of a forked process."""
    sink = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT / "operator")
    sys.argv = ["selfhealing"]
    # It reads the variable when it is imported, which the fork server has done.
    kube_config.KUBE_CONFIG_DEFAULT_LOCATION = environment["KUBECONFIG"]
    sys.exit(main())


class ForkedProcess:
    """A forked process with the interface of ``subprocess.Popen``."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code; None while the process runs."""
        with _lock:
            return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """Return the exit code.

        Raises:
            subprocess.TimeoutExpired: the process still runs after ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("operator", timeout)
            time.sleep(POLL_INTERVAL)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        if self.poll() is None:
            os.kill(self.pid, number)


class ForkedOperator(OperatorProcess):
    """An operator that is forked at each start."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        super().__init__((), environment, log)

    def _launch(self) -> ChildProcess:
        with _lock:
            process = get_fork_server().Process(
                target=run_main, args=(self._environment, str(self.log)), daemon=True
            )
            process.start()
        return ForkedProcess(process)


@contextmanager
def run_forked_operator(
    namespaces: Sequence[str],
    log: Path,
    *,
    settings: Mapping[str, str] | None = None,
    kubeconfig: Path = KUBECONFIG,
    wait_for_sync: bool = True,
) -> Iterator[ForkedOperator]:
    """Run a forked operator during the block.

    Args:
        namespaces: the namespaces it serves (none means all).
        log: the file to which it appends its log.
        settings: more environment variables; those of the interpreter itself have no effect.
        kubeconfig: the kubeconfig it uses.
        wait_for_sync: wait until its caches are filled.
    """
    operator = ForkedOperator(build_environment(namespaces, kubeconfig, settings or {}), log)
    try:
        operator.start(wait_for_sync=wait_for_sync)
        yield operator
    finally:
        operator.stop()
