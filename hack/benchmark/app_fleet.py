"""(b) to (e): one fleet of apps that grows, changes, idles and sees its operator restarted."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

from hack.benchmark import apps, operator_process, process_stats
from hack.benchmark.api_client import Api
from hack.benchmark.convergence import grow
from hack.benchmark.preflight import Json

SCALE = "0.1"
"""Of every time of healing: a version proves itself in 1 minute instead of 10."""
PROOF_LIMIT = 240.0
"""Seconds until every version must have proved itself, which is written once in its life."""
SETTLE = 15.0
"""Seconds after a change of the fleet before anything is called idle."""
POLL = 5.0
RELIST = 5
"""Seconds between two relists while their price is found out."""
RELIST_WINDOW = 30.0
RELIST_USUAL = 300
"""Seconds between two relists by default."""
AFTER_RESTART = 5.0
"""Seconds after a restart in which a late write would still be seen."""


@dataclass(frozen=True)
class Idle:
    """What an operator with nothing to do costs."""

    seconds: float
    cpu: float
    requests: Counter[str]
    changed: int
    """SelfHealingApps whose resource version changed: counted from outside."""

    @property
    def share(self) -> float:
        """The part of one core."""
        return self.cpu / self.seconds


async def memory_with(  # noqa: PLR0913, PLR0917 - the fleet before and after
    api: Api, running: operator_process.Operator, where: str, count: int, present: int, width: int
) -> process_stats.Memory:
    """Grow the fleet to ``count`` apps and look at the operator's memory."""
    if count > present:
        await grow(api, where, apps.names(count - present, present), width, present)
    await asyncio.sleep(SETTLE)
    return running.memory()


async def _versions(api: Api, where: str) -> dict[str, str]:
    listed = await api.list("SelfHealingApp", where, metadata=True)
    return {i["metadata"]["uid"]: i["metadata"]["resourceVersion"] for i in listed["items"]}


def _changed(before: dict[str, str], after: dict[str, str]) -> int:
    return sum(before.get(uid) != version for uid, version in after.items())


async def proven(api: Api, where: str) -> bool:
    """Wait until the last of the apps has proved itself; whether it has."""
    begun = time.perf_counter()
    while time.perf_counter() - begun < PROOF_LIMIT:
        listed = await api.list("SelfHealingApp", where)
        records = [item.get("status", {}).get("healing", {}) for item in listed["items"]]
        if all(record.get("goodTemplate") for record in records):
            return True
        await asyncio.sleep(POLL)
    return False


async def idle(api: Api, running: operator_process.Operator, where: str, seconds: float) -> Idle:
    """Watch the operator while nothing happens."""
    before = await _versions(api, where)
    requests, cpu = await running.requests(), running.cpu()
    await asyncio.sleep(seconds)
    used, sent = running.cpu() - cpu, await running.requests() - requests
    return Idle(seconds, used, sent, _changed(before, await _versions(api, where)))


async def relist_price(where: str, count: int, idle_share: float) -> float:
    """CPU seconds of one relist: of an operator that does it often, less what idling costs."""
    running = operator_process.Operator([where], {"SELFHEALING_RELIST_INTERVAL": str(RELIST)})
    try:
        await running.start(count)
        one = _lists(await running.requests())  # catching up takes the same lists once
        await asyncio.sleep(SETTLE)
        cpu, lists = running.cpu(), _lists(await running.requests())
        await asyncio.sleep(RELIST_WINDOW)
        used = running.cpu() - cpu - idle_share * RELIST_WINDOW
        return max(0.0, used) * one / max(1, _lists(await running.requests()) - lists)
    finally:
        await asyncio.shield(running.close())


def _lists(requests: Counter[str]) -> int:
    return sum(count for name, count in requests.items() if name.startswith("list "))


async def restart(api: Api, running: operator_process.Operator, where: str, count: int) -> Json:
    """Stop the operator and start it again among ``count`` apps that are as they should be."""
    begun = time.perf_counter()
    await running.stop()
    stopped = time.perf_counter() - begun
    before = await _versions(api, where)
    start = await running.start(count)
    await asyncio.sleep(AFTER_RESTART)
    sent = await running.requests()
    return {
        "stopSeconds": round(stopped, 3),
        "knownSeconds": round(start.known, 3),
        "caughtUpSeconds": round(start.done, 3),
        "writes": operator_process.writes(sent),
        "changedApps": _changed(before, await _versions(api, where)),
        "requests": dict(sent),
    }
