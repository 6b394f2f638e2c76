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
from hack.benchmark.wait import until
from hack.testkit.operator_process import READY_LINE, OperatorProcess

WRITES = frozenset({"create", "update", "patch", "delete"})
POLL = 0.05
START_LIMIT = 120

Sample = tuple[str, Mapping[str, str], float]


@dataclass(frozen=True)
class Start:
    """Seconds from the start of the process.

    ``known``: until everything in the cluster was seen; ``done``: until every app was reconciled.
    """

    known: float
    done: float


class Operator:
    """A running operator, seen from outside: /metrics and /proc."""

    def __init__(
        self, namespaces: Sequence[str], settings: Mapping[str, str] | None = None
    ) -> None:
        self._port = _free_port()
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

    async def start(self, apps: int = 0) -> "Start":
        """Start it and wait until it has caught up and reconciled each of ``apps`` once."""
        begun = time.perf_counter()
        offset = len(self._process.text())
        self._process.start(ready=False)
        async with asyncio.timeout(START_LIMIT):
            while READY_LINE not in self._process.text()[offset:]:
                self._check_alive()
                await asyncio.sleep(POLL)
            known = time.perf_counter() - begun
            await until(lambda: self._has_reconciled(apps), POLL)
        return Start(known, time.perf_counter() - begun)

    async def _has_reconciled(self, apps: int) -> bool:
        return await self.reconciles() >= apps

    def _check_alive(self) -> None:
        assert self._process.process is not None  # noqa: S101 - used before start
        if self._process.process.poll() is not None:
            raise RuntimeError(f"the operator ended:\n{self._process.text()[-4000:]}")

    async def stop(self) -> None:
        """Stop it."""
        await asyncio.to_thread(self._process.stop)

    async def close(self) -> None:
        """Stop it if it runs, and let go of it."""
        if self._process.process is not None and self._process.process.poll() is None:
            await self.stop()
        await self._http.close()

    async def samples(self) -> list[Sample]:
        """Everything on /metrics."""
        async with self._http.get(f"http://127.0.0.1:{self._port}/metrics") as response:
            text = await response.text()
        return [
            (sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]

    async def requests(self) -> Counter[str]:
        """Requests to the API server so far, by "verb Kind"."""
        found: Counter[str] = Counter()
        for name, labels, value in await self.samples():
            if name == "selfhealing_api_requests_total":
                found[f"{labels['verb']} {labels['kind']}"] += int(value)
        return found

    async def reconciles(self) -> int:
        """Reconciles so far."""
        found = (v for name, _, v in await self.samples() if name == "selfhealing_reconciles_total")
        return int(sum(found))

    def cpu(self) -> float:
        """CPU seconds so far."""
        return process_stats.cpu_seconds(self.pid)

    def memory(self) -> process_stats.Memory:
        """Its memory."""
        return process_stats.memory(self.pid)


def writes(requests: Counter[str]) -> int:
    """How many of ``requests`` change something."""
    return sum(count for name, count in requests.items() if name.partition(" ")[0] in WRITES)


@asynccontextmanager
async def running(
    *namespaces: str, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Operator]:
    """An operator while the block runs."""
    operator = Operator(namespaces, settings)
    try:
        await operator.start()
        yield operator
    finally:
        await asyncio.shield(operator.close())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
