"""Single steps of healing: what is sent, and what becomes of a step that is refused."""

import asyncio
import logging
from itertools import pairwise

import pytest

from selfhealing.cache.parse import app_view, pod_view
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey, PodView
from selfhealing.controller.action_executor import FIRST, LONGEST, SOON, Hands
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.errors import ApiError, UnavailableError
from selfhealing.remediation.actions import Delete, Evict, Isolate, Resize, Step
from tests.unit import builders
from tests.unit.controller.clock import now
from tests.unit.controller.fake_api_server import Cluster, Json, forbidden
from tests.unit.snapshots import KEY, put

POD = "web-abc-1"
UID = f"uid-of-{POD}"
EVICT = f"evict Pod/{POD}"


class World:
    """A cluster with pods, the operator's picture of it and the hands."""

    def __init__(self, *pods: Json) -> None:
        self.cluster = Cluster(*pods)
        self.store = Store()
        self.queue: WorkQueue[AppKey] = WorkQueue()
        self.app = app_view(builders.app())
        for thing in (builders.app(), *pods):
            put(self.store, thing)
        self.hands = Hands(self.cluster.client, self.store, self.queue, now)

    def pod(self, uid: str = UID) -> PodView:
        """A pod as the store has it."""
        found = self.store.facts(KEY)
        assert found is not None
        return next(pod for pod in found.pods if pod.uid == uid)

    async def do(self, *steps: Step) -> frozenset[str]:
        """Have steps carried out."""
        return await self.hands.carry_out(self.app, steps)

    async def asked_at(self, step: Step, seconds: float) -> list[float]:
        """When a step is asked of the server, while the app is looked at every 0.1 s."""
        times, end = [], now() + seconds
        while now() < end:
            before = len(self.cluster.asked)
            await self.do(step)
            if len(self.cluster.asked) > before:
                times.append(round(now(), 1))
            await asyncio.sleep(0.1)
        return times


@pytest.fixture
async def world() -> World:
    """One pod that fails."""
    return World(
        builders.pod(POD, builders.crash_loop(5, builders.ended()), version=7, limit="100Mi")
    )


class TestSteps:
    """What each of them does."""

    async def test_eviction(self, world: World) -> None:
        """Of the very pod that was seen, as it was seen."""
        assert frozenset() == await world.do(Evict(world.pod()))
        assert [EVICT] == world.cluster.asked
        assert not world.queue.depth()

    async def test_deletion(self, world: World) -> None:
        """The answer is in the store at once, so that it is not deleted again."""
        assert frozenset() == await world.do(Delete(POD, UID, "its node is lost"))
        assert [f"delete Pod/{POD}"] == world.cluster.asked
        assert world.pod().deleting

    async def test_deletion_of_one_that_was_set_apart(self, world: World) -> None:
        """It does not come back into the app by that."""
        other = builders.pod("web-abc-2", labels={"selfhealing.dev/quarantined": "web"})
        world.cluster.put(other)
        await world.do(Delete("web-abc-2", "uid-of-web-abc-2", "its time is over"))

        assert ["delete Pod/web-abc-2"] == world.cluster.asked
        assert {UID: KEY} == world.store.uids("Pod")

    async def test_resize(self, world: World) -> None:
        """What else the container asks for stays; the answer is in the store at once."""
        assert frozenset() == await world.do(Resize(world.pod(), "200Mi"))
        assert "200Mi" == world.pod().memory_limit
        spec = world.cluster.objects_by_path["Pod", POD]["spec"]
        assert {"limits": {"cpu": "1", "memory": "200Mi"}} == spec["containers"][0]["resources"]

    @pytest.mark.parametrize("there", [True, False], ids=["another of that name", "gone"])
    async def test_resize_of_a_pod_that_is_gone(self, world: World, *, there: bool) -> None:
        """Nothing is done to another."""
        pod = world.pod()
        del world.cluster.objects_by_path["Pod", POD]
        if there:
            world.cluster.put(builders.pod(POD, builders.running(), uid="another"))

        assert frozenset() == await world.do(Resize(pod, "200Mi"))
        assert [] == world.cluster.writes()

    async def test_isolation(self, world: World) -> None:
        """The app owns it from now on, its ReplicaSet and its Service know it no more."""
        assert frozenset() == await world.do(Isolate(world.pod()))
        meta = world.cluster.objects_by_path["Pod", POD]["metadata"]
        assert {"selfhealing.dev/quarantined": "web", "pod-template-hash": "abc"} == meta["labels"]
        assert [builders.APP_UID] == [owner["uid"] for owner in meta["ownerReferences"]]
        assert {} == world.store.uids("Pod")

    async def test_isolation_of_a_pod_that_has_changed(self, world: World) -> None:
        """It may be well by now: nothing is done until it was seen again."""
        pod = world.pod()
        world.cluster.put(builders.pod(POD, builders.running(), version=8))

        assert frozenset({UID}) == await world.do(Isolate(pod))
        assert {UID: KEY} == world.store.uids("Pod")

    async def test_several(self, world: World) -> None:
        """One that is refused does not keep the others from being carried out."""
        world.cluster.errors["evict"] = forbidden()
        steps = Evict(world.pod()), Delete(POD, UID, "it has failed")

        assert frozenset({UID}) == await world.do(*steps)
        assert [EVICT, f"delete Pod/{POD}"] == world.cluster.asked


