"""The client's requests for remediations, and the errors from the responses."""

from typing import Any

import orjson
import pytest
from kubernetes.aio.client import Configuration

from selfhealing.kube.client import Client
from selfhealing.kube.errors import ConflictError, ForbiddenError, InvalidError, UnavailableError
from selfhealing.kube.resources import APPS
from tests.unit.kube.fake_response import FakeResponse

Json = dict[str, Any]

POD = "http://server.invalid/api/v1/namespaces/shop/pods/web-abc-1"


class FakeTransport:
    """A transport that records the requests and returns the same response to all."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, str, Json]] = []
        self.response = FakeResponse(200, b"{}")

    def respond_with(self, status: int, body: Json) -> None:
        """Return this response from now on."""
        self.response = FakeResponse(status, orjson.dumps(body))

    def refuse_with(self, status: int, reason: str, *causes: str) -> None:
        """Refuse all requests from now on."""
        details = {"causes": [{"reason": cause, "message": "m"} for cause in causes]}
        self.respond_with(
            status, {"kind": "Status", "reason": reason, "message": "no", "details": details}
        )

    async def request(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: Json,
        **_: object,
    ) -> FakeResponse:
        """Respond as the official client's transport."""
        self.requests.append((method, url, headers["Content-Type"], body))
        return self.response


@pytest.fixture
def server() -> FakeTransport:
    """A transport that accepts all requests."""
    return FakeTransport()


@pytest.fixture
def client(server: FakeTransport, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client with that transport."""
    client = Client(Configuration(host="http://server.invalid"), timeout=1, connections=1)
    monkeypatch.setattr(client._transport._api_client.rest_client, "request", server.request)  # noqa: SLF001 - the edge
    return client


async def test_a_pod_is_created_in_a_dry_run_only(server: FakeTransport, client: Client) -> None:
    """Nothing is stored, and no quota is used."""
    body = {"kind": "Pod", "metadata": {"namespace": "shop", "generateName": "web-"}}
    async with client:
        await client.try_create_pod(body)

    url = "http://server.invalid/api/v1/namespaces/shop/pods?dryRun=All"
    assert [("POST", url, "application/json", body)] == server.requests


@pytest.mark.parametrize(
    ("groups", "resources", "expected"),
    [
        (["apps", "selfhealing.dev"], ["selfhealingapps", "selfhealingapps/status"], True),
        (["apps", "selfhealing.dev"], [], False),
        (["apps"], ["selfhealingapps"], False),
    ],
)
async def test_a_kind_is_discovered(
    server: FakeTransport,
    client: Client,
    groups: list[str],
    resources: list[str],
    *,
    expected: bool,
) -> None:
    """By its group, and then by its name in the group."""
    named = {"groups": groups, "resources": resources}
    server.respond_with(
        200, {field: [{"name": name} for name in names] for field, names in named.items()}
    )
    async with client:
        assert await client.is_discovered(APPS) is expected


async def test_a_kind_whose_group_is_gone_is_not_discovered(
    server: FakeTransport, client: Client
) -> None:
    """The CRD was deleted between the two requests."""
    server.refuse_with(404, "NotFound")
    async with client:
        assert not await client.is_discovered(APPS)


class TestEviction:
    """The eviction of a pod."""

    async def test_what_is_sent(self, server: FakeTransport, client: Client) -> None:
        """The request has the pod's UID and resource version as preconditions."""
        async with client:
            assert await client.evict_pod("shop", "web-abc-1", "uid-1", 42)

        assert [
            (
                "POST",
                f"{POD}/eviction",
                "application/json",
                {
                    "apiVersion": "policy/v1",
                    "kind": "Eviction",
                    "metadata": {"namespace": "shop", "name": "web-abc-1"},
                    "deleteOptions": {"preconditions": {"uid": "uid-1", "resourceVersion": "42"}},
                },
            )
        ] == server.requests

    async def test_a_missing_pod(self, server: FakeTransport, client: Client) -> None:
        """A missing pod counts as evicted."""
        server.refuse_with(404, "NotFound")
        async with client:
            assert await client.evict_pod("shop", "web-abc-1", "uid-1", 42)

    @pytest.mark.parametrize(("status", "reason"), [(429, "TooManyRequests"), (403, "Forbidden")])
    async def test_a_budget_forbids_it(
        self, server: FakeTransport, client: Client, status: int, reason: str
    ) -> None:
        """The status is 403 if more pods are missing than the budget ever allows."""
        server.refuse_with(status, reason, "DisruptionBudget")
        async with client:
            assert not await client.evict_pod("shop", "web-abc-1", "uid-1", 42)

    @pytest.mark.parametrize(
        ("status", "reason", "error"),
        [
            (409, "Conflict", ConflictError),
            (403, "Forbidden", ForbiddenError),
            (429, "TooManyRequests", UnavailableError),
            (500, "InternalError", UnavailableError),
        ],
        ids=["changed", "no right", "busy", "two budgets"],
    )
    async def test_other_refusals(
        self,
        server: FakeTransport,
        client: Client,
        status: int,
        reason: str,
        error: type[Exception],
    ) -> None:
        """Refusals without the cause DisruptionBudget are errors for the caller."""
        server.refuse_with(status, reason)
        async with client:
            with pytest.raises(error):
                await client.evict_pod("shop", "web-abc-1", "uid-1", 42)

    @pytest.mark.parametrize("body", [b"Too many requests, please try again later.", b"[]"])
    async def test_an_answer_that_is_not_kubernetes_own(
        self, server: FakeTransport, client: Client, body: bytes
    ) -> None:
        """The response comes from a proxy, or from the API server's flow control."""
        server.response = FakeResponse(429, body)
        async with client:
            with pytest.raises(UnavailableError):
                await client.evict_pod("shop", "web-abc-1", "uid-1", 42)

    async def test_an_answer_without_causes(self, server: FakeTransport, client: Client) -> None:
        """The details may be empty or null."""
        server.respond_with(429, {"kind": "Status", "details": {"causes": None}})
        async with client:
            with pytest.raises(UnavailableError):
                await client.evict_pod("shop", "web-abc-1", "uid-1", 42)

            server.respond_with(429, {"kind": "Status", "details": None})
            with pytest.raises(UnavailableError):
                await client.evict_pod("shop", "web-abc-1", "uid-1", 42)


class TestResize:
    """The resize of a running pod."""

    async def test_what_is_sent(self, server: FakeTransport, client: Client) -> None:
        """A strategic merge patch merges containers by name."""
        patch = {"spec": {"containers": [{"name": "app", "resources": {}}]}}
        server.respond_with(200, {"kind": "Pod"})
        async with client:
            assert {"kind": "Pod"} == await client.resize_pod("shop", "web-abc-1", patch)

        assert [
            (
                "PATCH",
                f"{POD}/resize?fieldManager=selfhealing-operator",
                "application/strategic-merge-patch+json",
                patch,
            )
        ] == server.requests

    async def test_dry_run(self, server: FakeTransport, client: Client) -> None:
        """The API server answers as to the real one, and changes nothing."""
        server.respond_with(200, {"kind": "Pod"})
        async with client:
            await client.resize_pod("shop", "web-abc-1", {}, dry_run=True)

        path = f"{POD}/resize?fieldManager=selfhealing-operator&dryRun=All"
        assert [path] == [request[1] for request in server.requests]

    async def test_refused(self, server: FakeTransport, client: Client) -> None:
        """The API server refuses a resize that changes the QoS class."""
        server.refuse_with(422, "Invalid")
        async with client:
            with pytest.raises(InvalidError):
                await client.resize_pod("shop", "web-abc-1", {})
