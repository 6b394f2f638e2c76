"""From the record to steps: the same until they are done, and none that would do harm by then."""

from typing import Any

import pytest

from selfhealing.api.healing_status import ActionOutcome, HealingStatus, Remedy
from selfhealing.remediation.actions import (
    AT_ONCE,
    Delete,
    Evict,
    Isolate,
    Resize,
    Step,
    due,
    farewell,
    overrides,
    plan,
    unwitnessed,
    witness,
)
from selfhealing.render.overrides import Overrides
from tests.unit import builders
from tests.unit.remediation.factories import AT, NEW, action, kept, limits, record
from tests.unit.snapshots import facts

NOW = builders.at(AT)
SICK = builders.pod("web-abc-1", builders.running(ready=False))
WELL = builders.pod("web-abc-2", builders.running())
OTHER = builders.pod("web-abc-3", builders.running())

Json = dict[str, Any]


def started(remedy: Remedy, target: str = "", uid: str = "") -> HealingStatus:
    """A record that asks for an action."""
    under_way = action(remedy=remedy, outcome=ActionOutcome.STARTED, target=target, uid=uid)
    return record(under_way, mode="Auto")


def steps(known: HealingStatus, *objects: Json, replicas: int = 3) -> list[Step]:
    """What is to be carried out."""
    return list(plan(known, facts(*objects, builders.deployment(replicas)), NOW))


def names(found: list[Step]) -> list[str]:
    """The pods of steps."""
    return [step.name if isinstance(step, Delete) else step.pod.name for step in found]


RECYCLE = started(Remedy.RECYCLE, "web-abc-1", "uid-of-web-abc-1")


def test_a_sick_pod_is_evicted_until_it_is_gone() -> None:
    """The pod that was chosen, and no other of its name."""
    found = steps(RECYCLE, SICK, WELL, OTHER)

    assert ["web-abc-1"] == names(found)
    assert isinstance(found[0], Evict)
    assert [] == steps(RECYCLE, WELL, OTHER)
    assert [] == steps(started(Remedy.RECYCLE, "web-abc-1", "another"), SICK, WELL)


@pytest.mark.parametrize(
    ("others", "replicas", "goes"),
    [([WELL, OTHER], 3, True), ([WELL], 3, False), ([], 1, False)],
)
def test_a_pod_that_recovered_goes_only_when_half_stay(
    others: list[Json], replicas: int, *, goes: bool
) -> None:
    """It was sick when it was chosen: since then the others may have fallen ill."""
    recovered = builders.pod("web-abc-1", builders.running())

    assert goes is bool(steps(RECYCLE, recovered, *others, replicas=replicas))


def test_without_a_deployment_no_ready_pod_is_evicted() -> None:
    """Nobody would make another."""
    assert () == plan(RECYCLE, facts(builders.pod("web-abc-1", builders.running()), WELL), NOW)


def test_the_pods_of_a_lost_node_are_deleted() -> None:
    """Those that are still silent and have no claims; when the node is back, none."""
    claim = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    lost: Json = {"ready": False, "ready_reason": ""}
    on_it = builders.pod("web-abc-1", builders.running(), node="node-9", **lost)
    with_claim = builders.pod("web-abc-2", builders.running(), node="node-9", volumes=claim, **lost)
    elsewhere = builders.pod("web-abc-3", builders.running(), node="node-8", **lost)
    back = builders.pod("web-abc-4", builders.running(), node="node-9")

    found = steps(started(Remedy.FAILOVER, "node-9"), on_it, with_claim, elsewhere, back)

    assert [
        Delete("web-abc-1", "uid-of-web-abc-1", "its node node-9 does not answer"),
    ] == found


def test_memory_is_raised_in_pods_that_have_less() -> None:
    """Of the current template and on a node, while new pods are not made with it."""
    known = record(mode="Auto", memory_limit="200Mi")
    less = builders.pod("web-abc-1", builders.running(), limit="100Mi")
    pods = [
        less,
        builders.pod("web-abc-2", builders.running(), limit="200Mi"),
        builders.pod("web-abc-3", builders.running(), limit="1Gi"),
        builders.pod("web-abc-4", builders.running()),
        builders.pod("web-old-5", builders.running(), limit="100Mi"),
        builders.pod("web-abc-6", builders.running(), limit="100Mi", node=""),
    ]

    found = steps(known, *pods)

    assert ["web-abc-1"] == names(found)
    assert isinstance(found[0], Resize)
    assert [] == steps(known.model_copy(update={"memory_in_template": True}), less)


def test_a_pod_is_taken_out_and_kept() -> None:
    """While it is not ready and another is."""
    known = record(mode="Auto", quarantine=kept())

    found = steps(known, SICK, WELL)

    assert ["web-abc-1"] == names(found)
    assert isinstance(found[0], Isolate)
    assert [] == steps(known, SICK, OTHER | {"status": SICK["status"]})
    assert [] == steps(known, builders.pod("web-abc-1", builders.running()), WELL)
    assert [] == steps(known, WELL)


