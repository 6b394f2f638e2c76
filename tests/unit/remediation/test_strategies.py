"""Which remediation fits a diagnosis: each step of the escalation, and when it does not apply."""

from dataclasses import replace
from typing import Any

import pytest

from selfhealing.api.healing_status import ActionOutcome, HealingAction, Remediation
from selfhealing.cache.parse import pod_view
from selfhealing.cache.views import PodView
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.remediation.context import ExternalState
from selfhealing.remediation.limit_strategy import needs_new_pods
from selfhealing.remediation.proposal import ProposedAction
from selfhealing.remediation.strategies import (
    ESCALATION,
    choose_action,
    is_exhausted,
)
from tests.unit import builders
from tests.unit.remediation.factories import (
    APP_MEMORY,
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
    raised_to,
)

STABLE_RECORD = make_record(stable_revision=STABLE_REVISION, stable_image="web:v1")
OOM = DiagnosisType.OOM_KILLED
HUNG_POD = make_diagnosis(DiagnosisType.NOT_READY_TOO_LONG, Cause.POD, confidence=Confidence.LOW)
NODE_LOST = make_diagnosis(DiagnosisType.NODE_LOST, Cause.NODE, LOST_NODE_POD)


def action_key(proposal: ProposedAction | None) -> tuple[Remediation, str, str] | None:
    """The remediation and its target."""
    return (proposal.remediation, proposal.target, proposal.uid) if proposal else None


REPLACE_POD = (Remediation.REPLACE_POD, FAILING_POD.name, FAILING_POD.uid)
ROLLED_BACK = (Remediation.ROLLBACK, STABLE_REVISION, "")


