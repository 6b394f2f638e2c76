"""The operator under test: a process of the checkout that serves the bench's namespaces only."""

import asyncio
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from hack.benchmark import ARTIFACTS, process_stats
from hack.testkit.operator_process import SYNCED_LINE, OperatorProcess
from hack.testkit.wait import poll_async

WRITE_VERBS = frozenset({"create", "update", "patch", "delete"})
POLL_INTERVAL = 0.05
START_TIMEOUT = 120

Sample = tuple[str, Mapping[str, str], float]


@dataclass(frozen=True)
class StartTimes:
    """Seconds from the start of the process.

    ``known``: until everything in the cluster was seen; ``done``: until every app was reconciled.
    """

    synced: float
    reconciled: float


class BenchmarkOperator:
    """A running operator, seen from outside: /metrics and /proc."""

    def __init__(
        self, namespaces: Sequence[str], settings: Mapping[str, str] | None = None
    ) -> None:
        self._port = find_free_port()
        environment = {
            "SELFHEALING_NAMESPACES": ",".join(namespaces),
            "SELFHEALING_METRICS_PORT": str(self._port),
            "SELFHEALING_HEALTH_PORT": "0",
            "SELFHEALING_LOG_FORMAT": "text",
            **(settings or {}),
        }
        log = ARTIFACTS / "bench-operator.log"
        log.parent.mkdir(exist_ok=True)
        log.unlink(missing_ok=True)
        self._process = OperatorProcess(
            [sys.executable, "-m", "selfhealing"], environment, Path(log)
        )
        self._http = aiohttp.ClientSession()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.process is not None  # noqa: S101 - used before start
        return self._process.process.pid

    async def start(self, apps: int = 0) -> "StartTimes":
        """Start it and wait until it has caught up and reconciled each of ``apps`` once."""
        started = time.perf_counter()
        offset = len(self._process.read_log())
        self._process.start(wait_for_sync=False)
        async with asyncio.timeout(START_TIMEOUT):
            while SYNCED_LINE not in self._process.read_log()[offset:]:
                self._raise_if_exited()
                await asyncio.sleep(POLL_INTERVAL)
            synced = time.perf_counter() - started
            await poll_async(
                f"{apps} apps are reconciled",
                lambda: self._has_reconciled(apps),
                START_TIMEOUT,
                interval=POLL_INTERVAL,
            )
        return StartTimes(synced, time.perf_counter() - started)

    async def _has_reconciled(self, apps: int) -> bool:
        return await self.count_reconciles() >= apps

    def _raise_if_exited(self) -> None:
        assert self._process.process is not None  # noqa: S101 - used before start
        if self._process.process.poll() is not None:
            raise RuntimeError(f"the operator ended:\n{self._process.read_log()[-4000:]}")

    async def stop(self) -> None:
        """Stop it."""
        await asyncio.to_thread(self._process.stop)

    async def close(self) -> None:
        """Stop it if it runs, and let go of it."""
        if self._process.process is not None and self._process.process.poll() is None:
            await self.stop()
        await self._http.close()

    async def read_samples(self) -> list[Sample]:
        """Everything on /metrics."""
        async with self._http.get(f"http://127.0.0.1:{self._port}/metrics") as response:
            text = await response.text()
        return [
            (sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]

    async def count_requests(self) -> Counter[str]:
        """Requests to the API server so far, by "verb Kind"."""
        counts: Counter[str] = Counter()
        for name, labels, value in await self.read_samples():
            if name == "selfhealing_api_requests_total":
                counts[f"{labels['verb']} {labels['kind']}"] += int(value)
        return counts

    async def count_reconciles(self) -> int:
        """Reconciles so far."""
        values = (
            v for name, _, v in await self.read_samples() if name == "selfhealing_reconciles_total"
        )
        return int(sum(values))

    def read_cpu(self) -> float:
        """CPU seconds so far."""
        return process_stats.read_cpu_seconds(self.pid)

    def read_memory(self) -> process_stats.Memory:
        """Its memory."""
        return process_stats.read_memory(self.pid)


def count_writes(requests: Counter[str]) -> int:
    """How many of ``requests`` change something."""
    return sum(count for name, count in requests.items() if name.partition(" ")[0] in WRITE_VERBS)


@asynccontextmanager
async def run_operator(
    *namespaces: str, settings: Mapping[str, str] | None = None
) -> AsyncIterator[BenchmarkOperator]:
    """An operator while the block runs."""
    operator = BenchmarkOperator(namespaces, settings)
    try:
        await operator.start()
        yield operator
    finally:
        await asyncio.shield(operator.close())


def find_free_port() -> int:
    """Return a TCP port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
