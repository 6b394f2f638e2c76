"""What healing finds out beside the app, and the order in which it does things."""

import asyncio
from copy import deepcopy
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

import pytest

from selfhealing.api.config_refs import CONFIG_MAP, ConfigObject, ConfigRef
from selfhealing.api.healing_status import ActionOutcome, BlockedReason, HealingStatus, Remediation
from selfhealing.cache.config_digests import config_digest
from selfhealing.cache.parse import app_view
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.cache.store import Store
from selfhealing.cache.views import AppKey
from selfhealing.controller.reconcile_order import Preparation, prepare_remediation
from selfhealing.controller.remediator import Remediator
from selfhealing.controller.revision_store import RETRY_AFTER
from selfhealing.controller.settings import Settings
from selfhealing.controller.workqueue import WorkQueue
from selfhealing.health.experiments import DryRun
from selfhealing.kube.errors import UnavailableError
from selfhealing.remediation.circuit_breaker import NAMESPACE_ACTION_INTERVAL
from selfhealing.remediation.findings import FindingReason
from selfhealing.remediation.node_loss import NODE_INTERVAL
from selfhealing.render.meta import Owner
from selfhealing.render.overrides import (
    Overrides,
    build_revision,
    get_config_hash,
    get_limits,
    template_revision,
)
from selfhealing.render.pod import build_pod_template
from tests.unit import builders
from tests.unit.controller.fake_api_server import (
    FakeApiServer,
    Json,
    build_action,
    build_diagnosis,
    build_inputs,
    build_quarantine,
    build_record,
    build_spec,
    forbidden_error,
    revision_of,
)
from tests.unit.controller.fake_loop import now
from tests.unit.remediation.factories import APP_MEMORY, raised_to
from tests.unit.snapshots import KEY, put_object

POD = "web-abc-1"
UID = f"uid-of-{POD}"
OLD_SPEC = {"image": "web:v0"}
STABLE_REVISION = revision_of(**OLD_SPEC)
STABLE_TEMPLATE = build_pod_template(builders.APP, build_spec(**OLD_SPEC))
ROLLED_BACK = {"stable_revision": STABLE_REVISION, "failed_revision": revision_of()}
UNAVAILABLE = UnavailableError(503, "ServiceUnavailable", "no")


def build_revision_object(owner: str = builders.APP_UID) -> Json:
    """The revision that keeps the version to go back to."""
    body = build_revision(
        Owner(builders.NAMESPACE, builders.APP, owner), STABLE_REVISION, STABLE_TEMPLATE
    )
    return {**body, "metadata": {**body["metadata"], "uid": "uid-of-revision"}}


def server_now() -> datetime:
    """The time of the API server."""
    return builders.at(100 + now())


class Harness:
    """A cluster, the operator's picture of it and the healer; by default its quiet time is over."""

    def __init__(self, *objects: Json, quiet: float = 0, scale: float = 1) -> None:
        self.api_server = FakeApiServer(*objects)
        self.store = Store()
        self.queue: WorkQueue[AppKey] = WorkQueue()
        for manifest in (builders.app(), *objects):
            if manifest["kind"] not in {"ControllerRevision", "Node"}:
                put_object(self.store, manifest)
        self.scale = scale
        settings = Settings(healing_quiet=quiet, healing_scale=scale)
        self.remediator = Remediator(
            self.api_server.client, self.store, self.queue, settings, now, server_now
        )

    @property
    def snapshot(self) -> AppSnapshot:
        """What is known of the app."""
        found_snapshot = self.store.snapshot(KEY)
        assert found_snapshot is not None
        return found_snapshot

    def app_requests(self) -> list[str]:
        """What was asked about the app, and not about the nodes of its ill pods."""
        outside = {"list Node", "list NetworkPolicy"}
        return [request for request in self.api_server.requests if request not in outside]

    async def prepare(
        self,
        healing_record: HealingStatus | None = None,
        at: float = 100,
        **more: Any,  # noqa: ANN401 - of the spec
    ) -> Preparation:
        """Prepare a reconcile."""
        inputs = build_inputs(self.snapshot, healing_record, self.scale, **more)
        return await prepare_remediation(self.remediator, self.snapshot, inputs, builders.at(at))

    async def save_stable_revision(
        self,
        before: HealingStatus | None,
        after: HealingStatus | None,
        **more: Any,  # noqa: ANN401 - of the spec
    ) -> bool:
        """Save what a decision calls stable."""
        inputs = build_inputs(self.snapshot, before, **more)
        return await self.remediator.save_stable_revision(self.snapshot.app, inputs, after)

    async def blocked_reason(self) -> BlockedReason | None:
        """What keeps anything from being done."""
        return (await self.prepare(build_record())).external.blocked_reason


