"""Single steps of healing: what is sent, and what becomes of a step that is refused."""

import asyncio
import logging
from collections.abc import Mapping
from itertools import pairwise

import pytest

from selfhealing.api.container_limits import LimitKey
from selfhealing.cache.parse import app_view, pod_view
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey, PodView
from selfhealing.controller.action_executor import (
    BACKOFF_INITIAL,
    BACKOFF_MAX,
    BACKOFF_SHORT_MAX,
    ActionExecutor,
)
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.errors import ApiError, InvalidError, UnavailableError
from selfhealing.kube.resources import PODS
from selfhealing.remediation.limit_ceiling import RefusedLimit
from selfhealing.remediation.steps import Delete, Evict, Isolate, Resize, Step
from tests.unit import builders
from tests.unit.controller.fake_api_server import FakeApiServer, Json, forbidden_error
from tests.unit.controller.fake_loop import now
from tests.unit.remediation.factories import APP_MEMORY
from tests.unit.snapshots import KEY, put_object

POD = "web-abc-1"
UID = f"uid-of-{POD}"
EVICT = f"evict Pod/{POD}"


class Harness:
    """A cluster with pods, the operator's picture of it and the hands."""

    def __init__(self, *pods: Json) -> None:
        self.api_server = FakeApiServer(builders.deployment(), *pods)
        self.foreign_pods: Mapping[str, str] = {}
        self.refused_limits: Mapping[LimitKey, RefusedLimit] = {}
        self.store = Store()
        self.queue: WorkQueue[AppKey] = WorkQueue()
        self.app = app_view(builders.app())
        for manifest in (builders.app(), *pods):
            put_object(self.store, manifest)
        self.executor = ActionExecutor(self.api_server.client, self.store, self.queue, now)

    def get_pod(self, uid: str = UID) -> PodView:
        """A pod as the store has it."""
        snapshot = self.store.snapshot(KEY)
        assert snapshot is not None
        return next(pod for pod in snapshot.pods if pod.uid == uid)

    async def execute(self, *steps: Step) -> frozenset[str]:
        """Have steps carried out."""
        results = await self.executor.execute(self.app, steps)
        self.foreign_pods = results.foreign_pods
        self.refused_limits = results.refused_limits
        return results.pending_uids

    async def request_times(self, step: Step, seconds: float, every: float = 0.1) -> list[float]:
        """When a step is asked of the server, while the app is looked at every few seconds."""
        times, end = [], now() + seconds
        while now() < end:
            before = len(self.api_server.write_requests())
            await self.execute(step)
            if len(self.api_server.write_requests()) > before:
                times.append(round(now(), 1))
            await asyncio.sleep(every)
        return times


def memory_limit_of(pod: PodView) -> str:
    """The memory limit of the app's container."""
    container = pod.find_container("app")
    assert container is not None
    return container.limits.memory


@pytest.fixture
async def world() -> Harness:
    """One pod that fails."""
    return Harness(
        builders.pod(
            POD, builders.crash_loop(5, builders.termination()), version=7, memory_limit="100Mi"
        )
    )


