"""The order in which one reconcile heals: decided, written, witnessed, carried out."""

import asyncio
from contextlib import ExitStack
from copy import deepcopy
from typing import Any, cast

import orjson
import pytest

from selfhealing.api.healing_status import ActionOutcome, BlockedReason, Remediation
from selfhealing.apply.rate_limit import FLAPPING_INTERVAL, STATUS_INTERVAL
from selfhealing.apply.result import SyncResult
from selfhealing.cache.parse import app_view
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.views import AppKey
from selfhealing.controller.child_sync import ChildSync
from selfhealing.controller.evidence_store import MAX_EVIDENCES
from selfhealing.kube.errors import UnavailableError
from selfhealing.remediation.reconcile_input import ReconcileInput
from selfhealing.render.overrides import Overrides
from tests.unit import builders
from tests.unit.controller.fake_api_server import forbidden_error, revision_of
from tests.unit.controller.fake_loop import now
from tests.unit.controller.reconciler_harness import (
    POD,
    STATUS,
    Harness,
    build_failing_app,
    build_healthy_app,
)
from tests.unit.snapshots import KEY

EVICT = f"evict Pod/{POD}"
EVIDENCE = "create ConfigMap/web-evidence"

REVISION_NAME = f"web-{revision_of()}"
CREATE_REVISION = f"create ControllerRevision/{REVISION_NAME}"


class TestFlapping:
    """What flaps by itself costs few writes, and its last state is written."""

    async def flap(self, harness: Harness, flips: int) -> int:
        """Let a pod become ready and unready each second; return the writes of the status."""
        before = len(harness.api_server.write_requests())
        for number in range(flips):
            running = builders.running(ready=number % 2 == 1)
            harness.update_object(builders.pod("web-abc-2", running, version=10 + number))
            await asyncio.sleep(1)
        writes = harness.api_server.write_requests()[before:]
        assert {STATUS} >= set(writes)
        return len(writes)

    def ready_pods(self, harness: Harness) -> dict[str, bool]:
        """What the stored status says of the pods."""
        status = harness.api_server.objects_by_path["SelfHealingApp", builders.APP]["status"]
        return {pod["name"]: pod["ready"] for pod in status["pods"]}

    async def test_few_flips_are_written_at_once(self) -> None:
        """More than a rollout needs."""
        harness = build_healthy_app()
        async with harness.running_worker(3):
            assert 12 == await self.flap(harness, 12)

    async def test_many_flips(self) -> None:
        """The writes that may wait are a burst, and then one each 5 s, and each 30 s later.

        Those of an app that falls ill are written at once: else a decision would take it for well.
        """
        harness = build_healthy_app()
        async with harness.running_worker(3):
            await self.flap(harness, 60)

            assert 2 * 60 / STATUS_INTERVAL + 1 >= await self.flap(harness, 60)

            await self.flap(harness, 120)

            assert 2 * 120 / FLAPPING_INTERVAL + 1 >= await self.flap(harness, 120)

            for ready in (True, False):
                pod = builders.pod("web-abc-2", builders.running(ready=ready), version=999)
                harness.update_object(pod)
                await asyncio.sleep(FLAPPING_INTERVAL + 1)
                assert {"web-abc-1": True, "web-abc-2": ready} == self.ready_pods(harness)


