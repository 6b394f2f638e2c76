"""From the record to steps, which are the same until they are executed or would do harm."""

from typing import Any

import pytest

from selfhealing.api.healing_status import ActionOutcome, HealingStatus, Remediation
from selfhealing.remediation.steps import (
    MAX_DELETES,
    Delete,
    Evict,
    Isolate,
    Resize,
    Step,
    build_overrides,
    discard_stale_action,
    find_action_without_evidence,
    plan_cleanup_for_job,
    plan_steps,
    select_evidence_pod,
)
from selfhealing.render.overrides import Overrides
from tests.unit import builders
from tests.unit.remediation.factories import (
    APP_CPU,
    AT,
    NEW_REVISION,
    make_action,
    make_policy,
    make_quarantine,
    make_record,
    raised_to,
)
from tests.unit.snapshots import build_snapshot

NOW = builders.at(AT)
FAILING_POD = builders.pod("web-abc-1", builders.running(ready=False))
HEALTHY_POD = builders.pod("web-abc-2", builders.running())
OTHER_POD = builders.pod("web-abc-3", builders.running())

Json = dict[str, Any]


def make_running_record(remediation: Remediation, target: str = "", uid: str = "") -> HealingStatus:
    """A record with an action in progress."""
    running = make_action(
        remediation=remediation, outcome=ActionOutcome.IN_PROGRESS, target=target, uid=uid
    )
    return make_record(running, mode="Auto")


def plan_for(record: HealingStatus, *objects: Json, replicas: int = 3) -> list[Step]:
    """The planned steps."""
    return list(plan_steps(record, build_snapshot(*objects, builders.deployment(replicas)), NOW))


def pod_names(steps: list[Step]) -> list[str]:
    """The names of the pods of the steps."""
    return [step.name if isinstance(step, Delete) else step.pod.name for step in steps]


REPLACE_POD_RECORD = make_running_record(Remediation.REPLACE_POD, "web-abc-1", "uid-of-web-abc-1")


def test_a_failing_pod_is_evicted_until_it_is_gone() -> None:
    """The chosen pod only, by its UID."""
    found = plan_for(REPLACE_POD_RECORD, FAILING_POD, HEALTHY_POD, OTHER_POD)

    assert ["web-abc-1"] == pod_names(found)
    assert isinstance(found[0], Evict)
    assert [] == plan_for(REPLACE_POD_RECORD, HEALTHY_POD, OTHER_POD)
    assert [] == plan_for(
        make_running_record(Remediation.REPLACE_POD, "web-abc-1", "another"),
        FAILING_POD,
        HEALTHY_POD,
    )


def test_a_recovered_pod_is_not_evicted() -> None:
    """It serves again."""
    recovered = builders.pod("web-abc-1", builders.running())

    assert [] == plan_for(REPLACE_POD_RECORD, recovered, HEALTHY_POD, OTHER_POD)


def test_without_a_deployment_no_ready_pod_is_evicted() -> None:
    """Nothing would create a replacement."""
    assert () == plan_steps(
        REPLACE_POD_RECORD,
        build_snapshot(builders.pod("web-abc-1", builders.running()), HEALTHY_POD),
        NOW,
    )


def test_the_pods_of_a_lost_node_are_deleted() -> None:
    """Pods without volumes on a node that still is unreachable."""
    claim = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    lost: Json = {"ready": False, "ready_reason": ""}
    on_it = builders.pod("web-abc-1", builders.running(), node="node-9", **lost)
    with_claim = builders.pod("web-abc-2", builders.running(), node="node-9", volumes=claim, **lost)
    elsewhere = builders.pod("web-abc-3", builders.running(), node="node-8", **lost)
    back = builders.pod("web-abc-4", builders.running(), node="node-9")

    found = plan_for(
        make_running_record(Remediation.FAILOVER, "node-9"), on_it, with_claim, elsewhere, back
    )

    assert [
        Delete("web-abc-1", "uid-of-web-abc-1", "its node node-9 does not answer"),
    ] == found


