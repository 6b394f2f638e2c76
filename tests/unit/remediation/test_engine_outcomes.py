"""What becomes of an action, of its effects and of the record of an app that recovers."""

from dataclasses import replace

import pytest

from selfhealing.api.healing_status import ActionOutcome, Remediation
from selfhealing.cache.parse import pod_view
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.attribution import Cause
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.remediation.context import RemediationContext
from tests.unit import builders
from tests.unit.remediation.factories import (
    AT,
    FAILING_POD,
    LOST_NODE_POD,
    NEW_REVISION,
    NO_METRICS,
    RUNNING_ACTION,
    STABLE_RECORD,
    STABLE_REVISION,
    latest_action,
    make_action,
    make_context,
    make_context_with,
    make_diagnosis,
    make_policy,
    make_record,
    raised_to,
    run_decide,
)


@pytest.mark.parametrize(
    ("healthy_since", "outcome"),
    [
        (None, ActionOutcome.IN_PROGRESS),
        (AT - 29, ActionOutcome.IN_PROGRESS),
        (AT - 30, ActionOutcome.SUCCEEDED),
    ],
)
def test_an_action_succeeds_when_the_app_was_healthy_for_a_while(
    healthy_since: int | None, outcome: ActionOutcome
) -> None:
    """A single healthy evaluation is not enough."""
    since = None if healthy_since is None else builders.at(healthy_since)

    assert (Remediation.REPLACE_POD, outcome) == latest_action(
        run_decide(make_record(RUNNING_ACTION, healthy_since=since), make_context())
    )


@pytest.mark.parametrize(
    ("at", "outcome"), [(AT + 239, ActionOutcome.IN_PROGRESS), (AT + 240, ActionOutcome.FAILED)]
)
def test_an_action_fails_after_the_verification_timeout(at: int, outcome: ActionOutcome) -> None:
    """No other action starts until then."""
    found = run_decide(make_record(RUNNING_ACTION), make_context(make_diagnosis()), at=at)

    assert (Remediation.REPLACE_POD, outcome) == latest_action(found)


def test_an_app_that_becomes_healthy_at_the_timeout_gets_more_time() -> None:
    """It gets the minimum healthy time."""
    found = run_decide(make_record(RUNNING_ACTION), make_context(), at=AT + 240)

    assert (Remediation.REPLACE_POD, ActionOutcome.IN_PROGRESS) == latest_action(found)


def test_a_pod_that_is_still_there_was_not_replaced() -> None:
    """The pod may have recovered because a PodDisruptionBudget kept it: that is no success."""
    target = RUNNING_ACTION.model_copy(update={"uid": FAILING_POD.uid})
    before = make_record(target, healthy_since=builders.at(AT - 40))

    assert (Remediation.REPLACE_POD, ActionOutcome.IN_PROGRESS) == latest_action(
        run_decide(before, make_context())
    )


@pytest.mark.parametrize(
    ("seconds", "outcome"),
    [(59, ActionOutcome.IN_PROGRESS), (60, ActionOutcome.FAILED)],
)
def test_a_rollback_to_a_revision_that_fails_as_well(seconds: int, outcome: ActionOutcome) -> None:
    """Where nothing serves there is nothing to wait for but the start of the pods."""
    back = make_action(
        remediation=Remediation.ROLLBACK, outcome=ActionOutcome.IN_PROGRESS, at=AT - seconds
    )
    before = STABLE_RECORD.model_copy(update={"history": [back], "failed_revision": NEW_REVISION})
    found = run_decide(before, make_context(make_diagnosis(), pods=(FAILING_POD,)))

    assert outcome is next(each.outcome for each in found.history if each.id == back.id)


def test_memory_was_raised_enough_for_a_pod_whose_init_container_has_ended() -> None:
    """That container does not run, and is not waited for."""
    raised = make_action(
        remediation=Remediation.RAISE_MEMORY,
        outcome=ActionOutcome.IN_PROGRESS,
        diagnosis=DiagnosisType.OOM_KILLED,
        at=AT - 60,
    )
    ended = builders.terminated(builders.termination(0), name="migrate")
    ready = pod_view(builders.pod("web-abc-1", builders.running(), init=[ended]))
    before = make_record(raised, memory_limits=raised_to("200Mi"))
    found = run_decide(before, make_context(pods=(ready,), wanted=1))

    assert ActionOutcome.SUCCEEDED is found.history[0].outcome


