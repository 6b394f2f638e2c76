"""Which remedy fits: each rung of the ladder, and when it cannot be stepped on."""

from dataclasses import replace
from typing import Any

import pytest

from selfhealing.api.healing_status import ActionOutcome, HealingAction, Remedy
from selfhealing.health.app_diagnosis import Illness
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.pod_diagnosis import IllnessType
from selfhealing.remediation.context import Situation
from selfhealing.remediation.strategies import LADDER, Proposal, choose, exhausted, in_template
from tests.unit.remediation.factories import (
    ALSO_WELL,
    AT,
    BAD_VERSION,
    BLIND,
    GOOD,
    LOST,
    NEW,
    SICK,
    WELL,
    a_pod,
    action,
    beside,
    case,
    ill,
    limits,
    record,
    situated,
)

PROVEN = record(good_template=GOOD, good_image="web:v1")
OOM = IllnessType.OOM_KILLED
HUNG = ill(IllnessType.NOT_READY_TOO_LONG, Cause.POD, confidence=Confidence.LOW)
LOST_NODE = ill(IllnessType.NODE_LOST, Cause.NODE, LOST)


def chosen(found: Proposal | None) -> tuple[Remedy, str, str] | None:
    """What is to be done, to what."""
    return (found.remedy, found.target, found.uid) if found else None


RECYCLED = (Remedy.RECYCLE, SICK.name, SICK.uid)
ROLLED_BACK = (Remedy.ROLLBACK, GOOD, "")


@pytest.mark.parametrize("kind", [k for k, rungs in LADDER.items() if Remedy.ROLLBACK in rungs])
def test_a_new_version_to_blame_is_gone_back_from(kind: IllnessType) -> None:
    """Whatever it has, where going back may help."""
    found = choose(beside(PROVEN, case(ill(kind, Cause.NEW_VERSION)), limits(memory=None)))

    assert found is not None
    assert ROLLED_BACK == chosen(found)
    assert (
        f"back to version good (web:v1), because new (web:v2) is bad: {kind} it is" == found.message
    )


@pytest.mark.parametrize(
    ("known", "situation", "healing"),
    [
        ({"good_template": None}, Situation(), {}),
        ({"good_template": NEW}, Situation(), {}),
        ({"failed_template": NEW}, Situation(), {}),
        ({}, Situation(good_lost=True), {}),
        ({}, Situation(), {"rollback": {"enabled": False}}),
    ],
)
def test_there_must_be_something_to_go_back_to(
    known: dict[str, str], situation: Situation, healing: dict[str, object]
) -> None:
    """None is known, it is this one, it failed already, it is lost, or nobody wants it."""
    before = PROVEN.model_copy(update=known)
    now = case(BAD_VERSION, situation=situation)

    assert None is choose(beside(before, now, limits(**healing)))


@pytest.mark.parametrize("cause", [c for c in Cause if c is not Cause.NEW_VERSION])
def test_only_a_version_that_is_to_blame_goes(cause: Cause) -> None:
    """A blind rollback changes what runs and heals nothing."""
    assert None is choose(beside(PROVEN, case(ill(IllnessType.CONFIG_ERROR, cause))))


def test_a_sick_pod_is_replaced() -> None:
    """Others of its version are well."""
    found = choose(beside(record(), case(ill())))

    assert found is not None
    assert RECYCLED == chosen(found)
    assert "web-abc-1 is replaced: CrashLooping it is" == found.message


@pytest.mark.parametrize(
    "illness",
    [
        ill(cause=Cause.UNKNOWN),
        ill(cause=Cause.ENVIRONMENT),
        ill(confidence=Confidence.LOW),
        ill(IllnessType.CRASH_LOOPING, Cause.POD, a_pod("web-abc-9")),
        ill(IllnessType.UNSCHEDULABLE),
        ill(IllnessType.DEPENDENCY_DOWN),
    ],
)
def test_a_pod_that_would_fare_no_better_stays(illness: Illness) -> None:
    """What surrounds it is to blame, it is the only one, it is gone already, or it never ran."""
    assert None is choose(beside(record(), case(illness)))


def test_a_pod_that_hangs_alone_is_replaced() -> None:
    """There is nothing to compare it with, but it serves nobody."""
    assert RECYCLED == chosen(choose(beside(record(), case(HUNG, wanted=1, pods=(SICK,)))))


def test_nobody_wants_pods_replaced() -> None:
    """Then they are not."""
    assert None is choose(beside(record(), case(ill()), limits(recycle={"enabled": False})))


@pytest.mark.parametrize(
    ("wanted", "others", "goes"),
    [(3, (WELL, ALSO_WELL), True), (3, (WELL,), False), (1, (), False), (2, (WELL,), True)],
)
def test_a_ready_pod_goes_only_when_half_stay(
    wanted: int, others: tuple[object, ...], *, goes: bool
) -> None:
    """One in a slow loop is ready at this moment."""
    pod = a_pod("web-abc-5", ready=True)
    now = case(ill(IllnessType.CRASH_LOOPING, Cause.POD, pod), wanted=wanted, pods=(pod, *others))

    assert goes is (choose(beside(record(), now)) is not None)


