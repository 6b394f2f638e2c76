"""What healing finds out beside the app, and the order in which it does things."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from selfhealing.api.healing_status import ActionOutcome, HealingStatus, Hold
from selfhealing.cache.parse import app_view
from selfhealing.cache.snapshot import Facts
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.remediator import Healer, Preparation
from selfhealing.controller.revision_store import BARRED
from selfhealing.controller.settings import Settings
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.kube.errors import UnavailableError
from selfhealing.render.meta import Owner
from selfhealing.render.overrides import Overrides, build_kept
from selfhealing.render.pod import build_pod_template
from tests.unit import builders
from tests.unit.controller.clock import now
from tests.unit.controller.fake_api_server import (
    Cluster,
    Json,
    action,
    forbidden,
    illness,
    kept_apart,
    record,
    spec,
    version_of,
)
from tests.unit.snapshots import KEY, put

POD = "web-abc-1"
UID = f"uid-of-{POD}"
OLD = {"image": "web:v0"}
GOOD = version_of(**OLD)
GOOD_TEMPLATE = build_pod_template(builders.APP, spec(**OLD))
ROLLED_BACK = {"good_template": GOOD, "failed_template": version_of()}
AWAY = UnavailableError(503, "ServiceUnavailable", "no")


def kept(owner: str = builders.APP_UID) -> Json:
    """The revision that keeps the version to go back to."""
    body = build_kept(Owner(builders.NAMESPACE, builders.APP, owner), GOOD, GOOD_TEMPLATE)
    return {**body, "metadata": {**body["metadata"], "uid": "uid-of-revision"}}


class World:
    """A cluster, the operator's picture of it and the healer; by default its quiet time is over."""

    def __init__(self, *objects: Json, quiet: float = 0, scale: float = 1) -> None:
        self.cluster = Cluster(*objects)
        self.store = Store()
        self.queue: WorkQueue[AppKey] = WorkQueue()
        for thing in (builders.app(), *objects):
            if thing["kind"] not in {"ControllerRevision", "Node"}:
                put(self.store, thing)
        settings = Settings(healing_quiet=quiet, healing_scale=scale)
        self.healer = Healer(self.cluster.client, self.store, self.queue, settings, now)

    @property
    def facts(self) -> Facts:
        """What is known of the app."""
        found = self.store.facts(KEY)
        assert found is not None
        return found

    async def prepare(
        self,
        remembered: HealingStatus | None = None,
        at: float = 100,
        **more: Any,  # noqa: ANN401 - of the spec
    ) -> Preparation:
        """Prepare a reconcile."""
        return await self.healer.prepare(self.facts, spec(**more), remembered, builders.at(at))

    async def hold(self) -> Hold | None:
        """What keeps anything from being done."""
        return (await self.prepare(record())).situation.hold


def world(*more: Json, quiet: float = 0, scale: float = 1) -> World:
    """One of two pods fails."""
    return World(
        builders.deployment(),
        builders.pod(POD, builders.crash_loop(5, builders.ended()), version=7),
        builders.pod("web-abc-2", builders.running()),
        *more,
        quiet=quiet,
        scale=scale,
    )


EVICTED = [f"evict Pod/{POD}"]
RECYCLE = record(action(uid=UID))