def test_a_rollback_fails_if_the_stable_revision_is_missing() -> None:
    """The template is no longer stored, so the spec's own revision runs."""
    back = make_action(remediation=Remediation.ROLLBACK, outcome=ActionOutcome.IN_PROGRESS)
    before = STABLE_RECORD.model_copy(update={"history": [back], "failed_revision": NEW_REVISION})

    found = run_decide(before, make_context_with(stable_revision_missing=True))

    assert (Remediation.ROLLBACK, ActionOutcome.FAILED) == latest_action(found)
    assert (None, None) == (found.failed_revision, found.stable_revision)


def test_a_scaling_fallback_succeeds_when_its_number_is_reached() -> None:
    """Although the metrics are still missing."""
    floor = make_action(
        remediation=Remediation.SCALING_FALLBACK,
        outcome=ActionOutcome.IN_PROGRESS,
        at=AT - 60,
        target="5",
    )
    before = make_record(floor, fallback_replicas=5)

    assert (
        ActionOutcome.IN_PROGRESS is run_decide(before, make_context(NO_METRICS)).history[0].outcome
    )
    assert (
        ActionOutcome.SUCCEEDED
        is run_decide(before, make_context(NO_METRICS, wanted=5)).history[0].outcome
    )


def test_a_cooldown_follows_each_action() -> None:
    """It is longer after a failure, and is not shown once it is over."""
    before = make_record(RUNNING_ACTION, healthy_since=builders.at(AT - 40))

    assert builders.at(AT + 60) == run_decide(before, make_context()).cooldown_until
    assert (
        builders.at(AT + 240 + 120)
        == run_decide(
            make_record(RUNNING_ACTION), make_context(make_diagnosis()), at=AT + 240
        ).cooldown_until
    )
    assert (
        None
        is run_decide(make_record(cooldown_until=builders.at(AT)), make_context()).cooldown_until
    )


def test_a_scaling_fallback_ends_with_its_reason() -> None:
    """The autoscaler has metrics again, or the spec no longer sets a fallback."""
    before = make_record(fallback_replicas=5)
    unwanted = make_policy(scalingFallback=None)

    assert 5 == run_decide(before, make_context(NO_METRICS, wanted=5)).fallback_replicas
    assert None is run_decide(before, make_context()).fallback_replicas
    assert (
        None is run_decide(before, make_context(NO_METRICS, wanted=5), unwanted).fallback_replicas
    )


@pytest.mark.parametrize(
    ("mode", "illness", "at", "stands"),
    [
        ("Approve", make_diagnosis(), AT, True),
        ("Auto", NO_METRICS, AT, False),
        ("Approve", NO_METRICS, AT, False),
        ("Approve", make_diagnosis(), AT + 1700, False),
    ],
)
def test_a_proposal_expires(mode: str, illness: AppDiagnosis, at: int, *, stands: bool) -> None:
    """After its TTL, with its diagnosis, or with the mode Approve."""
    waits = make_action(
        outcome=ActionOutcome.PROPOSED, uid=FAILING_POD.uid, target=FAILING_POD.name
    )

    found = run_decide(make_record(waits), make_context(illness), make_policy(mode=mode), at=at)

    known = {a.id: a.outcome for a in found.history}
    assert stands is (known[1] is ActionOutcome.PROPOSED)


@pytest.mark.parametrize(
    ("known", "since", "revision_not_saved", "proves"),
    [
        ({}, AT - 600, False, True),
        ({}, AT - 599, False, False),
        ({}, AT - 600, True, False),
        ({"failed_revision": NEW_REVISION}, AT - 600, False, False),
        ({"desired_since": builders.at(AT - 599)}, AT - 600, False, False),
    ],
)
def test_a_healthy_revision_becomes_stable(
    known: dict[str, object], since: int, *, revision_not_saved: bool, proves: bool
) -> None:
    """After the probation, if the revision runs and its template can be stored."""
    before = STABLE_RECORD.model_copy(update={"healthy_since": builders.at(since), **known})

    found = run_decide(before, make_context_with(revision_not_saved=revision_not_saved))

    expected = (NEW_REVISION, "web:v2") if proves else (STABLE_REVISION, "web:v1")
    assert expected == (found.stable_revision, found.stable_image)


def test_an_unhealthy_app_loses_healthy_since() -> None:
    """The probation restarts."""
    assert (
        None
        is run_decide(
            make_record(healthy_since=builders.at(0)), make_context(make_diagnosis())
        ).healthy_since
    )
    assert None is run_decide(make_record(), make_context(make_diagnosis())).healthy_since


