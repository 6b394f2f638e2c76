"""From the record to steps: the same until they are done, and none that would do harm by then."""

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
    AT,
    NEW_REVISION,
    make_action,
    make_policy,
    make_quarantine,
    make_record,
)
from tests.unit.snapshots import build_snapshot

NOW = builders.at(AT)
FAILING_POD = builders.pod("web-abc-1", builders.running(ready=False))
HEALTHY_POD = builders.pod("web-abc-2", builders.running())
OTHER_POD = builders.pod("web-abc-3", builders.running())

Json = dict[str, Any]


def make_running_record(remediation: Remediation, target: str = "", uid: str = "") -> HealingStatus:
    """A record that asks for an action."""
    running = make_action(
        remediation=remediation, outcome=ActionOutcome.IN_PROGRESS, target=target, uid=uid
    )
    return make_record(running, mode="Auto")


def plan_for(record: HealingStatus, *objects: Json, replicas: int = 3) -> list[Step]:
    """What is to be carried out."""
    return list(plan_steps(record, build_snapshot(*objects, builders.deployment(replicas)), NOW))


def pod_names(steps: list[Step]) -> list[str]:
    """The pods of steps."""
    return [step.name if isinstance(step, Delete) else step.pod.name for step in steps]


REPLACE_POD_RECORD = make_running_record(Remediation.REPLACE_POD, "web-abc-1", "uid-of-web-abc-1")


def test_a_sick_pod_is_evicted_until_it_is_gone() -> None:
    """The pod that was chosen, and no other of its name."""
    found = plan_for(REPLACE_POD_RECORD, FAILING_POD, HEALTHY_POD, OTHER_POD)

    assert ["web-abc-1"] == pod_names(found)
    assert isinstance(found[0], Evict)
    assert [] == plan_for(REPLACE_POD_RECORD, HEALTHY_POD, OTHER_POD)
    assert [] == plan_for(
        make_running_record(Remediation.REPLACE_POD, "web-abc-1", "another"),
        FAILING_POD,
        HEALTHY_POD,
    )


@pytest.mark.parametrize(
    ("others", "replicas", "goes"),
    [([HEALTHY_POD, OTHER_POD], 3, True), ([HEALTHY_POD], 3, False), ([], 1, False)],
)
def test_a_pod_that_recovered_goes_only_when_half_stay(
    others: list[Json], replicas: int, *, goes: bool
) -> None:
    """It was sick when it was chosen: since then the others may have fallen ill."""
    recovered = builders.pod("web-abc-1", builders.running())

    assert goes is bool(plan_for(REPLACE_POD_RECORD, recovered, *others, replicas=replicas))


def test_without_a_deployment_no_ready_pod_is_evicted() -> None:
    """Nobody would make another."""
    assert () == plan_steps(
        REPLACE_POD_RECORD,
        build_snapshot(builders.pod("web-abc-1", builders.running()), HEALTHY_POD),
        NOW,
    )


def test_the_pods_of_a_lost_node_are_deleted() -> None:
    """Those that are still silent and have no claims; when the node is back, none."""
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
    """Of the current template and on a node, while new pods are not made with it."""
    known = make_record(mode="Auto", memory_limit="200Mi")
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


def test_a_pod_is_taken_out_and_kept() -> None:
    """While it is not ready and another is."""
    known = make_record(mode="Auto", quarantine=make_quarantine())

    found = plan_for(known, FAILING_POD, HEALTHY_POD)

    assert ["web-abc-1"] == pod_names(found)
    assert isinstance(found[0], Isolate)
    assert [] == plan_for(known, FAILING_POD, OTHER_POD | {"status": FAILING_POD["status"]})
    assert [] == plan_for(known, builders.pod("web-abc-1", builders.running()), HEALTHY_POD)
    assert [] == plan_for(known, HEALTHY_POD)


@pytest.mark.parametrize("mode", ["Auto", "Observe", "Off"])
def test_the_kept_pod_goes_in_time(mode: str) -> None:
    """In any mode; but not one that was never taken out: it is one of the app's own."""
    known = make_record(mode=mode, quarantine=make_quarantine(until=AT))

    assert ["web-abc-1"] == pod_names(plan_for(known, HEALTHY_POD))
    assert [] == plan_for(known, FAILING_POD, HEALTHY_POD)


