"""The saved revisions: what is kept of a version, and what a rollback makes of it."""

from copy import deepcopy
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from selfhealing.api.config_refs import CONFIG_MAP, ConfigObject, ConfigRef
from selfhealing.api.healing_status import BlockedReason, HealingStatus
from selfhealing.cache.config_digests import config_digest
from selfhealing.cache.snapshot import AppSnapshot
from selfhealing.controller.reconcile_order import prepare_remediation
from selfhealing.controller.revision_store import RETRY_AFTER
from selfhealing.health.experiments import DryRun
from selfhealing.kube.errors import UnavailableError
from selfhealing.remediation.findings import FindingReason
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
    Json,
    build_inputs,
    build_record,
    build_spec,
    forbidden_error,
    revision_of,
)
from tests.unit.controller.fake_loop import now
from tests.unit.controller.remediator_harness import (
    OLD_SPEC,
    ROLLED_BACK,
    STABLE_REVISION,
    Harness,
    build_harness,
)
from tests.unit.remediation.factories import APP_MEMORY, raised_to
from tests.unit.snapshots import KEY

STABLE_TEMPLATE = build_pod_template(builders.APP, build_spec(**OLD_SPEC))


def build_revision_object(owner: str = builders.APP_UID) -> Json:
    """The revision that keeps the version to go back to."""
    body = build_revision(
        Owner(builders.NAMESPACE, builders.APP, owner), STABLE_REVISION, STABLE_TEMPLATE
    )
    return {**body, "metadata": {**body["metadata"], "uid": "uid-of-revision"}}


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