@pytest.mark.parametrize(
    "past",
    [
        (action(outcome=ActionOutcome.NO_HELP),),
        (action(2, outcome=ActionOutcome.HELPED), action(1, outcome=ActionOutcome.HELPED)),
    ],
)
def test_pods_are_not_replaced_for_ever(past: tuple[HealingAction, ...]) -> None:
    """Not after one attempt in vain, and not a third time."""
    bedside = beside(record(*past), case(ill()))

    assert None is choose(bedside)
    assert exhausted(bedside)


def test_a_pod_is_replaced_a_second_time() -> None:
    """Once may be an accident, and what helped against something else does not count."""
    before = record(
        action(2, outcome=ActionOutcome.HELPED),
        action(1, outcome=ActionOutcome.HELPED, diagnosis=IllnessType.LIVENESS_KILLED),
    )

    assert RECYCLED == chosen(choose(beside(before, case(ill()))))


@pytest.mark.parametrize(("known", "limit"), [({}, "200Mi"), ({"memory_limit": "200Mi"}, "300Mi")])
def test_memory_is_raised_step_by_step(known: dict[str, str], limit: str) -> None:
    """From the spec's limit to the maximum."""
    found = choose(beside(record(**known), case(ill(OOM))))

    assert (Remedy.RAISE_MEMORY, limit, "") == chosen(found)


@pytest.mark.parametrize("limit", ["200Mi", "300Mi"])
def test_memory_that_did_not_arrive(limit: str) -> None:
    """The same limit in new pods comes before a higher one; at the maximum it is the last."""
    vain = action(remedy=Remedy.RAISE_MEMORY, diagnosis=OOM)
    found = choose(beside(record(vain, memory_limit=limit), case(ill(OOM))))

    assert (Remedy.RAISE_MEMORY, limit, "") == chosen(found)


def test_the_maximum_is_in_the_pods() -> None:
    """And was not said to be in vain: there is no more."""
    assert None is choose(beside(record(memory_limit="300Mi"), case(ill(OOM))))


@pytest.mark.parametrize(
    ("known", "memory", "healing"),
    [
        ({"memory_limit": "300Mi", "memory_in_template": True}, "100Mi", {}),
        ({}, "300Mi", {}),
        ({}, "", {}),
        ({}, "100Mi", {"memory": None}),
    ],
)
def test_memory_ends(known: dict[str, object], memory: str, healing: dict[str, object]) -> None:
    """At the maximum, where there is no limit at all, and where nobody wants it raised."""
    now = case(ill(OOM), memory=memory)

    assert None is choose(beside(record(**known), now, limits(**healing)))


def test_memory_is_raised_from_what_the_pods_have() -> None:
    """The version that was gone back to had more than the spec asks for now."""
    rich = a_pod("web-abc-1", limit="190Mi")
    found = choose(beside(record(), case(ill(OOM, Cause.POD, SICK, rich))))

    assert (Remedy.RAISE_MEMORY, "290Mi", "") == chosen(found)


def test_new_pods_are_made_when_those_that_run_did_not_take_it() -> None:
    """Kubernetes issue 138760: a container in an OOM loop may not get its new limit."""
    raised = action(remedy=Remedy.RAISE_MEMORY, diagnosis=OOM)
    first = beside(record(), case(ill(OOM)))
    then = beside(record(raised, memory_limit="200Mi"), case(ill(OOM)))
    later = beside(record(memory_limit="200Mi", memory_in_template=True), case(ill(OOM)))

    assert [False, True, True] == [in_template(each, ill(OOM)) for each in (first, then, later)]


def test_memory_comes_before_a_rollback() -> None:
    """A new version may need more; only when more does not help it is bad."""
    bad = ill(OOM, Cause.NEW_VERSION)
    spent = {"memory_limit": "300Mi", "memory_in_template": True}

    first = choose(beside(PROVEN, case(bad)))
    then = choose(beside(PROVEN.model_copy(update=spent), case(bad)))

    assert (Remedy.RAISE_MEMORY, "200Mi", "") == chosen(first)
    assert ROLLED_BACK == chosen(then)


def test_the_pods_of_a_lost_node_are_replaced() -> None:
    """When it has been silent for long enough."""
    found = choose(beside(record(), case(LOST_NODE, pods=(LOST, WELL))))

    assert (Remedy.FAILOVER, "node-9", "") == chosen(found)


def test_a_node_is_given_time_to_come_back() -> None:
    """The alarm is set to the end of it."""
    bedside = beside(record(), case(LOST_NODE, pods=(LOST, WELL)), at=AT - 70)

    assert None is choose(bedside)
    assert 30.0 == bedside.alarm.delay


