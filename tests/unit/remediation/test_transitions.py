"""How a decision is written down: what is put in force, what is proposed, which pod is kept."""

from dataclasses import replace

import pytest

from selfhealing.api.healing_status import ActionOutcome, BlockedReason, Remediation
from selfhealing.api.scalars import TEXT_LIMIT
from selfhealing.health.attribution import Cause
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.remediation.context import RemediationContext
from selfhealing.remediation.policy import Policy
from tests.unit import builders
from tests.unit.remediation.factories import (
    AT,
    FAILING_POD,
    HEALTHY_POD,
    NO_METRICS,
    latest_action,
    make_action,
    make_context,
    make_diagnosis,
    make_pod,
    make_policy,
    make_quarantine,
    make_record,
    run_decide,
)

APPROVE_POLICY = make_policy(mode="Approve")
PROPOSED_ACTION = make_action(
    outcome=ActionOutcome.PROPOSED, target=FAILING_POD.name, uid=FAILING_POD.uid
)
OTHER_POD = make_pod("web-abc-7")
REPLACE_PROPOSED = (Remediation.REPLACE_POD, ActionOutcome.PROPOSED)


def test_more_memory_is_put_in_force() -> None:
    """In the pods that run, then in new ones."""
    oom = make_diagnosis(DiagnosisType.OOM_KILLED)
    in_pods = run_decide(make_record(), make_context(oom))
    vain = make_action(remediation=Remediation.RAISE_MEMORY, diagnosis=DiagnosisType.OOM_KILLED)
    in_template = run_decide(make_record(vain, memory_limit="200Mi"), make_context(oom))

    assert ("200Mi", False) == (in_pods.memory_limit, in_pods.memory_in_template)
    assert ("200Mi", True) == (in_template.memory_limit, in_template.memory_in_template)
    assert "memory limit 200Mi again, in new pods: OOMKilled it is" == (
        in_template.history[0].message
    )


def test_a_node_is_avoided() -> None:
    """Until there is another version, or somebody resumes the app."""
    found = run_decide(
        make_record(),
        make_context(make_diagnosis(DiagnosisType.CRASH_LOOPING, Cause.NODE, FAILING_POD)),
    )

    assert "node-1" == found.excluded_node
    assert (
        None is run_decide(found, replace(make_context(), desired_revision="newer")).excluded_node
    )


def test_a_floor_is_put_in_force() -> None:
    """As many pods as the user wants while there are no metrics."""
    assert 5 == run_decide(make_record(), make_context(NO_METRICS)).fallback_replicas


def test_an_action_is_proposed_first() -> None:
    """Nothing is done, and nothing is spent, until somebody approves."""
    found = run_decide(make_record(), make_context(make_diagnosis()), APPROVE_POLICY)

    assert REPLACE_PROPOSED == latest_action(found)
    assert (BlockedReason.AWAITING_APPROVAL, 3) == (found.blocked_reason, found.budget_left)
    assert (
        found.history
        == run_decide(found, make_context(make_diagnosis()), APPROVE_POLICY, at=AT + 60).history
    )


def test_an_action_that_is_approved_is_started() -> None:
    """With the time of its start, under its own number."""
    found = run_decide(
        make_record(PROPOSED_ACTION), make_context(make_diagnosis(), approve="1"), APPROVE_POLICY
    )

    assert (Remediation.REPLACE_POD, ActionOutcome.IN_PROGRESS) == latest_action(found)
    assert (1, builders.at(AT)) == (found.history[0].id, found.history[0].at)
    assert None is found.blocked_reason


@pytest.mark.parametrize("approve", ["", "2", "01", "yes"])
def test_only_its_own_number_approves_of_a_proposal(approve: str) -> None:
    """Anything else is the approval of something else."""
    assert [PROPOSED_ACTION] == run_decide(
        make_record(PROPOSED_ACTION),
        make_context(make_diagnosis(), approve=approve),
        APPROVE_POLICY,
    ).history


def test_an_approval_of_something_else_starts_nothing() -> None:
    """What would be done now is not what was read: it is proposed anew."""
    other = make_diagnosis(DiagnosisType.CRASH_LOOPING, Cause.POD, OTHER_POD)
    now = make_context(other, pods=(FAILING_POD, OTHER_POD, HEALTHY_POD), approve="1")

    found = run_decide(make_record(PROPOSED_ACTION), now, APPROVE_POLICY)

    assert [
        (2, ActionOutcome.PROPOSED, OTHER_POD.uid),
        (1, ActionOutcome.EXPIRED, FAILING_POD.uid),
    ] == [(each.id, each.outcome, each.uid) for each in found.history]


