"""A reconciler with a fake API server."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, cast

import orjson

from selfhealing.api.config_refs import ConfigObject, ConfigRef, ConfigWatch
from selfhealing.api.healing_status import HealingStatus
from selfhealing.api.status import read_status
from selfhealing.apply.result import ChildChange, SyncResult
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey, AppView
from selfhealing.controller.child_sync import ChildSync
from selfhealing.controller.config_reader import ConfigReader
from selfhealing.controller.reconciler import Reconciler
from selfhealing.controller.recorder import EventRecorder
from selfhealing.controller.remediator import Remediator
from selfhealing.controller.settings import Settings
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.resources import CONFIG_SOURCES
from selfhealing.remediation.reconcile_input import ReconcileInput
from selfhealing.render.overrides import Overrides
from selfhealing.status.events import Event
from tests.unit import builders
from tests.unit.controller.fake_api_server import FakeApiServer, Json
from tests.unit.controller.fake_loop import now
from tests.unit.snapshots import KEY, put_object

POD = "web-abc-1"

STATUS = "merge/status SelfHealingApp/web"


def server_now() -> datetime:
    """The time of the tests: noon, a hundred seconds later, and what has passed since."""
    return builders.at(100) + timedelta(seconds=now())


class Harness:
    """Everything that a reconcile works with; children and Events are only noted.

    Attributes:
        overrides: what stood in place of the spec in each reconcile.
        configs: what was known of the configuration in each reconcile.
        meanwhile: called while the children are put right.
        changes: what each sync writes.
        told: the reasons of the Events.
    """

    def __init__(
        self,
        *objects: Json,
        spec: Json | None = None,
        quiet: float = 0,
        watch: ConfigWatch = "all",
    ) -> None:
        app = builders.app(spec)
        self.api_server = FakeApiServer(app, *objects)
        self.store = Store()
        for manifest in (app, *objects):
            put_object(self.store, manifest)
        self.queue: WorkQueue[AppKey] = WorkQueue()
        self.overrides: list[Overrides] = []
        self.config_digests: list[Mapping[ConfigRef, str]] = []
        self.during_sync: Callable[[], object] = lambda: None
        self.event_reasons: list[str] = []
        self.changes: tuple[ChildChange, ...] = ()
        settings = Settings(healing_quiet=quiet, config_watch=watch)
        self.config_reader = ConfigReader(
            self.api_server.client,
            self.store.config_index,
            self.queue,
            CONFIG_SOURCES[watch],
            settings.debounce,
        )
        self.reconciler = Reconciler(
            self.api_server.client,
            self.store,
            self.queue,
            cast("EventRecorder", self),
            cast("ChildSync", self),
            Remediator(self.api_server.client, self.store, self.queue, settings, now, server_now),
            self.config_reader,
            settings,
            now,
            server_now,
        )

    async def sync_children(
        self, snapshot: AppSnapshot, _: ReconcileInput, overrides: Overrides
    ) -> SyncResult:
        """Stand for ChildSync."""
        self.config_digests.append(snapshot.config_digests)
        self.during_sync()
        self.overrides.append(overrides)
        return SyncResult(self.changes)

    def record_event(self, _: AppView, event: Event) -> None:
        """Stand for Recorder."""
        self.event_reasons.append(event.reason)

    @asynccontextmanager
    async def running_worker(self, seconds: float) -> AsyncIterator[None]:
        """Let a worker work for so long, from now on."""
        self.queue.add(KEY)
        tasks = [
            asyncio.create_task(self.reconciler.run_worker()),
            asyncio.create_task(self.config_reader.run()),
        ]
        await asyncio.sleep(seconds)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def run_worker(self, seconds: float = 3) -> None:
        """Let a worker work for so long."""
        async with self.running_worker(seconds):
            pass

    def change_config(self, manifest: Json) -> None:
        """Let a ConfigMap or Secret be so, and the watch of its metadata tell of it."""
        self.api_server.put_object(manifest)
        meta = manifest["metadata"]
        target = ConfigObject(meta["namespace"], ConfigRef(manifest["kind"], meta["name"]))
        self.config_reader.on_changed(target, int(meta["resourceVersion"]))

    def update_object(self, manifest: Json) -> None:
        """Let something be so, and the watch bring it."""
        self.api_server.put_object(manifest)
        put_object(self.store, manifest)
        self.queue.add(KEY)

    def condition_types(self) -> set[str]:
        """The types of the conditions in the stored status."""
        app = self.api_server.objects_by_path["SelfHealingApp", builders.APP]
        return {condition["type"] for condition in app["status"]["conditions"]}

    @property
    def record(self) -> HealingStatus:
        """What the API server has stored about healing."""
        status = self.api_server.objects_by_path["SelfHealingApp", builders.APP].get("status", {})
        found_record = read_status(orjson.loads(orjson.dumps(status))).healing
        assert found_record is not None
        return found_record


def build_failing_app(**more: Any) -> Harness:  # noqa: ANN401 - as World
    """One of two pods fails again and again."""
    return Harness(
        builders.deployment(),
        builders.pod(POD, builders.crash_loop(5, builders.termination()), version=7),
        builders.pod("web-abc-2", builders.running()),
        **more,
    )


def build_healthy_app(**more: Any) -> Harness:  # noqa: ANN401 - as World
    """All is well."""
    pods = (builders.pod(f"web-abc-{n}", builders.running()) for n in (1, 2))
    return Harness(builders.deployment(), *pods, **more)
