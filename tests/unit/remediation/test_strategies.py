"""Which remedy fits: each rung of the ladder, and when it cannot be stepped on."""

from dataclasses import replace
from typing import Any

import pytest

from selfhealing.api.healing_status import ActionOutcome, HealingAction, Remediation
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.remediation.context import ExternalState
from selfhealing.remediation.strategies import (
    ESCALATION,
    ProposedAction,
    choose_action,
    is_exhausted,
    needs_new_pods,
)
from tests.unit.remediation.factories import (
    AT,
    BAD_REVISION,
    FAILING_POD,
    HEALTHY_POD,
    LOST_NODE_POD,
    NEW_REVISION,
    NO_METRICS,
    OTHER_HEALTHY_POD,
    STABLE_REVISION,
    make_action,
    make_context,
    make_context_with,
    make_decision_input,
    make_diagnosis,
    make_pod,
    make_policy,
    make_record,
)

STABLE_RECORD = make_record(stable_revision=STABLE_REVISION, stable_image="web:v1")
OOM = DiagnosisType.OOM_KILLED
HUNG_POD = make_diagnosis(DiagnosisType.NOT_READY_TOO_LONG, Cause.POD, confidence=Confidence.LOW)
NODE_LOST = make_diagnosis(DiagnosisType.NODE_LOST, Cause.NODE, LOST_NODE_POD)


def action_key(proposal: ProposedAction | None) -> tuple[Remediation, str, str] | None:
    """What is to be done, to what."""
    return (proposal.remediation, proposal.target, proposal.uid) if proposal else None


REPLACE_POD = (Remediation.REPLACE_POD, FAILING_POD.name, FAILING_POD.uid)
ROLLED_BACK = (Remediation.ROLLBACK, STABLE_REVISION, "")


@pytest.mark.parametrize(
    "kind", [k for k, rungs in ESCALATION.items() if Remediation.ROLLBACK in rungs]
)
def test_a_new_version_to_blame_is_gone_back_from(kind: DiagnosisType) -> None:
    """Whatever it has, where going back may help."""
    found = choose_action(
        make_decision_input(
            STABLE_RECORD,
            make_context(make_diagnosis(kind, Cause.NEW_VERSION)),
            make_policy(memory=None),
        )
    )

    assert found is not None
    assert ROLLED_BACK == action_key(found)
    assert (
        f"back to revision good (web:v1), because new (web:v2) is bad: {kind} it is"
        == found.message
    )


@pytest.mark.parametrize(
    ("known", "external", "healing"),
    [
        ({"stable_revision": None}, ExternalState(), {}),
        ({"stable_revision": NEW_REVISION}, ExternalState(), {}),
        ({"failed_revision": NEW_REVISION}, ExternalState(), {}),
        ({}, ExternalState(stable_revision_missing=True), {}),
        ({}, ExternalState(), {"rollback": {"enabled": False}}),
    ],
)
def test_there_must_be_something_to_go_back_to(
    known: dict[str, str], external: ExternalState, healing: dict[str, object]
) -> None:
    """None is known, it is this one, it failed already, it is lost, or nobody wants it."""
    before = STABLE_RECORD.model_copy(update=known)
    now = make_context(BAD_REVISION, external=external)

    assert None is choose_action(make_decision_input(before, now, make_policy(**healing)))


@pytest.mark.parametrize("cause", [c for c in Cause if c is not Cause.NEW_VERSION])
def test_only_a_version_that_is_to_blame_goes(cause: Cause) -> None:
    """A blind rollback changes what runs and heals nothing."""
    assert None is choose_action(
        make_decision_input(
            STABLE_RECORD, make_context(make_diagnosis(DiagnosisType.CONFIG_ERROR, cause))
        )
    )


def test_a_sick_pod_is_replaced() -> None:
    """Others of its version are well."""
    found = choose_action(make_decision_input(make_record(), make_context(make_diagnosis())))

    assert found is not None
    assert REPLACE_POD == action_key(found)
    assert "web-abc-1 is replaced: CrashLooping it is" == found.message


