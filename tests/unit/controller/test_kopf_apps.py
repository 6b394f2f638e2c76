"""kopf reads apps one by one, and holds only what the operator needs of each."""

import json
import sys
import tracemalloc
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Self

import kopf
import pytest
from kopf._cogs.clients import api, fetching, watching
from kopf._cogs.structs import references

from selfhealing.api import names
from selfhealing.cache.parse import app_view
from selfhealing.cache.views import MAX_SPEC_BYTES, MAX_STATUS_BYTES
from selfhealing.controller import kopf_apps
from selfhealing.controller.interpreter import RECURSION_LIMIT
from tests.unit import builders

Json = dict[str, Any]

RESOURCE = references.Resource(
    group=names.GROUP,
    version=names.VERSION,
    plural=names.PLURAL,
    kind=names.KIND,
    namespaced=True,
    verbs=frozenset({"list", "watch"}),
)


class Logger:
    """kopf wants one."""

    def __getattr__(self, _: str) -> Any:  # noqa: ANN401
        """Log nothing."""
        return lambda *_, **__: None


class Response:
    """An answer of the API server."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.content = self

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End."""

    def close(self) -> None:
        """End."""

    async def read(self) -> bytes:
        """Return the body."""
        return self._text.encode()

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Return the body in parts."""
        data = self._text.encode()
        for start in range(0, len(data), size):
            yield data[start : start + size]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the API server answers; kopf's functions are as they were afterwards."""
    texts: list[str] = []

    async def request(**_: object) -> Response:
        return Response(texts.pop(0))

    monkeypatch.setattr(api, "request", request)
    monkeypatch.setattr(api, "get", api.get)
    monkeypatch.setattr(api, "json", json)
    kopf_apps.install()
    return texts


def build_app(name: str, **meta: object) -> Json:
    """An app as the API server writes it: the fields in the order of the alphabet."""
    app = builders.app(annotations={names.ANNOTATION_RESUME: "monday", "other": "x"})
    app["metadata"] |= {"name": name, **meta}
    app["status"] = {"phase": "Ready"}
    return dict(sorted(app.items()))


def write(value: Json) -> str:
    """JSON without blanks."""
    return json.dumps(value, separators=(",", ":"))


def write_list(*items: Json, next_page: str = "") -> str:
    """A list of apps."""
    page = {
        "apiVersion": names.API_VERSION,
        "items": items,
        "kind": f"{names.KIND}List",
        "metadata": {"continue": next_page, "resourceVersion": "7"},
    }
    return write(page)


FAT_FIELDS: Json = {"f:x": {f"f:{number}": {"f:y": {}} for number in range(30_000)}}
FAT = {"managedFields": [{"manager": "x", "fieldsV1": FAT_FIELDS}]}


async def list_all() -> list[Any]:
    """What kopf lists."""
    settings = kopf.OperatorSettings()
    pages = fetching.fetch_objs(
        settings=settings,
        resource=RESOURCE,
        namespace=None,
        logger=Logger(),  # type: ignore[arg-type]
    )
    return [item async for items, _ in pages for item in items]


async def test_a_list(answers: list[str]) -> None:
    """Two pages; each app is as the operator reads it, without the rest."""
    apps = [build_app(name, **FAT) for name in ("a", "b", "c")]
    answers += [write_list(*apps[:2], next_page="t"), write_list(*apps[2:])]

    found = await list_all()

    assert [app_view(app) for app in apps] == [app_view(item) for item in found]
    assert all("managedFields" not in item["metadata"] for item in found)
    assert all("other" not in item["metadata"]["annotations"] for item in found)


async def test_an_empty_list(answers: list[str]) -> None:
    """There is no app yet."""
    answers.append(write_list())

    assert [] == await list_all()


async def test_a_list_of_fat_apps_takes_no_more_than_its_text(answers: list[str]) -> None:
    """Ten of a megabyte took four times the memory of the operator."""
    text = write_list(*(build_app(str(number), **FAT) for number in range(10)))
    answers.append(text)

    assert await measure_peak(list_all()) < 3 * len(text)


