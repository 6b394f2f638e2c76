"""An operator process of the checkout, for the tests, the exam and the benchmark."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import requests
from prometheus_client.parser import text_string_to_metric_families

from hack.testkit import process_stats
from hack.testkit.kube_client import KUBECONFIG, ROOT
from hack.testkit.ports import find_free_port
from hack.testkit.wait import POLL_INTERVAL, eventually
from selfhealing.controller.http_endpoints import RENDER_INTERVAL

SYNCED_LINE = "caught up with"
START_TIMEOUT = 60
STOP_TIMEOUT = 15
WRITE_VERBS = frozenset({"create", "update", "patch", "delete"})


class ChildProcess(Protocol):
    """What is needed of ``subprocess.Popen``."""

    @property
    def pid(self) -> int:
        """The process id."""

    def poll(self) -> int | None:
        """Return the exit code; None while the process runs."""

    def wait(self, timeout: float) -> int:
        """Return the exit code.

        Raises:
            subprocess.TimeoutExpired: the process still runs after ``timeout`` seconds.
        """

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal."""


class OperatorProcess:
    """``python -m selfhealing`` or ``kopf run``, its log, its metrics and what it costs."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._command = list(command)
        self._environment = {**os.environ, "KUBECONFIG": str(KUBECONFIG), **environment}
        self._offset = 0
        self._metrics_expire = 0.0
        """Until then the operator answers with the text of the last read."""
        self.log = log
        self.process: ChildProcess | None = None

    def start(self, *, wait_for_sync: bool = True) -> None:
        """Start the process and, with ``wait_for_sync``, wait until its caches are filled."""
        self.log.touch()
        self._offset = self.log.stat().st_size
        self.process = self._launch()
        if wait_for_sync:
            self.wait_for_sync()

    def _launch(self) -> ChildProcess:
        with self.log.open("ab") as sink:
            return subprocess.Popen(
                self._command,
                cwd=ROOT / "operator",
                env=self._environment,
                stdout=sink,
                stderr=sink,
            )

    def wait_for_sync(self, timeout: float = START_TIMEOUT, poll: float = POLL_INTERVAL) -> None:
        """Wait until the caches are filled since the last start.

        Raises:
            AssertionError: they are not within ``timeout`` seconds.
            RuntimeError: the process has exited.
        """
        eventually(
            lambda: self._has_synced() or self._raise_if_exited(),
            timeout=timeout,
            poll=poll,
            description="the operator caught up",
        )

    @property
    def pid(self) -> int:
        """The process id of a started process."""
        assert self.process is not None
        return self.process.pid

    def is_running(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def _has_synced(self) -> bool:
        # Bytes: the log may hold characters of several bytes, and the offset is a file's size.
        with self.log.open("rb") as log:
            log.seek(self._offset)
            return SYNCED_LINE.encode() in log.read()

    def _raise_if_exited(self) -> bool:
        assert self.process is not None
        code = self.process.poll()
        if code is not None:
            raise RuntimeError(f"the operator ended with {code}:\n{self.read_log()[-4000:]}")
        return False

    def read_log(self) -> str:
        """Return the whole log, of all starts."""
        return self.log.read_bytes().decode(errors="replace") if self.log.exists() else ""

    @property
    def metrics_url(self) -> str:
        """The URL of its metrics."""
        return f"http://127.0.0.1:{self._environment['SELFHEALING_METRICS_PORT']}/metrics"

    def read_samples(self, name: str) -> list[tuple[dict[str, str], float]]:
        """Return the labels and the value of each sample of a metric as they are now."""
        time.sleep(max(0.0, self._metrics_expire - time.monotonic()))
        text = requests.get(self.metrics_url, timeout=5).text
        self._metrics_expire = time.monotonic() + RENDER_INTERVAL
        return [
            (sample.labels, sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name
        ]

    def read_metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of a metric that have ``labels``."""
        return sum(
            value for found, value in self.read_samples(name) if labels.items() <= found.items()
        )

    def count_requests(self) -> Counter[str]:
        """Count the requests to the API server since the last start, by ``verb Kind``."""
        counts: Counter[str] = Counter()
        for labels, value in self.read_samples("selfhealing_api_requests_total"):
            counts[f"{labels['verb']} {labels['kind']}"] += int(value)
        return counts

    def count_writes(self) -> Counter[str]:
        """Count the requests of ``count_requests`` that change something."""
        return select_writes(self.count_requests())

    def read_cpu_seconds(self) -> float:
        """Return the CPU seconds that the process has used."""
        return process_stats.read_cpu_seconds(self.pid)

    def read_memory(self) -> process_stats.Memory:
        """Return the memory of the process in bytes."""
        return process_stats.read_memory(self.pid)

    @contextmanager
    def stop_temporarily(self) -> Iterator[None]:
        """Stop the process during the block, and start it again."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        return self._signal_and_wait(signal.SIGTERM)

    def kill(self) -> int:
        """Send SIGKILL and return the exit code."""
        return self._signal_and_wait(signal.SIGKILL)

    def _signal_and_wait(self, number: signal.Signals) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(STOP_TIMEOUT)
            raise AssertionError(f"the operator did not stop within {STOP_TIMEOUT} s") from None


def select_writes(requests_by_verb: Counter[str]) -> Counter[str]:
    """Return the requests of ``OperatorProcess.count_requests`` that change something."""
    return Counter(
        {
            name: count
            for name, count in requests_by_verb.items()
            if name.partition(" ")[0] in WRITE_VERBS
        }
    )


def create_operator(
    namespaces: Sequence[str],
    log: Path,
    *,
    kopf_run: bool = False,
    settings: Mapping[str, str] | None = None,
    kubeconfig: Path = KUBECONFIG,
) -> OperatorProcess:
    """Return an operator that serves ``namespaces`` (none means all); it is not started.

    Args:
        namespaces: the namespaces it serves.
        log: the file to which it appends its log.
        kopf_run: start it with ``kopf run`` instead of ``python -m selfhealing``.
        settings: more environment variables.
        kubeconfig: the kubeconfig it uses.
    """
    environment = build_environment(namespaces, kubeconfig, settings or {})
    command = [sys.executable, "-m", "selfhealing"]
    if kopf_run:
        where = [f"--namespace={name}" for name in namespaces] or ["--all-namespaces"]
        command = [sys.executable, "-m", "kopf", "run", "main.py", *where]
        environment.pop("SELFHEALING_NAMESPACES")
    return OperatorProcess(command, environment, log)


def build_environment(
    namespaces: Sequence[str], kubeconfig: Path, settings: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment variables of an operator of the tests."""
    return {
        "KUBECONFIG": str(kubeconfig),
        "SELFHEALING_NAMESPACES": ",".join(namespaces),
        "SELFHEALING_METRICS_PORT": str(find_free_port()),
        "SELFHEALING_HEALTH_PORT": "0",
        "SELFHEALING_LOG_FORMAT": "text",
        **settings,
    }


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
    """Run an operator during the block.

    Args:
        namespaces: see ``create_operator``, as for the other arguments.
        log: the log file.
        kopf_run: start it with ``kopf run``.
        settings: more environment variables.
        kubeconfig: the kubeconfig.
        wait_for_sync: wait until its caches are filled.
    """
    operator = create_operator(
        namespaces, log, kopf_run=kopf_run, settings=settings, kubeconfig=kubeconfig
    )
    try:
        operator.start(wait_for_sync=wait_for_sync)
        yield operator
    finally:
        operator.stop()
