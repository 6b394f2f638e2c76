"""The client's query parameters for lists, and how it reads logs."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from kubernetes.aio.client import Configuration

from selfhealing.kube.client import Client
from selfhealing.kube.errors import InvalidError
from selfhealing.kube.resources import EVENTS
from tests.unit.kube.fake_response import FakeResponse


def build_client(
    monkeypatch: pytest.MonkeyPatch, data: bytes, status: int = 200
) -> tuple[Client, list[str]]:
    """Return a client that always gets this response, and the list of URLs that it requests."""
    urls: list[str] = []

    async def answer(_: str, url: str, **__: Any) -> FakeResponse:  # noqa: ANN401 - the client's
        urls.append(url)
        return FakeResponse(status, data)

    made_client = Client(Configuration(host="http://server.invalid"), timeout=1, connections=1)
    monkeypatch.setattr(made_client._transport._api_client.rest_client, "request", answer)  # noqa: SLF001 - the edge
    return made_client, urls


async def test_a_log_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are not UTF-8 are replaced."""
    client, urls = build_client(monkeypatch, "läuft\n".encode() + b"\xff\n")
    async with client:
        text = await client.read_log(
            "shop", "web-1", "app", previous=True, lines=40, limit_bytes=1000
        )
    url = urlsplit(urls[0])

    assert "läuft\n\ufffd\n" == text
    assert "/api/v1/namespaces/shop/pods/web-1/log" == url.path
    assert {
        "container": ["app"],
        "previous": ["true"],
        "tailLines": ["40"],
        "limitBytes": ["1000"],
    } == parse_qs(url.query)


async def test_a_log_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the kubelet's message."""
    reason = b'{"message":"container \\"app\\" is waiting to start","reason":"BadRequest"}'
    client, asked = build_client(monkeypatch, reason, 400)
    async with client:
        with pytest.raises(InvalidError, match="is waiting to start"):
            await client.read_log("shop", "web-1", "app", previous=False, lines=1, limit_bytes=1)

    assert "previous=false" in asked[0]


async def test_a_list_may_be_selected_by_a_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """For example, only the Events of one pod are listed."""
    client, urls = build_client(monkeypatch, b'{"metadata":{},"items":[{"reason":"Killing"}]}')
    async with client:
        events = [
            e async for e in client.list_objects(EVENTS, "shop", fields="involvedObject.uid=abc")
        ]

    assert [{"reason": "Killing"}] == events
    assert ["involvedObject.uid=abc"] == parse_qs(urlsplit(urls[0]).query)["fieldSelector"]