class TestRefusals:
    """Nothing is raised, and nothing is asked for or said every second."""

    async def test_a_right_that_is_missing(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is asked for at a slower and slower pace, however often the app is looked at."""
        world.cluster.errors["evict"] = forbidden("pods/eviction is forbidden")
        times = await world.asked_at(Evict(world.pod()), 40)

        assert [0, 1, 3, 7, 15, 31] == [round(at) for at in times]
        assert len(times) == len(caplog.records)
        assert (
            "shop/web: healing: evict pod web-abc-1: refused, again in 1 s: "
            "403 Forbidden: pods/eviction is forbidden"
        ) == caplog.messages[0]

    async def test_at_last_it_is_asked_for_seldom(self, world: World) -> None:
        """But it is: rights may be given."""
        world.cluster.errors["evict"] = forbidden()
        times = await world.asked_at(Evict(world.pod()), 4 * LONGEST)
        gaps = [later - sooner for sooner, later in pairwise(times)]

        assert LONGEST <= gaps[-1] <= LONGEST + 0.2

    async def test_a_budget(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        """It may allow it any moment; nobody has to do anything."""
        caplog.set_level(logging.INFO)
        world.cluster.budget = False
        times = await world.asked_at(Evict(world.pod()), 200)
        gaps = [later - sooner for sooner, later in pairwise(times)]

        assert SOON <= max(gaps) <= SOON + 0.2
        assert {"INFO"} == {entry.levelname for entry in caplog.records}

        world.cluster.budget = True
        await asyncio.sleep(SOON)

        assert frozenset() == await world.do(Evict(world.pod()))

    async def test_a_pod_that_has_changed(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The watch brings what it is now: that is no news for people."""
        stale = world.pod()
        world.cluster.put(builders.pod(POD, builders.running(), version=8))

        assert frozenset({UID}) == await world.do(Evict(stale))
        assert [] == caplog.records

    @pytest.mark.parametrize(
        "error",
        [
            UnavailableError(500, "InternalError", "more than one PodDisruptionBudget"),
            UnavailableError(503, "ServiceUnavailable", "no"),
            UnavailableError(0, "NoAnswer", "no answer"),
            ApiError(418, "Teapot", "no"),
            RuntimeError("a mistake of ours"),
        ],
        ids=str,
    )
    async def test_whatever_happens(self, world: World, error: Exception) -> None:
        """The children are kept right all the same; it is tried again."""
        world.cluster.errors["evict"] = error

        assert frozenset({UID}) == await world.do(Evict(world.pod()))

        del world.cluster.errors["evict"]
        await asyncio.sleep(FIRST)

        assert frozenset() == await world.do(Evict(world.pod()))

    async def test_no_answer(self, world: World) -> None:
        """The others would wait for the same server, each for as long as a request may take."""
        world.cluster.errors["evict"] = UnavailableError(0, "NoAnswer", "no answer")
        steps = Evict(world.pod()), Delete("web-abc-2", "uid-2", "it has failed")

        assert frozenset({UID, "uid-2"}) == await world.do(*steps)
        assert [EVICT] == world.cluster.asked

        world.cluster.errors.clear()
        await asyncio.sleep(FIRST)

        assert frozenset() == await world.do(*steps)

    async def test_the_app_is_looked_at_again(self, world: World) -> None:
        """At the moment at which the first step is due, though nothing happens."""
        world.cluster.errors["evict"] = forbidden()
        await world.do(Evict(world.pod()))
        await asyncio.sleep(FIRST)
        await world.queue.get()
        world.queue.done(KEY)
        await world.do(Evict(world.pod()))

        assert KEY == await world.queue.get()
        assert FIRST * 3 == now()

    async def test_a_step_that_is_no_longer_planned(self, world: World) -> None:
        """It is forgotten; planned anew, it is tried at once."""
        world.cluster.errors["evict"] = forbidden()
        await world.do(Evict(world.pod()))

        assert frozenset() == await world.do()

        await world.do(Evict(world.pod()))

        assert [EVICT, EVICT] == world.cluster.asked

    async def test_an_app_that_is_gone(self, world: World) -> None:
        """Nothing is remembered of it."""
        world.cluster.errors["evict"] = forbidden()
        await world.do(Evict(world.pod()))
        world.hands.forget(KEY)
        await world.do(Evict(world.pod()))

        assert [EVICT, EVICT] == world.cluster.asked

    async def test_another_limit_is_another_step(self, world: World) -> None:
        """It does not wait for the one that was refused."""
        world.cluster.errors["resize"] = forbidden()
        pod = world.pod()
        await world.do(Resize(pod, "200Mi"))
        world.cluster.errors.clear()

        assert frozenset() == await world.do(Resize(pod, "300Mi"))
        assert "300Mi" == pod_view(world.cluster.objects_by_path["Pod", POD]).memory_limit