def test_an_app_that_is_a_job_now_leaves_no_pod_behind() -> None:
    """What was kept apart goes with the Deployment."""
    assert ["web-abc-1"] == pod_names(
        list(plan_cleanup_for_job(make_record(quarantine=make_quarantine())))
    )
    assert () == plan_cleanup_for_job(make_record())


@pytest.mark.parametrize(("mode", "number"), [("Auto", 3), ("Approve", 0), ("Off", 0)])
def test_failed_pods_are_cleared_away_but_the_newest(mode: str, number: int) -> None:
    """Only where nobody is to be asked; two are kept to be looked at."""
    failed = [builders.evicted_pod(f"web-abc-{n}", created=n) for n in range(1, 6)]

    found = plan_for(make_record(mode=mode), *failed)

    assert ["web-abc-3", "web-abc-2", "web-abc-1"][:number] == pod_names(found)


def test_many_failed_pods_are_cleared_away_bit_by_bit() -> None:
    """And none without a Deployment: those of a Job are its books."""
    failed = [builders.evicted_pod(f"web-abc-{n}", created=n) for n in range(50)]

    assert MAX_DELETES == len(plan_for(make_record(mode="Auto"), *failed))
    assert () == plan_steps(make_record(mode="Auto"), build_snapshot(*failed), NOW)


def test_off_carries_nothing_out() -> None:
    """Whatever the record says was started."""
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
def test_what_people_want_now_decides_what_is_still_due(
    asked: str, mode: str, at: float, *, goes_on: bool
) -> None:
    """Another version, another mode, or an operator that was away for longer than it may take."""
    found = discard_stale_action(REPLACE_POD_RECORD, asked, make_policy(mode=mode), builders.at(at))

    assert mode == found.mode
    assert goes_on is (found.history == REPLACE_POD_RECORD.history)


def test_nothing_under_way_is_still_nothing() -> None:
    """Only the mode is that of the spec."""
    assert make_record(mode="Auto") == discard_stale_action(
        make_record(), "other", make_policy(), NOW
    )


def test_what_stands_in_place_of_the_spec() -> None:
    """Nothing, or the kept template, the memory that is for new pods, the floor."""
    template: Json = {"spec": {}}
    known = make_record(failed_revision=NEW_REVISION, memory_limit="1Gi", fallback_replicas=5)

    assert Overrides() == build_overrides(None, template)
    assert Overrides() == build_overrides(make_record(), template)
    assert Overrides(template, "", 5) == build_overrides(known, template)
    assert Overrides(None, "1Gi") == build_overrides(
        make_record(memory_limit="1Gi", memory_in_template=True), template
    )
    assert Overrides() == build_overrides(make_record(memory_in_template=True), None)


def test_evidence_is_taken_of_what_is_started_and_of_what_was_just_left() -> None:
    """Once; what is noted only destroys nothing."""
    under_way = make_action(3, outcome=ActionOutcome.IN_PROGRESS)
    left = make_action(2, Remediation.QUARANTINE, ActionOutcome.COMPLETED, at=AT)
    seen = under_way.model_copy(update={"evidence": "key"})
    noted = make_action(1, outcome=ActionOutcome.OBSERVED)

    assert under_way == find_action_without_evidence(make_record(noted, under_way, left), NOW)
    assert left == find_action_without_evidence(make_record(seen, left, noted), NOW)
    assert None is find_action_without_evidence(make_record(seen, left, noted), builders.at(AT + 1))


def test_the_witness_is_the_target_or_the_pod_that_is_worst_off() -> None:
    """Among those that are not ready; there may be none."""
    worst = builders.pod("web-abc-4", builders.running(ready=False, restarts=7))
    seen = build_snapshot(FAILING_POD, HEALTHY_POD, worst, builders.evicted_pod("web-abc-5"))
    target = make_action(uid="uid-of-web-abc-2", target="web-abc-2")

    assert "web-abc-2" == getattr(select_evidence_pod(target, seen), "name", "")
    assert "web-abc-4" == getattr(select_evidence_pod(make_action(), seen), "name", "")
    assert "web-abc-4" == getattr(select_evidence_pod(make_action(uid="gone"), seen), "name", "")
    assert None is select_evidence_pod(make_action(), build_snapshot(HEALTHY_POD))