@pytest.mark.parametrize(
    ("past", "healing", "claims"),
    [
        ((action(remedy=Remedy.FAILOVER, diagnosis=IllnessType.NODE_LOST),), {}, False),
        ((), {"failover": {"enabled": False}}, False),
        ((), {}, True),
    ],
)
def test_pods_of_a_lost_node_stay(
    past: tuple[HealingAction, ...], healing: dict[str, object], *, claims: bool
) -> None:
    """It was in vain, nobody wants it, or a volume may be written to by both."""
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    pod = a_pod("web-abc-4", since=0, volumes=volumes) if claims else LOST
    now = case(ill(IllnessType.NODE_LOST, Cause.NODE, pod))

    assert None is choose(beside(record(*past), now, limits(**healing)))


def test_a_blind_autoscaler_is_given_a_floor() -> None:
    """The number that the user wants until there are metrics again."""
    assert (Remedy.SCALING_FALLBACK, "5", "") == chosen(choose(beside(record(), case(BLIND))))


@pytest.mark.parametrize(
    ("known", "wanted", "healing"),
    [
        ({"fallback_replicas": 5}, 5, {}),
        ({}, 5, {}),
        ({}, 3, {"scalingFallback": None}),
        (
            {
                "history": [
                    action(
                        remedy=Remedy.SCALING_FALLBACK, diagnosis=IllnessType.METRICS_UNAVAILABLE
                    )
                ]
            },
            3,
            {},
        ),
    ],
)
def test_no_floor_is_needed(
    known: dict[str, object], wanted: int, healing: dict[str, object]
) -> None:
    """There is one, there are enough pods, nobody wants one, or it was in vain."""
    now = case(BLIND, wanted=wanted)

    assert None is choose(beside(record().model_copy(update=known), now, limits(**healing)))


def test_the_gravest_illness_that_something_helps_against_comes_first() -> None:
    """What nothing helps against does not keep the others from help."""
    hopeless = ill(IllnessType.CONFIG_ERROR, Cause.UNKNOWN)

    assert RECYCLED == chosen(choose(beside(record(), case(hopeless, HUNG, BLIND))))


@pytest.mark.parametrize(
    ("past", "spent"),
    [
        ((), False),
        ((action(),), True),
        ((action(outcome=ActionOutcome.HELPED),), True),
        ((action(remedy=Remedy.ROLLBACK, outcome=ActionOutcome.HELPED),), False),
        ((action(remedy=Remedy.FAILOVER, outcome=ActionOutcome.HELPED),), False),
        ((action(remedy=Remedy.SCALING_FALLBACK, outcome=ActionOutcome.HELPED),), False),
        ((action(remedy=Remedy.ROLLBACK),), True),
        ((action(outcome=ActionOutcome.OVERTAKEN),), False),
        ((action(outcome=ActionOutcome.OBSERVED),), False),
        ((action(diagnosis=IllnessType.NODE_LOST),), False),
        ((action(at=-5),), False),
    ],
)
def test_an_app_is_at_the_end_of_its_ladder(
    past: tuple[HealingAction, ...], *, spent: bool
) -> None:
    """When something was in vain against what it still has, in this version."""
    assert spent is exhausted(beside(record(*past), case(ill())))


def test_situations_do_not_hide_from_the_choice() -> None:
    """What may be done is not the choice's business: many silent nodes are judged later."""
    now = situated(LOST_NODE, nodes_lost=True)

    assert Remedy.FAILOVER is getattr(choose(beside(record(), now)), "remedy", None)


ON_ONE_NODE = ill(IllnessType.CRASH_LOOPING, Cause.NODE, SICK)
MOVED = (Remedy.RELOCATE, "node-1", "")


def test_pods_leave_a_node_that_is_bad_for_them() -> None:
    """Replacing one of them would not make the app well, and the next may land there again."""
    found = choose(beside(record(), case(ON_ONE_NODE)))

    assert MOVED == chosen(found)
    assert found is not None
    assert found.message.startswith("the pods are made anew, away from node-1: ")


@pytest.mark.parametrize(
    ("past", "known", "healing"),
    [
        ((action(remedy=Remedy.RELOCATE, outcome=ActionOutcome.HELPED),), {}, {}),
        ((action(remedy=Remedy.RELOCATE),), {}, {}),
        ((), {"avoided_node": "node-8"}, {}),
        ((), {}, {"recycle": {"enabled": False}}),
    ],
    ids=["it helped for a while", "in vain", "another node is avoided", "pods are to stay"],
)
def test_pods_leave_one_node_once(
    past: tuple[HealingAction, ...], known: dict[str, str], healing: dict[str, Any]
) -> None:
    """It is a rollout of the whole app: not a thing to be done again and again."""
    found = choose(beside(record(*past, **known), case(ON_ONE_NODE), limits(**healing)))

    assert MOVED != chosen(found)


def test_a_rollout_that_would_stop_all_pods() -> None:
    """Then only one pod is replaced."""
    found = choose(beside(record(), replace(case(ON_ONE_NODE), recreates=True)))

    assert RECYCLED == chosen(found)


def test_the_illness_must_be_the_nodes() -> None:
    """A single pod may have bad luck anywhere."""
    assert RECYCLED == chosen(choose(beside(record(), case(ill()))))
