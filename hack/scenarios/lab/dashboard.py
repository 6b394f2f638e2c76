"""The dashboard beside the lab: ``make lab UI=1`` opens it, and it ends with the lab."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from hack.scenarios.common.errors import ScenarioError
from hack.testkit.kube_client import ROOT
from hack.testkit.wait import eventually

_ADDRESS: Final = re.compile(r"http://\S+#token=\S+")
_START_TIMEOUT: Final = 30
_STOP_TIMEOUT: Final = 10


@contextmanager
def open_dashboard(environment: Mapping[str, str], log: Path) -> Iterator[str]:
    """Serve the dashboard in a process of its own and yield its address, with the token.

    Args:
        environment: the kubeconfig, whose context names the namespace, and where kubectl is.
        log: the file of what the process says.

    Raises:
        ScenarioError: it has no address within 30 s.
    """
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "selfhealing.plugin", "dashboard"],
            cwd=ROOT / "operator",
            env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    try:
        yield _wait_for_address(process, log)
    finally:
        _stop(process)


def _wait_for_address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    with suppress(AssertionError):
        eventually(
            lambda: _find_address(log) or process.poll() is not None,
            timeout=_START_TIMEOUT,
            description="the address of the dashboard",
        )
    address = _find_address(log)
    if not address:
        raise ScenarioError(f"the dashboard does not start: {log.read_text(encoding='utf-8')}")
    return address


def _find_address(log: Path) -> str:
    found = _ADDRESS.search(log.read_text(encoding="utf-8"))
    return found.group() if found else ""


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