class TestSteps:
    """What each of them does."""

    async def test_eviction(self, world: Harness) -> None:
        """Of the very pod that was seen, as it was seen."""
        assert frozenset() == await world.execute(Evict(world.get_pod()))
        assert [EVICT] == world.api_server.write_requests()
        assert not world.queue.depth()

    async def test_deletion(self, world: Harness) -> None:
        """The answer is in the store at once, so that it is not deleted again."""
        assert frozenset() == await world.execute(Delete(POD, UID, "its node is lost"))
        assert [f"delete Pod/{POD}"] == world.api_server.write_requests()
        assert world.get_pod().deleting

    async def test_deletion_of_one_that_was_set_apart(self, world: Harness) -> None:
        """It does not come back into the app by that."""
        other = builders.pod(
            "web-abc-2",
            labels={"selfhealing.dev/quarantined": "web"},
            ownerReferences=[builders.app_reference()],
        )
        world.api_server.put_object(other)
        await world.execute(
            Delete("web-abc-2", "uid-of-web-abc-2", "its time is over", is_isolated=True)
        )

        assert ["delete Pod/web-abc-2"] == world.api_server.write_requests()
        assert {UID: KEY} == world.store.uids("Pod")

    async def test_resize(self, world: Harness) -> None:
        """What else the container asks for stays; the answer is in the store at once."""
        assert frozenset() == await world.execute(Resize(world.get_pod(), {APP_MEMORY: "200Mi"}))
        assert "200Mi" == memory_limit_of(world.get_pod())
        spec = world.api_server.objects_by_path["Pod", POD]["spec"]
        assert {"limits": {"cpu": "1", "memory": "200Mi"}} == spec["containers"][0]["resources"]

    @pytest.mark.parametrize("there", [True, False], ids=["another of that name", "gone"])
    async def test_resize_of_a_pod_that_is_gone(self, world: Harness, *, there: bool) -> None:
        """Nothing is done to another."""
        pod = world.get_pod()
        del world.api_server.objects_by_path["Pod", POD]
        if there:
            world.api_server.put_object(builders.pod(POD, builders.running(), uid="another"))

        assert frozenset() == await world.execute(Resize(pod, {APP_MEMORY: "200Mi"}))
        assert [] == world.api_server.write_requests()

    async def test_isolation(self, world: Harness) -> None:
        """The app owns it from now on, its ReplicaSet and its Service know it no more."""
        assert frozenset() == await world.execute(Isolate(world.get_pod()))
        meta = world.api_server.objects_by_path["Pod", POD]["metadata"]
        assert {"selfhealing.dev/quarantined": "web", "pod-template-hash": "abc"} == meta["labels"]
        assert [builders.APP_UID] == [owner["uid"] for owner in meta["ownerReferences"]]
        assert {} == world.store.uids("Pod")

    async def test_isolation_of_a_pod_that_has_changed(self, world: Harness) -> None:
        """It may be well by now: nothing is done until it was seen again."""
        pod = world.get_pod()
        world.api_server.put_object(builders.pod(POD, builders.running(), version=8))

        assert frozenset({UID}) == await world.execute(Isolate(pod))
        assert {UID: KEY} == world.store.uids("Pod")

    async def test_several(self, world: Harness) -> None:
        """One that is refused does not keep the others from being carried out."""
        world.api_server.errors["evict"] = forbidden_error()
        steps = Evict(world.get_pod()), Delete(POD, UID, "it has failed")

        assert frozenset({UID}) == await world.execute(*steps)
        assert [EVICT, f"delete Pod/{POD}"] == world.api_server.write_requests()


STRANGERS: dict[str, Json] = {
    "another owner": {"ownerReferences": [builders.controller_reference("DaemonSet", "uid-of-x")]},
    "no owner": {"ownerReferences": []},
    "isolated from another app": {
        "labels": {"selfhealing.dev/quarantined": "web"},
        "ownerReferences": [builders.app_reference("uid-of-another")],
    },
    "isolated from the app, by its owner alone": {
        "labels": {"selfhealing.dev/quarantined": "another"},
        "ownerReferences": [builders.app_reference()],
    },
    "a forged reference to a ReplicaSet that is not there": {
        "ownerReferences": [builders.controller_reference("ReplicaSet", "uid-of-web-gone")]
    },
    "a reference to the app's ReplicaSet with another UID": {
        "ownerReferences": [builders.controller_reference("ReplicaSet", "uid", name="web-abc")]
    },
    "another kind with the name of the app's Job": {
        "ownerReferences": [
            {**builders.controller_reference("Job", "uid"), "apiVersion": "evil.example/v1"}
        ]
    },
}


