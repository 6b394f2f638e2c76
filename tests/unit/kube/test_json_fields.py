"""What is parsed is bounded by its fields: JSON of small parts takes forty times its size."""

import tracemalloc
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st

from selfhealing.api import names
from selfhealing.cache.store import Store
from selfhealing.controller.event_handlers import EventHandlers
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.client import Selection
from selfhealing.kube.errors import ResponseTooLargeError
from selfhealing.kube.json_fields import (
    MAX_FIELDS,
    MAX_PAGE_FIELDS,
    UNREAD_KEY,
    count_fields,
    has_more_fields,
    read_event_identity,
    read_identity,
    read_page_of_one,
)
from selfhealing.kube.resources import PODS
from selfhealing.kube.responses import parse_json, parse_watch_event
from tests.unit import builders
from tests.unit.kube.fake_response import FakeResponse
from tests.unit.kube.test_client_bounds import FakeServer

Json = dict[str, Any]

TEXTS = st.text(st.sampled_from('":\\,{}[]a\n'), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=30,
)


def walk_fields(value: object) -> int:
    """Count the fields of a parsed value."""
    if isinstance(value, dict):
        return len(value) + sum(map(walk_fields, value.values()))
    return sum(map(walk_fields, value)) if isinstance(value, list) else 0


def count_colons(value: object) -> int:
    """Count the texts of a parsed value that begin with a colon."""
    if isinstance(value, dict):
        return count_colons([*value, *value.values()])
    return sum(map(count_colons, value)) if isinstance(value, list) else str(value)[:1] == ":"


@given(VALUES)
def test_the_count_is_that_of_the_parsed_value(value: object) -> None:
    """Whatever else stands in its texts; ten brackets count as one more."""
    data = orjson.dumps(value)
    fields = count_fields(data) - data.count(b"[") // 10

    assert walk_fields(value) + count_colons(value) == fields


@given(VALUES, st.integers(0, 20))
def test_a_short_text_has_no_more_fields(value: object, limit: int) -> None:
    """It is not even looked at."""
    data = orjson.dumps(value)

    assert (count_fields(data) > limit) == has_more_fields(data, limit)


def build_heavy(kind: str = "Pod", *, meta: Json | None = None) -> bytes:
    """An object of 1.4 MB, as an API server writes it: the terms of an affinity have no limit."""
    term = b'{"weight":1,"preference":{}}'
    head = {
        "kind": kind,
        "apiVersion": "v1",
        "metadata": {
            "name": "web-1",
            "namespace": builders.NAMESPACE,
            "uid": "uid-of-web-1",
            "resourceVersion": "71",
            "labels": {names.LABEL_APP: builders.APP},
            **(meta or {}),
        },
    }
    terms = b",".join([term] * 50_000)
    return orjson.dumps(head)[:-1] + b',"spec":{"affinity":[' + terms + b"]}}"


def build_event(kind: str = "Pod") -> bytes:
    """A line of a watch with it."""
    return b'{"type":"MODIFIED","object":' + build_heavy(kind) + b"}"


IDENTITY: Json = {
    "name": "web-1",
    "namespace": builders.NAMESPACE,
    "uid": "uid-of-web-1",
    "resourceVersion": "71",
}


def test_an_object_with_too_many_fields() -> None:
    """It is no less than a third of a second of the loop."""
    with pytest.raises(ResponseTooLargeError, match=f"more than {MAX_FIELDS} fields"):
        parse_json(build_heavy())


def test_of_its_change_only_the_identity_is_read() -> None:
    """It has to be known that it is there, and that it has changed."""
    event = parse_watch_event(build_event())

    assert "MODIFIED" == event["type"]
    assert {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": IDENTITY,
        UNREAD_KEY: True,
    } == event["object"]


def test_little_memory_is_taken() -> None:
    """The parsed object would take 25 MB."""
    line = build_event()
    tracemalloc.start()
    try:
        parse_watch_event(line)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 3 * len(line)


