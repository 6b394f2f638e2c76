"""The count of the nodes: asked for seldom, and none where it cannot be had."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from selfhealing.cache.nodes import node_view
from selfhealing.controller import node_health
from selfhealing.controller.node_health import (
    CACHE_TTL,
    CONDITIONS_TTL,
    FORBIDDEN_CACHE_TTL,
    MAX_NODES_OF_APP,
    NodeHealth,
)
from selfhealing.kube.client import Client
from selfhealing.kube.errors import ApiError, ForbiddenError, UnavailableError
from selfhealing.kube.resources import NODES, Resource
from selfhealing.remediation.node_loss import NODE_INTERVAL
from tests.unit import builders
from tests.unit.controller.fake_loop import now

Json = dict[str, Any]

TEMPLATE: Json = {"spec": {"containers": []}}
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
        self.selectors: list[str] = []

    async def list_objects(
        self, resource: Resource, namespace: str | None, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Json]:
        """Answer as Client.objects does, and ignore the field selector."""
        assert (NODES, None, "") == (resource, namespace, labels)
        self.selectors.append(fields)
        self.request_times.append(now())
        await asyncio.sleep(1)
        for node in self.nodes:
            yield node
        if self.error:
            raise self.error


@pytest.fixture
def cluster() -> FakeApiServer:
    """Two of four nodes are silent, one runs out of memory."""
    return FakeApiServer(
        builders.node("node-1"),
        builders.node("node-2", ready="Unknown"),
        builders.node("node-3", taints=[UNREACHABLE]),
        builders.node("node-4", ready="False", memory_pressure=True),
    )


@pytest.fixture
def health(cluster: FakeApiServer) -> NodeHealth:
    """The count of that cluster."""
    return NodeHealth(cast("Client", cluster), now)


COUNT = tuple(
    node_view(node)
    for node in (
        builders.node("node-1"),
        builders.node("node-2", ready="Unknown"),
        builders.node("node-3", taints=[UNREACHABLE]),
        builders.node("node-4", ready="False", memory_pressure=True),
    )
)


async def test_nobody_asks(cluster: FakeApiServer, health: NodeHealth) -> None:
    """Then nobody counts; the first who asks gets the count."""
    await asyncio.sleep(60)

    assert [] == cluster.request_times
    assert COUNT == await health.list_nodes()


async def test_what_the_nodes_offer(cluster: FakeApiServer, health: NodeHealth) -> None:
    """It is in the same list."""
    cluster.nodes[0]["status"]["allocatable"] = {"cpu": "4"}
    nodes = await health.list_nodes()

    assert nodes is not None
    assert {"cpu": "4"} == nodes[0].allocatable


async def test_more_nodes_than_kubernetes_supports(
    health: NodeHealth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of them is remembered."""
    monkeypatch.setattr(node_health, "MAX_NODES", 3)

    assert None is await health.list_nodes()


async def test_a_count_is_good_for_a_while(cluster: FakeApiServer, health: NodeHealth) -> None:
    """From the moment at which it was there; then it is made anew."""
    await health.list_nodes()
    cluster.nodes.pop()
    await asyncio.sleep(CACHE_TTL - 0.1)

    assert COUNT == await health.list_nodes()

    await asyncio.sleep(0.2)

    assert COUNT[:3] == await health.list_nodes()
    assert 2 == len(cluster.request_times)


async def test_who_asks_meanwhile_gets_the_same_count(
    cluster: FakeApiServer, health: NodeHealth
) -> None:
    """Many pods are lost with one node."""
    assert [COUNT] * 5 == await asyncio.gather(*(health.list_nodes() for _ in range(5)))
    assert [0] == cluster.request_times


async def test_who_gives_up_takes_nothing_from_the_others(
    cluster: FakeApiServer, health: NodeHealth
) -> None:
    """The next in line asks in his place."""
    first = asyncio.create_task(health.list_nodes())
    second = asyncio.create_task(health.list_nodes())
    await asyncio.sleep(0.5)
    first.cancel()

    assert COUNT == await second
    assert [0, 0.5] == cluster.request_times