@pytest.mark.parametrize(
    "kind", [k for k, rungs in ESCALATION.items() if Remediation.ROLLBACK in rungs]
)
def test_a_new_revision_that_is_the_cause_is_rolled_back(kind: DiagnosisType) -> None:
    """For every diagnosis that has Rollback in its escalation."""
    found = choose_action(
        make_decision_input(
            STABLE_RECORD,
            make_context(make_diagnosis(kind, Cause.NEW_VERSION)),
            make_policy(memory={"enabled": False}),
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
def test_there_must_be_a_stable_revision(
    known: dict[str, str], external: ExternalState, healing: dict[str, object]
) -> None:
    """None is known, it is desired or already runs, it is missing, or rollbacks are disabled."""
    before = STABLE_RECORD.model_copy(update=known)
    now = make_context(BAD_REVISION, external=external)

    assert None is choose_action(make_decision_input(before, now, make_policy(**healing)))


@pytest.mark.parametrize("cause", [c for c in Cause if c is not Cause.NEW_VERSION])
def test_only_a_revision_that_is_the_cause_is_rolled_back(cause: Cause) -> None:
    """Any other rollback would change the app without effect."""
    assert None is choose_action(
        make_decision_input(
            STABLE_RECORD, make_context(make_diagnosis(DiagnosisType.CONFIG_ERROR, cause))
        )
    )


def test_a_failing_pod_is_replaced() -> None:
    """Other pods of its revision are healthy."""
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
def test_a_pod_is_not_replaced_if_that_cannot_help(illness: AppDiagnosis) -> None:
    """The cause is the environment, it is the only pod, it is gone, or it never ran."""
    assert None is choose_action(make_decision_input(make_record(), make_context(illness)))


def test_a_pod_that_hangs_alone_is_replaced() -> None:
    """There is no pod to compare it with, but it serves no requests."""
    assert REPLACE_POD == action_key(
        choose_action(
            make_decision_input(
                make_record(), make_context(HUNG_POD, wanted=1, pods=(FAILING_POD,))
            )
        )
    )


def test_replacing_pods_is_disabled() -> None:
    """Then no pod is replaced."""
    assert None is choose_action(
        make_decision_input(
            make_record(),
            make_context(make_diagnosis()),
            make_policy(replacePod={"enabled": False}),
        )
    )


def test_a_ready_pod_is_never_replaced() -> None:
    """A pod in a slow crash loop may be ready at the moment; it is replaced when it is not."""
    pod = make_pod("web-abc-5", ready=True)
    diagnosis = make_diagnosis(DiagnosisType.CRASH_LOOPING, Cause.POD, pod)
    now = make_context(diagnosis, pods=(pod, HEALTHY_POD, OTHER_HEALTHY_POD))

    assert None is choose_action(make_decision_input(make_record(), now))


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
    """Not after a failure, and not a third time."""
    inputs = make_decision_input(make_record(*past), make_context(make_diagnosis()))

    assert None is choose_action(inputs)
    assert is_exhausted(inputs)


def test_a_pod_is_replaced_a_second_time() -> None:
    """And actions for another diagnosis do not count."""
    before = make_record(
        make_action(2, outcome=ActionOutcome.SUCCEEDED),
        make_action(1, outcome=ActionOutcome.SUCCEEDED, diagnosis=DiagnosisType.LIVENESS_KILLED),
    )

    assert REPLACE_POD == action_key(
        choose_action(make_decision_input(before, make_context(make_diagnosis())))
    )


@pytest.mark.parametrize(
    ("known", "limit"), [({}, "200Mi"), ({"memory_limits": raised_to("200Mi")}, "300Mi")]
)
def test_memory_is_raised_step_by_step(known: dict[str, str], limit: str) -> None:
    """From the spec's limit to the maximum."""
    found = choose_action(
        make_decision_input(make_record(**known), make_context(make_diagnosis(OOM)))
    )

    assert (Remediation.RAISE_MEMORY, limit, "") == action_key(found)


@pytest.mark.parametrize("limit", ["200Mi", "300Mi"])
def test_memory_that_did_not_arrive(limit: str) -> None:
    """New pods get the same limit before a higher one; the maximum is the last step."""
    vain = make_action(remediation=Remediation.RAISE_MEMORY, diagnosis=OOM)
    found = choose_action(
        make_decision_input(
            make_record(vain, memory_limits=raised_to(limit)), make_context(make_diagnosis(OOM))
        )
    )

    assert (Remediation.RAISE_MEMORY, limit, "") == action_key(found)


def test_the_maximum_is_in_the_pods() -> None:
    """And that action has not failed: there is no further step."""
    assert None is choose_action(
        make_decision_input(
            make_record(memory_limits=raised_to("300Mi")), make_context(make_diagnosis(OOM))
        )
    )


@pytest.mark.parametrize(
    ("known", "memory", "healing"),
    [
        ({"memory_limits": raised_to("300Mi"), "memory_in_template": True}, "100Mi", {}),
        ({}, "300Mi", {}),
        ({}, "", {}),
        ({}, "100Mi", {"memory": {"enabled": False}}),
    ],
)
def test_memory_ends(known: dict[str, object], memory: str, healing: dict[str, object]) -> None:
    """At the maximum, without a limit, and if memory.enabled is false."""
    now = make_context(make_diagnosis(OOM), limits={APP_MEMORY: memory} if memory else {})

    assert None is choose_action(
        make_decision_input(make_record(**known), now, make_policy(**healing))
    )


def test_memory_is_raised_from_what_the_pods_have() -> None:
    """The stable revision had a higher limit than the spec has now."""
    rich = make_pod("web-abc-1", memory_limit="190Mi")
    found = choose_action(
        make_decision_input(
            make_record(), make_context(make_diagnosis(OOM, Cause.POD, FAILING_POD, rich))
        )
    )

    assert (Remediation.RAISE_MEMORY, "290Mi", "") == action_key(found)


def test_new_pods_get_the_limit_if_a_resize_has_failed() -> None:
    """Kubernetes issue 138760: a container in an OOM loop may not get its new limit."""
    raised = make_action(remediation=Remediation.RAISE_MEMORY, diagnosis=OOM)
    first = make_decision_input(make_record(), make_context(make_diagnosis(OOM)))
    then = make_decision_input(
        make_record(raised, memory_limits=raised_to("200Mi")), make_context(make_diagnosis(OOM))
    )
    later = make_decision_input(
        make_record(memory_limits=raised_to("200Mi"), memory_in_template=True),
        make_context(make_diagnosis(OOM)),
    )

    assert [False, True, True] == [
        needs_new_pods(each, make_diagnosis(OOM)) for each in (first, then, later)
    ]


def oom_pod(name: str = "web-abc-1", *, killed_at: float) -> PodView:
    """A pod whose container was killed once."""
    end = builders.termination(137, "OOMKilled", started=1, finished=killed_at)
    return pod_view(builders.pod(name, builders.running(killed_at + 1, restarts=2, last=end)))


@pytest.mark.parametrize(("killed_at", "is_back"), [(AT - 90, False), (AT - 10, True)])
def test_a_kill_before_a_raise_that_succeeded(killed_at: float, *, is_back: bool) -> None:
    """It is told of for a while, but nothing is done about it, and no quarantine follows."""
    raised = make_action(
        remediation=Remediation.RAISE_MEMORY,
        diagnosis=OOM,
        outcome=ActionOutcome.SUCCEEDED,
        ended_at=builders.at(AT - 40),
    )
    pod = oom_pod(killed_at=killed_at)
    inputs = make_decision_input(
        make_record(raised, memory_limits=raised_to("200Mi")),
        make_context(make_diagnosis(OOM, Cause.POD, pod), pods=(pod, HEALTHY_POD)),
    )

    assert is_back is (choose_action(inputs) is not None)
    assert is_back is is_exhausted(inputs)


def test_pods_that_are_replaced_already_get_no_memory() -> None:
    """Only pods of the current template are resized."""
    context = make_context(make_diagnosis(OOM), current_hash="other")

    assert None is choose_action(make_decision_input(make_record(), context))


def test_no_pod_is_replaced_for_memory_while_none_can_be_made() -> None:
    """It would be lost."""
    vain = make_action(remediation=Remediation.RAISE_MEMORY, diagnosis=OOM)
    unschedulable = make_diagnosis(DiagnosisType.UNSCHEDULABLE, Cause.ENVIRONMENT)
    inputs = make_decision_input(
        make_record(vain, memory_limits=raised_to("200Mi")),
        make_context(make_diagnosis(OOM), unschedulable),
    )

    assert None is choose_action(inputs)


def test_a_limit_that_the_version_lowered() -> None:
    """The version is to blame: it is rolled back, and nothing hides its limit."""
    blamed = make_diagnosis(OOM, Cause.NEW_VERSION)
    context = make_context(blamed, lowered_memory=frozenset({"app"}))

    assert ROLLED_BACK == action_key(choose_action(make_decision_input(STABLE_RECORD, context)))


def test_the_only_pod_that_hangs_is_replaced_once() -> None:
    """It may hang by itself or by what it depends on; one that crashes is restarted anyway."""
    lone = make_diagnosis(
        DiagnosisType.DEPENDENCY_DOWN, Cause.ENVIRONMENT, confidence=Confidence.LOW
    )
    crashing = pod_view(builders.pod("web-abc-1", builders.running(ready=False, restarts=2)))
    context = make_context(lone, wanted=1, pods=(FAILING_POD,))
    failed = make_action(diagnosis=DiagnosisType.DEPENDENCY_DOWN)

    assert REPLACE_POD == action_key(choose_action(make_decision_input(make_record(), context)))
    assert None is choose_action(make_decision_input(make_record(failed), context))
    assert not is_exhausted(make_decision_input(make_record(failed), context))
    for other in (
        replace(lone, confidence=Confidence.MEDIUM),
        replace(lone, pods=(crashing,)),
    ):
        assert None is choose_action(
            make_decision_input(make_record(), make_context(other, pods=other.pods))
        )


def test_memory_comes_before_a_rollback() -> None:
    """A new revision may need more memory; it is bad only if that does not help."""
    bad = make_diagnosis(OOM, Cause.NEW_VERSION)
    spent = {"memory_limits": raised_to("300Mi"), "memory_in_template": True}

    first = choose_action(make_decision_input(STABLE_RECORD, make_context(bad)))
    then = choose_action(
        make_decision_input(STABLE_RECORD.model_copy(update=spent), make_context(bad))
    )

    assert (Remediation.RAISE_MEMORY, "200Mi", "") == action_key(first)
    assert ROLLED_BACK == action_key(then)


def test_the_pods_of_a_lost_node_are_replaced() -> None:
    """After the node was unreachable for long enough."""
    found = choose_action(
        make_decision_input(
            make_record(), make_context(NODE_LOST, pods=(LOST_NODE_POD, HEALTHY_POD))
        )
    )

    assert (Remediation.FAILOVER, "node-9", "") == action_key(found)


def test_a_node_is_given_time_to_come_back() -> None:
    """The app is requeued at the end of the waiting time."""
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
    """A failover has failed, it is disabled, or the pod has a volume."""
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    pod = make_pod("web-abc-4", since=0, volumes=volumes) if claims else LOST_NODE_POD
    now = make_context(make_diagnosis(DiagnosisType.NODE_LOST, Cause.NODE, pod))

    assert None is choose_action(
        make_decision_input(make_record(*past), now, make_policy(**healing))
    )


def test_an_autoscaler_without_metrics_gets_a_minimum() -> None:
    """The number in the spec, until there are metrics again."""
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
def test_no_scaling_fallback(
    known: dict[str, object], wanted: int, healing: dict[str, object]
) -> None:
    """One is in force, there are enough pods, it is not set, or it has failed."""
    now = make_context(NO_METRICS, wanted=wanted)

    assert None is choose_action(
        make_decision_input(make_record().model_copy(update=known), now, make_policy(**healing))
    )


def test_the_most_severe_diagnosis_with_a_remediation_comes_first() -> None:
    """A diagnosis without a remediation does not block the others."""
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
def test_the_remediations_are_exhausted(past: tuple[HealingAction, ...], *, spent: bool) -> None:
    """If one has failed for a diagnosis that the app still has, in this revision."""
    assert spent is is_exhausted(
        make_decision_input(make_record(*past), make_context(make_diagnosis()))
    )


def test_pods_that_are_replaced_already_exhaust_nothing() -> None:
    """Nothing is done about them, but that says nothing of the pods that come after them."""
    context = make_context(make_diagnosis(), current_hash="other")

    assert not is_exhausted(make_decision_input(make_record(make_action()), context))


def test_the_choice_ignores_the_external_state() -> None:
    """Too many lost nodes are checked later."""
    now = make_context_with(NODE_LOST, too_many_nodes_lost=True)

    assert Remediation.FAILOVER is getattr(
        choose_action(make_decision_input(make_record(), now)), "remediation", None
    )


ON_ONE_NODE = make_diagnosis(DiagnosisType.CRASH_LOOPING, Cause.NODE, FAILING_POD)
AVOID_NODE = (Remediation.AVOID_NODE, "node-1", "")


def test_pods_leave_a_faulty_node() -> None:
    """Replacing one pod would not make the app healthy, and may use the same node."""
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
    """It is a rollout of the whole app, so it is not repeated."""
    found = choose_action(
        make_decision_input(
            make_record(*past, **known), make_context(ON_ONE_NODE), make_policy(**healing)
        )
    )

    assert AVOID_NODE != action_key(found)


@pytest.mark.parametrize(("is_ready", "is_tried"), [(True, True), (False, False)])
def test_another_node_while_an_earlier_version_runs(*, is_ready: bool, is_tried: bool) -> None:
    """A rollout first stops the pods of the earlier version that are not ready at that moment."""
    earlier = make_pod("web-old-1", ready=is_ready)
    context = make_context(
        ON_ONE_NODE, pods=(FAILING_POD, earlier), current_hash=FAILING_POD.template_hash
    )
    found = choose_action(make_decision_input(make_record(), context))

    assert is_tried is (AVOID_NODE == action_key(found))


def test_pods_that_may_recover_do_not_leave_their_node_at_once() -> None:
    """After an outage the pods of one node may be back some seconds after those of another."""
    context = make_context(ON_ONE_NODE, diagnosed_since={})
    found = choose_action(make_decision_input(make_record(), context))

    assert found is not None
    assert builders.at(AT + 30) == found.not_before


@pytest.mark.parametrize(("created", "is_given_up"), [(AT - 59, True), (AT - 60, False)])
def test_a_lost_node_while_pods_do_not_start(created: float, *, is_given_up: bool) -> None:
    """A substitute would not start either, and the node may be back first."""
    waiting = pod_view(
        builders.pod(
            "web-new-1", builders.waiting("ContainerCreating"), created=created, phase="Pending"
        )
    )
    context = make_context(NODE_LOST, pods=(LOST_NODE_POD, waiting))
    found = choose_action(make_decision_input(make_record(), context))

    assert is_given_up is (found is not None)


@pytest.mark.parametrize("is_earlier", [True, False])
def test_a_lost_node_with_pods_that_could_not_be_made_again(*, is_earlier: bool) -> None:
    """The ConfigMap that the earlier version reads was deleted: its pods would be lost."""
    context = make_context(
        NODE_LOST,
        pods=(LOST_NODE_POD,),
        current_hash="new" if is_earlier else LOST_NODE_POD.template_hash,
        external=ExternalState(rollback_obstacle="ConfigMap settings is missing"),
    )
    found = choose_action(make_decision_input(make_record(), context))

    assert is_earlier is (found is None)


def test_a_rollout_that_would_stop_all_pods() -> None:
    """Then only one pod is replaced."""
    found = choose_action(
        make_decision_input(make_record(), replace(make_context(ON_ONE_NODE), uses_recreate=True))
    )

    assert REPLACE_POD == action_key(found)


def test_the_cause_must_be_the_node() -> None:
    """A single failing pod is not enough."""
    assert REPLACE_POD == action_key(
        choose_action(make_decision_input(make_record(), make_context(make_diagnosis())))
    )


def test_pods_that_are_replaced_already_leave_no_node() -> None:
    """A rollout of the spec removes them."""
    context = make_context(ON_ONE_NODE, current_hash="next")

    assert None is choose_action(make_decision_input(make_record(), context))
