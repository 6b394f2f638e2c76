"""The count of the nodes: asked for seldom, and none where it cannot be had."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from selfhealing.cache.views import NodeCount
from selfhealing.controller import node_health
from selfhealing.controller.node_health import CACHE_TTL, FORBIDDEN_CACHE_TTL, NodeHealth
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ForbiddenError, UnavailableError
from selfhealing.kube.resources import NODES, Resource
from tests.unit import builders
from tests.unit.controller.fake_loop import now

Json = dict[str, Any]

UNREACHABLE = "node.kubernetes.io/unreachable"
FORBIDDEN = ForbiddenError(403, "Forbidden", "nodes is forbidden")


class FakeApiServer:
    """What nodes there are.

    Attributes:
        error: what a list ends with, after the nodes that it has.
        asked: the times of the lists.
    """

    def __init__(self, *nodes: Json) -> None:
        self.nodes = list(nodes)
        self.error: ApiError | None = None
        self.request_times: list[float] = []

    async def list_objects(
        self, resource: Resource, namespace: str | None, labels: str = ""
    ) -> AsyncIterator[Json]:
        """Answer as Client.objects does."""
        assert (NODES, None, "") == (resource, namespace, labels)
        self.request_times.append(now())
        await asyncio.sleep(1)
        for node in self.nodes:
            yield node
        if self.error:
            raise self.error


@pytest.fixture
def cluster() -> FakeApiServer:
    """Two of four nodes are silent."""
    return FakeApiServer(
        builders.node("node-1"),
        builders.node("node-2", ready="Unknown"),
        builders.node("node-3", taints=[UNREACHABLE]),
        builders.node("node-4", ready="False"),
    )


@pytest.fixture
def census(cluster: FakeApiServer) -> NodeHealth:
    """The count of that cluster."""
    return NodeHealth(cast("Client", cluster), now)


COUNT = NodeCount(4, frozenset({"node-2", "node-3"}))


async def test_nobody_asks(cluster: FakeApiServer, census: NodeHealth) -> None:
    """Then nobody counts; the first who asks gets the count."""
    await asyncio.sleep(60)

    assert [] == cluster.request_times
    assert COUNT == await census.count_nodes()


async def test_what_the_nodes_offer(cluster: FakeApiServer, census: NodeHealth) -> None:
    """It is in the same list as the count."""
    cluster.nodes[0]["status"]["allocatable"] = {"cpu": "4"}
    nodes = await census.list_nodes()

    assert ["node-1", "node-2", "node-3", "node-4"] == [node.name for node in nodes]
    assert {"cpu": "4"} == nodes[0].allocatable
    assert COUNT == await census.count_nodes()
    assert [0] == cluster.request_times

    cluster.error = FORBIDDEN
    await asyncio.sleep(CACHE_TTL)

    assert () == await census.list_nodes()


async def test_more_nodes_than_kubernetes_supports(
    census: NodeHealth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are counted, and nothing else is remembered."""
    monkeypatch.setattr(node_health, "MAX_NODES", 3)

    assert () == await census.list_nodes()
    assert COUNT == await census.count_nodes()


async def test_a_count_is_good_for_a_while(cluster: FakeApiServer, census: NodeHealth) -> None:
    """From the moment at which it was there; then it is made anew."""
    await census.count_nodes()
    cluster.nodes.pop()
    await asyncio.sleep(CACHE_TTL - 0.1)

    assert COUNT == await census.count_nodes()

    await asyncio.sleep(0.2)

    assert NodeCount(3, COUNT.unreachable) == await census.count_nodes()
    assert 2 == len(cluster.request_times)


async def test_who_asks_meanwhile_gets_the_same_count(
    cluster: FakeApiServer, census: NodeHealth
) -> None:
    """Many pods are lost with one node."""
    assert [COUNT] * 5 == await asyncio.gather(*(census.count_nodes() for _ in range(5)))
    assert [0] == cluster.request_times


async def test_who_gives_up_takes_nothing_from_the_others(
    cluster: FakeApiServer, census: NodeHealth
) -> None:
    """The next in line asks in his place."""
    first = asyncio.create_task(census.count_nodes())
    second = asyncio.create_task(census.count_nodes())
    await asyncio.sleep(0.5)
    first.cancel()

    assert COUNT == await second
    assert [0, 0.5] == cluster.request_times


async def test_forbidden(
    cluster: FakeApiServer, census: NodeHealth, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, and tried again after a long while."""
    cluster.error = FORBIDDEN
    for _ in range(3):
        assert None is await census.count_nodes()
        await asyncio.sleep(FORBIDDEN_CACHE_TTL / 2)

    assert [0, 601] == [round(at) for at in cluster.request_times]
    assert 1 == len(caplog.records)
    assert "nodes are not counted: 403 Forbidden: nodes is forbidden" == caplog.messages[0]


async def test_a_right_may_come_and_go(
    cluster: FakeApiServer, census: NodeHealth, caplog: pytest.LogCaptureFixture
) -> None:
    """Its next loss is said again."""
    for error in (FORBIDDEN, None, FORBIDDEN):
        cluster.error = error

        assert (None if error else COUNT) == await census.count_nodes()

        await asyncio.sleep(FORBIDDEN_CACHE_TTL)

    assert 2 == len(caplog.records)


async def test_the_server_is_away(
    cluster: FakeApiServer, census: NodeHealth, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a count is none, nor is an old one; it is tried again at the usual pace."""
    await census.count_nodes()
    await asyncio.sleep(CACHE_TTL)
    cluster.error = UnavailableError(503, "", "no")

    assert None is await census.count_nodes()
    assert None is await census.count_nodes()
    assert 2 == len(cluster.request_times)
    assert [logging.WARNING] == [record.levelno for record in caplog.records]

    cluster.error = None
    await asyncio.sleep(CACHE_TTL)

    assert COUNT == await census.count_nodes()