async def test_forbidden(
    cluster: FakeApiServer, health: NodeHealth, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, and tried again after a long while."""
    cluster.error = FORBIDDEN
    for _ in range(3):
        assert None is await health.list_nodes()
        await asyncio.sleep(FORBIDDEN_CACHE_TTL / 2)

    assert [0, 601] == [round(at) for at in cluster.request_times]
    assert 1 == len(caplog.records)
    assert "nodes are not counted: 403 Forbidden: nodes is forbidden" == caplog.messages[0]


async def test_a_right_may_come_and_go(
    cluster: FakeApiServer, health: NodeHealth, caplog: pytest.LogCaptureFixture
) -> None:
    """Its next loss is said again."""
    for error in (FORBIDDEN, None, FORBIDDEN):
        cluster.error = error

        assert (None if error else COUNT) == await health.list_nodes()

        await asyncio.sleep(FORBIDDEN_CACHE_TTL)

    assert 2 == len(caplog.records)


async def test_the_server_is_away(
    cluster: FakeApiServer, health: NodeHealth, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a count is none, nor is an old one; it is tried again at the usual pace."""
    await health.list_nodes()
    await asyncio.sleep(CACHE_TTL)
    cluster.error = UnavailableError(503, "", "no")

    assert None is await health.list_nodes()
    assert None is await health.list_nodes()
    assert 2 == len(cluster.request_times)
    assert [logging.WARNING] == [record.levelno for record in caplog.records]

    cluster.error = None
    await asyncio.sleep(CACHE_TTL)

    assert COUNT == await health.list_nodes()


class TestGivingUp:
    """Lost nodes are given up one after the other, and only where others can take their pods."""

    @pytest.fixture
    def zones(self) -> FakeApiServer:
        """Zone a is lost as a whole, and one node of zone b."""
        return FakeApiServer(
            *(builders.node(f"a{n}", ready="Unknown", zone="a") for n in range(3)),
            builders.node("b0", ready="Unknown", zone="b"),
            *(builders.node(f"b{n}", zone="b") for n in (1, 2, 3)),
        )

    async def test_a_lost_zone_is_paced(self, zones: FakeApiServer) -> None:
        """One node each ten seconds; another zone has a pace of its own."""
        health = NodeHealth(cast("Client", zones), now)

        assert await health.can_give_up(["a0"], TEMPLATE)
        assert await health.give_up("a0")
        assert await health.can_give_up(["a0"], TEMPLATE)
        assert not await health.can_give_up(["a1"], TEMPLATE)
        assert not await health.give_up("a1")
        assert await health.give_up("b0")

        await asyncio.sleep(NODE_INTERVAL)

        assert await health.give_up("a1")
        assert not await health.give_up("a2")
        assert await health.give_up("a0")

    async def test_a_node_that_came_back_needs_its_turn_again(self, zones: FakeApiServer) -> None:
        """It was given up once, for one loss."""
        health = NodeHealth(cast("Client", zones), now)
        await health.give_up("a0")
        zones.nodes[0] = builders.node("a0", zone="a")
        await asyncio.sleep(CACHE_TTL)

        assert not await health.can_give_up(["a0"], TEMPLATE)

        zones.nodes[0] = builders.node("a0", ready="Unknown", zone="a")
        await asyncio.sleep(CACHE_TTL)

        assert await health.give_up("a1")
        assert not await health.can_give_up(["a0"], TEMPLATE)

    async def test_nobody_can_take_the_pods(self, zones: FakeApiServer) -> None:
        """They stay where they are."""
        health = NodeHealth(cast("Client", zones), now)

        assert not await health.can_give_up(
            ["a0"], {"spec": {"containers": [], "nodeSelector": {"disk": "ssd"}}}
        )

    async def test_a_node_that_is_gone(self, zones: FakeApiServer) -> None:
        """It needs no turn."""
        health = NodeHealth(cast("Client", zones), now)

        assert all([await health.give_up(name) for name in ("gone-1", "gone-2")])

    async def test_nodes_that_cannot_be_listed(self, zones: FakeApiServer) -> None:
        """None is given up."""
        zones.error = FORBIDDEN
        health = NodeHealth(cast("Client", zones), now)

        assert not await health.can_give_up(["a0"], TEMPLATE)
        assert not await health.give_up("a0")


class TestConditions:
    """The conditions of single nodes."""

    @pytest.fixture
    def sick(self) -> FakeApiServer:
        """One node has a problem."""
        return FakeApiServer(
            builders.node("node-1", conditions={"KernelDeadlock": "True"}), builders.node("node-2")
        )

    async def test_they_are_read_for_each_node_and_cached(self, sick: FakeApiServer) -> None:
        """Only the nodes that are asked for."""
        health = NodeHealth(cast("Client", sick), now)
        for _ in range(3):
            found = await health.find_bad_conditions(["node-1", "node-1"], ["node-2"])

            assert {"node-1": ("KernelDeadlock",), "node-2": ()} == found

        assert ["metadata.name=node-1", "metadata.name=node-2"] == sick.selectors

        sick.nodes[0] = builders.node("node-1")
        await asyncio.sleep(CONDITIONS_TTL)

        assert {} == await health.find_bad_conditions(["node-1"], ["node-2"])
        assert 3 == len(sick.selectors), "without a problem there is nothing to compare"

    async def test_an_app_has_few_nodes(self, sick: FakeApiServer) -> None:
        """However many pods it has."""
        health = NodeHealth(cast("Client", sick), now)
        many = [f"node-{number}" for number in range(100)]
        await health.find_bad_conditions(many, many)

        assert MAX_NODES_OF_APP == len(sick.selectors)

    async def test_what_cannot_be_read_is_not_known(self, sick: FakeApiServer) -> None:
        """A missing right is asked for again after a long while only."""
        health = NodeHealth(cast("Client", sick), now)
        sick.nodes.clear()
        sick.error = UnavailableError(503, "", "no")

        assert {} == await health.find_bad_conditions(["node-1"], [])

        sick.error = FORBIDDEN
        for name in ("node-2", "node-3"):
            assert {} == await health.find_bad_conditions([name], [])

        assert 2 == len(sick.selectors)
