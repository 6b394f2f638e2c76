"""Who may read the metrics: the API server decides, and is not asked too often."""

import asyncio
from typing import Any, cast

import pytest
from aiohttp import web

from selfhealing.controller import metrics_auth as module
from selfhealing.controller.http_endpoints import metrics_endpoint
from selfhealing.controller.metrics_auth import (
    CACHE_SIZE,
    CACHE_TTL,
    LOG_INTERVAL,
    MAX_CONCURRENT_REVIEWS,
    MAX_REVIEWS_PER_SECOND,
    MAX_TOKEN_LENGTH,
    Access,
    MetricsAuthorizer,
)
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ForbiddenError, UnavailableError
from selfhealing.kube.resources import SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS, Resource
from tests.unit.controller.fake_loop import now

Json = dict[str, Any]

READER: Json = {
    "username": "system:serviceaccount:monitoring:prometheus",
    "groups": ["system:serviceaccounts"],
    "uid": "1",
    "extra": {"node": ["a"]},
}
OTHER: Json = {"username": "guest"}


class FakeApiServer:
    """Whose the tokens are, who may read, and the reviews in order."""

    def __init__(self) -> None:
        self.users: dict[str, Json] = {"good": READER, "other": OTHER, "nobody": {}}
        self.readers = {READER["username"]}
        self.error: ApiError | None = None
        self.delay = 0.0
        self.reviews: list[tuple[str, Json]] = []

    async def create(self, resource: Resource, body: Json) -> Json:
        """Answer as Client.create does."""
        assert (resource.api_version, resource.kind) == (body["apiVersion"], body["kind"])

        self.reviews.append((resource.kind, body["spec"]))
        await asyncio.sleep(self.delay)
        if self.error is not None:
            raise self.error
        if resource is TOKEN_REVIEWS:
            token = body["spec"]["token"]
            if token not in self.users:
                return {"status": {"error": "invalid bearer token"}}
            return {"status": {"authenticated": True, "user": self.users[token]}}
        assert resource is SUBJECT_ACCESS_REVIEWS

        return {"status": {"allowed": body["spec"]["user"] in self.readers}}


@pytest.fixture
def server() -> FakeApiServer:
    """A server that knows three tokens."""
    return FakeApiServer()


def make_authorizer(server: FakeApiServer) -> MetricsAuthorizer:
    """The authorizer, on the loop's clock."""
    return MetricsAuthorizer(cast("Client", server), now)


@pytest.mark.parametrize(
    ("header", "access"),
    [
        ("Bearer good", Access.ALLOWED),
        ("bearer good ", Access.ALLOWED),
        ("Bearer other", Access.FORBIDDEN),
        ("Bearer unknown", Access.UNAUTHENTICATED),
        ("Bearer nobody", Access.UNAUTHENTICATED),
        ("Bearer \udcff", Access.UNAUTHENTICATED),
    ],
)
async def test_the_answer(server: FakeApiServer, header: str, access: Access) -> None:
    """By whose the token is, and what he may read."""
    assert access == await make_authorizer(server).authorize(header)


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic Z29vZA==", "good", f"Bearer {'x' * 9000}"]
)
async def test_no_token(server: FakeApiServer, header: str) -> None:
    """The API server is not asked."""
    assert len("x" * 9000) > MAX_TOKEN_LENGTH
    assert Access.UNAUTHENTICATED == await make_authorizer(server).authorize(header)
    assert [] == server.reviews


async def test_what_is_asked(server: FakeApiServer) -> None:
    """All that is known of the user goes into the second review."""
    await make_authorizer(server).authorize("Bearer good")

    assert [
        ("TokenReview", {"token": "good"}),
        (
            "SubjectAccessReview",
            {
                "user": READER["username"],
                "groups": READER["groups"],
                "uid": "1",
                "extra": {"node": ["a"]},
                "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
            },
        ),
    ] == server.reviews


