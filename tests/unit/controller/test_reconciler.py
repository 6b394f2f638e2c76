"""The order in which one reconcile heals: decided, written, witnessed, carried out."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, cast

import orjson
import pytest

from selfhealing.api.config import ABSENT, CONFIG_MAP, SECRET, ConfigRef, ConfigWatch
from selfhealing.api.healing_status import ActionOutcome, HealingStatus, Hold, Remedy
from selfhealing.api.spec import SelfHealingAppSpec, parse
from selfhealing.api.status import read_healing
from selfhealing.apply.result import Outcome
from selfhealing.cache.config_digests import config_view
from selfhealing.cache.parse import app_view
from selfhealing.cache.snapshot import Facts
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey, AppView
from selfhealing.controller import reconciler as module
from selfhealing.controller.child_sync import Children
from selfhealing.controller.reconciler import Reconciler
from selfhealing.controller.recorder import Recorder
from selfhealing.controller.remediator import Healer
from selfhealing.controller.settings import Settings
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.render.overrides import Overrides, version
from selfhealing.render.references import mark
from selfhealing.status.event import Notice
from tests.unit import builders
from tests.unit.controller.clock import now
from tests.unit.controller.fake_api_server import Cluster, Json, forbidden, version_of
from tests.unit.snapshots import KEY, put

POD = "web-abc-1"
EVICT = f"evict Pod/{POD}"
EVIDENCE = "create ConfigMap/web-evidence"
STATUS = "merge/status SelfHealingApp/web"
KEPT = f"web-{version_of()}"
KEEP = f"create ControllerRevision/{KEPT}"


class Clock(datetime):
    """The time of the tests: noon, a hundred seconds later, and what has passed since."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        """Tell it."""
        assert UTC is tz
        return builders.at(100) + timedelta(seconds=now())


class World:
    """Everything that a reconcile works with; children and Events are only noted.

    Attributes:
        overrides: what stood in place of the spec in each reconcile.
        configs: what was known of the configuration in each reconcile.
        meanwhile: called while the children are put right.
        told: the reasons of the Events.
    """

    def __init__(
        self,
        *objects: Json,
        spec: Json | None = None,
        quiet: float = 0,
        watch: ConfigWatch = "all",
    ) -> None:
        app = builders.app(spec)
        self.cluster = Cluster(app, *objects)
        self.store = Store()
        for thing in (app, *objects):
            put(self.store, thing)
        self.queue: WorkQueue[AppKey] = WorkQueue()
        self.overrides: list[Overrides] = []
        self.configs: list[Mapping[ConfigRef, str]] = []
        self.meanwhile: Callable[[], object] = lambda: None
        self.told: list[str] = []
        settings = Settings(healing_quiet=quiet, config_watch=watch)
        self.reconciler = Reconciler(
            self.cluster.client,
            self.store,
            self.queue,
            cast("Recorder", self),
            cast("Children", self),
            Healer(self.cluster.client, self.store, self.queue, settings, now),
            settings,
            now,
        )

    async def sync(self, facts: Facts, _: SelfHealingAppSpec, overrides: Overrides) -> Outcome:
        """Stand for Children."""
        self.configs.append(facts.config)
        self.meanwhile()
        self.overrides.append(overrides)
        return Outcome()

    def tell(self, _: AppView, notice: Notice) -> None:
        """Stand for Recorder."""
        self.told.append(notice.reason)

    @asynccontextmanager
    async def working(self, seconds: float) -> AsyncIterator[None]:
        """Let a worker work for so long, from now on."""
        self.queue.add(KEY)
        task = asyncio.create_task(self.reconciler.work())
        await asyncio.sleep(seconds)
        try:
            yield
        finally:
            task.cancel()

    async def work(self, seconds: float = 3) -> None:
        """Let a worker work for so long."""
        async with self.working(seconds):
            pass

    def news(self, thing: Json) -> None:
        """Let something be so, and the watch bring it."""
        self.cluster.put(thing)
        put(self.store, thing)
        self.queue.add(KEY)

    @property
    def record(self) -> HealingStatus:
        """What the API server has stored about healing."""
        status = self.cluster.objects_by_path["SelfHealingApp", builders.APP].get("status", {})
        found = read_healing(orjson.loads(orjson.dumps(status)))
        assert found is not None
        return found


def world(**more: Any) -> World:  # noqa: ANN401 - as World
    """One of two pods fails again and again."""
    return World(
        builders.deployment(),
        builders.pod(POD, builders.crash_loop(5, builders.ended()), version=7),
        builders.pod("web-abc-2", builders.running()),
        **more,
    )


def well(**more: Any) -> World:  # noqa: ANN401 - as World
    """All is well."""
    pods = (builders.pod(f"web-abc-{n}", builders.running()) for n in (1, 2))
    return World(builders.deployment(), *pods, **more)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the reconciler's time go with the loop's."""
    monkeypatch.setattr(module, "datetime", Clock)