def build_harness(*more: Json, quiet: float = 0, scale: float = 1) -> Harness:
    """One of two pods fails."""
    return Harness(
        builders.deployment(),
        builders.pod(POD, builders.crash_loop(5, builders.termination()), version=7),
        builders.pod("web-abc-2", builders.running()),
        *more,
        quiet=quiet,
        scale=scale,
    )


ISOLATED_POD = builders.pod(
    "web-abc-3",
    builders.running(),
    labels={"selfhealing.dev/quarantined": "web"},
    ownerReferences=[builders.app_reference()],
)
EVICT_REQUESTS = [f"evict Pod/{POD}"]
REPLACE_POD_RECORD = build_record(build_action(uid=UID))


class TestCarryingOut:
    """What was started is done, in order, and only while it is wanted."""

    async def test_nothing_is_remembered(self) -> None:
        """An app without a record: what is saved of it is looked for, and nothing done."""
        harness = build_harness()

        assert Overrides() == (await harness.prepare()).overrides
        assert ["list ControllerRevision"] == harness.app_requests()

    async def test_started(self) -> None:
        """The record says so: it is done."""
        harness = build_harness()
        await harness.prepare(REPLACE_POD_RECORD)

        assert EVICT_REQUESTS == harness.api_server.write_requests()

    async def test_evidence_comes_first(self) -> None:
        """And is said to the decision, which writes down where it is."""
        harness = build_harness()
        preparation = await harness.prepare(build_record(build_action(uid=UID, evidence=None)))

        assert {1: "1-replace-pod.txt"} == preparation.external.evidence_keys
        assert [
            "create ConfigMap/web-evidence",
            *EVICT_REQUESTS,
        ] == harness.api_server.write_requests()

    async def test_no_evidence_no_action(self) -> None:
        """While the server is away for a moment."""
        harness = build_harness()
        harness.api_server.errors["create"] = UNAVAILABLE
        with pytest.raises(UnavailableError):
            await harness.prepare(build_record(build_action(uid=UID, evidence=None)))

        assert EVICT_REQUESTS[0] not in harness.api_server.requests

    async def test_a_restart_between_evidence_and_action(self) -> None:
        """The new process knows only the record: it adds its own evidence and does the rest."""
        harness = build_harness(quiet=60)
        harness.api_server.errors["evict"] = UNAVAILABLE
        await harness.prepare(build_record(build_action(uid=UID, evidence=None)))
        harness.api_server.errors.clear()
        harness.api_server.requests.clear()
        restarted = build_harness(quiet=60)
        restarted.api_server.objects_by_path = harness.api_server.objects_by_path
        preparation = await restarted.prepare(build_record(build_action(uid=UID, evidence=None)))

        assert {1: "1-replace-pod-again.txt"} == preparation.external.evidence_keys
        merge, *rest = restarted.api_server.write_requests()
        assert ("merge ConfigMap/web-evidence", EVICT_REQUESTS) == (merge, rest)

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
        harness = build_harness()
        await harness.prepare(REPLACE_POD_RECORD, at, **more)

        assert [] == harness.app_requests()

    async def test_the_time_of_an_action_is_scaled(self) -> None:
        """As all times of healing."""
        harness = build_harness(scale=0.01)
        await harness.prepare(REPLACE_POD_RECORD, 94)

        assert [] == harness.app_requests()

    @pytest.mark.parametrize(
        "error", [forbidden_error(), UNAVAILABLE, RuntimeError("a mistake of ours")]
    )
    async def test_refused(self, error: Exception) -> None:
        """The children are kept right all the same."""
        harness = build_harness()
        harness.api_server.errors["evict"] = error

        assert Overrides() == (await harness.prepare(REPLACE_POD_RECORD)).overrides

    async def test_a_pod_that_was_kept_long_enough(self) -> None:
        """It is deleted; the decision is told if it could not be, so that it is not forgotten."""
        harness = build_harness()
        harness.api_server.put_object(ISOLATED_POD)
        past = build_record(quarantine=build_quarantine("web-abc-3", 90))
        harness.api_server.errors["delete"] = UNAVAILABLE

        assert (await harness.prepare(past)).external.isolated_pod_delete_pending

        harness.api_server.errors.clear()
        await asyncio.sleep(1)

        assert not (await harness.prepare(past)).external.isolated_pod_delete_pending
        assert 2 == harness.api_server.requests.count("delete Pod/web-abc-3")

    async def test_a_job(self) -> None:
        """Nothing is healed, and what was kept of the app before does not stay for ever."""
        harness = build_harness()
        harness.api_server.put_object(ISOLATED_POD)
        past = build_record(
            build_action(uid=UID), quarantine=build_quarantine("web-abc-3", 900), **ROLLED_BACK
        )
        preparation = await harness.prepare(past, restartPolicy="Never")

        assert Overrides() == preparation.overrides
        assert ["delete Pod/web-abc-3"] == harness.api_server.write_requests()

    @pytest.mark.parametrize("policy", ["Always", "Never"])
    async def test_a_stranger_s_pod_in_the_record(self, policy: str) -> None:
        """It is not touched; the decision forgets it, and it is told."""
        harness = build_harness()
        harness.api_server.put_object(
            builders.pod("web-abc-3", builders.running(), ownerReferences=[])
        )
        past = build_record(quarantine=build_quarantine("web-abc-3", 90))
        external = (await harness.prepare(past, restartPolicy=policy)).external

        assert [] == harness.api_server.write_requests()
        [finding] = external.findings
        assert (
            FindingReason.RECORD_REJECTED,
            "status.healing names pods that are not the app's: web-abc-3",
        ) == (finding.reason, finding.message)
        if policy == "Always":
            assert frozenset({"uid-of-web-abc-3"}) == external.foreign_uids

    async def test_evidence_of_somebody_else(self) -> None:
        """The action goes on, and it is told for as long as the action has no evidence."""
        harness = build_harness()
        harness.api_server.put_object(
            builders.config(name="web-evidence", data={"mine": "yes"}, ownerReferences=[])
        )
        record = build_record(build_action(uid=UID, evidence=None))
        for _ in range(2):
            external = (await harness.prepare(record)).external
            [finding] = external.findings

            assert FindingReason.FOREIGN_EVIDENCE is finding.reason
            assert "the ConfigMap web-evidence belongs to another owner" in finding.message

        assert {f"evict Pod/{POD}"} == set(harness.api_server.write_requests())


