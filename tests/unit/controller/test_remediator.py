"""The order in which remediation does things, and what holds it back."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from selfhealing.api.healing_status import ActionOutcome, BlockedReason, HealingStatus, Remediation
from selfhealing.cache.parse import app_view
from selfhealing.cache.views import AppKey
from selfhealing.kube.errors import UnavailableError
from selfhealing.remediation.circuit_breaker import NAMESPACE_ACTION_INTERVAL
from selfhealing.remediation.findings import FindingReason
from selfhealing.remediation.node_loss import NODE_INTERVAL
from selfhealing.render.overrides import (
    Overrides,
)
from tests.unit import builders
from tests.unit.controller.fake_api_server import (
    Json,
    build_action,
    build_diagnosis,
    build_quarantine,
    build_record,
    forbidden_error,
)
from tests.unit.controller.remediator_harness import POD, ROLLED_BACK, Harness, build_harness
from tests.unit.snapshots import KEY, put_object

UID = f"uid-of-{POD}"

UNAVAILABLE = UnavailableError(503, "ServiceUnavailable", "no")

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
        assert ("KernelDeadlock",) == conditions["node-1"]

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