@pytest.mark.parametrize(
    "illness",
    [
        make_diagnosis(cause=Cause.UNKNOWN),
        make_diagnosis(cause=Cause.ENVIRONMENT),
        make_diagnosis(confidence=Confidence.LOW),
        make_diagnosis(DiagnosisType.CRASH_LOOPING, Cause.POD, make_pod("web-abc-9")),
        make_diagnosis(DiagnosisType.UNSCHEDULABLE),
        make_diagnosis(DiagnosisType.DEPENDENCY_DOWN),
    ],
)
def test_a_pod_that_would_fare_no_better_stays(illness: AppDiagnosis) -> None:
    """What surrounds it is to blame, it is the only one, it is gone already, or it never ran."""
    assert None is choose_action(make_decision_input(make_record(), make_context(illness)))


def test_a_pod_that_hangs_alone_is_replaced() -> None:
    """There is nothing to compare it with, but it serves nobody."""
    assert REPLACE_POD == action_key(
        choose_action(
            make_decision_input(
                make_record(), make_context(HUNG_POD, wanted=1, pods=(FAILING_POD,))
            )
        )
    )


def test_nobody_wants_pods_replaced() -> None:
    """Then they are not."""
    assert None is choose_action(
        make_decision_input(
            make_record(),
            make_context(make_diagnosis()),
            make_policy(replacePod={"enabled": False}),
        )
    )


@pytest.mark.parametrize(
    ("wanted", "others", "goes"),
    [
        (3, (HEALTHY_POD, OTHER_HEALTHY_POD), True),
        (3, (HEALTHY_POD,), False),
        (1, (), False),
        (2, (HEALTHY_POD,), True),
    ],
)
def test_a_ready_pod_goes_only_when_half_stay(
    wanted: int, others: tuple[object, ...], *, goes: bool
) -> None:
    """One in a slow loop is ready at this moment."""
    pod = make_pod("web-abc-5", ready=True)
    now = make_context(
        make_diagnosis(DiagnosisType.CRASH_LOOPING, Cause.POD, pod),
        wanted=wanted,
        pods=(pod, *others),
    )

    assert goes is (choose_action(make_decision_input(make_record(), now)) is not None)


@pytest.mark.parametrize(
    "past",
    [
        (make_action(outcome=ActionOutcome.FAILED),),
        (
            make_action(2, outcome=ActionOutcome.SUCCEEDED),
            make_action(1, outcome=ActionOutcome.SUCCEEDED),
        ),
    ],
)
def test_pods_are_not_replaced_for_ever(past: tuple[HealingAction, ...]) -> None:
    """Not after one attempt in vain, and not a third time."""
    inputs = make_decision_input(make_record(*past), make_context(make_diagnosis()))

    assert None is choose_action(inputs)
    assert is_exhausted(inputs)


def test_a_pod_is_replaced_a_second_time() -> None:
    """Once may be an accident, and what helped against something else does not count."""
    before = make_record(
        make_action(2, outcome=ActionOutcome.SUCCEEDED),
        make_action(1, outcome=ActionOutcome.SUCCEEDED, diagnosis=DiagnosisType.LIVENESS_KILLED),
    )

    assert REPLACE_POD == action_key(
        choose_action(make_decision_input(before, make_context(make_diagnosis())))
    )


@pytest.mark.parametrize(("known", "limit"), [({}, "200Mi"), ({"memory_limit": "200Mi"}, "300Mi")])
def test_memory_is_raised_step_by_step(known: dict[str, str], limit: str) -> None:
    """From the spec's limit to the maximum."""
    found = choose_action(
        make_decision_input(make_record(**known), make_context(make_diagnosis(OOM)))
    )

    assert (Remediation.RAISE_MEMORY, limit, "") == action_key(found)


@pytest.mark.parametrize("limit", ["200Mi", "300Mi"])
def test_memory_that_did_not_arrive(limit: str) -> None:
    """The same limit in new pods comes before a higher one; at the maximum it is the last."""
    vain = make_action(remediation=Remediation.RAISE_MEMORY, diagnosis=OOM)
    found = choose_action(
        make_decision_input(
            make_record(vain, memory_limit=limit), make_context(make_diagnosis(OOM))
        )
    )

    assert (Remediation.RAISE_MEMORY, limit, "") == action_key(found)


def test_the_maximum_is_in_the_pods() -> None:
    """And was not said to be in vain: there is no more."""
    assert None is choose_action(
        make_decision_input(make_record(memory_limit="300Mi"), make_context(make_diagnosis(OOM)))
    )


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
    now = make_context(make_diagnosis(OOM), memory_limit=memory)

    assert None is choose_action(
        make_decision_input(make_record(**known), now, make_policy(**healing))
    )