class TestOverrides:
    """What stands in place of the spec."""

    async def test_rolled_back(self) -> None:
        """The version that was kept."""
        harness = build_harness(build_revision_object())
        preparation = await harness.prepare(build_record(**ROLLED_BACK))

        assert STABLE_TEMPLATE == preparation.overrides.pod_template
        assert not preparation.external.stable_revision_missing

    async def test_the_version_to_go_back_to_is_lost(self) -> None:
        """Or somebody else's object has its name by now."""
        for harness in (build_harness(), build_harness(build_revision_object("uid-of-another"))):
            preparation = await harness.prepare(build_record(**ROLLED_BACK))

            assert None is preparation.overrides.pod_template
            assert preparation.external.stable_revision_missing

    async def test_a_forged_template(self) -> None:
        """It does not run, the record forgets it, and that is told."""
        revision = deepcopy(build_revision_object())
        revision["data"]["template"]["spec"]["hostNetwork"] = True
        preparation = await build_harness(revision).prepare(build_record(**ROLLED_BACK))

        assert None is preparation.overrides.pod_template
        assert preparation.external.stable_revision_missing
        [finding] = preparation.external.findings
        fault = "its content is not the one that was saved"
        assert FindingReason.REVISION_REJECTED is finding.reason
        assert f"stable revision {STABLE_REVISION} is not used: {fault}" == finding.message

    @pytest.mark.parametrize(
        ("healing", "expected"),
        [
            ({"memory": {"max": "2Gi"}}, "1Gi"),
            ({"memory": {"max": "700Mi"}}, "700Mi"),
            ({}, "1Gi"),
            ({"memory": {"enabled": False}}, "512Mi"),
        ],
        ids=["allowed", "above the maximum", "twice the spec's", "not allowed"],
    )
    async def test_the_memory_of_the_stable_revision(
        self, healing: dict[str, Any], expected: str
    ) -> None:
        """What it was found to need, within what the spec allows now."""
        spec = {"image": "web:v0", "resources": {"limits": {"memory": "512Mi"}}}
        template = build_pod_template(builders.APP, build_spec(**spec))
        stable_revision = template_revision(template)
        owner = Owner(builders.NAMESPACE, builders.APP, builders.APP_UID)
        body = build_revision(owner, stable_revision, template, {"app": "1Gi"})
        record = build_record(stable_revision=stable_revision, failed_revision=revision_of())
        preparation = await build_harness(body).prepare(record, healing=healing)

        assert preparation.overrides.pod_template is not None
        assert {APP_MEMORY: expected} == get_limits(preparation.overrides.pod_template)

    async def test_the_good_version_is_asked_for(self) -> None:
        """Then nothing has to be read, and nothing is lost."""
        harness = build_harness()
        preparation = await harness.prepare(build_record(**ROLLED_BACK), image="web:v0")

        assert Overrides() == preparation.overrides
        assert not preparation.external.stable_revision_missing
        assert [] == harness.app_requests()

    async def test_nobody_can_tell(self) -> None:
        """What runs is neither taken back nor replaced by something else."""
        harness = build_harness(build_revision_object())
        harness.api_server.errors["get"] = forbidden_error()
        with pytest.raises(
            UnavailableError,
            match=f"stable revision {STABLE_REVISION}, which is running, cannot be read",
        ):
            await harness.prepare(build_record(**ROLLED_BACK))

    async def test_nobody_can_tell_on_trial(self) -> None:
        """The children follow the spec; nothing is begun that might not be undone."""
        harness = build_harness(build_revision_object())
        harness.api_server.errors["get"] = forbidden_error()
        for _ in range(3):
            preparation = await harness.prepare(build_record(stable_revision=STABLE_REVISION))

            assert Overrides() == preparation.overrides
            assert (BlockedReason.STALE_CACHE, False) == (
                preparation.external.blocked_reason,
                preparation.external.stable_revision_missing,
            )

        assert 1 == len(harness.app_requests())

    async def test_switched_off(self) -> None:
        """Then nothing is asked for, and nothing of what is remembered is lost."""
        harness = build_harness()
        preparation = await harness.prepare(
            build_record(stable_revision=STABLE_REVISION), healing={"mode": "Off"}
        )

        assert not preparation.external.stable_revision_missing
        assert [] == harness.api_server.requests