@pytest.mark.parametrize("mode", ["Auto", "Observe", "Off"])
def test_the_kept_pod_goes_in_time(mode: str) -> None:
    """In any mode; but not one that was never taken out: it is one of the app's own."""
    known = record(mode=mode, quarantine=kept(until=AT))

    assert ["web-abc-1"] == names(steps(known, WELL))
    assert [] == steps(known, SICK, WELL)


def test_an_app_that_is_a_job_now_leaves_no_pod_behind() -> None:
    """What was kept apart goes with the Deployment."""
    assert ["web-abc-1"] == names(list(farewell(record(quarantine=kept()))))
    assert () == farewell(record())


@pytest.mark.parametrize(("mode", "number"), [("Auto", 3), ("Approve", 0), ("Off", 0)])
def test_failed_pods_are_cleared_away_but_the_newest(mode: str, number: int) -> None:
    """Only where nobody is to be asked; two are kept to be looked at."""
    failed = [builders.evicted(f"web-abc-{n}", created=n) for n in range(1, 6)]

    found = steps(record(mode=mode), *failed)

    assert ["web-abc-3", "web-abc-2", "web-abc-1"][:number] == names(found)


def test_many_failed_pods_are_cleared_away_bit_by_bit() -> None:
    """And none without a Deployment: those of a Job are its books."""
    failed = [builders.evicted(f"web-abc-{n}", created=n) for n in range(50)]

    assert AT_ONCE == len(steps(record(mode="Auto"), *failed))
    assert () == plan(record(mode="Auto"), facts(*failed), NOW)


def test_off_carries_nothing_out() -> None:
    """Whatever the record says was started."""
    assert [] == steps(RECYCLE.model_copy(update={"mode": "Off"}), SICK, WELL, OTHER)


@pytest.mark.parametrize(
    ("asked", "mode", "at", "goes_on"),
    [
        (NEW, "Auto", AT, True),
        (NEW, "Approve", AT, True),
        ("other", "Auto", AT, False),
        (NEW, "Observe", AT, False),
        (NEW, "Off", AT, False),
        (NEW, "Auto", AT + 200, False),
    ],
)
def test_what_people_want_now_decides_what_is_still_due(
    asked: str, mode: str, at: float, *, goes_on: bool
) -> None:
    """Another version, another mode, or an operator that was away for longer than it may take."""
    found = due(RECYCLE, asked, limits(mode=mode), builders.at(at))

    assert mode == found.mode
    assert goes_on is (found.history == RECYCLE.history)


def test_nothing_under_way_is_still_nothing() -> None:
    """Only the mode is that of the spec."""
    assert record(mode="Auto") == due(record(), "other", limits(), NOW)


def test_what_stands_in_place_of_the_spec() -> None:
    """Nothing, or the kept template, the memory that is for new pods, the floor."""
    template: Json = {"spec": {}}
    known = record(failed_template=NEW, memory_limit="1Gi", fallback_replicas=5)

    assert Overrides() == overrides(None, template)
    assert Overrides() == overrides(record(), template)
    assert Overrides(template, "", 5) == overrides(known, template)
    assert Overrides(None, "1Gi") == overrides(
        record(memory_limit="1Gi", memory_in_template=True), template
    )
    assert Overrides() == overrides(record(memory_in_template=True), None)


def test_evidence_is_taken_of_what_is_started_and_of_what_was_just_left() -> None:
    """Once; what is noted only destroys nothing."""
    under_way = action(3, outcome=ActionOutcome.STARTED)
    left = action(2, Remedy.QUARANTINE, ActionOutcome.DONE, at=AT)
    seen = under_way.model_copy(update={"evidence": "key"})
    noted = action(1, outcome=ActionOutcome.OBSERVED)

    assert under_way == unwitnessed(record(noted, under_way, left), NOW)
    assert left == unwitnessed(record(seen, left, noted), NOW)
    assert None is unwitnessed(record(seen, left, noted), builders.at(AT + 1))


def test_the_witness_is_the_target_or_the_pod_that_is_worst_off() -> None:
    """Among those that are not ready; there may be none."""
    worst = builders.pod("web-abc-4", builders.running(ready=False, restarts=7))
    seen = facts(SICK, WELL, worst, builders.evicted("web-abc-5"))
    target = action(uid="uid-of-web-abc-2", target="web-abc-2")

    assert "web-abc-2" == getattr(witness(target, seen), "name", "")
    assert "web-abc-4" == getattr(witness(action(), seen), "name", "")
    assert "web-abc-4" == getattr(witness(action(uid="gone"), seen), "name", "")
    assert None is witness(action(), facts(WELL))