class TestActing:
    """From an illness to its remedy."""

    async def test_the_order(self) -> None:
        """It is written first: who crashes after that knows what was to be done, and why."""
        there = world()
        await there.work()

        assert [STATUS, EVIDENCE, EVICT] == there.cluster.writes()[:3]

        [action] = there.record.history

        assert (Remedy.RECYCLE, ActionOutcome.STARTED) == (action.remedy, action.outcome)
        assert "1-recycle.txt" == action.evidence
        assert ["CrashLooping", "HealingRecycle"] == [
            each for each in there.told if each in {"CrashLooping", "HealingRecycle"}
        ]

    async def test_what_was_not_stored_is_not_done(self) -> None:
        """Nothing would remember it."""
        there = world()
        there.cluster.errors["merge/status"] = forbidden()
        await there.work(60)

        assert {STATUS} == set(there.cluster.writes())
        assert "HealingRecycle" not in there.told

    async def test_the_spec_changes_meanwhile(self) -> None:
        """What was decided by the old one is not stored, so nothing of it is done."""
        there = world()
        changed = builders.app({"image": "web:v2", "port": 5000}, generation=2, resourceVersion="2")
        sync = there.sync

        async def slow(facts: Facts, spec: SelfHealingAppSpec, overrides: Overrides) -> Outcome:
            there.cluster.put(changed)
            there.store.put_app(app_view(changed))
            there.reconciler._children = cast("Children", there)  # noqa: SLF001 - once only
            return await sync(facts, spec, overrides)

        there.reconciler._children = cast(  # noqa: SLF001 - in place of what takes so long
            "Children", type("Slow", (), {"sync": staticmethod(slow)})()
        )
        await there.work(0.1)

        assert [STATUS] == there.cluster.writes()
        assert "status" not in there.cluster.objects_by_path["SelfHealingApp", builders.APP]

        await there.work()

        assert version_of(image="web:v2") == there.record.template

    async def test_the_app_is_deleted_meanwhile(self) -> None:
        """Nothing more is done once that is known."""
        there = world()
        await there.work(0.1)
        there.store.drop_app(KEY, builders.APP_UID)
        there.cluster.asked.clear()
        await there.work(60)

        assert [] == there.cluster.asked

    async def test_paused(self) -> None:
        """Nothing is done that was decided before, and nothing is decided."""
        there = world()
        there.cluster.budget = False
        async with there.working(3):
            meta = there.cluster.objects_by_path["SelfHealingApp", builders.APP]["metadata"]
            status = there.cluster.objects_by_path["SelfHealingApp", builders.APP]["status"]
            version = str(int(meta["resourceVersion"]) + 1)
            spec = {"image": builders.IMAGE, "port": 5000, "paused": True}
            there.news(builders.app(spec, status, resourceVersion=version, generation=2))
            there.cluster.asked.clear()
            await asyncio.sleep(600)

        assert {STATUS} == set(there.cluster.writes())
        assert ActionOutcome.STARTED is there.record.history[0].outcome
        # It is not one of those that make a storm for others.
        assert not there.reconciler._healer._ward._ill  # noqa: SLF001 - nothing else shows it

    async def test_nothing_loops(self) -> None:
        """Where the remedy is not carried out for want of a right, the server is left alone."""
        there = world()
        there.cluster.errors["evict"] = forbidden()
        await there.work(60)

        assert 5 <= there.cluster.asked.count(EVICT) <= 7
        assert len(there.cluster.writes()) < 20


class TestHolding:
    """When nothing is started."""

    async def test_quiet_time(self) -> None:
        """A new process looks around first, and begins by itself when it has."""
        there = world(quiet=60)
        await there.work(50)

        assert Hold.STARTING_UP is there.record.hold
        assert EVICT not in there.cluster.asked

        await there.work(20)

        assert EVICT in there.cluster.asked

    async def test_what_is_known_is_behind(self) -> None:
        """The pod is well again, only the watch has not said so: it is not touched."""
        there = world()
        newer = builders.pod(POD, builders.running(), version=8)
        there.cluster.put(newer)
        async with there.working(60):
            assert Hold.STALE_FACTS is there.record.hold
            assert [] == there.record.history
            assert 1 == there.cluster.asked.count(f"get Pod/{POD}")

            there.news(newer)
            await asyncio.sleep(10)

            assert None is there.record.hold

        assert EVICT not in there.cluster.asked

    async def test_it_is_as_ill_as_before(self) -> None:
        """Then it is healed as soon as that is known."""
        there = world()
        newer = builders.pod(POD, builders.crash_loop(6, builders.ended()), version=8)
        there.cluster.put(newer)
        async with there.working(10):
            there.news(newer)
            await asyncio.sleep(10)

        assert EVICT in there.cluster.asked