def test_memory_is_raised_from_what_the_pods_have() -> None:
    """The version that was gone back to had more than the spec asks for now."""
    rich = make_pod("web-abc-1", memory_limit="190Mi")
    found = choose_action(
        make_decision_input(
            make_record(), make_context(make_diagnosis(OOM, Cause.POD, FAILING_POD, rich))
        )
    )

    assert (Remediation.RAISE_MEMORY, "290Mi", "") == action_key(found)


def test_new_pods_are_made_when_those_that_run_did_not_take_it() -> None:
    """Kubernetes issue 138760: a container in an OOM loop may not get its new limit."""
    raised = make_action(remediation=Remediation.RAISE_MEMORY, diagnosis=OOM)
    first = make_decision_input(make_record(), make_context(make_diagnosis(OOM)))
    then = make_decision_input(
        make_record(raised, memory_limit="200Mi"), make_context(make_diagnosis(OOM))
    )
    later = make_decision_input(
        make_record(memory_limit="200Mi", memory_in_template=True),
        make_context(make_diagnosis(OOM)),
    )

    assert [False, True, True] == [
        needs_new_pods(each, make_diagnosis(OOM)) for each in (first, then, later)
    ]


def test_memory_comes_before_a_rollback() -> None:
    """A new version may need more; only when more does not help it is bad."""
    bad = make_diagnosis(OOM, Cause.NEW_VERSION)
    spent = {"memory_limit": "300Mi", "memory_in_template": True}

    first = choose_action(make_decision_input(STABLE_RECORD, make_context(bad)))
    then = choose_action(
        make_decision_input(STABLE_RECORD.model_copy(update=spent), make_context(bad))
    )

    assert (Remediation.RAISE_MEMORY, "200Mi", "") == action_key(first)
    assert ROLLED_BACK == action_key(then)


def test_the_pods_of_a_lost_node_are_replaced() -> None:
    """When it has been silent for long enough."""
    found = choose_action(
        make_decision_input(
            make_record(), make_context(NODE_LOST, pods=(LOST_NODE_POD, HEALTHY_POD))
        )
    )

    assert (Remediation.FAILOVER, "node-9", "") == action_key(found)


def test_a_node_is_given_time_to_come_back() -> None:
    """The alarm is set to the end of it."""
    inputs = make_decision_input(
        make_record(), make_context(NODE_LOST, pods=(LOST_NODE_POD, HEALTHY_POD)), at=AT - 70
    )

    assert None is choose_action(inputs)
    assert 30.0 == inputs.deadlines.requeue_after


@pytest.mark.parametrize(
    ("past", "healing", "claims"),
    [
        (
            (make_action(remediation=Remediation.FAILOVER, diagnosis=DiagnosisType.NODE_LOST),),
            {},
            False,
        ),
        ((), {"failover": {"enabled": False}}, False),
        ((), {}, True),
    ],
)
def test_pods_of_a_lost_node_stay(
    past: tuple[HealingAction, ...], healing: dict[str, object], *, claims: bool
) -> None:
    """It was in vain, nobody wants it, or a volume may be written to by both."""
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    pod = make_pod("web-abc-4", since=0, volumes=volumes) if claims else LOST_NODE_POD
    now = make_context(make_diagnosis(DiagnosisType.NODE_LOST, Cause.NODE, pod))

    assert None is choose_action(
        make_decision_input(make_record(*past), now, make_policy(**healing))
    )


def test_a_blind_autoscaler_is_given_a_floor() -> None:
    """The number that the user wants until there are metrics again."""
    assert (Remediation.SCALING_FALLBACK, "5", "") == action_key(
        choose_action(make_decision_input(make_record(), make_context(NO_METRICS)))
    )