class TestActing:
    """From an illness to its remedy."""

    async def test_the_order(self) -> None:
        """It is written first: who crashes after that knows what was to be done, and why."""
        harness = build_failing_app()
        await harness.run_worker(45)

        # The diagnosis is written first, and the action when its wait is over.
        assert [STATUS, STATUS, EVIDENCE, EVICT] == harness.api_server.write_requests()[:4]

        [action] = harness.record.history

        assert (Remediation.REPLACE_POD, ActionOutcome.IN_PROGRESS) == (
            action.remediation,
            action.outcome,
        )
        assert "1-replace-pod.txt" == action.evidence
        assert ["CrashLooping", "HealingReplacePod"] == [
            reason
            for reason in harness.event_reasons
            if reason in {"CrashLooping", "HealingReplacePod"}
        ]

    async def test_evidence_waits_for_that_of_others(self) -> None:
        """The worker is free meanwhile, nothing is carried out, and no reconcile has failed."""
        harness = build_failing_app()
        slots = harness.reconciler._remediator._evidence_collector._store._slots  # noqa: SLF001
        with ExitStack() as others:
            for number in range(MAX_EVIDENCES):
                others.enter_context(slots.hold(AppKey("busy", f"app-{number}")))
            await harness.run_worker(45)

            assert [STATUS, STATUS] == harness.api_server.write_requests()

        await harness.run_worker(5)

        assert [EVIDENCE, EVICT] == harness.api_server.write_requests()[2:4]

    async def test_what_was_not_stored_is_not_done(self) -> None:
        """Nothing would remember it."""
        harness = build_failing_app()
        harness.api_server.errors["merge/status"] = forbidden_error()
        await harness.run_worker(60)

        assert {STATUS} == set(harness.api_server.write_requests())
        assert "HealingReplacePod" not in harness.event_reasons

    async def test_an_app_of_a_namespace_that_refuses_is_left_alone(self) -> None:
        """What is known of it may be old."""
        harness = build_failing_app()
        harness.store.refused_namespaces.add(KEY.namespace)
        await harness.run_worker(60)

        assert [] == harness.api_server.write_requests()

    async def test_the_spec_changes_meanwhile(self) -> None:
        """What was decided by the old one is not stored, so nothing of it is done."""
        harness = build_failing_app()
        changed = builders.app({"image": "web:v2", "port": 5000}, generation=2, resourceVersion="2")
        sync_children = harness.sync_children

        async def slow(
            facts: AppSnapshot, inputs: ReconcileInput, overrides: Overrides
        ) -> SyncResult:
            harness.api_server.put_object(changed)
            harness.store.upsert_app(app_view(changed))
            harness.reconciler._child_sync = cast("ChildSync", harness)  # noqa: SLF001 - once only
            return await sync_children(facts, inputs, overrides)

        harness.reconciler._child_sync = cast(  # noqa: SLF001 - in place of what takes so long
            "ChildSync", type("Slow", (), {"sync_children": staticmethod(slow)})()
        )
        await harness.run_worker(0.1)

        assert [STATUS] == harness.api_server.write_requests()
        assert "status" not in harness.api_server.objects_by_path["SelfHealingApp", builders.APP]

        await harness.run_worker()

        assert revision_of(image="web:v2") == harness.record.desired_revision

    async def test_the_app_is_deleted_meanwhile(self) -> None:
        """Nothing more is done once that is known."""
        harness = build_failing_app()
        await harness.run_worker(0.1)
        harness.store.delete_app(KEY, builders.APP_UID)
        harness.api_server.requests.clear()
        await harness.run_worker(60)

        assert [] == harness.api_server.requests

    async def test_paused(self) -> None:
        """Nothing is done that was decided before, and nothing is decided."""
        harness = build_failing_app()
        harness.api_server.allows_eviction = False
        async with harness.running_worker(40):
            meta = harness.api_server.objects_by_path["SelfHealingApp", builders.APP]["metadata"]
            status = harness.api_server.objects_by_path["SelfHealingApp", builders.APP]["status"]
            version = str(int(meta["resourceVersion"]) + 1)
            spec = {"image": builders.IMAGE, "port": 5000, "paused": True}
            harness.update_object(builders.app(spec, status, resourceVersion=version, generation=2))
            harness.api_server.requests.clear()
            await asyncio.sleep(600)

        assert {STATUS} == set(harness.api_server.write_requests())
        assert ActionOutcome.IN_PROGRESS is harness.record.history[0].outcome
        # It is not one of those that make a storm for others.
        assert not harness.reconciler._remediator._unhealthy_apps._counted()  # noqa: SLF001 - nothing else shows it

    async def test_nothing_loops(self) -> None:
        """Where the remedy is not carried out for want of a right, the server is left alone."""
        harness = build_failing_app()
        harness.api_server.errors["evict"] = forbidden_error()
        await harness.run_worker(60)

        assert 5 <= harness.api_server.requests.count(EVICT) <= 7
        assert len(harness.api_server.write_requests()) < 20