class TestPreview:
    """What a rollback would meet, tried before anything is decided."""

    @staticmethod
    def build_refused() -> Harness:
        """An app whose new pods cannot be created."""
        refused = builders.replica_failure_condition("no")
        return Harness(builders.deployment(conditions=[refused]), build_revision_object())

    async def test_it_is_part_of_what_is_known(self) -> None:
        """With the template that it is about."""
        harness = self.build_refused()
        harness.api_server.errors[f"dry-run Pod/{builders.IMAGE}"] = forbidden_error("privileged")
        external = (await harness.prepare(build_record(stable_revision=STABLE_REVISION))).external

        assert STABLE_TEMPLATE == external.stable_template
        assert external.experiments_done
        assert DryRun.ONLY_NEW_REFUSED is external.experiments.dry_run
        assert "" == external.rollback_obstacle

    async def test_an_obstacle(self) -> None:
        """It is looked for again: no watch tells of its end."""
        harness = self.build_refused()
        harness.api_server.errors["dry-run"] = forbidden_error("privileged")
        external = (await harness.prepare(build_record(stable_revision=STABLE_REVISION))).external

        assert "a pod of it is refused: privileged" == external.rollback_obstacle
        assert KEY == await harness.queue.get()

    async def test_nothing_is_wrong(self) -> None:
        """Then nothing is tried, nor after a rollback."""
        for harness, record in (
            (build_harness(build_revision_object()), {"stable_revision": STABLE_REVISION}),
            (self.build_refused(), ROLLED_BACK),
        ):
            external = (await harness.prepare(build_record(**record))).external

            assert not external.experiments_done
            assert STABLE_TEMPLATE == external.stable_template


