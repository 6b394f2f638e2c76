"""Figure (f): what the load of other teams does to the operator and to an app of one team.

The operator serves the whole cluster with the rights to read everything, and to write in the
namespaces of the measured app and of the noisy ones only: it touches no other app of the cluster.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from hack.benchmark import ARTIFACTS, latency, noisy_apps, operator_process
from hack.benchmark.api_client import AsyncKubeClient
from hack.benchmark.convergence import grow_fleet, run_concurrently
from hack.benchmark.preflight import delete_namespace, temporary_namespace
from hack.testkit.kube_client import TEST_LABEL, Json, KubeClient, object_path
from hack.testkit.operator_process import OperatorProcess, create_operator
from hack.testkit.service_account import (
    allow_reading_everywhere,
    create_service_account,
    list_operator_permissions,
)
from selfhealing.api import names
from selfhealing.kube.resources import namespace_scoped_resources

MIB = 2**20
ANNOTATION_BYTES = 250 * 1024
"""Nearly the limit of all annotations of an object (256 KiB)."""
FAT_PODS = 100
EVENTS_PER_SECOND = 1000
CONCURRENCY = 16
APP_NAME = "healthy"
CHANGES = 12
"""Changes of the measured app's pod in each phase; each is followed by the change back."""
CHANGE_INTERVAL = 1.0
SETTLE_SECONDS = 5.0
NOISY_APPS = 10
HEALING_SCALE = "0.05"
"""What the times of healing are multiplied by. Ten apps that fall ill together are a storm: nothing
is healed, and no log read, for ten minutes."""


@dataclass(frozen=True)
class TenantLoad:
    """What the other teams have: namespaces, and objects of the largest size."""

    namespaces: int
    config_objects: int
    """ConfigMaps, and as many Secrets, of 1 MiB each."""


async def measure_tenants(api: AsyncKubeClient, load: TenantLoad) -> Json:
    """Measure an app's status delay and the operator's memory, without and with the load."""
    async with (
        temporary_namespace(api, "measured") as where,
        _run_operator(where) as running,
    ):
        await grow_fleet(api, where, [APP_NAME], 1)
        await asyncio.sleep(SETTLE_SECONDS)
        phases: Json = {"alone": await _measure_phase(api, where, running)}
        async with _tenant_namespaces(api, load.namespaces) as tenants:
            await _create_fat_objects(api, tenants, load.config_objects)
            await asyncio.sleep(SETTLE_SECONDS)
            phases["fatObjects"] = await _measure_phase(api, where, running)
            async with _flood_events(api, tenants[0]) as flood:
                phases["flood"] = await _measure_phase(api, where, running)
            phases["flood"]["eventsPerSecond"] = round(flood.rate)
            noisy_namespaces = tenants[-NOISY_APPS:]
            async with noisy_apps.run_noisy_apps(
                api, noisy_namespaces, where, list_operator_permissions()
            ) as noisy:
                phases["logs"] = await _measure_phase(api, where, running)
                phases["logs"] |= {
                    "apps": len(noisy_namespaces),
                    "evidence": await asyncio.to_thread(noisy.count_evidence),
                }
            pid = running.pid
            phases["survived"] = running.is_running()
            await operator_process.stop(running)
            started = time.perf_counter()
            await asyncio.to_thread(running.start)
            restart = {"syncedSeconds": round(time.perf_counter() - started, 2)}
            await asyncio.sleep(SETTLE_SECONDS)
            phases["restart"] = restart | await _measure_phase(api, where, running)
            assert pid != running.pid  # noqa: S101 - it was stopped
    return {"namespaces": load.namespaces, "configObjects": load.config_objects, **phases}


@asynccontextmanager
async def _run_operator(namespace: str) -> AsyncIterator[OperatorProcess]:
    """Run an operator for all namespaces that may write only in ``namespace``."""
    kube = KubeClient()
    resources = namespace_scoped_resources("all")
    log = ARTIFACTS / "bench-operator.log"
    log.parent.mkdir(exist_ok=True)
    log.unlink(missing_ok=True)
    kubeconfig = await asyncio.to_thread(
        create_service_account,
        kube,
        namespace,
        "operator",
        list_operator_permissions(resources),
        log.parent,
    )
    with allow_reading_everywhere(kube, namespace, "operator", resources):
        settings = {
            "SELFHEALING_CONFIG_WATCH": "all",
            "SELFHEALING_HEALING_SCALE": HEALING_SCALE,
        }
        running = create_operator([], log, settings=settings, kubeconfig=kubeconfig)
        try:
            await asyncio.to_thread(running.start)
            yield running
        finally:
            await operator_process.stop(running)


