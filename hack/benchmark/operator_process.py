"""The operator that is measured: its start, and its use from asynchronous code."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from hack.benchmark import ARTIFACTS
from hack.testkit.operator_process import OperatorProcess, create_operator
from hack.testkit.wait import eventually

POLL_INTERVAL = 0.05
START_TIMEOUT = 120


@dataclass(frozen=True)
class StartTimes:
    """Seconds from the start of the process.

    Attributes:
        synced: until the caches are filled.
        reconciled: until every app was reconciled once.
    """

    synced: float
    reconciled: float


def create_measured_operator(
    namespaces: Sequence[str], settings: Mapping[str, str] | None = None
) -> OperatorProcess:
    """Return an operator with a log of its own under ``.artifacts``; it is not started."""
    log = ARTIFACTS / "bench-operator.log"
    log.parent.mkdir(exist_ok=True)
    log.unlink(missing_ok=True)
    return create_operator(namespaces, log, settings=settings)


async def start(operator: OperatorProcess, apps: int = 0) -> StartTimes:
    """Start an operator and wait until it has reconciled ``apps`` apps."""
    return await asyncio.to_thread(_start, operator, apps)


def _start(operator: OperatorProcess, apps: int) -> StartTimes:
    started = time.perf_counter()
    operator.start(wait_for_sync=False)
    operator.wait_for_sync(START_TIMEOUT, POLL_INTERVAL)
    synced = time.perf_counter() - started
    eventually(
        lambda: operator.read_metric("selfhealing_reconciles_total") >= apps,
        timeout=START_TIMEOUT,
        poll=POLL_INTERVAL,
        description=f"the operator has reconciled {apps} apps",
    )
    return StartTimes(synced, time.perf_counter() - started)


async def stop(operator: OperatorProcess) -> None:
    """Stop an operator that runs, also when the task is cancelled."""
    if operator.is_running():
        await asyncio.shield(asyncio.to_thread(operator.stop))


async def count_requests(operator: OperatorProcess) -> Counter[str]:
    """Count the operator's requests to the API server, by ``verb Kind``."""
    return await asyncio.to_thread(operator.count_requests)


@asynccontextmanager
async def run_operator(*namespaces: str) -> AsyncIterator[OperatorProcess]:
    """Run an operator during the block."""
    operator = create_measured_operator(namespaces)
    try:
        await start(operator)
        yield operator
    finally:
        await stop(operator)