class TestKeeping:
    """A version that has proved itself."""

    async def test_it_is_kept_with_what_made_it_work(self) -> None:
        """More memory than the spec asks for, where that was needed; not what is of today only."""
        harness = build_harness()
        resources = {"limits": {"memory": "512Mi"}}
        after = build_record(
            stable_revision=revision_of(resources=resources),
            memory_limits=raised_to("1Gi"),
            memory_in_template=True,
            excluded_node="node-7",
        )

        assert await harness.save_stable_revision(build_record(), after, resources=resources)

        [name] = harness.api_server.list_names("ControllerRevision")
        data = harness.api_server.objects_by_path["ControllerRevision", name]["data"]

        assert f"web-{revision_of(resources=resources)}" == name
        assert {"app": "1Gi"} == data["memoryLimits"]
        assert "affinity" not in data["template"]["spec"]

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (None, None),
            (None, build_record()),
            (
                build_record(stable_revision=STABLE_REVISION),
                build_record(stable_revision=STABLE_REVISION),
            ),
            (build_record(stable_revision=STABLE_REVISION), build_record()),
        ],
    )
    async def test_nothing_new(
        self, before: HealingStatus | None, after: HealingStatus | None
    ) -> None:
        """Then nothing is asked."""
        harness = build_harness()

        assert await harness.save_stable_revision(before, after)
        assert [] == harness.api_server.requests

    async def test_it_cannot_be_kept(self) -> None:
        """No decision calls it good then, until it is tried again: nothing loops over it."""
        harness = build_harness()
        harness.api_server.errors["create"] = forbidden_error()
        after = build_record(stable_revision=revision_of())

        assert not await harness.save_stable_revision(build_record(), after)
        assert (await harness.prepare(build_record())).external.revision_not_saved
        assert KEY == await harness.queue.get()
        assert RETRY_AFTER == now()

        harness.queue.done(KEY)

        assert not (await harness.prepare(build_record())).external.revision_not_saved

    async def test_the_one_before_goes_when_the_new_one_is_stored(self) -> None:
        """Until then the status names it."""
        harness = build_harness(build_revision_object())
        before, after = (
            build_record(stable_revision=STABLE_REVISION),
            build_record(stable_revision=revision_of()),
        )
        await harness.save_stable_revision(before, after)

        assert 2 == len(harness.api_server.list_names("ControllerRevision"))

        await harness.remediator.on_status_stored(harness.snapshot.app, before, after)

        assert [f"web-{revision_of()}"] == harness.api_server.list_names("ControllerRevision")

    async def test_nothing_goes_without_another(self) -> None:
        """Nor where healing has nothing to say any more; a process looks for leftovers once."""
        harness = build_harness(build_revision_object())
        before = build_record(stable_revision=STABLE_REVISION)
        for before_, after in ((before, None), (before, before), (None, before), (before, before)):
            await harness.remediator.on_status_stored(harness.snapshot.app, before_, after)

        assert ["list ControllerRevision"] == harness.api_server.requests

    async def test_one_that_a_killed_process_has_left(self) -> None:
        """The first write of the next process deletes what no record names."""
        harness = build_harness(build_revision_object())
        record = build_record(stable_revision=revision_of())
        await harness.save_stable_revision(build_record(), record)

        await harness.remediator.on_status_stored(harness.snapshot.app, record, record)

        assert [f"web-{revision_of()}"] == harness.api_server.list_names("ControllerRevision")


