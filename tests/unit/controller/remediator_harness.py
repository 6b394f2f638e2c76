"""A remediator with a fake API server."""

from datetime import datetime
from typing import Any

from selfhealing.api.healing_status import BlockedReason, HealingStatus
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.reconcile_order import Preparation, prepare_remediation
from selfhealing.controller.remediator import Remediator
from selfhealing.controller.settings import Settings
from selfhealing.controller.workqueue import WorkQueue
from tests.unit import builders
from tests.unit.controller.fake_api_server import (
    FakeApiServer,
    Json,
    build_inputs,
    build_record,
    revision_of,
)
from tests.unit.controller.fake_loop import now
from tests.unit.snapshots import KEY, put_object

POD = "web-abc-1"

OLD_SPEC = {"image": "web:v0"}
STABLE_REVISION = revision_of(**OLD_SPEC)

ROLLED_BACK = {"stable_revision": STABLE_REVISION, "failed_revision": revision_of()}


def server_now() -> datetime:
    """The time of the API server."""
    return builders.at(100 + now())


class Harness:
    """A cluster, the operator's picture of it and the healer; by default its quiet time is over."""

    def __init__(self, *objects: Json, quiet: float = 0, scale: float = 1) -> None:
        self.api_server = FakeApiServer(*objects)
        self.store = Store()
        self.queue: WorkQueue[AppKey] = WorkQueue()
        for manifest in (builders.app(), *objects):
            if manifest["kind"] not in {"ControllerRevision", "Node"}:
                put_object(self.store, manifest)
        self.scale = scale
        settings = Settings(healing_quiet=quiet, healing_scale=scale)
        self.remediator = Remediator(
            self.api_server.client, self.store, self.queue, settings, now, server_now
        )

    @property
    def snapshot(self) -> AppSnapshot:
        """What is known of the app."""
        found_snapshot = self.store.snapshot(KEY)
        assert found_snapshot is not None
        return found_snapshot

    def app_requests(self) -> list[str]:
        """What was asked about the app, and not about the nodes of its ill pods."""
        outside = {"list Node", "list NetworkPolicy"}
        return [request for request in self.api_server.requests if request not in outside]

    async def prepare(
        self,
        healing_record: HealingStatus | None = None,
        at: float = 100,
        **more: Any,  # noqa: ANN401 - of the spec
    ) -> Preparation:
        """Prepare a reconcile."""
        inputs = build_inputs(self.snapshot, healing_record, self.scale, **more)
        return await prepare_remediation(self.remediator, self.snapshot, inputs, builders.at(at))

    async def save_stable_revision(
        self,
        before: HealingStatus | None,
        after: HealingStatus | None,
        **more: Any,  # noqa: ANN401 - of the spec
    ) -> bool:
        """Save what a decision calls stable."""
        inputs = build_inputs(self.snapshot, before, **more)
        return await self.remediator.save_stable_revision(self.snapshot.app, inputs, after)

    async def blocked_reason(self) -> BlockedReason | None:
        """What keeps anything from being done."""
        return (await self.prepare(build_record())).external.blocked_reason


def build_harness(*more: Json, quiet: float = 0, scale: float = 1) -> Harness:
    """One of two pods fails."""
    return Harness(
        builders.deployment(),
        builders.pod(POD, builders.crash_loop(5, builders.termination()), version=7),
        builders.pod("web-abc-2", builders.running()),
        *more,
        quiet=quiet,
        scale=scale,
    )