@pytest.mark.parametrize(
    ("known", "wanted", "healing"),
    [
        ({"fallback_replicas": 5}, 5, {}),
        ({}, 5, {}),
        ({}, 3, {"scalingFallback": None}),
        (
            {
                "history": [
                    make_action(
                        remediation=Remediation.SCALING_FALLBACK,
                        diagnosis=DiagnosisType.METRICS_UNAVAILABLE,
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
    now = make_context(NO_METRICS, wanted=wanted)

    assert None is choose_action(
        make_decision_input(make_record().model_copy(update=known), now, make_policy(**healing))
    )


def test_the_gravest_illness_that_something_helps_against_comes_first() -> None:
    """What nothing helps against does not keep the others from help."""
    hopeless = make_diagnosis(DiagnosisType.CONFIG_ERROR, Cause.UNKNOWN)

    assert REPLACE_POD == action_key(
        choose_action(
            make_decision_input(make_record(), make_context(hopeless, HUNG_POD, NO_METRICS))
        )
    )


@pytest.mark.parametrize(
    ("past", "spent"),
    [
        ((), False),
        ((make_action(),), True),
        ((make_action(outcome=ActionOutcome.SUCCEEDED),), True),
        ((make_action(remediation=Remediation.ROLLBACK, outcome=ActionOutcome.SUCCEEDED),), False),
        ((make_action(remediation=Remediation.FAILOVER, outcome=ActionOutcome.SUCCEEDED),), False),
        (
            (
                make_action(
                    remediation=Remediation.SCALING_FALLBACK, outcome=ActionOutcome.SUCCEEDED
                ),
            ),
            False,
        ),
        ((make_action(remediation=Remediation.ROLLBACK),), True),
        ((make_action(outcome=ActionOutcome.SUPERSEDED),), False),
        ((make_action(outcome=ActionOutcome.OBSERVED),), False),
        ((make_action(diagnosis=DiagnosisType.NODE_LOST),), False),
        ((make_action(at=-5),), False),
    ],
)
def test_an_app_is_at_the_end_of_its_ladder(
    past: tuple[HealingAction, ...], *, spent: bool
) -> None:
    """When something was in vain against what it still has, in this version."""
    assert spent is is_exhausted(
        make_decision_input(make_record(*past), make_context(make_diagnosis()))
    )


def test_situations_do_not_hide_from_the_choice() -> None:
    """What may be done is not the choice's business: many silent nodes are judged later."""
    now = make_context_with(NODE_LOST, too_many_nodes_lost=True)

    assert Remediation.FAILOVER is getattr(
        choose_action(make_decision_input(make_record(), now)), "remediation", None
    )


ON_ONE_NODE = make_diagnosis(DiagnosisType.CRASH_LOOPING, Cause.NODE, FAILING_POD)
AVOID_NODE = (Remediation.AVOID_NODE, "node-1", "")


def test_pods_leave_a_node_that_is_bad_for_them() -> None:
    """Replacing one of them would not make the app well, and the next may land there again."""
    found = choose_action(make_decision_input(make_record(), make_context(ON_ONE_NODE)))

    assert AVOID_NODE == action_key(found)
    assert found is not None
    assert found.message.startswith("pods are recreated on nodes other than node-1: ")


@pytest.mark.parametrize(
    ("past", "known", "healing"),
    [
        (
            (make_action(remediation=Remediation.AVOID_NODE, outcome=ActionOutcome.SUCCEEDED),),
            {},
            {},
        ),
        ((make_action(remediation=Remediation.AVOID_NODE),), {}, {}),
        ((), {"excluded_node": "node-8"}, {}),
        ((), {}, {"replacePod": {"enabled": False}}),
    ],
    ids=["it helped for a while", "in vain", "another node is avoided", "pods are to stay"],
)
def test_pods_leave_one_node_once(
    past: tuple[HealingAction, ...], known: dict[str, str], healing: dict[str, Any]
) -> None:
    """It is a rollout of the whole app: not a thing to be done again and again."""
    found = choose_action(
        make_decision_input(
            make_record(*past, **known), make_context(ON_ONE_NODE), make_policy(**healing)
        )
    )

    assert AVOID_NODE != action_key(found)


def test_a_rollout_that_would_stop_all_pods() -> None:
    """Then only one pod is replaced."""
    found = choose_action(
        make_decision_input(make_record(), replace(make_context(ON_ONE_NODE), uses_recreate=True))
    )

    assert REPLACE_POD == action_key(found)


def test_the_illness_must_be_the_nodes() -> None:
    """A single pod may have bad luck anywhere."""
    assert REPLACE_POD == action_key(
        choose_action(make_decision_input(make_record(), make_context(make_diagnosis())))
    )
