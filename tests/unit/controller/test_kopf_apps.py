"""kopf reads apps one by one, and holds only what the operator needs of each."""

import json
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any, Self

import kopf
import pytest
from kopf._cogs.clients import api, fetching, watching
from kopf._cogs.structs import references

from selfhealing.api import names
from selfhealing.cache.parse import app_view
from selfhealing.controller import kopf_apps
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

    async def text(self) -> str:
        """Return the body."""
        return self._text

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


async def test_one_app_of_a_list_is_held_whole(answers: list[str]) -> None:
    """Ten of a megabyte took four times the memory of the operator."""
    text = write_list(*(build_app(str(number), **FAT) for number in range(10)))
    answers.append(text)
    tracemalloc.start()
    try:
        single = json.loads(write(FAT_FIELDS))
        one = tracemalloc.get_traced_memory()[0]
        del single
        tracemalloc.reset_peak()
        await list_all()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 2 * one + 4 * len(text)


async def test_a_watch(answers: list[str]) -> None:
    """The same of each change; another kind is not touched."""
    app, other = build_app("a", **FAT), {"kind": "Namespace", "metadata": {"name": "n", **FAT}}
    events = [{"type": "MODIFIED", "object": app}, {"type": "ADDED", "object": other}]
    ended: Json = {"type": "ERROR", "object": None}
    answers.append("\n".join(map(write, [*events, ended])))

    found = [
        event
        async for event in api.stream(
            url="/x",
            settings=kopf.OperatorSettings(),
            logger=Logger(),  # type: ignore[arg-type]
        )
    ]

    assert app_view(app) == app_view(found[0]["object"])
    assert "managedFields" not in found[0]["object"]["metadata"]
    assert [*events[1:], ended] == found[1:]


async def test_another_request(answers: list[str]) -> None:
    """Kopf asks for the version of the API server, too."""
    answers.append('{"major":"1","items":[1]}')

    found = await api.get(url="/version", settings=kopf.OperatorSettings(), logger=Logger())  # type: ignore[arg-type]

    assert {"major": "1", "items": [1]} == found
    assert vars(watching)["api"] is api
