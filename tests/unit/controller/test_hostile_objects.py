"""Objects that anybody may create neither stop the operator nor stay in its memory."""

import asyncio
import gc
import json
import sys
import tracemalloc
import weakref
from collections.abc import AsyncGenerator, Iterator
from typing import Any, cast

import orjson
import pytest

from selfhealing.api import names
from selfhealing.api.spec import parse_spec
from selfhealing.cache.parse import app_view, parse_time, pod_view
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.cache_sync import MAX_SYNC_ROUNDS, CacheSync
from selfhealing.controller.config_copies import ConfigCopies
from selfhealing.controller.event_handlers import EventHandlers
from selfhealing.controller.evidence_privacy import EvidencePrivacy
from selfhealing.controller.evidence_store import EvidenceStore
from selfhealing.controller.experiments import RollbackExperiments
from selfhealing.controller.interpreter import RECURSION_LIMIT
from selfhealing.controller.namespace_access import NamespaceAccess
from selfhealing.controller.node_health import NodeHealth
from selfhealing.controller.reflector import EventHandlerFunc, Reflector
from selfhealing.controller.unhealthy_apps import UnhealthyApps
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.client import Client, Page, Selection
from selfhealing.kube.resources import PODS, Resource
from selfhealing.kube.responses import parse_json
from tests.unit import builders
from tests.unit.controller.fake_api_server import build_action, build_record, build_slots
from tests.unit.controller.fake_loop import now, run_until_idle
from tests.unit.snapshots import KEY, build_snapshot

Json = dict[str, Any]


