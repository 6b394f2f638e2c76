"""The labels of a Namespace are read once a minute, and a failure is no empty answer."""

from typing import Any, cast

import pytest

from selfhealing.controller.namespace_labels import CACHE_SIZE, CACHE_TTL, NamespaceLabels
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ForbiddenError, UnavailableError
from selfhealing.kube.resources import NAMESPACES, Resource

Json = dict[str, Any]


class FakeApiServer:
    """Namespaces by name, and the reads in order."""

    def __init__(self, **labels_by_name: Json | None) -> None:
        self.labels = labels_by_name
        self.error: ApiError | None = None
        self.reads: list[str] = []
        self.now = 0.0

    async def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """Answer as Client.get does."""
        assert (NAMESPACES, name) == (resource, namespace)

        self.reads.append(name)
        if self.error is not None:
            raise self.error
        if name not in self.labels:
            return None
        return {"metadata": {"name": name, "labels": self.labels[name]}}


def make_labels(server: FakeApiServer) -> NamespaceLabels:
    """The labels as the server tells them, by the server's clock."""
    return NamespaceLabels(cast("Client", server), lambda: server.now)


async def test_an_answer_is_kept_for_a_minute() -> None:
    """Then it is read again."""
    server = FakeApiServer(shop={"team": "blue"})
    labels = make_labels(server)

    assert {"team": "blue"} == await labels.get("shop")
    server.labels["shop"] = {"team": "red"}
    server.now = CACHE_TTL - 1
    assert {"team": "blue"} == await labels.get("shop")
    server.now = CACHE_TTL + 1
    assert {"team": "red"} == await labels.get("shop")
    assert ["shop", "shop"] == server.reads


async def test_a_namespace_without_labels() -> None:
    """That is known; a Namespace that is gone is unknown."""
    labels = make_labels(FakeApiServer(shop=None))

    assert {} == await labels.get("shop")
    assert await labels.get("gone") is None


@pytest.mark.parametrize(
    "error", [ForbiddenError(403, "Forbidden", "no"), UnavailableError(0, "NoAnswer", "no answer")]
)
async def test_a_failure_is_unknown(error: ApiError) -> None:
    """It is kept as an answer is, so that a forbidden read is not repeated for every app."""
    server = FakeApiServer(shop={"team": "blue"})
    server.error = error
    labels = make_labels(server)

    assert await labels.get("shop") is None
    server.error = None
    assert await labels.get("shop") is None
    server.now = CACHE_TTL + 1
    assert {"team": "blue"} == await labels.get("shop")


async def test_the_cache_is_bounded() -> None:
    """However many namespaces there are."""
    server = FakeApiServer()
    labels = make_labels(server)
    for number in range(CACHE_SIZE + 1):
        await labels.get(f"team-{number}")
    await labels.get("team-0")

    assert CACHE_SIZE + 2 == len(server.reads)