def test_memory_is_raised_in_pods_that_have_less() -> None:
    """In scheduled pods of the current template, unless the limit is in the template."""
    known = make_record(mode="Auto", memory_limits=raised_to("200Mi"))
    less = builders.pod("web-abc-1", builders.running(), memory_limit="100Mi")
    pods = [
        less,
        builders.pod("web-abc-2", builders.running(), memory_limit="200Mi"),
        builders.pod("web-abc-3", builders.running(), memory_limit="1Gi"),
        builders.pod("web-abc-4", builders.running()),
        builders.pod("web-old-5", builders.running(), memory_limit="100Mi"),
        builders.pod("web-abc-6", builders.running(), memory_limit="100Mi", node=""),
    ]

    found = plan_for(known, *pods)

    assert ["web-abc-1"] == pod_names(found)
    assert isinstance(found[0], Resize)
    assert [] == plan_for(known.model_copy(update={"memory_in_template": True}), less)


def test_cpu_is_raised_in_running_pods() -> None:
    """Always, beside memory that is in the template; the limit of the builders is one core."""
    pod = builders.pod("web-abc-1", builders.running(), memory_limit="100Mi")
    raised = make_record(
        mode="Auto",
        memory_limits=raised_to("200Mi"),
        memory_in_template=True,
        cpu_limits=raised_to("1500m"),
    )
    (found,) = plan_for(raised, pod)

    assert isinstance(found, Resize)
    assert {APP_CPU: "1500m"} == found.limits
    assert [] == plan_for(make_record(mode="Auto", cpu_limits=raised_to("1000m")), pod)


def test_a_pod_is_isolated() -> None:
    """If it is not ready, and another pod is."""
    known = make_record(mode="Auto", quarantine=make_quarantine())

    found = plan_for(known, FAILING_POD, HEALTHY_POD)

    assert ["web-abc-1"] == pod_names(found)
    assert isinstance(found[0], Isolate)
    assert [] == plan_for(known, FAILING_POD, OTHER_POD | {"status": FAILING_POD["status"]})
    assert [] == plan_for(known, builders.pod("web-abc-1", builders.running()), HEALTHY_POD)
    assert [] == plan_for(known, HEALTHY_POD)


@pytest.mark.parametrize("mode", ["Auto", "Observe", "Off"])
def test_the_isolated_pod_is_deleted_after_its_ttl(mode: str) -> None:
    """In any mode, unless it was never isolated and still belongs to the app."""
    known = make_record(mode=mode, quarantine=make_quarantine(until=AT))

    assert ["web-abc-1"] == pod_names(plan_for(known, HEALTHY_POD))
    assert [] == plan_for(known, FAILING_POD, HEALTHY_POD)


def test_an_app_that_is_a_job_now_leaves_no_pod_behind() -> None:
    """The isolated pod is deleted with the Deployment."""
    assert ["web-abc-1"] == pod_names(
        list(plan_cleanup_for_job(make_record(quarantine=make_quarantine())))
    )
    assert () == plan_cleanup_for_job(make_record())


@pytest.mark.parametrize(("mode", "number"), [("Auto", 3), ("Approve", 0), ("Off", 0)])
def test_all_failed_pods_but_the_newest_are_deleted(mode: str, number: int) -> None:
    """Only in the mode Auto; two are kept for inspection."""
    failed = [builders.evicted_pod(f"web-abc-{n}", created=n) for n in range(1, 6)]

    found = plan_for(make_record(mode=mode), *failed)

    assert ["web-abc-3", "web-abc-2", "web-abc-1"][:number] == pod_names(found)


def test_failed_pods_are_deleted_in_batches() -> None:
    """Not without a Deployment: a Job counts its failed pods."""
    failed = [builders.evicted_pod(f"web-abc-{n}", created=n) for n in range(50)]

    assert MAX_DELETES == len(plan_for(make_record(mode="Auto"), *failed))
    assert () == plan_steps(make_record(mode="Auto"), build_snapshot(*failed), NOW)


