"""What the client reads of a response is bounded: bodies, pages of lists, watches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import orjson
import pytest
from hypothesis import given, settings, strategies as st
from kubernetes.aio.client import Configuration

from selfhealing.kube import paging
from selfhealing.kube.client import METADATA, METADATA_LIST, Client, Selection
from selfhealing.kube.errors import (
    ApiError,
    ExpiredError,
    ForbiddenError,
    ResponseTooLargeError,
    UnavailableError,
)
from selfhealing.kube.paging import MAX_PAGE_BYTES, MAX_PAGE_LIMIT, MAX_RESPONSE_BYTES
from selfhealing.kube.resources import CONFIG_SOURCES, PODS
from tests.unit.controller.fake_loop import run_on_fake_loop
from tests.unit.examples import scale_examples
from tests.unit.kube.fake_response import FakeResponse

Json = dict[str, Any]
KIB = 1024
PODS_OF_APPS = Selection(PODS, labels="selfhealing.dev/app")


@dataclass
class FakeServer:
    """An API server that answers each request by a function of the query, and remembers them."""

    answer: Callable[[dict[str, str]], FakeResponse]
    queries: list[dict[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    responses: list[FakeResponse] = field(default_factory=list)

    async def request(
        self,
        _method: str,
        url: str,
        headers: dict[str, str],
        **_: object,
    ) -> FakeResponse:
        """Answer as the transport of the official client."""
        self.queries.append({k: v[0] for k, v in parse_qs(urlsplit(url).query).items()})
        self.headers.append(headers)
        self.responses.append(self.answer(self.queries[-1]))
        return self.responses[-1]

    def connect(self) -> Client:
        """Return a client of this server."""
        client = Client(Configuration(host="http://server.invalid"), timeout=1, connections=1)
        setattr(client._transport._api_client.rest_client, "request", self.request)  # noqa: SLF001, B010 - the edge
        return client


def stream_bytes(size: int) -> Iterator[bytes]:
    """Yield ``size`` bytes in chunks as they come from a socket."""
    while size > 0:
        yield b" " * min(size, 64 * KIB)
        size -= 64 * KIB


async def test_a_response_that_is_too_large_is_not_read_whole() -> None:
    """A gigabyte: the rest stays in the socket, and the error says what was asked for."""
    server = FakeServer(lambda _: FakeResponse(200, stream_bytes(2**30)))
    with pytest.raises(ResponseTooLargeError, match=r"get /api/v1/.*/web-1: .* 16777216 bytes"):
        await server.connect().get(PODS, "shop", "web-1")

    assert MAX_RESPONSE_BYTES // (64 * KIB) + 1 == server.responses[0].read_chunks
    assert server.responses[0].is_closed


async def test_an_error_that_is_too_large_is_not_read_whole_either() -> None:
    """A proxy may answer anything."""
    server = FakeServer(lambda _: FakeResponse(503, stream_bytes(2**30)))
    with pytest.raises(ResponseTooLargeError):
        await server.connect().get(PODS, "shop", "web-1")


async def test_a_body_that_breaks_off() -> None:
    """As no answer at all."""
    broken = aiohttp.ClientPayloadError("incomplete")
    server = FakeServer(lambda _: FakeResponse(200, b'{"a":', broken))
    with pytest.raises(UnavailableError, match="ClientPayloadError"):
        await server.connect().get(PODS, "shop", "web-1")


async def test_a_body_that_is_no_json() -> None:
    """A proxy's page with a status of success."""
    server = FakeServer(lambda _: FakeResponse(200, b"<html>"))
    with pytest.raises(UnavailableError, match="no JSON: '<html>'"):
        await server.connect().get(PODS, "shop", "web-1")
    with pytest.raises(UnavailableError, match="no JSON"):
        [page async for page in server.connect().list_pages(PODS_OF_APPS, None)]


class FakeList:
    """A list of objects of these sizes, in pages of as many as are asked for."""

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes
        self.page_bytes: list[int] = []
        self.server = FakeServer(self._answer)

    def _answer(self, query: dict[str, str]) -> FakeResponse:
        start, limit = int(query.get("continue", 0)), int(query["limit"])
        end = start + limit
        items = [
            {"metadata": {"name": str(number), "pad": "x" * size}}
            for number, size in enumerate(self.sizes[start:end], start)
        ]
        token = str(end) if end < len(self.sizes) else ""
        meta = {"resourceVersion": "7", "continue": token}
        data = orjson.dumps({"metadata": meta, "items": items})
        self.page_bytes.append(len(data))
        return FakeResponse(200, data)

    async def read(self) -> tuple[list[int], list[int]]:
        """List everything; return the names of the objects, and the objects of each page."""
        numbers, page_sizes = [], []
        async for page in self.server.connect().list_pages(PODS_OF_APPS, None):
            assert "7" == page.resource_version
            page_sizes.append(len(page.items))
            numbers += [int(item["metadata"]["name"]) for item in page.items]
        return numbers, page_sizes


SIZES = st.lists(
    st.one_of(st.integers(0, 3), st.integers(0, 60), st.integers(90, 160)), max_size=300
)


