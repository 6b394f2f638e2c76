"""What a reconcile reads beside the children: spec, configuration, Namespace."""

import asyncio

import pytest

from selfhealing.api import names
from selfhealing.api.config_refs import (
    ABSENT_DIGEST,
    CONFIG_MAP,
    SECRET,
    UNREAD_DIGEST,
    ConfigObject,
    ConfigRef,
    ConfigWatch,
)
from selfhealing.api.spec import parse_spec
from selfhealing.apply.child_diff import ChildAction
from selfhealing.apply.config_debounce import QUIET_SECONDS
from selfhealing.apply.rate_limit import MAX_CORRECTIONS
from selfhealing.apply.result import ChildChange, SyncError
from selfhealing.cache.config_digests import config_digest
from selfhealing.controller import reconciler as module
from selfhealing.controller.child_errors import contested_error
from selfhealing.controller.namespace_labels import CACHE_TTL
from selfhealing.kube.errors import UnavailableError
from selfhealing.remediation.reconcile_input import build_reconcile_input
from selfhealing.render.overrides import NO_OVERRIDES, template_revision
from selfhealing.render.pod import build_pod_template
from selfhealing.render.references import MAX_TRACKED, hash_config_digests
from tests.unit import builders
from tests.unit.controller.fake_api_server import Json, forbidden_error
from tests.unit.controller.reconciler_harness import (
    STATUS,
    Harness,
    build_failing_app,
    build_healthy_app,
    server_now,
)
from tests.unit.snapshots import KEY

READS: Json = {
    "image": builders.IMAGE,
    "envFrom": [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "password"}}],
}
SETTINGS, PASSWORD = ConfigRef(CONFIG_MAP, "settings"), ConfigRef(SECRET, "password")


def build_config_map(mode: str, version: int = 1) -> Json:
    """The ConfigMap that the app reads."""
    return builders.config(data={"mode": mode}, version=version)


async def test_too_many_references_are_not_followed() -> None:
    """Ten times the spec would be kept of them; it is told, and the pods stay as they are."""
    env = [
        {
            "name": f"A{number}",
            "valueFrom": {"configMapKeyRef": {"name": f"c{number}", "key": "k", "optional": True}},
        }
        for number in range(MAX_TRACKED + 1)
    ]
    live = builders.deployment()
    live["spec"]["template"] = {"metadata": {"annotations": {names.ANNOTATION_CONFIG_HASH: "abc"}}}
    harness = Harness(live, spec={"image": builders.IMAGE, "env": env})
    await harness.run_worker(5)

    app = harness.api_server.objects_by_path["SelfHealingApp", builders.APP]
    message = next(c["message"] for c in app["status"]["conditions"] if c["type"] == "Reconciled")
    assert f"the spec refers to more than {MAX_TRACKED} of them" in message
    assert {} == harness.store.config_index.digests_for(KEY)
    assert [] == [r for r in harness.api_server.requests if r.startswith("get ConfigMap/c")]


async def test_what_the_pods_read_is_followed_from_the_first_look() -> None:
    """What is there, what is not, and what comes later; what is not watched is left out."""
    digest, later = (config_digest(build_config_map(mode)).digest for mode in ("fast", "slow"))
    for watch, expected in (
        ("all", {SETTINGS: digest, PASSWORD: ABSENT_DIGEST}),
        ("configmaps", {SETTINGS: digest}),
        ("off", {}),
    ):
        harness = build_healthy_app(spec=READS, watch=watch)
        harness.change_config(build_config_map("fast"))
        async with harness.running_worker(3):
            assert expected == harness.config_digests[0]
            harness.change_config(build_config_map("slow", version=2))
            await asyncio.sleep(3)

        assert (expected and {**expected, SETTINGS: later}) == harness.config_digests[-1]
        assert ("get Secret/password" in harness.api_server.requests) == (watch == "all")


@pytest.mark.parametrize(
    ("watch", "told"),
    [("all", ""), ("configmaps", "a change of Secrets "), ("off", "of ConfigMaps and Secrets ")],
)
async def test_users_are_told_of_what_is_not_followed(watch: ConfigWatch, told: str) -> None:
    """In the condition; it is written once, as it does not change."""
    harness = build_healthy_app(spec=READS, watch=watch)
    await harness.run_worker()
    app = harness.api_server.objects_by_path["SelfHealingApp", builders.APP]
    [message] = [c["message"] for c in app["status"]["conditions"] if c["type"] == "Reconciled"]
    written = harness.api_server.write_requests()
    await harness.run_worker()

    assert told in message
    assert bool(told) == ("does not replace the pods" in message)
    assert written == harness.api_server.write_requests()


async def test_pods_are_left_alone_until_their_configuration_is_known() -> None:
    """The API server does not answer for a while: the app waits, then goes on with what it has."""
    harness = build_healthy_app(spec=READS)
    harness.change_config(build_config_map("fast"))
    harness.api_server.errors["get ConfigMap"] = UnavailableError(503, "", "busy")
    async with harness.running_worker(0.01):
        assert [] == harness.config_digests

        await asyncio.sleep(1)
        assert {SETTINGS: UNREAD_DIGEST, PASSWORD: ABSENT_DIGEST} == harness.config_digests[-1]

        del harness.api_server.errors["get ConfigMap"]
        await asyncio.sleep(3)

    digest = config_digest(build_config_map("fast")).digest
    assert {SETTINGS: digest, PASSWORD: ABSENT_DIGEST} == harness.config_digests[-1]


