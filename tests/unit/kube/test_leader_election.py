"""Leader election: never two leaders, and a new leader soon after one fails."""

import asyncio
import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import pytest
from hypothesis import given, settings, strategies as st

from selfhealing.kube.client import Client
from selfhealing.kube.errors import ConflictError, NotFoundError, UnavailableError
from selfhealing.kube.leader_election import (
    LeaderElectionConfig,
    LeaderElector,
    LostLeadershipError,
)
from selfhealing.kube.resources import LEASES, Resource
from tests.unit import builders
from tests.unit.controller.fake_loop import now, run_on_fake_loop
from tests.unit.examples import scale_examples

Json = dict[str, Any]

DURATION, RENEW, DEADLINE = 15.0, 2.0, 10.0


class LeaseServer:
    """An API server with one Lease.

    Attributes:
        is_down: requests are neither executed nor answered.
        latency: seconds before a request is executed, and before its response arrives.
    """

    def __init__(self) -> None:
        self.lease: Json | None = None
        self.is_down = False
        self.latency = (0.0, 0.0)
        self._version = 0

    @property
    def holder(self) -> str:
        """The holder of the Lease."""
        assert self.lease is not None
        return str(self.lease["spec"]["holderIdentity"])

    async def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """Respond as Client.get."""
        assert (LEASES, "ops", "operator") == (resource, namespace, name)

        async with self._request():
            return copy.deepcopy(self.lease)

    async def create(self, resource: Resource, body: Json) -> Json:
        """Respond as Client.create."""
        assert resource is LEASES

        async with self._request():
            if self.lease is not None:
                raise ConflictError(409, "AlreadyExists", "there is one")
            return self._store(body)

    async def replace(self, resource: Resource, body: Json) -> Json:
        """Respond as Client.replace."""
        assert resource is LEASES

        async with self._request():
            if self.lease is None:
                raise NotFoundError(404, "NotFound", "there is none")
            if self.lease["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
                raise ConflictError(409, "Conflict", "somebody was faster")
            return self._store(body)

    def _store(self, body: Json) -> Json:
        self._version += 1
        self.lease = copy.deepcopy(body)
        self.lease["metadata"]["resourceVersion"] = str(self._version)
        return copy.deepcopy(self.lease)

    @asynccontextmanager
    async def _request(self) -> AsyncIterator[None]:
        before, after = self.latency
        await asyncio.sleep(before)
        if self.is_down:
            raise UnavailableError(0, "NoAnswer", "no answer from the API server")
        yield
        await asyncio.sleep(after)


class Harness:
    """Replicas that compete for one Lease, and a record of who was the leader when."""

    def __init__(self) -> None:
        self.server = LeaseServer()
        self.terms: list[tuple[str, float, float]] = []
        self.leaders: set[str] = set()
        self.concurrent_leaders: list[set[str]] = []
        self.lost: dict[str, str] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def build_elector(self, identity: str) -> LeaderElector:
        """Create an elector with this identity."""
        config = LeaderElectionConfig("ops", "operator", identity, DURATION, RENEW)
        clock = asyncio.get_running_loop().time
        return LeaderElector(
            cast("Client", self.server), config, clock, lambda: builders.at(clock())
        )

    def start(self, identity: str) -> LeaderElector:
        """Start a replica, which waits, leads and ends."""
        elector = self.build_elector(identity)
        self._tasks[identity] = asyncio.create_task(self._run_replica(identity, elector))
        return elector

    async def crash(self, identity: str) -> None:
        """End a replica without a release, as SIGKILL does."""
        task = self._tasks.pop(identity)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def wait_for_leader(self) -> str:
        """Wait until there is a leader."""
        while not self.leaders:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
        [leader] = self.leaders
        return leader

    async def stop_all(self) -> None:
        """End all replicas."""
        for identity in list(self._tasks):
            await self.crash(identity)

    async def _run_replica(self, identity: str, elector: LeaderElector) -> None:
        await elector.acquire()

        self.leaders.add(identity)
        if len(self.leaders) > 1:
            self.concurrent_leaders.append(set(self.leaders))
        since = now()
        try:
            await elector.renew()
        except LostLeadershipError as error:
            self.lost[identity] = str(error)
        finally:
            self.leaders.remove(identity)
            self.terms.append((identity, since, now()))


async def test_the_first_leads_at_once() -> None:
    """A missing Lease is created, with the fields that other tools read."""
    harness = Harness()
    first = harness.build_elector("a")

    await first.acquire()

    assert first.is_leader
    assert 0 == now()
    assert harness.server.lease is not None
    assert {"name": "operator", "namespace": "ops", "resourceVersion": "1"} == harness.server.lease[
        "metadata"
    ]
    assert ("coordination.k8s.io/v1", "Lease") == (
        harness.server.lease["apiVersion"],
        harness.server.lease["kind"],
    )
    spec = harness.server.lease["spec"]
    assert ("a", 15, 0) == (
        spec["holderIdentity"],
        spec["leaseDurationSeconds"],
        spec["leaseTransitions"],
    )
    assert spec["acquireTime"] == spec["renewTime"]
    assert spec["renewTime"].endswith("Z")


async def test_a_lease_without_a_spec_is_free() -> None:
    """A user may have created a Lease without a spec."""
    harness = Harness()
    harness.server.lease = {"metadata": {"name": "operator", "namespace": "ops"}}
    harness.server.lease["metadata"]["resourceVersion"] = "x"

    await harness.build_elector("a").acquire()

    assert "a" == harness.server.holder
    assert 0 == now()


@pytest.mark.parametrize("candidates", ["ab", "abc"])
async def test_one_leads_until_it_ends(candidates: str) -> None:
    """For an hour no other replica becomes the leader."""
    harness = Harness()
    for name in candidates:
        harness.start(name)

    await asyncio.sleep(3600)

    assert {"a"} == harness.leaders
    assert [] == harness.terms
    assert 0 == (harness.server.lease or {})["spec"]["leaseTransitions"]

    await harness.stop_all()


@pytest.mark.parametrize("candidates", ["ab", "abc"])
@pytest.mark.parametrize("moment", [0.1, 0.5, 1.99, 7.3, 100.0])
async def test_after_a_crash_another_leads_soon(candidates: str, moment: float) -> None:
    """The new leader starts after the Lease has expired, within one retry period."""
    harness = Harness()
    for name in candidates:
        harness.start(name)
    await asyncio.sleep(moment)
    crashed = now()
    await harness.crash("a")
    leader = await harness.wait_for_leader()

    assert DURATION - RENEW <= now() - crashed <= DURATION + RENEW + 0.05
    assert leader == harness.server.holder
    assert 1 == (harness.server.lease or {})["spec"]["leaseTransitions"]

    await harness.stop_all()


async def test_a_clean_stop_hands_over_at_the_next_retry() -> None:
    """The Lease is released, so that no replica waits until it expires."""
    harness = Harness()
    first = harness.start("a")
    harness.start("b")
    harness.start("c")
    await asyncio.sleep(30.5)
    await harness.crash("a")
    await first.release()
    stopped = now()

    assert "" == harness.server.holder
    assert not first.is_leader
    await harness.wait_for_leader()

    assert RENEW + 0.05 >= now() - stopped

    await harness.stop_all()


async def test_a_waiting_replica_releases_nothing() -> None:
    """A replica that only waited does not change the Lease."""
    harness = Harness()
    harness.start("a")
    waiting = harness.start("b")
    await asyncio.sleep(5)
    await harness.crash("b")

    await waiting.release()

    assert "a" == harness.server.holder

    await harness.stop_all()


async def test_the_lease_of_another_replica_is_not_released() -> None:
    """A late stop does not release the Lease of the next leader."""
    harness = Harness()
    first = harness.start("a")
    await asyncio.sleep(1)
    await harness.crash("a")
    harness.start("b")
    await asyncio.sleep(20)

    await first.release()

    assert "b" == harness.server.holder

    await harness.stop_all()


async def test_a_stop_while_the_server_is_down() -> None:
    """A failed release is no error."""
    harness = Harness()
    first = harness.build_elector("a")
    await first.acquire()
    harness.server.is_down = True

    await first.release()

    assert not first.is_leader


@pytest.mark.parametrize("seconds", [1, 5, 7.5])
async def test_a_short_outage_changes_nothing(seconds: float) -> None:
    """The leader stays the leader."""
    harness = Harness()
    harness.start("a")
    harness.start("b")
    await asyncio.sleep(100.5)
    harness.server.is_down = True
    await asyncio.sleep(seconds)
    harness.server.is_down = False
    await asyncio.sleep(100)

    assert {"a"} == harness.leaders
    assert [] == harness.terms

    await harness.stop_all()


async def test_a_long_outage_ends_the_leader_in_time() -> None:
    """It stops at the renew deadline, before another replica may take over."""
    harness = Harness()
    harness.start("a")
    harness.start("b")
    await asyncio.sleep(100.5)
    harness.server.is_down = True
    await asyncio.sleep(DEADLINE)

    assert set() == harness.leaders
    assert [("a", 0, 110)] == harness.terms
    assert {"a": "the Lease was not renewed for 10.0 s"} == harness.lost

    harness.server.is_down = False
    await asyncio.sleep(DURATION + RENEW + 0.1)

    assert {"b"} == harness.leaders

    await harness.stop_all()


async def test_a_server_that_hangs_ends_the_leader_in_time() -> None:
    """A request without a response must not extend the leadership."""
    harness = Harness()
    harness.start("a")
    await asyncio.sleep(100.5)
    harness.server.latency = (3600, 0)
    await asyncio.sleep(DEADLINE)

    assert [("a", 0, 110)] == harness.terms

    await harness.stop_all()


async def test_a_late_response_does_not_extend_the_leadership() -> None:
    """The other replicas count from the write of the renewal, not from its response."""
    harness = Harness()
    harness.start("a")
    await asyncio.sleep(3)
    harness.server.latency = (0, 3)  # sent at 4, written at 7, response at 10
    await asyncio.sleep(8)
    harness.server.latency, harness.server.is_down = (0, 0), True
    await asyncio.sleep(20)

    assert [("a", 0, 7 + DEADLINE)] == harness.terms

    await harness.stop_all()


async def test_a_first_response_after_the_deadline_does_not_count() -> None:
    """A replica whose first response arrives after the deadline tries again before it leads."""
    harness = Harness()
    harness.server.latency = (0, 10)  # sent at 0, written at 10, response at 20
    harness.start("a")
    await asyncio.sleep(11)
    harness.server.latency = (0, 0)
    await asyncio.sleep(10)

    assert "a" == harness.server.holder
    assert set() == harness.leaders

    await asyncio.sleep(RENEW)

    assert {"a"} == harness.leaders

    await harness.stop_all()


async def test_a_leader_whose_lease_was_taken_ends_at_once() -> None:
    """A user edited the Lease."""
    harness = Harness()
    harness.start("a")
    await asyncio.sleep(4.5)
    assert harness.server.lease is not None
    harness.server.lease["spec"]["holderIdentity"] = "somebody"
    harness.server.lease["metadata"]["resourceVersion"] = "edited"
    await asyncio.sleep(RENEW)

    assert [("a", 0, 6)] == harness.terms

    await harness.stop_all()


async def test_a_deleted_lease_is_made_again() -> None:
    """The leader creates the Lease again."""
    harness = Harness()
    harness.start("a")
    await asyncio.sleep(4.5)
    harness.server.lease = None
    await asyncio.sleep(RENEW)

    assert "a" == harness.server.holder
    assert {"a"} == harness.leaders

    await harness.stop_all()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["start", "crash", "stop", "away", "back", "slow", "fast"]),
        st.sampled_from("abc"),
        st.integers(0, 50),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=scale_examples(200))