async def measure_peak(reading: Awaitable[object]) -> int:
    """The most bytes of Python's memory that reading takes."""
    tracemalloc.start()
    try:
        await reading
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


SHORT_TEXTS = {"image": "x", "args": [chr(0x100 + number % 1500) for number in range(25_000)]}
"""A spec of 125 kB, which takes twenty times that as Python objects."""


@pytest.mark.parametrize("part", ["spec", "status", "metadata"])
async def test_an_event_with_many_small_parts_stays_a_text(answers: list[str], part: str) -> None:
    """180 updates of such an app filled the memory."""
    app = build_app("a", **FAT) if part == "metadata" else {**build_app("a"), part: SHORT_TEXTS}
    line = json.dumps({"type": "MODIFIED", "object": app}, separators=(",", ":"))
    answers += [line, line]

    assert await measure_peak(watch()) < 5 * len(line.encode())
    [event] = await watch()
    assert app_view(app) == app_view(event["object"])


async def watch() -> list[Any]:
    """What kopf's watch brings."""
    stream = api.stream(
        url="/x",
        settings=kopf.OperatorSettings(),
        logger=Logger(),  # type: ignore[arg-type]
    )
    return [event async for event in stream]


@pytest.mark.parametrize("field", ["spec", "status"])
async def test_a_text_that_is_too_long_is_not_kept(answers: list[str], field: str) -> None:
    """Only its size is told."""
    limit = {"spec": MAX_SPEC_BYTES, "status": MAX_STATUS_BYTES}[field]
    app = {**build_app("a"), field: {"image": "x" * (6 * limit)}}
    answers.append(write({"type": "ADDED", "object": app}))

    [event] = await watch()

    assert isinstance(event["object"][field], int)
    assert app_view(app) == app_view(event["object"])


def test_what_the_api_server_escapes_does_not_count() -> None:
    """A spec that is small enough may be six times as long in its text."""
    text = b'{"image":"' + 100_000 * rb"\u003c" + b'"}'
    found = app_view({**build_app("a"), "spec": text})

    assert found == app_view({**build_app("a"), "spec": {"image": 100_000 * "<"}})
    assert 0 == found.oversized_spec


def test_deep_fields_are_skipped() -> None:
    """As deep as the API server stores them."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(RECURSION_LIMIT)
    fields = 9_900 * '{"f:":' + "{}" + 9_900 * "}"
    app = write(build_app("a", managedFields=["FIELDS"])).replace('"FIELDS"', fields)

    try:
        event = kopf_apps.parse_event(f'{{"type":"ADDED","object":{app}}}')
    finally:
        sys.setrecursionlimit(limit)

    assert "a" == event["object"]["metadata"]["name"]


def test_a_bookmark_has_a_version_alone() -> None:
    """Kopf goes on from it."""
    bookmark = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"creationTimestamp": None, "resourceVersion": "9"},
    }

    event = kopf_apps.parse_event(write({"type": "BOOKMARK", "object": bookmark}))

    assert {"resourceVersion": "9", "annotations": {}} == event["object"]["metadata"]


async def test_a_watch(answers: list[str]) -> None:
    """The same of each change; another kind is not touched."""
    app, other = build_app("a", **FAT), {"kind": "Namespace", "metadata": {"name": "n", **FAT}}
    events = [{"type": "MODIFIED", "object": app}, {"type": "ADDED", "object": other}]
    ended: Json = {"type": "ERROR", "object": None}
    answers.append("\n".join(map(write, [*events, ended])))

    found = await watch()

    assert app_view(app) == app_view(found[0]["object"])
    assert "managedFields" not in found[0]["object"]["metadata"]
    assert [*events[1:], ended] == found[1:]


async def test_another_request(answers: list[str]) -> None:
    """Kopf asks for the version of the API server, too."""
    answers.append('{"major":"1","items":[1]}')

    found = await api.get(url="/version", settings=kopf.OperatorSettings(), logger=Logger())  # type: ignore[arg-type]

    assert {"major": "1", "items": [1]} == found
    assert vars(watching)["api"] is api