async def test_an_app_that_no_longer_follows_has_no_readers() -> None:
    """Somebody has changed the spec: nothing is read for it any more."""
    harness = build_healthy_app(spec=READS)
    await harness.run_worker()
    harness.update_object(
        builders.app({**READS, "restartOnConfigChange": False}, generation=2, resourceVersion="9")
    )
    await harness.run_worker()
    harness.api_server.requests.clear()
    async with harness.running_worker(1):
        harness.change_config(build_config_map("fast"))
        await asyncio.sleep(3)

    assert {} == harness.config_digests[-1]
    assert "get ConfigMap/settings" not in harness.api_server.requests


async def test_twelve_changes_at_once_are_one() -> None:
    """The children get the configuration when nothing more comes."""
    harness = build_healthy_app(spec={**READS, "envFrom": READS["envFrom"][:1]})
    harness.change_config(build_config_map("mode 0"))
    async with harness.running_worker(3):
        for turn in range(1, 13):
            harness.change_config(build_config_map(f"mode {turn}", version=1 + turn))
            await asyncio.sleep(0.5)
        await asyncio.sleep(QUIET_SECONDS + 1)

    seen = list(dict.fromkeys(digests[SETTINGS] for digests in harness.config_digests))
    expected = [config_digest(build_config_map(f"mode {turn}")).digest for turn in (0, 12)]
    assert expected == seen


async def test_only_what_others_have_changed_is_a_quarrel() -> None:
    """Own changes never count, however many there are; the other side is named."""
    harness = build_healthy_app()
    snapshot = harness.store.snapshot(KEY)
    assert snapshot is not None
    inputs = build_reconcile_input(snapshot, parse_spec({"image": builders.IMAGE}), server_now())

    async def sync(*changes: ChildChange) -> tuple[SyncError, ...]:
        harness.changes = changes
        result = await harness.reconciler.sync_children(snapshot, inputs, NO_OVERRIDES)
        return result.errors

    own = ChildChange("Deployment", ChildAction.UPDATE)
    theirs = ChildChange("Deployment", ChildAction.REVERT_DRIFT, ("helm",), is_correction=True)
    assert {()} == {await sync(own) for _ in range(2 * MAX_CORRECTIONS)}
    assert {()} == {await sync(theirs) for _ in range(MAX_CORRECTIONS)}
    assert (contested_error(("helm",)),) == await sync(theirs)


async def test_a_version_is_spoken_of_by_the_configuration_that_was_written() -> None:
    """It changes while the Deployment is written: that is for the next look."""
    harness = build_healthy_app(spec={**READS, "envFrom": READS["envFrom"][:1]})
    harness.change_config(build_config_map("fast"))
    target = ConfigObject(builders.NAMESPACE, SETTINGS)
    harness.during_sync = lambda: harness.store.config_index.upsert(
        target, config_digest(build_config_map("slow", version=2))
    )
    async with harness.running_worker(0.1):
        reported_revision = harness.record.desired_revision

    spec = parse_spec({**READS, "envFrom": READS["envFrom"][:1]})
    config_hash_written = hash_config_digests(
        {SETTINGS: config_digest(build_config_map("fast")).digest}
    )
    assert (
        template_revision(build_pod_template(builders.APP, spec, config_hash_written))
        == reported_revision
    )


async def test_a_spec_that_cannot_be_read() -> None:
    """The status says so; the children and the record are left as they are."""
    harness = build_failing_app(spec={"image": 7})
    await harness.run_worker()
    status = harness.api_server.objects_by_path["SelfHealingApp", builders.APP]["status"]

    assert {STATUS} == set(harness.api_server.write_requests())
    assert "Invalid" == status["phase"]
    assert [] == harness.overrides
    assert "healing" not in status


async def test_a_spec_that_is_too_large() -> None:
    """It is not kept: the status says how large one may be, and the children are left alone."""
    variables = [{"name": f"FAT_{number}", "value": "x" * 4096} for number in range(40)]
    harness = build_failing_app(spec={"image": builders.IMAGE, "env": variables})
    await harness.run_worker()
    status = harness.api_server.objects_by_path["SelfHealingApp", builders.APP]["status"]

    assert {STATUS} == set(harness.api_server.write_requests())
    assert "Invalid" == status["phase"]
    assert "spec: has 162 KiB as JSON: write at most 128 KiB" in status["message"]
    assert [] == harness.overrides

    harness.update_object(builders.app(status=status, generation=2, resourceVersion="99"))
    await harness.run_worker()

    assert harness.overrides, "a smaller spec is applied"


class TestNamespace:
    """What the labels of the Namespace say."""

    async def test_pods_that_it_refuses(self) -> None:
        """The status says so until the label is gone, which no watch reports."""
        harness = build_healthy_app()
        namespace: Json = {
            "kind": "Namespace",
            "metadata": {
                "name": builders.NAMESPACE,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        }
        harness.api_server.put_object(namespace)
        async with harness.running_worker(3):
            assert "PodSecurityAdmitted" in harness.condition_types()

            del namespace["metadata"]["labels"]
            harness.api_server.put_object(namespace)
            await asyncio.sleep(CACHE_TTL + module.USER_ACTION_POLL_INTERVAL + 1)

            assert "PodSecurityAdmitted" not in harness.condition_types()

    async def test_a_namespace_that_cannot_be_read(self) -> None:
        """Nothing is said, and the app is reconciled."""
        harness = build_healthy_app()
        harness.api_server.errors["get Namespace/" + builders.NAMESPACE] = forbidden_error()
        await harness.run_worker()

        assert {"Ready", "Reconciled"} < harness.condition_types()
        assert "PodSecurityAdmitted" not in harness.condition_types()
