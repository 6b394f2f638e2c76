"""An operator process of the checkout, started and stopped by tests."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import requests
from prometheus_client.parser import text_string_to_metric_families

from hack.testkit.kube_client import KUBECONFIG, ROOT
from hack.testkit.wait import eventually

SYNCED_LINE = "caught up with"
START_TIMEOUT = 60
STOP_TIMEOUT = 15
WRITE_VERBS = ("create", "update", "patch", "delete")


class OperatorProcess:
    """One ``python -m selfhealing`` (or ``kopf run``) and its log."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._command = list(command)
        self._environment = {**os.environ, "KUBECONFIG": str(KUBECONFIG), **environment}
        self._offset = 0
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait_for_sync: bool = True) -> None:
        """Start it and, with ``ready``, wait until it has caught up with the cluster."""
        self._offset = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen(
                self._command,
                cwd=ROOT / "operator",
                env=self._environment,
                stdout=sink,
                stderr=sink,
            )
        if wait_for_sync:
            self.wait_for_sync()

    def wait_for_sync(self) -> None:
        """Wait until it has caught up with the cluster since its last start."""
        eventually(
            lambda: SYNCED_LINE in self.read_log()[self._offset :] or self._raise_if_exited(),
            timeout=START_TIMEOUT,
            description="the operator caught up",
        )

    def is_running(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def _raise_if_exited(self) -> bool:
        assert self.process is not None
        code = self.process.poll()
        if code is not None:
            raise RuntimeError(f"the operator ended with {code}:\n{self.read_log()[-4000:]}")
        return False

    def read_log(self) -> str:
        """Its whole log."""
        return self.log.read_bytes().decode(errors="replace") if self.log.exists() else ""

    def read_samples(self, name: str) -> list[tuple[dict[str, str], float]]:
        """The samples of a metric, with their labels."""
        port = self._environment["SELFHEALING_METRICS_PORT"]
        text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
        return [
            (sample.labels, sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name
        ]

    def read_metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of a metric that carry ``labels``."""
        return sum(
            value for found, value in self.read_samples(name) if labels.items() <= found.items()
        )

    def count_writes(self) -> dict[str, float]:
        """How often it has written each kind since it was started, by its own account."""
        counts: dict[str, float] = {}
        for labels, value in self.read_samples("selfhealing_api_requests_total"):
            if labels["verb"] in WRITE_VERBS:
                what = f"{labels['verb']} {labels['kind']}"
                counts[what] = counts.get(what, 0) + value
        return counts

    @contextmanager
    def stop_temporarily(self) -> Iterator[None]:
        """Have it stopped while the block runs."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def stop(self) -> int:
        """Ask it to stop and return its exit code."""
        return self._signal_and_wait(signal.SIGTERM)

    def kill(self) -> int:
        """Kill it as a power cut would."""
        return self._signal_and_wait(signal.SIGKILL)

    def _signal_and_wait(self, number: signal.Signals) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the operator did not stop within {STOP_TIMEOUT} s") from None


def find_free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def run_operator(
    namespaces: Sequence[str],
    log: Path,
    *,
    kopf_run: bool = False,
    settings: Mapping[str, str] | None = None,
    kubeconfig: Path = KUBECONFIG,
    wait_for_sync: bool = True,
) -> Iterator[OperatorProcess]:
    """An operator that serves ``namespaces`` (none means all) while the block runs.

    Args:
        namespaces: what it serves.
        log: the file that it writes its log to.
        kopf_run: start it as ``kopf run`` does, instead of by its own command.
        settings: environment variables for it.
        kubeconfig: how it reaches the API server.
        wait_for_sync: wait until it has caught up.
    """
    environment = {
        "KUBECONFIG": str(kubeconfig),
        "SELFHEALING_NAMESPACES": ",".join(namespaces),
        "SELFHEALING_METRICS_PORT": str(find_free_port()),
        "SELFHEALING_HEALTH_PORT": "0",
        "SELFHEALING_LOG_FORMAT": "text",
        **(settings or {}),
    }
    command = [sys.executable, "-m", "selfhealing"]
    if kopf_run:
        where = [f"--namespace={name}" for name in namespaces] or ["--all-namespaces"]
        command = [sys.executable, "-m", "kopf", "run", "main.py", *where]
        environment.pop("SELFHEALING_NAMESPACES")
    operator = OperatorProcess(command, environment, log)
    try:
        operator.start(wait_for_sync=wait_for_sync)
        yield operator
    finally:
        operator.stop()