class TestWhatSomebodyElseWrites:
    """This process knows what it wrote last: another record has no effect."""

    @staticmethod
    def forge(harness: Harness, **fields: Any) -> None:  # noqa: ANN401 - JSON
        """Let somebody write into the record, and the watch bring it."""
        app = deepcopy(harness.api_server.objects_by_path["SelfHealingApp", builders.APP])
        app["metadata"]["resourceVersion"] = "700"
        app["status"]["healing"] |= fields
        harness.update_object(app)

    async def test_a_forged_action(self) -> None:
        """Nothing is done; the record is written as it was, and it is told."""
        harness = build_healthy_app()
        async with harness.running_worker(5):
            before = harness.record
            action = {
                "id": 1,
                "remediation": "ReplacePod",
                "diagnosis": "CrashLooping",
                "uid": f"uid-of-{POD}",
                "outcome": "InProgress",
                "at": builders.iso(now() + 100),
            }
            self.forge(harness, history=[action], nextId=7, quarantined=True)
            await asyncio.sleep(5)

            assert before == harness.record
            assert {STATUS} == set(harness.api_server.write_requests())
            assert 1 == harness.event_reasons.count("RecordRejected")

    async def test_another_process(self) -> None:
        """It has to believe what the spec allows."""
        harness = build_healthy_app()
        await harness.run_worker(5)
        harness.reconciler._written_records.clear()  # noqa: SLF001 - as after a restart
        async with harness.running_worker(1):
            self.forge(harness, quarantined=True, memoryLimit="64Gi")
            await asyncio.sleep(5)

            assert (True, []) == (harness.record.quarantined, harness.record.memory_limits)

    @pytest.mark.parametrize("is_known", [True, False], ids=["own record", "another process"])
    async def test_a_status_of_a_megabyte(self, *, is_known: bool) -> None:
        """It is not kept in memory; the next write leaves nothing of it, and it is told."""
        harness = build_healthy_app()
        async with harness.running_worker(5):
            before = harness.record
            if not is_known:
                harness.reconciler._written_records.clear()  # noqa: SLF001 - as after a restart
            app = deepcopy(harness.api_server.objects_by_path["SelfHealingApp", builders.APP])
            text = "x" * 1024
            app["status"]["pods"] = [{"name": str(n), "message": text} for n in range(1000)]
            app["status"]["healing"] |= {"quarantined": True, "unknown": text}
            app["status"]["restarts"]["byReason"] = {text: 1}
            app["metadata"]["resourceVersion"] = "700"
            harness.update_object(app)
            view = harness.store.app(KEY)
            assert view is not None
            assert (b"", True) == (view.status, view.oversized_status > 2**20)
            await asyncio.sleep(5)

            stored = harness.api_server.objects_by_path["SelfHealingApp", builders.APP]["status"]
            assert text not in orjson.dumps(stored).decode()
            assert "unknown" not in stored["healing"]
            assert not harness.record.quarantined
            assert not is_known or before == harness.record
            assert 1 == harness.event_reasons.count("RecordRejected")
            [message] = [
                condition["message"]
                for condition in stored["conditions"]
                if condition["type"] == "OwnershipVerified"
            ]
            assert message.startswith("a status of 10")
            assert "KiB, which no operator writes, is replaced" in message
            writes = len(harness.api_server.write_requests())
            await asyncio.sleep(60)
            assert writes == len(harness.api_server.write_requests()), "it does not loop"

    async def test_a_record_of_an_app_that_is_new(self) -> None:
        """It was created after this process began to lead: nobody can have written a record yet."""
        harness = build_healthy_app()
        harness.reconciler.start_leading()
        app = builders.app(
            status={"healing": {"mode": "Auto", "budgetLeft": 3, "quarantined": True}},
            resourceVersion="700",
            creationTimestamp=builders.iso(110),
        )
        harness.update_object(app)
        await asyncio.sleep(20)
        async with harness.running_worker(5):
            assert not harness.record.quarantined
            assert 1 == harness.event_reasons.count("RecordRejected")

            harness.api_server.errors["merge/status"] = UnavailableError(0, "NoAnswer", "none")
            harness.update_object(builders.pod(POD, builders.running(ready=False), version=9))
            await asyncio.sleep(2)
            harness.api_server.errors.clear()
            self.forge(harness, observedResume="by the lost write")
            await asyncio.sleep(90)

            assert "by the lost write" == harness.record.observed_resume

    async def test_a_write_without_an_answer(self) -> None:
        """It may have been stored: what is stored then counts."""
        harness = build_healthy_app()
        async with harness.running_worker(5):
            harness.api_server.errors["merge/status"] = UnavailableError(0, "NoAnswer", "none")
            harness.update_object(builders.pod(POD, builders.running(ready=False), version=9))
            await asyncio.sleep(2)
            harness.api_server.errors.clear()
            self.forge(harness, observedResume="by the lost write")
            await asyncio.sleep(90)

            assert "by the lost write" == harness.record.observed_resume
            assert "RecordRejected" not in harness.event_reasons