class TestOwnership:
    """The live objects have to prove that a pod is the app's, at the moment of the act."""

    @pytest.mark.parametrize("is_isolated", [False, True])
    @pytest.mark.parametrize("meta", STRANGERS.values(), ids=STRANGERS)
    async def test_a_strangers_pod(
        self, world: Harness, caplog: pytest.LogCaptureFixture, meta: Json, *, is_isolated: bool
    ) -> None:
        """Nothing is done to it, whatever the cache or the record says; it is told, and over."""
        pod = world.get_pod()
        world.api_server.put_object(builders.pod(POD, builders.running(), version=7, **meta))
        delete = Delete(POD, UID, "a record asks for it", is_isolated=is_isolated)
        steps = (
            (delete,)
            if is_isolated
            else (Evict(pod), delete, Resize(pod, {APP_MEMORY: "1Gi"}), Isolate(pod))
        )

        assert frozenset() == await world.execute(*steps)
        assert [] == world.api_server.write_requests()
        assert {UID: POD} == world.foreign_pods
        assert len(steps) == len(caplog.messages)
        assert caplog.messages[0].endswith("not done, because the pod is not the app's")

    @pytest.mark.parametrize(
        "part",
        [
            builders.deployment(owner="uid-of-another"),
            builders.deployment(uid="another"),
            builders.replica_set(ownerReferences=[]),
            builders.replica_set(
                ownerReferences=[
                    builders.controller_reference("Deployment", "uid-of-Deployment", name="other")
                ]
            ),
        ],
        ids=["another app's", "another Deployment", "released", "of another name"],
    )
    async def test_a_chain_that_leads_elsewhere(self, world: Harness, part: Json) -> None:
        """Every link is read live."""
        pod = world.get_pod()
        world.api_server.put_object(part)

        await world.execute(Evict(pod))

        assert [] == world.api_server.write_requests()
        assert {UID: POD} == world.foreign_pods

    async def test_a_pod_of_a_job(self, world: Harness) -> None:
        """Its chain is shorter."""
        world.api_server.put_object(builders.job())
        for job_uid, requests in (("another", []), ("uid-of-Job", ["delete Pod/web-1"])):
            world.api_server.put_object(builders.job_pod("web-1", job_uid=job_uid))
            await world.execute(Delete("web-1", "uid-of-web-1", "it failed"))

            assert requests == world.api_server.write_requests()

    async def test_a_chain_that_cannot_be_read(self, world: Harness) -> None:
        """Nothing is proved, so nothing is done; it is tried again."""
        world.api_server.errors["get ReplicaSet"] = forbidden_error()

        assert frozenset({UID}) == await world.execute(Evict(world.get_pod()))
        assert ({}, []) == (world.foreign_pods, world.api_server.write_requests())

    @pytest.mark.parametrize("name", ["../../other/pods/victim", "..", "a/b", "a?x=y", "a%2fb"])
    async def test_a_name_that_is_a_path(self, world: Harness, name: str) -> None:
        """A record may name anything: it never leads to another object."""
        with pytest.raises(ValueError, match="not the name of an object"):
            PODS.path("shop", name)

        await world.execute(Delete(name, "uid-of-victim", "", is_isolated=True))

        assert [] == world.api_server.write_requests()