@pytest.fixture
def recursion_limit() -> Iterator[None]:
    """The limit of the operator's process."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(RECURSION_LIMIT)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("recursion_limit")
@pytest.mark.parametrize("depth", [1000, 1100, 9900])
def test_deeply_nested_json_is_read(depth: int) -> None:
    """The API server stores such managedFields: one object must not hide the others."""
    text = '{"f:a":' * depth + "{}" + "}" * depth

    assert ["f:a"] == list(parse_json(text.encode()))
    assert ["f:a"] == list(json.loads(text))


def test_a_pod_with_thousands_of_finalizers_is_small() -> None:
    """Only a few are kept, for a message."""
    raw = builders.pod("web-1", builders.running())
    raw["metadata"]["finalizers"] = [f"example.org/{number}" for number in range(10_000)]

    assert ("example.org/0", "example.org/1", "example.org/2") == pod_view(raw).finalizers


def test_a_time_without_a_year_is_unknown() -> None:
    """The API server takes the year 0; Python does not."""
    assert parse_time("0000-01-01T00:00:00Z") is None


def build_handlers(store: Store) -> EventHandlers:
    """The handlers of watch events of a store."""
    return EventHandlers(store, WorkQueue(), 0)


async def test_an_app_that_cannot_be_parsed_counts_as_delivered() -> None:
    """Otherwise the watch would be taken for broken, and the operator would end."""
    store = Store()
    app = builders.app()
    app["status"] = {"healing": {"x": 10**20}}

    build_handlers(store).on_app({"type": "ADDED", "object": app})

    assert not store.keys()
    assert store.has_handled(app["metadata"]["uid"])


async def test_an_app_that_cannot_be_parsed_any_more_can_be_deleted() -> None:
    """It was known before, and would stay in the memory for good."""
    store = Store()
    handlers = build_handlers(store)
    handlers.on_app({"type": "ADDED", "object": builders.app()})
    app = builders.app()
    app["status"] = {"healing": {"x": 10**20}}

    handlers.on_app({"type": "DELETED", "object": app})

    assert not store.keys()


FAT_COUNT = 5
MAX_KEPT_BYTES = 2**16 + 2**14
"""What is kept of a fat object: a manifest of 64 KiB at most, and the small fields of its view."""

FAT = "x" * 2**18
MANY = [f"{number}-{'x' * 900}" for number in range(300)]
FAT_LABELS = {names.LABEL_APP: builders.APP}
FAT_META: Json = {
    "annotations": dict.fromkeys(
        (
            names.ANNOTATION_APPLIED_HASH,
            names.ANNOTATION_RUN_HASH,
            names.ANNOTATION_FAILED_REVISION,
            names.ANNOTATION_APPROVE,
            names.ANNOTATION_RESUME,
            "tenant.example/notes",
        ),
        FAT,
    ),
    "managedFields": [
        {"manager": text, "fieldsV1": {"f:spec": {"f:template": {f"f:{text}": {}}}}}
        for text in MANY
    ],
}
FAT_CONDITIONS = [{"type": text, "status": text, "reason": text, "message": text} for text in MANY]
FAT_TEMPLATE: Json = {
    "metadata": {"annotations": {names.ANNOTATION_CONFIG_HASH: FAT}},
    "spec": {"containers": [{"name": "app", "image": FAT, "env": [{"name": "A", "value": FAT}]}]},
}
FAT_METRICS = [
    {"type": "Pods", "pods": {"metric": {"name": text}, "target": {"averageValue": text}}}
    for text in MANY
]
FAT_SPECS: dict[str, Json] = {
    names.KIND: {"image": FAT},
    "Deployment": {"template": FAT_TEMPLATE},
    "Job": {"template": FAT_TEMPLATE},
    "Service": {"ports": [{"name": text, "port": 80} for text in MANY]},
    "HorizontalPodAutoscaler": {"metrics": FAT_METRICS},
    "PodDisruptionBudget": {"selector": {"matchLabels": {"a": FAT}}},
    "VerticalPodAutoscaler": {"targetRef": {"name": FAT}},
    "Ingress": {"rules": [{"host": text} for text in MANY]},
    "NetworkPolicy": {"podSelector": {"matchLabels": {"a": FAT}}},
    "HTTPRoute": {"hostnames": list(MANY)},
    "PodMonitor": {"selector": {"matchLabels": {"a": FAT}}},
    "ReplicaSet": {"template": FAT_TEMPLATE},
    "Pod": FAT_TEMPLATE["spec"],
}


def build_fat_object(kind: str, number: int, owner: str) -> Json:
    """Return an object whose every text is large."""
    containers = [{"name": "app", "restartCount": 1, "state": {"waiting": {"message": FAT}}}]
    status: Json = {"containerStatuses": containers, "message": FAT, "reason": FAT}
    if kind != "Pod":
        status["conditions"] = FAT_CONDITIONS
        status["loadBalancer"] = {"ingress": [{"hostname": text} for text in MANY]}
        status["parents"] = [
            {"parentRef": {"name": text}, "conditions": [{**each, "type": "Accepted"}]}
            for text, each in zip(MANY, FAT_CONDITIONS, strict=True)
        ]
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {
            "namespace": builders.NAMESPACE,
            "name": f"fat-{number}",
            "uid": f"{kind}-{number}",
            "resourceVersion": "1",
            "labels": FAT_LABELS,
            "ownerReferences": [builders.app_reference(owner)],
            **FAT_META,
        },
        "spec": FAT_SPECS[kind],
        **({"status": status} if kind != names.KIND else {}),  # the CRD limits that of an app
    }


@pytest.mark.parametrize("owner", [builders.APP_UID, "uid-of-another"])
@pytest.mark.parametrize("kind", FAT_SPECS)
async def test_little_is_kept_of_a_fat_object(kind: str, owner: str) -> None:
    """Whoever owns it, or is said to own it: 450 of them filled the memory."""
    store = Store()
    handlers = build_handlers(store)
    handle = {
        names.KIND: handlers.on_app,
        "Pod": handlers.on_pod,
        "ReplicaSet": handlers.on_replica_set,
    }.get(kind, handlers.on_child)
    handlers.on_app({"type": "ADDED", "object": builders.app()})

    def measure_growth(first: int) -> int:
        """Return the bytes that are kept of FAT_COUNT objects."""
        # As it comes from a connection: nothing of one object is a part of another.
        texts = [
            orjson.dumps(build_fat_object(kind, number, owner))
            for number in range(first, first + FAT_COUNT)
        ]
        tracemalloc.start()
        try:
            for text in texts:
                handle({"type": "ADDED", "object": parse_json(text)})
            gc.collect()
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    growth = measure_growth(0)
    assert FAT_COUNT == len([uid for uid in store.uids(kind) if uid.startswith(kind)])
    if growth > FAT_COUNT * MAX_KEPT_BYTES:
        # Python's table of interned strings doubles now and then, by some MB: not twice in a row.
        growth = measure_growth(FAT_COUNT)
    assert growth <= FAT_COUNT * MAX_KEPT_BYTES, f"{growth // FAT_COUNT} bytes"


class ChangingCluster:
    """Lists an object that is gone before the watches can be compared, another one each time."""

    def __init__(self, handlers: EventHandlers) -> None:
        self._handlers = handlers
        self.lists = 0

    async def list_metadata(self, resource: Resource, *_: object) -> AsyncGenerator[Json]:
        """List one Service that lives for this moment."""
        if resource.kind != "Service":
            return
        self.lists += 1
        meta = {"namespace": "shop", "name": "x", "uid": f"u{self.lists}", "resourceVersion": "1"}
        yield {"metadata": meta}
        self._handlers.on_missing("Service", meta["uid"], AppKey("shop", "x"))


async def test_objects_that_come_and_go_do_not_delay_the_start() -> None:
    """A deleted object has been delivered; what is missing differs from list to list."""
    store = Store()
    handlers = build_handlers(store)
    cluster = ChangingCluster(handlers)
    access = NamespaceAccess(store, WorkQueue(), now)
    sync = CacheSync(cast("Client", cluster), store, handlers, (), access)

    await asyncio.wait_for(sync.wait_for_sync(), 5)

    assert cluster.lists <= MAX_SYNC_ROUNDS


class Raw(dict[str, Any]):
    """An object that can be watched for its end."""


class FatPages:
    """Serves one page with one object, and then waits."""

    def __init__(self) -> None:
        self.item: weakref.ref[Raw] | None = None
        self.event: weakref.ref[Raw] | None = None

    async def list_pages(self, *_: object) -> AsyncGenerator[Page]:
        """List one object."""
        raw = Raw(metadata={"uid": "u", "resourceVersion": "1"})
        self.item = weakref.ref(raw)
        page = Page([raw], "1")
        del raw
        yield page

    async def watch(self, *_: object) -> AsyncGenerator[Json]:
        """Report one change, and no other for a long time."""
        raw = Raw(metadata={"uid": "u", "resourceVersion": "2"})
        self.event = weakref.ref(raw)
        event = {"type": "MODIFIED", "object": raw}
        del raw
        yield event
        event.clear()  # the generator's own reference; the client has none
        await asyncio.sleep(3600)


async def test_an_idle_watch_keeps_no_object() -> None:
    """A parsed object may take fifty times the memory of its text."""
    pages = FatPages()
    seen: list[str] = []
    handler = EventHandlerFunc(lambda event: seen.append(str(event["type"])))
    task = asyncio.create_task(
        Reflector(cast("Client", pages), Selection(PODS), None, handler).run()
    )
    await run_until_idle()
    gc.collect()

    assert ["None", "MODIFIED"] == seen
    assert pages.item is not None
    assert pages.event is not None
    assert pages.item() is None
    assert pages.event() is None

    task.cancel()


def test_forged_actions_of_one_namespace_do_not_use_up_those_of_the_cluster() -> None:
    """A namespace counts for its own limit at most."""
    unhealthy_apps = UnhealthyApps(Store(), lambda: 0.0, lambda: builders.at(0))
    for number in range(30):
        unhealthy_apps.update(AppKey("forger", f"app-{number}"), build_record(build_action()))

    assert not unhealthy_apps.is_action_limit_reached(AppKey("shop", "web"))


async def test_keys_that_wait_for_their_own_namespace_are_no_stall() -> None:
    """The liveness probe must not end an operator that serves the others."""
    queue: WorkQueue[str] = WorkQueue(group_of=lambda key: key[0], group_limit=1)
    queue.add("a0")
    queue.add("a1")
    await queue.get()
    await asyncio.sleep(100)

    assert 0 == queue.longest_wait()

    queue.add("b0")
    await asyncio.sleep(7)

    assert 7 == queue.longest_wait()


class CountedObject(dict[str, Any]):
    """An object of which it is known how many are held."""

    held = 0
    most = 0

    def __init__(self, content: Json) -> None:
        super().__init__(content)
        CountedObject.held += 1
        CountedObject.most = max(CountedObject.most, CountedObject.held)

    def __del__(self) -> None:
        """It is freed."""
        CountedObject.held -= 1


class CountingCluster:
    """Answers every read with an object of its own, which whoever asks may hold for too long."""

    def __init__(self, content: Json) -> None:
        CountedObject.held = CountedObject.most = 0
        self._content = content

    async def get(self, *_: object) -> Json:
        """Read one."""
        return CountedObject(self._content)

    async def list_objects(self, *_: object, **__: object) -> AsyncGenerator[Json]:
        """List a hundred."""
        for _number in range(100):
            yield CountedObject(self._content)

    list_metadata = list_objects


async def test_references_are_not_held() -> None:
    """Twenty ConfigMaps of a megabyte of small parts are more than the memory."""
    cluster = CountingCluster({"metadata": {"name": "x"}, "data": {"a": "b"}})
    experiments = RollbackExperiments(
        cast("Client", cluster), cast("NodeHealth", None), "configmaps", build_slots(), lambda: 0.0
    )
    references = [{"configMapRef": {"name": f"settings-{number}"}} for number in range(20)]
    template = {"spec": {"containers": [{"name": "app", "envFrom": references}]}}

    assert "" == await experiments._find_missing(build_snapshot(builders.app()), template)  # noqa: SLF001 - the step that reads
    assert (0, 1) == (CountedObject.held, CountedObject.most)


async def test_events_are_not_held() -> None:
    """Of each only what is formatted is kept."""
    text = "x" * 2**16
    event = builders.probe_kill_event("web-abc-1", 5)
    event |= {"message": text, "reason": text, "series": {"count": 3, "x": text}, "note": text}
    cluster = cast("Client", CountingCluster(event))
    store = EvidenceStore(cluster, EvidencePrivacy(cluster, "configmaps"), build_slots())

    found = await store._list_events(KEY, "u")  # noqa: SLF001 - the step that reads

    assert (0, 2) == (CountedObject.held, CountedObject.most)  # one is read, the last one goes
    assert 100 == len(found)
    assert len(json.dumps(found)) < 100 * 4096


async def test_copies_are_not_held() -> None:
    """Whoever may create ConfigMaps may give them the label."""
    cluster = CountingCluster({"metadata": {"name": "x", "uid": "u"}, "data": {"a": "b"}})
    copies = ConfigCopies(cast("Client", cluster), build_slots(), lambda: 0.0)

    assert {} == await copies.find(app_view(builders.app()), "0")
    assert (0, 2) == (CountedObject.held, CountedObject.most)


async def test_secrets_are_not_held() -> None:
    """Their values are kept, to mask them."""
    cluster = CountingCluster({"metadata": {"name": "x"}, "data": {"a": "aHVudGVyMg=="}})
    privacy = EvidencePrivacy(cast("Client", cluster), "all")
    references = [{"secretRef": {"name": f"secret-{number}"}} for number in range(20)]
    spec = parse_spec({"image": builders.IMAGE, "envFrom": references})

    assert "hunter2" in await privacy.read_known_values(KEY, spec)
    assert (0, 1) == (CountedObject.held, CountedObject.most)