PROBATION = 600


class TestProving:
    """A version that stays well is one to go back to."""

    async def test_it_is_kept_before_the_status_says_so(self) -> None:
        """Or the status might name a version that is nowhere."""
        there = well()
        await there.work(PROBATION - 10)

        assert None is there.record.good_template

        there.cluster.asked.clear()
        await there.work(20)

        assert [KEEP, STATUS] == there.cluster.writes()
        assert version_of() == there.record.good_template
        assert "VersionProven" in there.told

    @pytest.mark.parametrize("stranger", [True, False], ids=["a stranger's name", "no right"])
    async def test_it_cannot_be_kept(
        self, caplog: pytest.LogCaptureFixture, *, stranger: bool
    ) -> None:
        """The status goes on telling how the app is, without that; it is tried again."""
        there = well()
        revision = builders.child("ControllerRevision", owner="uid-of-another", name=KEPT)
        if stranger:
            there.cluster.put(revision)
        else:
            there.cluster.errors["create"] = forbidden()
        async with there.working(PROBATION + 100):
            assert None is there.record.good_template
            assert 1 == there.cluster.asked.count(KEEP)
            assert 1 == len([text for text in caplog.messages if "cannot be kept" in text])

            there.news(builders.pod("web-abc-1", builders.running(ready=False), version=9))
            await asyncio.sleep(2)

            assert None is there.record.well_since

        assert "VersionProven" not in there.told

    async def test_the_one_before_is_kept_until_then(self) -> None:
        """A crash between the two leaves both."""
        there = well(spec={"image": "web:v0", "port": 5000})
        await there.work(PROBATION + 10)
        before = f"web-{version_of(image='web:v0')}"

        assert [before] == there.cluster.there("ControllerRevision")

        app = there.cluster.objects_by_path["SelfHealingApp", builders.APP]
        app["metadata"] |= {"generation": 2, "resourceVersion": "80"}
        app["spec"]["image"] = builders.IMAGE
        there.news(app)
        there.cluster.asked.clear()
        await there.work(PROBATION + 10)

        assert [KEPT] == there.cluster.there("ControllerRevision")
        assert [KEEP, STATUS, f"delete ControllerRevision/{before}"] == there.cluster.writes()[-3:]


READS: Json = {
    "image": builders.IMAGE,
    "envFrom": [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "password"}}],
}
SETTINGS, PASSWORD = ConfigRef(CONFIG_MAP, "settings"), ConfigRef(SECRET, "password")


def holding(mode: str, version: int = 1) -> Json:
    """The ConfigMap that the app reads."""
    return builders.config(data={"mode": mode}, version=version)


async def test_what_the_pods_read_is_followed_from_the_first_look() -> None:
    """What is there, what is not, and what comes later; what is not watched is left out."""
    digest = config_view(holding("fast")).digest
    for watch, known in (
        ("all", {SETTINGS: digest, PASSWORD: ABSENT}),
        ("configmaps", {SETTINGS: digest}),
        ("off", {}),
    ):
        world = well(spec=READS, watch=watch)
        world.store.configs.put(config_view(holding("fast")))
        await world.work()

        assert known == world.configs[0]
        readers = world.store.configs.put(config_view(holding("slow", version=2)))
        assert (watch != "off") == (KEY in readers)


async def test_an_app_that_no_longer_follows_has_no_readers() -> None:
    """Somebody has changed the spec."""
    world = well(spec=READS)
    await world.work()
    world.news(
        builders.app({**READS, "restartOnConfigChange": False}, generation=2, resourceVersion="9")
    )
    await world.work()

    assert {} == world.configs[-1]
    assert frozenset() == world.store.configs.put(config_view(holding("fast")))


async def test_a_version_is_spoken_of_by_the_configuration_that_was_written() -> None:
    """It changes while the Deployment is written: that is for the next look."""
    world = well(spec={**READS, "envFrom": READS["envFrom"][:1]})
    world.store.configs.put(config_view(holding("fast")))
    world.meanwhile = lambda: world.store.configs.put(config_view(holding("slow", version=2)))
    async with world.working(0.01):
        spoken = world.record.template

    spec = parse({**READS, "envFrom": READS["envFrom"][:1]})
    written = mark({SETTINGS: config_view(holding("fast")).digest})
    assert version(builders.APP, spec, written) == spoken