class TestRefusals:
    """Nothing is raised, and nothing is asked for or said every second."""

    async def test_a_right_that_is_missing(
        self, world: Harness, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is asked for at a slower and slower pace, however often the app is looked at."""
        world.api_server.errors["evict"] = forbidden_error("pods/eviction is forbidden")
        times = await world.request_times(Evict(world.get_pod()), 40)

        assert [0, 1, 3, 7, 15, 31] == [round(at) for at in times]
        assert len(times) == len(caplog.records)
        assert (
            "shop/web: healing: evict pod web-abc-1: refused, retry in 1 s: "
            "403 Forbidden: pods/eviction is forbidden"
        ) == caplog.messages[0]

    async def test_at_last_it_is_asked_for_seldom(self, world: Harness) -> None:
        """But it is: rights may be given."""
        world.api_server.errors["evict"] = forbidden_error()
        times = await world.request_times(Evict(world.get_pod()), 4 * BACKOFF_MAX, every=2)
        gaps = [later - sooner for sooner, later in pairwise(times)]

        assert BACKOFF_MAX <= gaps[-1] <= BACKOFF_MAX + 2.1

    async def test_a_budget(self, world: Harness, caplog: pytest.LogCaptureFixture) -> None:
        """It may allow it any moment; nobody has to do anything."""
        caplog.set_level(logging.INFO)
        world.api_server.allows_eviction = False
        times = await world.request_times(Evict(world.get_pod()), 200)
        gaps = [later - sooner for sooner, later in pairwise(times)]

        assert BACKOFF_SHORT_MAX <= max(gaps) <= BACKOFF_SHORT_MAX + 0.2
        assert {"INFO"} == {entry.levelname for entry in caplog.records}

        world.api_server.allows_eviction = True
        await asyncio.sleep(BACKOFF_SHORT_MAX)

        assert frozenset() == await world.execute(Evict(world.get_pod()))

    async def test_a_pod_that_has_changed(
        self, world: Harness, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The watch brings what it is now: that is no news for people."""
        stale = world.get_pod()
        world.api_server.put_object(builders.pod(POD, builders.running(), version=8))

        assert frozenset({UID}) == await world.execute(Evict(stale))
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
    async def test_whatever_happens(self, world: Harness, error: Exception) -> None:
        """The children are kept right all the same; it is tried again."""
        world.api_server.errors["evict"] = error

        assert frozenset({UID}) == await world.execute(Evict(world.get_pod()))

        del world.api_server.errors["evict"]
        await asyncio.sleep(BACKOFF_INITIAL)

        assert frozenset() == await world.execute(Evict(world.get_pod()))

    async def test_no_answer(self, world: Harness) -> None:
        """The others would wait for the same server, each for as long as a request may take."""
        world.api_server.errors["evict"] = UnavailableError(0, "NoAnswer", "no answer")
        steps = Evict(world.get_pod()), Delete("web-abc-2", "uid-2", "it has failed")

        assert frozenset({UID, "uid-2"}) == await world.execute(*steps)
        assert [EVICT] == world.api_server.write_requests()

        world.api_server.errors.clear()
        await asyncio.sleep(BACKOFF_INITIAL)

        assert frozenset() == await world.execute(*steps)

    async def test_the_app_is_looked_at_again(self, world: Harness) -> None:
        """At the moment at which the first step is due, though nothing happens."""
        world.api_server.errors["evict"] = forbidden_error()
        await world.execute(Evict(world.get_pod()))
        await asyncio.sleep(BACKOFF_INITIAL)
        await world.queue.get()
        world.queue.done(KEY)
        await world.execute(Evict(world.get_pod()))

        assert KEY == await world.queue.get()
        assert BACKOFF_INITIAL * 3 == now()

    async def test_a_step_that_is_no_longer_planned(self, world: Harness) -> None:
        """It is forgotten; planned anew, it is tried at once."""
        world.api_server.errors["evict"] = forbidden_error()
        await world.execute(Evict(world.get_pod()))

        assert frozenset() == await world.execute()

        await world.execute(Evict(world.get_pod()))

        assert [EVICT, EVICT] == world.api_server.write_requests()

    async def test_an_app_that_is_gone(self, world: Harness) -> None:
        """Nothing is remembered of it."""
        world.api_server.errors["evict"] = forbidden_error()
        await world.execute(Evict(world.get_pod()))
        world.executor.forget_app(KEY)
        await world.execute(Evict(world.get_pod()))

        assert [EVICT, EVICT] == world.api_server.write_requests()

    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (
                forbidden_error('pods "web-abc-1" is forbidden: exceeded quota: q'),
                "exceeded quota: q",
            ),
            (InvalidError(422, "Invalid", "Pod web-abc1-x1y2z: no"), "Pod web-…: no"),
            (InvalidError(400, "BadRequest", "no dry run"), ""),
            (UnavailableError(503, "", "busy"), ""),
        ],
        ids=["a quota", "validation", "no statement on the limit", "no answer"],
    )
    async def test_a_limit_that_is_refused(
        self, world: Harness, error: ApiError, reason: str
    ) -> None:
        """It is told, so that the raise can be undone."""
        world.api_server.errors["resize"] = error
        await world.execute(Resize(world.get_pod(), {APP_MEMORY: "200Mi"}))

        expected = {APP_MEMORY: RefusedLimit("200Mi", reason)} if reason else {}
        assert expected == world.refused_limits

    async def test_another_limit_is_another_step(self, world: Harness) -> None:
        """It does not wait for the one that was refused."""
        world.api_server.errors["resize"] = forbidden_error()
        pod = world.get_pod()
        await world.execute(Resize(pod, {APP_MEMORY: "200Mi"}))
        world.api_server.errors.clear()

        assert frozenset() == await world.execute(Resize(pod, {APP_MEMORY: "300Mi"}))
        live = world.api_server.objects_by_path["Pod", POD]
        assert "300Mi" == memory_limit_of(pod_view(live))