class TestConfirming:
    """An action is started only by what is still so."""

    async def test_nothing_has_changed(self) -> None:
        """The pod and the Deployment are as they were seen."""
        harness = build_harness()

        assert await harness.remediator.revalidate(
            harness.snapshot, build_record(), REPLACE_POD_RECORD
        )
        assert [f"get Pod/{POD}", "get Deployment/web"] == harness.api_server.requests

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (build_record(), build_record()),
            (REPLACE_POD_RECORD, REPLACE_POD_RECORD),
            (None, None),
            (REPLACE_POD_RECORD, build_record()),
        ],
    )
    async def test_nothing_is_started(
        self, before: HealingStatus | None, after: HealingStatus | None
    ) -> None:
        """Then nothing is asked."""
        harness = build_harness()

        assert await harness.remediator.revalidate(harness.snapshot, before, after)
        assert [] == harness.api_server.requests

    async def test_other_apps_were_faster(self) -> None:
        """Five others have started since the decision: nothing is started, and nothing is read."""
        harness = build_harness()
        for number in range(5):
            harness.remediator.update_breaker(
                AppKey("shop", f"app-{number}"), REPLACE_POD_RECORD, has_pod_problem=False
            )

        assert not await harness.remediator.revalidate(
            harness.snapshot, build_record(), REPLACE_POD_RECORD
        )
        assert [] == harness.api_server.requests

    async def test_approved(self) -> None:
        """What was proposed long ago is started now: it has to be so now."""
        harness = build_harness()
        proposed = build_record(build_action(uid=UID, outcome=ActionOutcome.PROPOSED))
        await harness.remediator.revalidate(harness.snapshot, proposed, REPLACE_POD_RECORD)

        assert 2 == len(harness.api_server.requests)

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
        harness = build_harness()
        harness.api_server.put_object(newer)

        assert not await harness.remediator.revalidate(
            harness.snapshot, build_record(), REPLACE_POD_RECORD
        )
        assert BlockedReason.STALE_CACHE is await harness.blocked_reason()

        put_object(harness.store, builders.pod("web-abc-2", builders.running(), version=99))

        assert BlockedReason.STALE_CACHE is await harness.blocked_reason()

        put_object(harness.store, newer)

        assert None is await harness.blocked_reason()

    async def test_the_pod_is_gone(self) -> None:
        """The watch will say so."""
        harness = build_harness()
        del harness.api_server.objects_by_path["Pod", POD]

        assert not await harness.remediator.revalidate(
            harness.snapshot, build_record(), REPLACE_POD_RECORD
        )
        assert BlockedReason.STALE_CACHE is await harness.blocked_reason()

        harness.store.delete_pod(UID)

        assert None is await harness.blocked_reason()

    async def test_without_a_deployment(self) -> None:
        """There is nothing to compare it with."""
        harness = build_harness()
        bare = replace(harness.snapshot, children={})

        assert await harness.remediator.revalidate(bare, build_record(), REPLACE_POD_RECORD)