@given(deeds=STEPS, slow=st.tuples(st.integers(0, 12), st.integers(0, 12)))
def test_there_are_never_two_leaders(
    deeds: list[tuple[str, str, int]], slow: tuple[int, int]
) -> None:
    """Three replicas crash, stop and start; the server is down, or delays execution or responses.

    After that there is a leader again.
    """

    async def scenario() -> None:
        harness = Harness()
        alive: dict[str, LeaderElector] = {}
        for deed, name, pause in deeds:
            if deed == "start" and name not in alive:
                alive[name] = harness.start(name)
            elif deed in ("crash", "stop") and name in alive:
                await harness.crash(name)
                election = alive.pop(name)
                if deed == "stop":
                    await election.release()
            elif deed in ("away", "back"):
                harness.server.is_down = deed == "away"
            elif deed in ("slow", "fast"):
                harness.server.latency = slow if deed == "slow" else (0, 0)
            await asyncio.sleep(pause / 4 + 0.01)
        harness.server.is_down, harness.server.latency = False, (0, 0)
        harness.start("d")
        await asyncio.sleep(DURATION + DEADLINE + 2 * RENEW + 30)

        assert 1 == len(harness.leaders)
        assert {harness.server.holder} == harness.leaders
        assert [] == harness.concurrent_leaders

        await harness.stop_all()

    run_on_fake_loop(scenario)