def test_a_nesting_that_this_python_cannot_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Since 3.12 the limit of json is a constant: one object must not hide the others."""

    def refuse(_: object) -> None:
        raise RecursionError

    monkeypatch.setattr("selfhealing.kube.responses.json.loads", refuse)
    deep = b'{"f:a":' * 2000 + b"{}" + b"}" * 2000
    head = b'{"type":"ADDED","object":{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a",'
    head += b'"generateName":"a-","uid":"u","resourceVersion":"1","managedFields":['

    with pytest.raises(ResponseTooLargeError, match="nested too deeply"):
        parse_json(deep)
    event = parse_watch_event(head + deep + b"]}}}")
    assert {"name": "a", "uid": "u", "resourceVersion": "1"} == event["object"]["metadata"]


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"{}",
        b'{"type":"ADDED"}',
        b'{"apiVersion":"x/v1","kind":"X","metadata":{"annotations":{}}}',
    ],
)
def test_no_identity(head: bytes) -> None:
    """A custom resource begins with its annotations."""
    assert read_identity(head) is None
    assert read_event_identity(head) is None
    assert read_event_identity(b'{"type":"ADDED","object":' + head) is None


async def test_a_change_without_an_identity_is_skipped() -> None:
    """Another watch would send it again."""
    heavy = b'{"type":"MODIFIED","object":{"metadata":{"annotations":{}},"spec":'
    heavy += build_heavy() + b"}}\n"
    other = orjson.dumps({"type": "ADDED", "object": {"metadata": {"name": "b"}}}) + b"\n"
    server = FakeServer(lambda _: FakeResponse(200, iter([heavy, other])))

    events = [event async for event in server.connect().watch(Selection(PODS), None, "1")]

    assert ["b"] == [event["object"]["metadata"]["name"] for event in events]


class Pages:
    """A list of light objects and heavy ones."""

    def __init__(self, objects: list[bytes]) -> None:
        self.objects = objects
        self.server = FakeServer(self._answer)

    def _answer(self, query: dict[str, str]) -> FakeResponse:
        start, limit = int(query.get("continue", 0)), int(query["limit"])
        end = start + limit
        meta: Json = {"resourceVersion": "7"}
        if end < len(self.objects):
            meta["continue"] = str(end)
        head = orjson.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": meta})
        items = b",".join(self.objects[start:end])
        return FakeResponse(200, head[:-1] + b',"items":[' + items + b"]}")


async def test_a_list_with_heavy_objects() -> None:
    """Each arrives once; of the heavy ones the identity."""
    light = [
        orjson.dumps({"metadata": {"name": f"light-{number}"}, "spec": {}}) for number in range(20)
    ]
    pages = Pages([*light[:10], build_heavy(), *light[10:], build_heavy()])
    selection = Selection(PODS)
    items = [
        item
        async for page in pages.server.connect().list_pages(selection, None)
        for item in page.items
    ]

    assert [f"light-{number}" for number in range(20)] == [
        item["metadata"]["name"] for item in items if UNREAD_KEY not in item
    ]
    assert [IDENTITY] * 2 == [item["metadata"] for item in items if UNREAD_KEY in item]


def test_a_page_of_one() -> None:
    """A list of custom resources has its own metadata at the end."""
    tail = b'],"kind":"HTTPRouteList","metadata":{"continue":"x","resourceVersion":"7"}}'
    page = read_page_of_one(b'{"apiVersion":"x/v1","items":[' + build_heavy() + tail)

    assert ([], {"continue": "x", "resourceVersion": "7"}) == (page["items"], page["metadata"])
    nameless = b'{"metadata":{"resourceVersion":"7"},"items":[{"spec":{}}]}'
    assert [] == read_page_of_one(nameless)["items"]


def test_a_page_has_room_for_several_objects() -> None:
    """The limit of an object is not that of a page."""
    assert MAX_PAGE_FIELDS > MAX_FIELDS


def iter_known(store: Store) -> Iterator[str]:
    """The UIDs of what is in a store."""
    for kind in ("Pod", "Deployment"):
        yield from store.uids(kind)


@pytest.mark.parametrize("kind", ["Pod", "Deployment", "ReplicaSet"])
async def test_a_heavy_object_is_forgotten_and_counts_as_delivered(kind: str) -> None:
    """What was known of it is out of date; the start of the operator does not wait for it."""
    store = Store()
    handlers = EventHandlers(store, WorkQueue(), 0)
    is_deployment = kind == "Deployment"
    light = builders.deployment() if is_deployment else builders.pod("web-1-x", builders.running())
    uid = light["metadata"]["uid"]
    if kind != "ReplicaSet":
        (handlers.on_child if is_deployment else handlers.on_pod)(
            {"type": "ADDED", "object": light}
        )
        assert [uid] == list(iter_known(store))
    heavy = parse_watch_event(
        b'{"type":"MODIFIED","object":'
        + build_heavy(kind, meta={"name": light["metadata"]["name"], "uid": uid})
        + b"}"
    )
    handle = {
        "Pod": handlers.on_pod,
        "Deployment": handlers.on_child,
        "ReplicaSet": handlers.on_replica_set,
    }[kind]

    handle(heavy)

    assert [] == list(iter_known(store))
    assert store.has_handled(uid)