def test_a_proposal_for_a_pod_that_is_gone_is_made_anew() -> None:
    """For the pod that is sick now."""
    other = make_diagnosis(DiagnosisType.CRASH_LOOPING, Cause.POD, OTHER_POD)

    found = run_decide(
        make_record(PROPOSED_ACTION),
        make_context(other, pods=(OTHER_POD, HEALTHY_POD)),
        APPROVE_POLICY,
    )

    assert (REPLACE_PROPOSED, OTHER_POD.uid) == (latest_action(found), found.history[0].uid)


def test_an_approval_from_before_the_proposal_approves_of_nothing() -> None:
    """A manifest may keep the annotation when the status is lost: its number is passed over."""
    found = run_decide(make_record(), make_context(make_diagnosis(), approve="1"), APPROVE_POLICY)
    again = run_decide(found, make_context(make_diagnosis(), approve="1"), APPROVE_POLICY)

    assert (REPLACE_PROPOSED, 2) == (latest_action(found), found.history[0].id)
    assert REPLACE_PROPOSED == latest_action(again)


@pytest.mark.parametrize(("stood", "again"), [(1800, False), (60, True)])
def test_what_nobody_wanted_is_not_proposed_again_at_once(stood: int, *, again: bool) -> None:
    """But what fell because the illness paused is."""
    fell = make_action(
        outcome=ActionOutcome.EXPIRED, at=AT - 1900, ended_at=builders.at(AT - 1900 + stood)
    )

    found = run_decide(make_record(fell), make_context(make_diagnosis()), APPROVE_POLICY)

    assert again is (REPLACE_PROPOSED == latest_action(found))
    assert BlockedReason.AWAITING_APPROVAL is found.blocked_reason


def test_what_nobody_wanted_of_another_version_is_proposed() -> None:
    """It is another story."""
    fell = make_action(outcome=ActionOutcome.EXPIRED, at=AT - 1900, ended_at=builders.at(AT - 100))

    found = run_decide(
        make_record(fell, desired_since=builders.at(AT - 50)),
        make_context(make_diagnosis()),
        APPROVE_POLICY,
    )

    assert REPLACE_PROPOSED == latest_action(found)


def test_before_a_version_is_known_what_was_noted_counts() -> None:
    """A record that says nothing of a version."""
    noted = make_action(outcome=ActionOutcome.OBSERVED)
    before = make_record(noted, desired_since=None)

    assert [noted] == run_decide(
        before, make_context(make_diagnosis()), make_policy(mode="Observe")
    ).history


EXHAUSTED_RECORD = make_record(make_action())


@pytest.mark.parametrize(
    ("now", "keeps"),
    [
        (make_context(make_diagnosis()), True),
        (make_context(make_diagnosis(), pods=(FAILING_POD,)), False),
        (make_context(make_diagnosis(), pods=(HEALTHY_POD,)), False),
        (
            make_context(
                make_diagnosis(
                    DiagnosisType.CRASH_LOOPING, Cause.POD, make_pod("web-abc-1", ready=True)
                )
            ),
            False,
        ),
    ],
)
def test_a_pod_is_kept_while_others_serve(now: RemediationContext, *, keeps: bool) -> None:
    """One that runs, is the app's, and is not ready."""
    found = run_decide(EXHAUSTED_RECORD, now)

    assert found.quarantined
    assert keeps is (found.quarantine is not None)
    assert (FAILING_POD.name if keeps else "") == found.history[0].target


@pytest.mark.parametrize("rules", [make_policy(quarantine={"isolate": False}), APPROVE_POLICY])
def test_no_pod_is_kept_where_nobody_wants_it(rules: Policy) -> None:
    """Or where people are asked before anything is done."""
    found = run_decide(EXHAUSTED_RECORD, make_context(make_diagnosis()), rules)

    assert (True, None) == (found.quarantined, found.quarantine)


def test_a_pod_that_never_ran_is_not_worth_keeping() -> None:
    """Its image or its node is to blame: there is nothing to be seen in it."""
    vain = make_action(diagnosis=DiagnosisType.IMAGE_PULL_FAILING)

    found = run_decide(
        make_record(vain), make_context(make_diagnosis(DiagnosisType.IMAGE_PULL_FAILING))
    )

    assert (True, None) == (found.quarantined, found.quarantine)


def test_one_pod_is_kept_at_a_time() -> None:
    """The first stays until its time is over."""
    first = make_quarantine(pod=HEALTHY_POD)

    assert (
        first
        == run_decide(
            make_record(make_action(), quarantine=first), make_context(make_diagnosis())
        ).quarantine
    )


def test_long_words_are_cut() -> None:
    """What the resource has room for."""
    wordy = make_diagnosis()
    wordy = type(wordy)(wordy.type, wordy.cause, wordy.confidence, wordy.pods, "x" * 2000)

    assert TEXT_LIMIT == len(run_decide(make_record(), make_context(wordy)).history[0].message)
    assert TEXT_LIMIT == len(run_decide(EXHAUSTED_RECORD, make_context(wordy)).history[0].message)
