"""kopf passes every change of an app on, whatever the app's metadata are."""

import asyncio
from typing import Any, cast

import kopf
import pytest
from kopf._cogs.structs import ephemera, references
from kopf._core.actions import lifecycles
from kopf._core.engines import indexing
from kopf._core.reactor import inventory, processing

from selfhealing.controller.kopf_handlers import configure_kopf, register_handlers
from selfhealing.controller.manager import Manager
from selfhealing.controller.settings import Settings
from selfhealing.kube.resources import APPS
from tests.unit import builders
from tests.unit.controller.fake_loop import now

Json = dict[str, Any]


class FakeManager:
    """Counts what is passed on."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.event_handlers = self
        self.events: list[kopf.RawEvent] = []

    def on_app(self, event: kopf.RawEvent) -> None:
        """Handle an app."""
        self.events.append(event)


async def pass_on(*events: Json) -> list[kopf.RawEvent]:
    """Let kopf process events of the apps' watch, without an API server; return those passed on."""
    registry, settings = kopf.OperatorRegistry(), kopf.OperatorSettings()
    handlers = register_handlers(registry, Settings())
    manager = FakeManager()
    handlers.manager = cast("Manager", manager)
    configure_kopf(settings, Settings())
    resource = references.Resource(
        APPS.group,
        APPS.version,
        APPS.plural,
        namespaced=True,
        kind=APPS.kind,
        preferred=True,
        verbs=frozenset({"list", "watch", "patch"}),
    )
    memories, queue = inventory.ResourceMemories(), asyncio.Queue[Any]()
    for event in events:
        await processing.process_resource_event(
            lifecycle=lifecycles.all_at_once,
            indexers=indexing.OperatorIndexers(),
            registry=registry,
            settings=settings,
            memories=memories,
            memobase=cast("ephemera.AnyMemo", ephemera.Memo()),
            resource=resource,
            raw_event=cast("kopf.RawEvent", event),
            event_queue=queue,
        )
    return manager.events


@pytest.mark.parametrize("deleting", [False, True])
async def test_a_finalizer_of_kopf_holds_nothing_up(*, deleting: bool) -> None:
    """Anybody who may edit an app can add it; to remove it is not the operator's business."""
    raw = builders.app()
    raw["metadata"]["finalizers"] = ["kopf.zalando.org/KopfFinalizerMarker"]
    if deleting:
        raw["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    event = {"type": "MODIFIED", "object": raw}
    began = now()

    assert 3 == len(await pass_on(event, event, event))
    assert began == now()


async def test_kopf_keeps_no_text_of_an_app() -> None:
    """Its wrapper of an object is freed late: 180 updates of one app filled the memory."""
    [event] = await pass_on({"type": "MODIFIED", "object": builders.app(status={"phase": "Ready"})})

    raw = cast("Json", event["object"])
    assert {"apiVersion", "kind", "metadata"} == raw.keys()
    assert "annotations" not in raw["metadata"]