class TestHolds:
    """Reasons outside the app to do nothing."""

    async def test_quiet_time(self) -> None:
        """A new process has not yet seen how many are ill; it is counted from its election."""
        harness = build_harness(quiet=60, scale=0.5)
        await asyncio.sleep(20)
        harness.remediator.start_grace_period()
        await asyncio.sleep(29)

        assert BlockedReason.STARTING_UP is await harness.blocked_reason()

        await asyncio.sleep(1)

        assert None is await harness.blocked_reason()

    async def test_a_storm(self) -> None:
        """Five of six fall ill at once; with one that is gone it is over."""
        harness = build_harness()
        for number in range(5):
            key = AppKey("shop", f"app-{number}")
            manifest = builders.app(name=key.name, uid=f"uid-of-{key.name}")
            harness.store.upsert_app(app_view(manifest))
            harness.remediator.update_breaker(
                key, build_record(diagnoses=[build_diagnosis()]), has_pod_problem=False
            )

        assert BlockedReason.STORM is await harness.blocked_reason()

        harness.remediator.forget_app(key)

        assert None is await harness.blocked_reason()

    @pytest.mark.parametrize(
        ("silent", "many"), [(1, False), (2, True)], ids=["one of four", "half of them"]
    )
    @pytest.mark.parametrize("remembered", [None, build_record()], ids=["new", "known"])
    async def test_lost_nodes(
        self, remembered: HealingStatus | None, silent: int, *, many: bool
    ) -> None:
        """They are counted where a pod is lost, and only there."""
        nodes = [
            builders.node(f"node-{n}", ready="Unknown" if n <= silent and n else "True")
            for n in range(4)
        ]
        healthy = build_harness(*nodes)

        assert not (await healthy.prepare(remembered)).external.too_many_nodes_lost
        assert 1 == healthy.api_server.requests.count("list Node")  # the ill pod's node alone

        lost = build_harness(
            *nodes, builders.pod("web-abc-3", builders.running(), ready=False, ready_reason="")
        )

        assert many is (await lost.prepare(remembered)).external.too_many_nodes_lost

    async def test_nodes_that_cannot_be_counted(self) -> None:
        """Nobody can tell that it is not all of them."""
        harness = build_harness(
            builders.pod("web-abc-3", builders.running(), ready=False, ready_reason="")
        )
        harness.api_server.errors["list"] = forbidden_error()

        assert (await harness.prepare(build_record())).external.too_many_nodes_lost

    async def test_the_conditions_of_the_nodes_of_ill_pods(self) -> None:
        """One pod is ill, and its node says why; a pod that only starts is not ill."""
        harness = build_harness(
            builders.node(conditions={"KernelDeadlock": "True"}), builders.node("node-2")
        )

        conditions = (await harness.prepare(build_record())).external.node_conditions
        assert {"node-1": ("KernelDeadlock",)} == conditions

        starting = Harness(
            builders.node(conditions={"KernelDeadlock": "True"}),
            builders.deployment(),
            builders.pod("web-abc-9", builders.running(), ready=False, created=95),
        )

        assert {} == (await starting.prepare(build_record())).external.node_conditions
        assert [] == starting.api_server.requests

    async def test_the_network_policies_around_ill_pods(self) -> None:
        """They are read where a pod is ill, and only there."""
        policy = builders.config("NetworkPolicy", "deny", spec={"podSelector": {}})
        policy["metadata"]["creationTimestamp"] = builders.iso(5)
        harness = build_harness(policy)
        found = (await harness.prepare(build_record())).external.network_policies
        assert ["deny"] == [each.name for each in found]

        healthy = Harness(policy, builders.deployment(), builders.pod(POD, builders.running()))
        assert () == (await healthy.prepare(build_record())).external.network_policies
        assert [] == healthy.api_server.requests

    async def test_the_pace_of_actions(self) -> None:
        """Three start at once in a namespace, and then one each six seconds."""
        harness = build_harness()
        bare = harness.snapshot
        results = [
            await harness.remediator.revalidate(bare, build_record(), REPLACE_POD_RECORD)
            for _ in range(4)
        ]

        assert [True, True, True, False] == results
        assert (await harness.prepare(build_record())).external.is_action_limit_reached

        await asyncio.sleep(NAMESPACE_ACTION_INTERVAL)

        assert not (await harness.prepare(build_record())).external.is_action_limit_reached

    async def test_the_pace_of_nodes(self) -> None:
        """The second lost node of a zone waits; the first is given up for all of its apps."""
        nodes = [
            builders.node(f"node-{n}", ready="Unknown" if n in {1, 2} else "True") for n in range(9)
        ]
        harness = build_harness(*nodes)
        bare = harness.snapshot

        async def start(node: str) -> bool:
            failover = build_record(build_action(Remediation.FAILOVER, target=node))
            return await harness.remediator.revalidate(bare, build_record(), failover)

        assert [True, True, False] == [await start(f"node-{n}") for n in (1, 1, 2)]

        await asyncio.sleep(NODE_INTERVAL)

        assert [True, True, False] == [await start(f"node-{n}") for n in (2, 1, 3)]

    async def test_an_app_that_is_gone(self) -> None:
        """Nothing is remembered of it, whatever was."""
        harness = build_harness()
        harness.api_server.put_object(builders.deployment(version=2))
        await harness.remediator.revalidate(harness.snapshot, build_record(), REPLACE_POD_RECORD)
        harness.remediator.forget_app(KEY)

        assert None is await harness.blocked_reason()