@asynccontextmanager
async def _tenant_namespaces(api: AsyncKubeClient, count: int) -> AsyncIterator[list[str]]:
    stem = f"bench-tenant-{uuid.uuid4().hex[:6]}"
    created = [f"{stem}-{number:03}" for number in range(count)]

    async def create(name: str) -> None:
        meta = {"name": name, "labels": {TEST_LABEL: "true"}}
        await api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})

    await run_concurrently(created, CONCURRENCY, create)
    try:
        yield created
    finally:
        await asyncio.shield(run_concurrently(created, CONCURRENCY, partial(delete_namespace, api)))


async def _create_fat_objects(api: AsyncKubeClient, tenants: list[str], count: int) -> None:
    """Create the largest ConfigMaps and Secrets, half of them in one namespace, and pods."""

    def place(number: int) -> str:
        return tenants[0] if number % 2 else tenants[number % len(tenants)]

    content = "x" * (MIB - 4096)
    bodies: list[Json] = [
        {
            "apiVersion": "v1",
            "kind": kind,
            "metadata": {"name": f"fat-{number}", "namespace": place(number)},
            field: {"content": content},
        }
        for number in range(count)
        for kind, field in (("ConfigMap", "data"), ("Secret", "stringData"))
    ]
    bodies += [_build_fat_pod(place(number), f"fat-{number}") for number in range(FAT_PODS)]
    # A create: an apply of a megabyte costs the API server ten times as much.
    requests = {str(number): body for number, body in enumerate(bodies)}

    async def create(key: str) -> None:
        body = requests[key]
        path = object_path(body["kind"], body["metadata"]["namespace"])
        await api.send_request("POST", path, body, headers={"Content-Type": "application/json"})

    await run_concurrently(list(requests), 4, create)


def _build_fat_pod(namespace: str, name: str) -> Json:
    """Return a pod that is never scheduled, with an app's label and the largest annotations."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {names.LABEL_APP: "stranger"},
            "annotations": {"tenant.example/notes": "x" * ANNOTATION_BYTES},
        },
        "spec": {
            "schedulingGates": [{"name": "tenant.example/never"}],
            "containers": [{"name": "app", "image": "registry.example/app:1"}],
        },
    }


class _Flood:
    """Events like those of the kubelet about a killed container, as many as can be written."""

    def __init__(self, api: AsyncKubeClient, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._started = time.perf_counter()
        self._written = 0
        self.rate = 0.0

    async def run(self) -> None:
        """Write EVENTS_PER_SECOND, or as many as the API server can store, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CONCURRENCY):
                tasks.create_task(self._write())

    async def _write(self) -> None:
        while True:
            elapsed = time.perf_counter() - self._started
            if self._written > EVENTS_PER_SECOND * elapsed:
                await asyncio.sleep(0.01)
                continue
            self._written += 1
            await self._api.send_request(
                "POST",
                f"/api/v1/namespaces/{self._namespace}/events",
                self._build_event(self._written),
                headers={"Content-Type": "application/json"},
            )
            self.rate = self._written / (time.perf_counter() - self._started)

    def _build_event(self, number: int) -> Json:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        pod = {"kind": "Pod", "namespace": self._namespace, "name": f"pod-{number}"}
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"flood-{number}", "namespace": self._namespace},
            "involvedObject": {**pod, "apiVersion": "v1", "uid": str(uuid.uuid4())},
            "type": "Normal",
            "reason": "Killing",
            "message": "Container app failed liveness probe, will be restarted",
            "source": {"component": "kubelet", "host": "node"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }


@asynccontextmanager
async def _flood_events(api: AsyncKubeClient, namespace: str) -> AsyncIterator[_Flood]:
    flood = _Flood(api, namespace)
    task = asyncio.create_task(flood.run())
    try:
        yield flood
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _measure_phase(api: AsyncKubeClient, namespace: str, running: OperatorProcess) -> Json:
    """Change a pod of the app several times; return the delays of its status, and the memory."""
    cpu, started = running.read_cpu_seconds(), time.perf_counter()
    latencies = await latency.measure_single_app(
        api, namespace, changes=CHANGES, interval=CHANGE_INTERVAL
    )
    cpu_share = (running.read_cpu_seconds() - cpu) / (time.perf_counter() - started)
    usage = running.read_memory()
    return {
        "fromRequestSeconds": [round(value, 4) for value in latencies.from_request],
        "fromAnswerSeconds": [round(value, 4) for value in latencies.from_answer],
        "cpuShare": round(cpu_share, 4),
        "rssBytes": usage.rss,
        "peakBytes": usage.peak,
    }