@settings(max_examples=scale_examples(200), deadline=None)
@given(sizes=SIZES)
def test_every_object_arrives_once_and_no_large_page_is_accepted(sizes: list[int]) -> None:
    """With small bounds: objects of up to 250 bytes, pages of at most 600."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paging, "MAX_PAGE_BYTES", 600)
        patch.setattr(paging, "GROW_BELOW_BYTES", 300)
        fake_list = FakeList(sizes)
        numbers, page_sizes = run_on_fake_loop(fake_list.read)

    assert list(range(len(sizes))) == numbers
    accepted = [
        size
        for size, query in zip(fake_list.page_bytes, fake_list.server.queries, strict=True)
        if size <= 600 or query["limit"] == "1"
    ]
    assert len(page_sizes) == len(accepted)
    # Each page that was refused made the pages smaller: there are not many of them.
    assert len(fake_list.page_bytes) <= 4 * len(accepted) + 8


async def test_pages_grow_while_they_are_small() -> None:
    """A list of thousands takes few requests; the limit is never above the maximum."""
    fake_list = FakeList([100] * 3_000)
    _, page_sizes = await fake_list.read()

    assert [50, 100, 200, 400, 500, 500, 500, 500, 250] == page_sizes
    assert str(MAX_PAGE_LIMIT) == fake_list.server.queries[-1]["limit"]


async def test_pages_of_the_largest_objects() -> None:
    """A hundred of a megabyte: no page of more than 4 MiB is read, whatever came before."""
    fake_list = FakeList([100] * 50 + [1024 * KIB] * 100)
    numbers, page_sizes = await fake_list.read()

    assert list(range(150)) == numbers
    assert 3 >= max(page_sizes[1:])
    read = [response.read_chunks for response in fake_list.server.responses]
    assert len(read) <= 65


async def test_a_single_object_that_is_too_large_is_an_error() -> None:
    """Smaller pages do not help."""
    server = FakeServer(lambda _: FakeResponse(200, stream_bytes(2**30)))
    with pytest.raises(ResponseTooLargeError):
        [page async for page in server.connect().list_pages(PODS_OF_APPS, None)]

    assert ["50", "12", "3", "1"] == [query["limit"] for query in server.queries]
    assert 3 * MAX_PAGE_BYTES + MAX_RESPONSE_BYTES + 4 * 64 * KIB >= 64 * KIB * sum(
        response.read_chunks for response in server.responses
    )


async def test_metadata_is_asked_for_without_contents() -> None:
    """Of lists and of watches, with the same selectors."""
    [config_maps] = CONFIG_SOURCES["configmaps"]
    selection = Selection(config_maps, fields="metadata.name!=a", metadata_only=True)
    server = FakeServer(lambda _: FakeResponse(200, b'{"metadata":{},"items":[]}'))
    client = server.connect()
    [page async for page in client.list_pages(selection, "shop")]
    server.answer = lambda _: FakeResponse(200)
    [event async for event in client.watch(selection, "shop", "7")]

    assert [METADATA_LIST, METADATA] == [headers["Accept"] for headers in server.headers]
    listed, watched = server.queries
    assert {"fieldSelector": "metadata.name!=a", "limit": "50"} == listed
    assert 300 <= int(watched.pop("timeoutSeconds")) <= 600
    assert {
        "fieldSelector": "metadata.name!=a",
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "7",
    } == watched


def build_status(code: int, reason: str = "Expired") -> bytes:
    """Return an event that ends a watch."""
    status = {"kind": "Status", "code": code, "reason": reason, "message": "too old"}
    return orjson.dumps({"type": "ERROR", "object": status}) + b"\n"


BOOKMARK = b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"8"}}}\n'


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (FakeResponse(410, b'{"reason":"Expired","message":"too old"}'), ExpiredError),
        (FakeResponse(403, b'{"reason":"Forbidden","message":"no"}'), ForbiddenError),
        (FakeResponse(200, BOOKMARK + build_status(410)), ExpiredError),
        (FakeResponse(200, BOOKMARK + build_status(500, "InternalError")), UnavailableError),
        (FakeResponse(200, BOOKMARK + build_status(0, "")), ApiError),
        (FakeResponse(200, BOOKMARK, aiohttp.ClientPayloadError("cut")), UnavailableError),
        (FakeResponse(200, BOOKMARK, TimeoutError()), UnavailableError),
        (FakeResponse(200, b"<html>\n"), UnavailableError),
        (FakeResponse(200, b'{"type":"ADDED"}\n'), UnavailableError),
        (FakeResponse(200, b'{"type":"ADDED","object":{"metadata":7}}\n'), UnavailableError),
        (FakeResponse(200, b"[]\n"), UnavailableError),
    ],
    ids=[
        "410",
        "403",
        "410 later",
        "500 later",
        "unknown",
        "cut",
        "silent",
        "page",
        "bare",
        "odd",
        "list",
    ],
)
async def test_how_a_watch_ends(response: FakeResponse, error: type[ApiError]) -> None:
    """Every failure is an error of the client; the connection is closed."""
    server = FakeServer(lambda _: response)
    with pytest.raises(error) as raised:
        [event async for event in server.connect().watch(PODS_OF_APPS, None, "7")]

    assert type(raised.value) is error
    assert response.is_closed == (response.status == 200)