class TestConfigCopies:
    """A rollback of a configuration reads the copies of the ConfigMaps."""

    READS: ClassVar[dict[str, Any]] = {"envFrom": [{"configMapRef": {"name": "settings"}}]}

    def build(self, level: str) -> Json:
        """The ConfigMap with a value."""
        return builders.config(data={"LEVEL": level}, version=ord(level[0]))

    def read_config(self, harness: Harness, level: str) -> AppSnapshot:
        """The ConfigMap has another value, and the operator has read it."""
        harness.api_server.put_object(self.build(level))
        index, reference = harness.store.config_index, ConfigRef(CONFIG_MAP, "settings")
        index.set_references(KEY, {reference: None})
        index.upsert(ConfigObject(KEY.namespace, reference), config_digest(self.build(level)))
        return replace(harness.snapshot, config_digests=index.digests_for(KEY))

    async def test_the_values_come_back(self) -> None:
        """The pods of the stable revision read the copy while the ConfigMap has other values."""
        harness = build_harness()
        good = build_inputs(self.read_config(harness, "good"), build_record(), **self.READS)
        stable = build_record(stable_revision=good.revision)
        await harness.remediator.save_stable_revision(harness.snapshot.app, good, stable)
        [copy] = [
            name
            for name in harness.api_server.list_names(CONFIG_MAP)
            if name.startswith("web-config-")
        ]
        snapshot = self.read_config(harness, "bad")
        wanted = build_inputs(snapshot, stable, **self.READS)
        failed = {"stable_revision": good.revision, "failed_revision": wanted.revision}
        record = build_record(**failed, failed_config=get_config_hash(wanted.pod_template))

        async def find_template(record: HealingStatus) -> Json:
            inputs = build_inputs(snapshot, record, **self.READS)
            overrides = (
                await prepare_remediation(harness.remediator, snapshot, inputs, builders.at(100))
            ).overrides
            return overrides.apply_to(inputs.pod_template)

        template = await find_template(record)
        assert copy == template["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"]
        assert wanted.pod_template == await find_template(stable)
        # After the rollback of an image the pods read what people change.
        assert good.pod_template == await find_template(build_record(**failed))