class TestCarryingOut:
    """What was started is done, in order, and only while it is wanted."""

    async def test_nothing_is_remembered(self) -> None:
        """An app that was never looked at: nothing is asked, nothing done."""
        there = world()

        assert Overrides() == (await there.prepare()).overrides
        assert [] == there.cluster.asked

    async def test_started(self) -> None:
        """The record says so: it is done."""
        there = world()
        await there.prepare(RECYCLE)

        assert EVICTED == there.cluster.asked

    async def test_evidence_comes_first(self) -> None:
        """And is said to the decision, which writes down where it is."""
        there = world()
        found = await there.prepare(record(action(uid=UID, evidence=None)))

        assert {1: "1-recycle.txt"} == found.situation.evidence
        assert ["create ConfigMap/web-evidence", *EVICTED] == there.cluster.writes()

    async def test_no_evidence_no_action(self) -> None:
        """While the server is away for a moment."""
        there = world()
        there.cluster.errors["create"] = AWAY
        with pytest.raises(UnavailableError):
            await there.prepare(record(action(uid=UID, evidence=None)))

        assert EVICTED[0] not in there.cluster.asked

    async def test_a_restart_between_evidence_and_action(self) -> None:
        """The new process knows only the record: it keeps the evidence and does the rest."""
        there = world(quiet=60)
        there.cluster.errors["evict"] = AWAY
        await there.prepare(record(action(uid=UID, evidence=None)))
        there.cluster.errors.clear()
        there.cluster.asked.clear()
        again = world(quiet=60)
        again.cluster.objects_by_path = there.cluster.objects_by_path
        found = await again.prepare(record(action(uid=UID, evidence=None)))

        assert {1: "1-recycle.txt"} == found.situation.evidence
        assert EVICTED == again.cluster.writes()

    @pytest.mark.parametrize(
        ("more", "at"),
        [
            ({"healing": {"mode": "Off"}}, 100),
            ({"healing": {"mode": "Observe"}}, 100),
            ({"image": "web:v2"}, 100),
            ({}, 390),
        ],
        ids=["switched off", "only observed", "another version", "long ago"],
    )
    async def test_no_longer_wanted(self, more: dict[str, Any], at: float) -> None:
        """The record is from before; the pod may be well by now."""
        there = world()
        await there.prepare(RECYCLE, at, **more)

        assert [] == there.cluster.asked

    async def test_the_time_of_an_action_is_scaled(self) -> None:
        """As all times of healing."""
        there = world(scale=0.01)
        await there.prepare(RECYCLE, 94)

        assert [] == there.cluster.asked

    @pytest.mark.parametrize("error", [forbidden(), AWAY, RuntimeError("a mistake of ours")])
    async def test_refused(self, error: Exception) -> None:
        """The children are kept right all the same."""
        there = world()
        there.cluster.errors["evict"] = error

        assert Overrides() == (await there.prepare(RECYCLE)).overrides

    async def test_a_pod_that_was_kept_long_enough(self) -> None:
        """It is deleted; the decision is told if it could not be, so that it is not forgotten."""
        there = world()
        there.cluster.put(builders.pod("web-abc-3", builders.running(), labels={}))
        past = record(quarantine=kept_apart("web-abc-3", 90))
        there.cluster.errors["delete"] = AWAY

        assert (await there.prepare(past)).situation.specimen_left

        there.cluster.errors.clear()
        await asyncio.sleep(1)

        assert not (await there.prepare(past)).situation.specimen_left
        assert 2 == there.cluster.asked.count("delete Pod/web-abc-3")

    async def test_a_job(self) -> None:
        """Nothing is healed, and what was kept of the app before does not stay for ever."""
        there = world()
        past = record(action(uid=UID), quarantine=kept_apart("web-abc-3", 900), **ROLLED_BACK)
        found = await there.prepare(past, restartPolicy="Never")

        assert Overrides() == found.overrides
        assert ["delete Pod/web-abc-3"] == there.cluster.asked


class TestOverrides:
    """What stands in place of the spec."""

    async def test_rolled_back(self) -> None:
        """The version that was kept."""
        there = world(kept())
        found = await there.prepare(record(**ROLLED_BACK))

        assert GOOD_TEMPLATE == found.overrides.template
        assert not found.situation.good_lost

    async def test_the_version_to_go_back_to_is_lost(self) -> None:
        """Or somebody else's object has its name by now."""
        for there in (world(), world(kept("uid-of-another"))):
            found = await there.prepare(record(**ROLLED_BACK))

            assert None is found.overrides.template
            assert found.situation.good_lost

    async def test_the_good_version_is_asked_for(self) -> None:
        """Then nothing has to be read, and nothing is lost."""
        there = world()
        found = await there.prepare(record(**ROLLED_BACK), image="web:v0")

        assert Overrides() == found.overrides
        assert not found.situation.good_lost
        assert [] == there.cluster.asked

    async def test_nobody_can_tell(self) -> None:
        """What runs is neither taken back nor replaced by something else."""
        there = world(kept())
        there.cluster.errors["get"] = forbidden()
        with pytest.raises(UnavailableError, match=f"version {GOOD}, which runs, cannot be read"):
            await there.prepare(record(**ROLLED_BACK))

    async def test_nobody_can_tell_on_trial(self) -> None:
        """The children follow the spec; nothing is begun that might not be undone."""
        there = world(kept())
        there.cluster.errors["get"] = forbidden()
        for _ in range(3):
            found = await there.prepare(record(good_template=GOOD))

            assert Overrides() == found.overrides
            assert (Hold.STALE_FACTS, False) == (found.situation.hold, found.situation.good_lost)

        assert 1 == len(there.cluster.asked)

    async def test_switched_off(self) -> None:
        """Then nothing is asked for, and nothing of what is remembered is lost."""
        there = world()
        found = await there.prepare(record(good_template=GOOD), healing={"mode": "Off"})

        assert not found.situation.good_lost
        assert [] == there.cluster.asked