@pytest.mark.parametrize("token", ["good", "other", "unknown"])
async def test_an_answer_is_kept_for_a_short_time(server: FakeApiServer, token: str) -> None:
    """A right that was taken away ends after CACHE_TTL."""
    authorizer = make_authorizer(server)
    await authorizer.authorize(f"Bearer {token}")
    asked = len(server.reviews)
    await asyncio.sleep(CACHE_TTL - 1)
    await authorizer.authorize(f"Bearer {token}")

    assert asked == len(server.reviews)

    server.readers.clear()
    await asyncio.sleep(2)

    assert await authorizer.authorize(f"Bearer {token}") is not Access.ALLOWED
    assert 2 * asked == len(server.reviews)


async def test_the_cache_is_bounded(server: FakeApiServer) -> None:
    """And it holds no token."""
    authorizer = make_authorizer(server)
    for number in range(CACHE_SIZE + 10):
        await authorizer.authorize(f"Bearer secret-{number}")
        await asyncio.sleep(0.11)
    kept = list(authorizer._answers)  # noqa: SLF001 - what is in memory

    assert CACHE_SIZE == len(kept)
    assert not any(b"secret" in key for key in kept)


async def test_a_flood_is_not_passed_on(server: FakeApiServer) -> None:
    """More than MAX_CONCURRENT_REVIEWS at once are refused without a review; they may ask again."""
    server.delay = 5
    authorizer = make_authorizer(server)
    answers = await asyncio.gather(
        *(authorizer.authorize(f"Bearer {number}") for number in range(100))
    )

    assert MAX_CONCURRENT_REVIEWS == len(server.reviews)
    assert MAX_CONCURRENT_REVIEWS == answers.count(Access.UNAUTHENTICATED)
    assert 100 - MAX_CONCURRENT_REVIEWS == answers.count(Access.UNKNOWN)
    assert Access.ALLOWED == await authorizer.authorize("Bearer good")


async def test_a_steady_flood_is_not_passed_on(server: FakeApiServer) -> None:
    """One request after the other: who was known before is not kept out."""
    authorizer = make_authorizer(server)
    await authorizer.authorize("Bearer good")
    asked = len(server.reviews)
    for number in range(1000):
        await authorizer.authorize(f"Bearer {number}")

    assert MAX_REVIEWS_PER_SECOND == len(server.reviews) - asked + 1
    assert Access.ALLOWED == await authorizer.authorize("Bearer good")

    await asyncio.sleep(1)

    assert Access.FORBIDDEN == await authorizer.authorize("Bearer other")


@pytest.mark.parametrize(
    "error",
    [ForbiddenError(403, "Forbidden", "no"), UnavailableError(0, "NoAnswer", "no answer")],
)
async def test_the_api_server_cannot_be_asked(
    server: FakeApiServer, error: ApiError, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody reads the metrics then; it is logged once a minute, and asked again."""
    server.error = error
    authorizer = make_authorizer(server)
    for _ in range(5):
        assert Access.UNKNOWN == await authorizer.authorize("Bearer good")

    assert 1 == len(caplog.records)

    await asyncio.sleep(LOG_INTERVAL)
    await authorizer.authorize("Bearer good")

    assert 2 == len(caplog.records)

    server.error = None

    assert Access.ALLOWED == await authorizer.authorize("Bearer good")


class FakeRequest:
    """A request with headers."""

    def __init__(self, **headers: str) -> None:
        self.headers = headers


@pytest.mark.parametrize(
    ("header", "status"), [("Bearer good", 200), ("", 401), ("Bearer other", 403)]
)
async def test_the_endpoint(server: FakeApiServer, header: str, status: int) -> None:
    """It answers with the metrics, or with nothing but a status."""
    endpoint = metrics_endpoint(1, make_authorizer(server))
    request = cast("web.Request", FakeRequest(Authorization=header))
    response = await endpoint._handler(request)  # noqa: SLF001 - without a socket

    assert status == response.status
    assert ("Bearer" == response.headers.get("WWW-Authenticate")) == (status == 401)
    assert (status == 200) == (
        b"selfhealing_reconciles_total" in cast("bytes", response.body or b"")
    )


async def test_the_endpoint_without_authentication() -> None:
    """Everybody who reaches the port may read."""
    response = await metrics_endpoint(1)._handler(cast("web.Request", FakeRequest()))  # noqa: SLF001 - as above

    assert 200 == response.status
    assert module.METRICS_PATH == metrics_endpoint(1)._path  # noqa: SLF001 - as above