def test_off_plans_no_step() -> None:
    """Whatever action is in progress in the record."""
    assert [] == plan_for(
        REPLACE_POD_RECORD.model_copy(update={"mode": "Off"}), FAILING_POD, HEALTHY_POD, OTHER_POD
    )


@pytest.mark.parametrize(
    ("asked", "mode", "at", "goes_on"),
    [
        (NEW_REVISION, "Auto", AT, True),
        (NEW_REVISION, "Approve", AT, True),
        ("other", "Auto", AT, False),
        (NEW_REVISION, "Observe", AT, False),
        (NEW_REVISION, "Off", AT, False),
        (NEW_REVISION, "Auto", AT + 200, False),
    ],
)
def test_the_current_spec_decides_which_action_is_executed(
    asked: str, mode: str, at: float, *, goes_on: bool
) -> None:
    """Another revision, another mode, or a downtime longer than the verification timeout."""
    found = discard_stale_action(REPLACE_POD_RECORD, asked, make_policy(mode=mode), builders.at(at))

    assert mode == found.mode
    assert goes_on is (found.history == REPLACE_POD_RECORD.history)


def test_a_record_without_a_running_action() -> None:
    """Only the mode is updated."""
    assert make_record(mode="Auto") == discard_stale_action(
        make_record(), "other", make_policy(), NOW
    )


def test_the_overrides_of_the_spec() -> None:
    """Nothing, or the stable template, the limit of new pods, the number of pods."""
    template: Json = {"spec": {}}
    known = make_record(
        failed_revision=NEW_REVISION, memory_limits=raised_to("1Gi"), fallback_replicas=5
    )

    assert Overrides() == build_overrides(None, template)
    assert Overrides() == build_overrides(make_record(), template)
    assert Overrides(template, {}, 5, failed_revision=NEW_REVISION) == build_overrides(
        known, template
    )
    assert Overrides(None, {"app": "1Gi"}) == build_overrides(
        make_record(memory_limits=raised_to("1Gi"), memory_in_template=True), template
    )
    assert Overrides() == build_overrides(make_record(memory_in_template=True), None)


def test_evidence_is_collected_for_running_actions_and_new_quarantines() -> None:
    """Once; a dry run needs no evidence."""
    running = make_action(3, outcome=ActionOutcome.IN_PROGRESS)
    quarantined = make_action(2, Remediation.QUARANTINE, ActionOutcome.COMPLETED, at=AT)
    collected = running.model_copy(update={"evidence": "key"})
    observed = make_action(1, outcome=ActionOutcome.OBSERVED)

    assert running == find_action_without_evidence(make_record(observed, running, quarantined), NOW)
    assert quarantined == find_action_without_evidence(
        make_record(collected, quarantined, observed), NOW
    )
    assert None is find_action_without_evidence(
        make_record(collected, quarantined, observed), builders.at(AT + 1)
    )


def test_the_evidence_pod_is_the_target_or_the_pod_with_most_restarts() -> None:
    """Among the unready pods; there may be none."""
    worst = builders.pod("web-abc-4", builders.running(ready=False, restarts=7))
    seen = build_snapshot(FAILING_POD, HEALTHY_POD, worst, builders.evicted_pod("web-abc-5"))
    target = make_action(uid="uid-of-web-abc-2", target="web-abc-2")

    assert "web-abc-2" == getattr(select_evidence_pod(target, seen), "name", "")
    assert "web-abc-4" == getattr(select_evidence_pod(make_action(), seen), "name", "")
    assert "web-abc-4" == getattr(select_evidence_pod(make_action(uid="gone"), seen), "name", "")
    assert None is select_evidence_pod(make_action(), build_snapshot(HEALTHY_POD))