class TestKeeping:
    """A version that has proved itself."""

    async def test_it_is_kept_with_what_made_it_work(self) -> None:
        """More memory than the spec asks for, where that was needed; not what is of today only."""
        there = world()
        after = record(
            good_template=version_of(),
            memory_limit="1Gi",
            memory_in_template=True,
            avoided_node="node-7",
        )

        asked = spec(resources={"limits": {"memory": "512Mi"}})

        assert await there.healer.keep(there.facts, asked, record(), after)

        [name] = there.cluster.there("ControllerRevision")
        data = there.cluster.objects_by_path["ControllerRevision", name]["data"]

        assert f"web-{version_of()}" == name
        assert "1Gi" == data["spec"]["containers"][0]["resources"]["limits"]["memory"]
        assert "affinity" not in data["spec"]

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (None, None),
            (None, record()),
            (record(good_template=GOOD), record(good_template=GOOD)),
            (record(good_template=GOOD), record()),
        ],
    )
    async def test_nothing_new(
        self, before: HealingStatus | None, after: HealingStatus | None
    ) -> None:
        """Then nothing is asked."""
        there = world()

        assert await there.healer.keep(there.facts, spec(), before, after)
        assert [] == there.cluster.asked

    async def test_it_cannot_be_kept(self) -> None:
        """No decision calls it good then, until it is tried again: nothing loops over it."""
        there = world()
        there.cluster.errors["create"] = forbidden()
        after = record(good_template=version_of())

        assert not await there.healer.keep(there.facts, spec(), record(), after)
        assert (await there.prepare(record())).situation.unkept
        assert KEY == await there.queue.get()
        assert BARRED == now()

        there.queue.done(KEY)

        assert not (await there.prepare(record())).situation.unkept

    async def test_the_one_before_goes_when_the_new_one_is_stored(self) -> None:
        """Until then the status names it."""
        there = world(kept())
        before, after = record(good_template=GOOD), record(good_template=version_of())
        await there.healer.keep(there.facts, spec(), before, after)

        assert 2 == len(there.cluster.there("ControllerRevision"))

        await there.healer.stored(there.facts, before, after)

        assert [f"web-{version_of()}"] == there.cluster.there("ControllerRevision")

    async def test_nothing_goes_without_another(self) -> None:
        """Nor where healing has nothing to say any more."""
        there = world(kept())
        before = record(good_template=GOOD)
        for before_, after in ((before, before), (before, None), (None, before)):
            await there.healer.stored(there.facts, before_, after)

        assert [] == there.cluster.asked


