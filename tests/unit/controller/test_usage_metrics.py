"""What containers use: asked for only where it is wanted, kept short, noticed when it matters."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

import pytest

from selfhealing.cache.parse import app_view
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.usage_metrics import (
    MAX_NAMESPACE_SUSPECTS,
    MAX_SAMPLES,
    MAX_SELECTOR_APPS,
    MAX_SUSPECTS,
    POLL_INTERVAL,
    UNAVAILABLE_POLL_INTERVAL,
    UsageMetrics,
)
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.health.termination_causes import ContainerKey
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ForbiddenError, NotFoundError, UnavailableError
from selfhealing.kube.resources import POD_METRICS, Resource
from tests.unit import builders
from tests.unit.controller.fake_loop import now
from tests.unit.snapshots import KEY, build_snapshot, put_object

Json = dict[str, Any]

OPTED_IN_SPEC = {"image": "web:v1", "healing": {"memory": {"max": "1Gi"}}}
OPTED_OUT_SPEC = {
    "image": "web:v1",
    "healing": {"budget": 2},
    "resources": {"limits": {"memory": "1Gi"}},
}
POD = "web-abc-1"
UID = f"uid-of-{POD}"
MISSING = NotFoundError(404, "", "404 page not found")
FORBIDDEN = ForbiddenError(403, "Forbidden", "pods.metrics.k8s.io is forbidden")
UNAVAILABLE = UnavailableError(503, "ServiceUnavailable", "the server is currently unable")


class Harness:
    """A cluster, the operator's picture of it and who looks at the use of memory and CPU.

    Attributes:
        used: by pod, what it uses now, in MiB.
        cpu: what each container uses now.
        error: what every list ends with instead.
        failing_namespace: the only one whose lists do; None for all.
        asked: the time, the namespace and the selector of each list.
        measured: when it was measured; None for now.
    """

    def __init__(self, spec: Json | None = None, scale: float = 1) -> None:
        self.usage_mib: dict[str, float] = {POD: 50}
        self.cpu = "100m"
        self.error: ApiError | None = None
        self.failing_namespace: str | None = None
        self.requests: list[tuple[float, str | None, str]] = []
        self.measured_at: float | None = None
        self.store = Store()
        self.queue: WorkQueue[AppKey] = WorkQueue()
        self.usage_metrics = UsageMetrics(cast("Client", self), self.store, self.queue, scale, now)
        put_object(self.store, builders.app(spec or OPTED_IN_SPEC))
        put_object(self.store, builders.deployment())
        self.put_pod()

    def put_pod(self, uid: str = UID, version: int = 1, limit: str = "100Mi") -> None:
        """Let the pod be there."""
        manifest = builders.pod(POD, builders.running(), memory_limit=limit, version=version)
        manifest["metadata"]["uid"] = uid
        put_object(self.store, manifest)

    def put_container(self, state: Json, version: int) -> None:
        """Let the container of the pod be in another state."""
        put_object(self.store, builders.pod(POD, state, memory_limit="1Gi", version=version))

    async def list_objects(
        self, resource: Resource, namespace: str | None, labels: str = ""
    ) -> AsyncIterator[Json]:
        """Answer as Client.objects does."""
        assert POD_METRICS is resource
        self.requests.append((now(), namespace, labels))
        for pod, used_mib in self.usage_mib.items():
            yield {
                "metadata": {"name": pod, "namespace": namespace},
                "timestamp": builders.iso(now() if self.measured_at is None else self.measured_at),
                "containers": [
                    {
                        "name": name,
                        "usage": {"memory": f"{int(used_mib * 1024)}Ki", "cpu": self.cpu},
                    }
                    for name in ("injected", "app")
                ],
            }
        if self.error and self.failing_namespace in {None, namespace}:
            raise self.error

    def stored_samples(self, uid: str = UID) -> list[int]:
        """What is kept of the pod, in MiB."""
        snapshot = self.store.snapshot(KEY)
        assert snapshot is not None
        return [
            (sample.memory_bytes or 0) >> 20
            for sample in self.usage_metrics.samples_for(snapshot).get(ContainerKey(uid, "app"), ())
        ]

    async def poll(self, *samples_mib: float) -> None:
        """Look once for each of these uses, at the pace."""
        for used_mib in samples_mib:
            self.usage_mib[POD] = used_mib
            await self.usage_metrics.poll()
            await asyncio.sleep(POLL_INTERVAL)

    async def drain_queue(self) -> list[AppKey]:
        """Who has been woken since this was asked last."""
        keys = []
        while self.queue.depth():
            keys.append(key := await self.queue.get())
            self.queue.done(key)
        return keys


class TestAsking:
    """When what is asked for."""

    @pytest.mark.parametrize(("scale", "pace"), [(1, 15), (2, 30), (0.5, 7.5), (0.1, 5)], ids=str)
    async def test_the_pace(self, scale: float, pace: float) -> None:
        """By the scale of healing, but not more often than every five seconds."""
        harness = Harness(scale=scale)
        task = asyncio.create_task(harness.usage_metrics.run())
        await asyncio.sleep(3 * pace + 1)
        task.cancel()

        selector = "selfhealing.dev/app in (web)"
        assert [(pace * n, builders.NAMESPACE, selector) for n in (1, 2, 3)] == harness.requests

    async def test_nobody_wants_it(self) -> None:
        """An operator whose apps say nothing of it costs the API server nothing."""
        harness = Harness(OPTED_OUT_SPEC)
        task = asyncio.create_task(harness.usage_metrics.run())
        await asyncio.sleep(20 * POLL_INTERVAL)
        task.cancel()

        assert [] == harness.requests

    async def test_one_list_for_each_namespace(self) -> None:
        """For the apps that want it, and for no other."""
        harness = Harness()
        for namespace, name, spec in (
            (builders.NAMESPACE, "api", OPTED_IN_SPEC),
            (builders.NAMESPACE, "quiet", OPTED_OUT_SPEC),
            ("other", "web", OPTED_IN_SPEC),
        ):
            uid = f"uid-of-{namespace}-{name}"
            app = builders.app(spec, namespace=namespace, name=name, uid=uid)
            harness.store.upsert_app(app_view(app))
        await harness.usage_metrics.poll()

        assert [
            ("other", "selfhealing.dev/app in (web)"),
            (builders.NAMESPACE, "selfhealing.dev/app in (api,web)"),
        ] == [asked[1:] for asked in harness.requests]

    async def test_many_apps(self) -> None:
        """A selector has an end: all of the namespace are asked for then."""
        harness = Harness()
        for number in range(MAX_SELECTOR_APPS):
            name = f"app-{number}"
            harness.store.upsert_app(
                app_view(builders.app(OPTED_IN_SPEC, name=name, uid=f"uid-of-{name}"))
            )
        await harness.usage_metrics.poll()

        assert "selfhealing.dev/app" == harness.requests[0][2]


class TestKeeping:
    """What is remembered."""

    async def test_the_last_ones(self) -> None:
        """No more than ten."""
        harness = Harness()
        await harness.poll(*range(20))

        assert list(range(20))[-MAX_SAMPLES:] == harness.stored_samples()

    async def test_the_same_measurement(self) -> None:
        """Counts once, however often it is seen."""
        harness = Harness()
        harness.measured_at = 7
        await harness.poll(50, 50, 50)

        assert [50] == harness.stored_samples()

    async def test_a_pod_that_is_gone(self) -> None:
        """And one of the same name that comes after it."""
        harness = Harness()
        await harness.poll(50, 51)
        harness.store.delete_pod(UID)
        harness.put_pod("another", version=9)
        await harness.poll(52)

        assert [] == harness.stored_samples()
        assert [52] == harness.stored_samples("another")

        harness.usage_mib.clear()
        await harness.usage_metrics.poll()

        assert [] == harness.stored_samples("another")

    async def test_a_stranger(self) -> None:
        """A pod that the store does not know, and one that was not measured."""
        harness = Harness()
        harness.usage_mib = {"web-abc-9": 50}
        await harness.usage_metrics.poll()

        assert [] == harness.stored_samples()

    async def test_nobody_wants_it_any_more(self) -> None:
        """Then nothing is kept."""
        harness = Harness()
        await harness.poll(50)
        put_object(harness.store, builders.app(OPTED_OUT_SPEC, resourceVersion="9"))
        await harness.usage_metrics.poll()

        assert [] == harness.stored_samples()
        assert 1 == len(harness.requests)


class TestWaking:
    """The app is looked at when the answer is another."""

    async def test_it_comes_and_goes(self) -> None:
        """Once each; and not while it stays as it is."""
        harness = Harness()
        await harness.poll(70, 75, 80)

        assert [] == await harness.drain_queue()

        await harness.poll(86)

        assert [KEY] == await harness.drain_queue()

        await harness.poll(91)

        assert [] == await harness.drain_queue()

        await harness.poll(60)

        assert [KEY] == await harness.drain_queue()

    async def test_an_app_that_is_gone(self) -> None:
        """Wakes nobody for ever."""
        harness = Harness()
        await harness.poll(70, 75, 80, 86)
        await harness.drain_queue()
        harness.store.delete_app(KEY, builders.APP_UID)
        await harness.usage_metrics.poll()
        await harness.drain_queue()
        await harness.usage_metrics.poll()

        assert [] == await harness.drain_queue()


class TestThrottling:
    """Apps whose probes fail under a CPU limit are measured, whether they have asked or not."""

    def put_failing_pod(self, harness: Harness, *, ready: bool, version: int) -> None:
        """Let the pod have a CPU limit, and fail its readiness probe or not."""
        harness.put_container(builders.running(ready=ready), version)

    async def test_while_it_lasts(self) -> None:
        """From the reconcile that sees it; the app is woken when it is at its limit."""
        harness = Harness(OPTED_OUT_SPEC)
        harness.cpu = "990m"
        self.put_failing_pod(harness, ready=False, version=2)
        await harness.poll(50)

        assert [] == harness.requests

        assert [] == harness.stored_samples()  # a reconcile
        await harness.poll(50, 50)

        assert [] == await harness.drain_queue()

        await harness.poll(50)

        assert [KEY] == await harness.drain_queue()
        assert 3 == len(harness.requests)

        self.put_failing_pod(harness, ready=True, version=3)
        await harness.poll(50)

        assert 3 == len(harness.requests)
        assert [KEY] == await harness.drain_queue()

    async def test_over_a_restart(self) -> None:
        """A container that a probe has killed lacks the same again; its memory starts anew."""
        harness = Harness(OPTED_OUT_SPEC)
        harness.cpu = "1"
        harness.put_container(builders.running(ready=False), 2)
        assert [] == harness.stored_samples()
        await harness.poll(50)
        harness.put_container(builders.crash_loop(3, builders.termination(137)), 3)
        harness.usage_mib.clear()
        await harness.usage_metrics.poll()

        snapshot = harness.store.snapshot(KEY)
        assert snapshot is not None
        (kept,) = harness.usage_metrics.samples_for(snapshot)[ContainerKey(UID, "app")]
        assert (Decimal(1), None) == (kept.cpu_cores, kept.memory_bytes)

    async def test_not_of_everybody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An outage of many apps is not made worse by many lists."""
        harness = Harness(OPTED_OUT_SPEC)
        failing = build_snapshot(
            builders.pod(POD, builders.running(ready=False), memory_limit="1Gi")
        )
        snapshots = {}
        keys = [
            *(AppKey(f"many-{n}", f"web-{m}") for n in range(8) for m in range(50)),
            *(AppKey(f"shop-{number}", "web") for number in range(MAX_SUSPECTS // 4)),
        ]
        for key in keys:
            snapshots[key] = replace(failing, app=replace(failing.app, key=key))
        monkeypatch.setattr(harness.store, "snapshot", snapshots.get)
        for snapshot in snapshots.values():
            harness.usage_metrics.samples_for(snapshot)
        await harness.usage_metrics.poll()

        measured = Counter(namespace for _, namespace, labels in harness.requests)
        suspects = Counter(
            {ns: labels.count(",") + 1 for _, ns, labels in harness.requests if ns is not None}
        )
        assert {1} == set(measured.values())
        assert MAX_SUSPECTS == suspects.total()
        assert MAX_NAMESPACE_SUSPECTS >= max(suspects.values())
        assert MAX_SUSPECTS // 4 == sum(ns.startswith("shop-") for ns in suspects)

    def test_a_full_list_of_single_apps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody gives a place up for another who has no less."""
        harness = Harness(OPTED_OUT_SPEC)
        failing = build_snapshot(
            builders.pod(POD, builders.running(ready=False), memory_limit="1Gi")
        )
        keys = [AppKey(f"shop-{number}", "web") for number in range(MAX_SUSPECTS + 5)]
        snapshots = {key: replace(failing, app=replace(failing.app, key=key)) for key in keys}
        monkeypatch.setattr(harness.store, "snapshot", snapshots.get)
        for snapshot in snapshots.values():
            harness.usage_metrics.samples_for(snapshot)

        assert set(keys[:MAX_SUSPECTS]) == harness.usage_metrics._suspects  # noqa: SLF001 - what is measured next


class TestFailures:
    """The metrics API may not be there."""

    @pytest.mark.parametrize("error", [MISSING, FORBIDDEN], ids=["not served", "no right"])
    async def test_it_is_away(self, error: ApiError, caplog: pytest.LogCaptureFixture) -> None:
        """It is said once, and asked for again every few minutes."""
        harness = Harness(scale=0.1)
        harness.error = error
        task = asyncio.create_task(harness.usage_metrics.run())
        await asyncio.sleep(2 * UNAVAILABLE_POLL_INTERVAL + 60)

        assert [5, 305, 605] == [asked[0] for asked in harness.requests]
        assert 1 == len(caplog.records)
        assert "is metrics-server installed?" in caplog.text

        caplog.set_level("INFO")
        harness.error = None
        await asyncio.sleep(UNAVAILABLE_POLL_INTERVAL)
        task.cancel()

        assert "the usage of containers is available again" in caplog.text
        assert harness.stored_samples()

    @pytest.mark.parametrize("error", [UNAVAILABLE, FORBIDDEN], ids=["no answer", "no right"])
    async def test_one_namespace(self, error: ApiError, caplog: pytest.LogCaptureFixture) -> None:
        """Whose list is too large, too slow or forbidden: the others are measured all the same."""
        harness = Harness()
        other = builders.app(OPTED_IN_SPEC)
        other["metadata"] |= {"namespace": "bank", "uid": "other"}
        put_object(harness.store, other)
        harness.error, harness.failing_namespace = error, "bank"
        await harness.poll(*range(50, 90))

        asked = Counter(namespace for _, namespace, _ in harness.requests)
        assert 40 == asked["shop"]
        assert 3 < asked["bank"] < 10
        assert harness.stored_samples()
        assert ["bank" in record.message for record in caplog.records] == [True]

        caplog.set_level("INFO")
        harness.error = None
        await asyncio.sleep(UNAVAILABLE_POLL_INTERVAL)
        await harness.poll(50)

        assert "in the namespace bank is known again" in caplog.text

    async def test_a_namespace_without_apps_is_forgotten(self) -> None:
        """Nothing is kept of its failures; an app that comes is asked for at once."""
        harness = Harness()
        other = builders.app(OPTED_IN_SPEC)
        other["metadata"] |= {"namespace": "bank", "uid": "other"}
        put_object(harness.store, other)
        harness.error, harness.failing_namespace = UNAVAILABLE, "bank"
        await harness.poll(*range(50, 60))
        harness.store.delete_app(AppKey("bank", "web"), "other", 2)
        await harness.poll(60)
        harness.requests.clear()
        other["metadata"] |= {"uid": "another", "resourceVersion": "3"}
        put_object(harness.store, other)
        await harness.poll(61)

        assert ["bank", "shop"] == [namespace for _, namespace, _ in harness.requests]

    async def test_a_moment(self, caplog: pytest.LogCaptureFixture) -> None:
        """What was known is forgotten: who climbed before is looked at once more."""
        harness = Harness()
        await harness.poll(70, 75, 80, 86)
        await harness.drain_queue()
        harness.error = UNAVAILABLE
        await harness.poll(88, 90)

        assert [] == harness.stored_samples()
        assert [KEY] == await harness.drain_queue()
        assert 6 == len(harness.requests)
        assert 1 == len(caplog.records)