class TestHolding:
    """When nothing is started."""

    async def test_quiet_time(self) -> None:
        """A new process looks around first, and begins by itself when it has."""
        harness = build_failing_app(quiet=60)
        await harness.run_worker(50)

        assert BlockedReason.STARTING_UP is harness.record.blocked_reason
        assert EVICT not in harness.api_server.requests

        await harness.run_worker(20)

        assert EVICT in harness.api_server.requests

    async def test_what_is_known_is_behind(self) -> None:
        """The pod is well again, only the watch has not said so: it is not touched."""
        harness = build_failing_app()
        newer = builders.pod(POD, builders.running(), version=8)
        harness.api_server.put_object(newer)
        async with harness.running_worker(60):
            assert BlockedReason.STALE_CACHE is harness.record.blocked_reason
            assert [] == harness.record.history
            assert 1 == harness.api_server.requests.count(f"get Pod/{POD}")

            harness.update_object(newer)
            await asyncio.sleep(10)

            assert None is harness.record.blocked_reason

        assert EVICT not in harness.api_server.requests

    async def test_it_is_as_ill_as_before(self) -> None:
        """Then it is healed as soon as that is known."""
        harness = build_failing_app()
        newer = builders.pod(POD, builders.crash_loop(6, builders.termination()), version=8)
        harness.api_server.put_object(newer)
        async with harness.running_worker(40):
            harness.update_object(newer)
            await asyncio.sleep(40)

        assert EVICT in harness.api_server.requests


PROBATION = 600


class TestProving:
    """A version that stays well is one to go back to."""

    async def test_it_is_kept_before_the_status_says_so(self) -> None:
        """Or the status might name a version that is nowhere."""
        harness = build_healthy_app()
        await harness.run_worker(PROBATION - 10)

        assert None is harness.record.stable_revision

        harness.api_server.requests.clear()
        await harness.run_worker(20)

        assert [CREATE_REVISION, STATUS] == harness.api_server.write_requests()
        assert revision_of() == harness.record.stable_revision
        assert "RevisionStable" in harness.event_reasons

    @pytest.mark.parametrize("stranger", [True, False], ids=["a stranger's name", "no right"])
    async def test_it_cannot_be_kept(
        self, caplog: pytest.LogCaptureFixture, *, stranger: bool
    ) -> None:
        """The status goes on telling how the app is, without that; it is tried again."""
        harness = build_healthy_app()
        revision = builders.child("ControllerRevision", owner="uid-of-another", name=REVISION_NAME)
        if stranger:
            harness.api_server.put_object(revision)
        else:
            harness.api_server.errors["create"] = forbidden_error()
        async with harness.running_worker(PROBATION + 100):
            assert None is harness.record.stable_revision
            assert 1 == harness.api_server.requests.count(CREATE_REVISION)
            assert 1 == len([text for text in caplog.messages if "cannot be saved" in text])

            harness.update_object(
                builders.pod("web-abc-1", builders.running(ready=False), version=9)
            )
            await asyncio.sleep(2)

            assert None is harness.record.healthy_since

        assert "RevisionStable" not in harness.event_reasons

    async def test_the_one_before_is_kept_until_then(self) -> None:
        """The way back from a version that fails later."""
        harness = build_healthy_app(spec={"image": "web:v0", "port": 5000})
        await harness.run_worker(PROBATION + 10)
        before = f"web-{revision_of(image='web:v0')}"

        assert [before] == harness.api_server.list_names("ControllerRevision")

        app = harness.api_server.objects_by_path["SelfHealingApp", builders.APP]
        app["metadata"] |= {"generation": 2, "resourceVersion": "80"}
        app["spec"]["image"] = builders.IMAGE
        harness.update_object(app)
        harness.api_server.requests.clear()
        await harness.run_worker(PROBATION + 10)

        saved = harness.api_server.list_names("ControllerRevision")

        assert sorted([before, REVISION_NAME]) == saved
        assert [CREATE_REVISION, STATUS] == harness.api_server.write_requests()[-2:]
        assert before == f"web-{harness.record.previous_stable_revision}"