class TestConfirming:
    """An action is started only by what is still so."""

    async def test_nothing_has_changed(self) -> None:
        """The pod and the Deployment are as they were seen."""
        there = world()

        assert await there.healer.confirm(there.facts, record(), RECYCLE)
        assert [f"get Pod/{POD}", "get Deployment/web"] == there.cluster.asked

    @pytest.mark.parametrize(
        ("before", "after"),
        [(record(), record()), (RECYCLE, RECYCLE), (None, None), (RECYCLE, record())],
    )
    async def test_nothing_is_started(
        self, before: HealingStatus | None, after: HealingStatus | None
    ) -> None:
        """Then nothing is asked."""
        there = world()

        assert await there.healer.confirm(there.facts, before, after)
        assert [] == there.cluster.asked

    async def test_approved(self) -> None:
        """What was proposed long ago is started now: it has to be so now."""
        there = world()
        asked = record(action(uid=UID, outcome=ActionOutcome.PROPOSED))
        await there.healer.confirm(there.facts, asked, RECYCLE)

        assert 2 == len(there.cluster.asked)

    @pytest.mark.parametrize(
        "newer",
        [
            builders.pod(POD, builders.running(), version=8),
            builders.deployment(version=2),
        ],
        ids=["the pod", "the Deployment"],
    )
    async def test_something_has_changed(self, newer: Json) -> None:
        """Nothing is done until the watch has brought it; other news changes nothing in that."""
        there = world()
        there.cluster.put(newer)

        assert not await there.healer.confirm(there.facts, record(), RECYCLE)
        assert Hold.STALE_FACTS is await there.hold()

        put(there.store, builders.pod("web-abc-2", builders.running(), version=99))

        assert Hold.STALE_FACTS is await there.hold()

        put(there.store, newer)

        assert None is await there.hold()

    async def test_the_pod_is_gone(self) -> None:
        """The watch will say so."""
        there = world()
        del there.cluster.objects_by_path["Pod", POD]

        assert not await there.healer.confirm(there.facts, record(), RECYCLE)
        assert Hold.STALE_FACTS is await there.hold()

        there.store.drop_pod(UID)

        assert None is await there.hold()

    async def test_without_a_deployment(self) -> None:
        """There is nothing to compare it with."""
        there = world()
        bare = replace(there.facts, children={})

        assert await there.healer.confirm(bare, record(), RECYCLE)

    async def test_a_look_again(self) -> None:
        """Nothing else may tell that it is over."""
        there = world()

        assert None is not there.healer.note(KEY, record(hold=Hold.STALE_FACTS), ailing=False)
        assert None is there.healer.note(KEY, record(hold=Hold.COOLDOWN), ailing=False)
        assert None is there.healer.note(KEY, None, ailing=False)


class TestHolds:
    """Reasons outside the app to do nothing."""

    async def test_quiet_time(self) -> None:
        """A new process has not yet seen how many are ill; it is counted from its election."""
        there = world(quiet=60, scale=0.5)
        await asyncio.sleep(20)
        there.healer.begin()
        await asyncio.sleep(29)

        assert Hold.STARTING_UP is await there.hold()

        await asyncio.sleep(1)

        assert None is await there.hold()

    async def test_a_storm(self) -> None:
        """Five of six are ill; with one that is gone it is over."""
        there = world()
        for number in range(5):
            key = AppKey("shop", f"app-{number}")
            thing = builders.app(name=key.name, uid=f"uid-of-{key.name}")
            there.store.put_app(app_view(thing))
            there.healer.note(key, record(diagnoses=[illness()]), ailing=False)

        assert Hold.STORM is await there.hold()

        there.healer.forget(key)

        assert None is await there.hold()

    @pytest.mark.parametrize(
        ("silent", "many"), [(1, False), (2, True)], ids=["one of four", "half of them"]
    )
    @pytest.mark.parametrize("remembered", [None, record()], ids=["new", "known"])
    async def test_lost_nodes(
        self, remembered: HealingStatus | None, silent: int, *, many: bool
    ) -> None:
        """They are counted where a pod is lost, and only there."""
        nodes = [
            builders.node(f"node-{n}", ready="Unknown" if n < silent else "True") for n in range(4)
        ]
        well = world(*nodes)

        assert not (await well.prepare(remembered)).situation.nodes_lost
        assert [] == well.cluster.asked

        lost = world(
            *nodes, builders.pod("web-abc-3", builders.running(), ready=False, ready_reason="")
        )

        assert many is (await lost.prepare(remembered)).situation.nodes_lost

    async def test_nodes_that_cannot_be_counted(self) -> None:
        """Nobody can tell that it is not all of them."""
        there = world(builders.pod("web-abc-3", builders.running(), ready=False, ready_reason=""))
        there.cluster.errors["list"] = forbidden()

        assert (await there.prepare(record())).situation.nodes_lost

    async def test_an_app_that_is_gone(self) -> None:
        """Nothing is remembered of it, whatever was."""
        there = world()
        there.cluster.put(builders.deployment(version=2))
        await there.healer.confirm(there.facts, record(), RECYCLE)
        there.healer.forget(KEY)

        assert None is await there.hold()