@pytest.mark.parametrize(("since", "forgets"), [(AT - 3600, True), (AT - 3599, False)])
def test_failures_are_forgotten_after_a_healthy_window(since: int, *, forgets: bool) -> None:
    """The next diagnosis starts with all remediations."""
    before = make_record(make_action(at=10), healthy_since=builders.at(since))

    found = run_decide(before, make_context())

    assert (builders.at(since) if forgets else None) == found.budget_reset_time


AVOID_NODE_ACTION = make_action(
    remediation=Remediation.AVOID_NODE, outcome=ActionOutcome.IN_PROGRESS, target="node-7"
)
UNSCHEDULABLE = make_diagnosis(DiagnosisType.UNSCHEDULABLE, Cause.ENVIRONMENT)


@pytest.mark.parametrize(
    ("now", "at", "avoided"),
    [
        (make_context(make_diagnosis(cause=Cause.NODE)), AT, "node-7"),
        (make_context(make_diagnosis(cause=Cause.NODE), UNSCHEDULABLE), AT, None),
        (make_context(make_diagnosis(cause=Cause.NODE)), AT + 300, None),
    ],
    ids=["it may help yet", "there is no other place", "it did not help"],
)
def test_a_node_is_excluded_no_longer_than_it_helps(
    now: RemediationContext, at: int, avoided: str
) -> None:
    """Until a pod is unschedulable, or the action has failed."""
    assert (
        avoided
        == run_decide(
            make_record(AVOID_NODE_ACTION, excluded_node="node-7"), now, at=at
        ).excluded_node
    )


def test_another_configuration_after_a_node_was_the_cause() -> None:
    """The pods that are made for it must not come to that node again."""
    tried = make_action(
        remediation=Remediation.AVOID_NODE,
        outcome=ActionOutcome.SUCCEEDED,
        target="node-1",
    )
    before = make_record(
        tried,
        excluded_node="node-1",
        excluded_until=builders.at(AT + 3000),
        desired_generation=1,
    )
    rotated = replace(make_context(), desired_revision="rotated", generation=1)

    assert "node-1" == run_decide(before, rotated).excluded_node


def test_another_configuration_while_a_node_is_tried() -> None:
    """Nothing has shown that the node is the cause: it is not excluded any more."""
    running = make_action(
        remediation=Remediation.AVOID_NODE,
        outcome=ActionOutcome.IN_PROGRESS,
        at=AT - 10,
        target="node-1",
    )
    before = make_record(running, excluded_node="node-1", desired_generation=1)
    rotated = replace(make_context(), desired_revision="rotated", generation=1)
    found = run_decide(before, rotated)

    assert (None, ActionOutcome.SUPERSEDED) == (found.excluded_node, found.history[0].outcome)


def test_a_pod_on_a_lost_node_that_stays() -> None:
    """Its deletion was refused all the time, which is not "it did not help"."""
    running = make_action(
        remediation=Remediation.FAILOVER,
        outcome=ActionOutcome.IN_PROGRESS,
        diagnosis=DiagnosisType.NODE_LOST,
        at=AT - 400,
        target=LOST_NODE_POD.node,
    )
    lost = make_diagnosis(DiagnosisType.NODE_LOST, Cause.NODE, LOST_NODE_POD)
    found = run_decide(make_record(running), make_context(lost, pods=(LOST_NODE_POD,)))

    assert ActionOutcome.REFUSED is found.history[-1].outcome


def test_what_is_excluded_and_barred_ends_as_a_whole() -> None:
    """No time or certainty stays behind of what is not in force any more."""
    before = make_record(
        desired_revision="old",
        failed_revision="old",
        failed_for_certain=True,
        excluded_node="node-7",
        excluded_until=builders.at(AT + 3600),
    )
    found = run_decide(before, make_context())

    assert (None, False) == (found.failed_revision, found.failed_for_certain)
    assert (None, None) == (found.excluded_node, found.excluded_until)


def test_a_try_of_another_node_that_failed_excludes_none() -> None:
    """Neither the node nor a time is kept."""
    running = make_action(
        remediation=Remediation.AVOID_NODE,
        outcome=ActionOutcome.IN_PROGRESS,
        at=AT - 400,
        target="node-7",
    )
    before = make_record(running, excluded_node="node-7", excluded_until=builders.at(AT + 3200))
    found = run_decide(before, make_context(make_diagnosis(cause=Cause.UNKNOWN)))

    assert ActionOutcome.FAILED is found.history[-1].outcome
    assert (None, None) == (found.excluded_node, found.excluded_until)
