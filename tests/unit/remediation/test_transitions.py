"""How a decision is recorded: overrides, proposals, dry runs, and the isolated pod."""

from dataclasses import replace

import pytest

from selfhealing.api.healing_status import (
    COMPARISON_LIMIT,
    ActionOutcome,
    BlockedReason,
    Remediation,
)
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
    raised_to,
    run_decide,
)

APPROVE_POLICY = make_policy(mode="Approve")
PROPOSED_ACTION = make_action(
    outcome=ActionOutcome.PROPOSED, target=FAILING_POD.name, uid=FAILING_POD.uid
)
OTHER_POD = make_pod("web-abc-7")
REPLACE_PROPOSED = (Remediation.REPLACE_POD, ActionOutcome.PROPOSED)


def test_a_higher_memory_limit_is_recorded() -> None:
    """For running pods, then for new ones."""
    oom = make_diagnosis(DiagnosisType.OOM_KILLED)
    in_pods = run_decide(make_record(), make_context(oom))
    vain = make_action(remediation=Remediation.RAISE_MEMORY, diagnosis=DiagnosisType.OOM_KILLED)
    in_template = run_decide(make_record(vain, memory_limits=raised_to("200Mi")), make_context(oom))

    assert (raised_to("200Mi"), False) == (in_pods.memory_limits, in_pods.memory_in_template)
    assert (raised_to("200Mi"), True) == (in_template.memory_limits, in_template.memory_in_template)
    assert "memory limit 200Mi again, in new pods: OOMKilled it is" == (
        in_template.history[0].message
    )


def test_a_node_is_avoided() -> None:
    """Until another revision or a resume."""
    found = run_decide(
        make_record(),
        make_context(make_diagnosis(DiagnosisType.CRASH_LOOPING, Cause.NODE, FAILING_POD)),
    )

    assert "node-1" == found.excluded_node
    assert (
        None
        is run_decide(
            found, replace(make_context(), desired_revision="newer", generation=2)
        ).excluded_node
    )


def test_a_scaling_fallback_is_recorded() -> None:
    """The number of pods in the spec."""
    assert 5 == run_decide(make_record(), make_context(NO_METRICS)).fallback_replicas


@pytest.mark.parametrize("reason", ["", "no action is left"])
def test_an_action_keeps_why_it_was_decided(reason: str) -> None:
    """The diagnosis ends with its action: who looks later finds the cause in the history."""
    comparison = "0 of 2 pods of the earlier version have it, too"
    diagnosis = replace(make_diagnosis(), comparison=comparison * 9)
    policy = make_policy(budget=1)
    spent = make_action(7, outcome=ActionOutcome.SUCCEEDED, diagnosis=DiagnosisType.OOM_KILLED)
    record = make_record(spent) if reason else make_record()
    action = run_decide(record, make_context(diagnosis), policy).history[0]

    assert (action.remediation is Remediation.QUARANTINE) is bool(reason)
    assert (diagnosis.cause, diagnosis.confidence) == (action.cause, action.confidence)
    assert action.comparison == diagnosis.comparison[:COMPARISON_LIMIT]


def test_an_action_is_proposed_first() -> None:
    """No action starts, and no budget is spent, until an approval."""
    found = run_decide(make_record(), make_context(make_diagnosis()), APPROVE_POLICY)

    assert REPLACE_PROPOSED == latest_action(found)
    assert (BlockedReason.AWAITING_APPROVAL, 3) == (found.blocked_reason, found.budget_left)
    assert (
        found.history
        == run_decide(found, make_context(make_diagnosis()), APPROVE_POLICY, at=AT + 60).history
    )


def test_an_action_that_is_approved_is_started() -> None:
    """With the time of its start, and with the id of the proposal."""
    found = run_decide(
        make_record(PROPOSED_ACTION), make_context(make_diagnosis(), approve="1"), APPROVE_POLICY
    )

    assert (Remediation.REPLACE_POD, ActionOutcome.IN_PROGRESS) == latest_action(found)
    assert (1, builders.at(AT)) == (found.history[0].id, found.history[0].at)
    assert None is found.blocked_reason


@pytest.mark.parametrize("approve", ["", "2", "01", "yes"])
def test_only_its_own_id_approves_a_proposal(approve: str) -> None:
    """Any other id is the approval of another proposal."""
    assert [PROPOSED_ACTION] == run_decide(
        make_record(PROPOSED_ACTION),
        make_context(make_diagnosis(), approve=approve),
        APPROVE_POLICY,
    ).history


def test_an_approval_of_something_else_starts_nothing() -> None:
    """The action that would start now is not the approved one: it is proposed again."""
    other = make_diagnosis(DiagnosisType.CRASH_LOOPING, Cause.POD, OTHER_POD)
    now = make_context(other, pods=(FAILING_POD, OTHER_POD, HEALTHY_POD), approve="1")

    found = run_decide(make_record(PROPOSED_ACTION), now, APPROVE_POLICY)

    assert [
        (2, ActionOutcome.PROPOSED, OTHER_POD.uid),
        (1, ActionOutcome.EXPIRED, FAILING_POD.uid),
    ] == [(each.id, each.outcome, each.uid) for each in found.history]


def test_a_proposal_for_a_deleted_pod_is_replaced() -> None:
    """By one for the pod that fails now."""
    other = make_diagnosis(DiagnosisType.CRASH_LOOPING, Cause.POD, OTHER_POD)

    found = run_decide(
        make_record(PROPOSED_ACTION),
        make_context(other, pods=(OTHER_POD, HEALTHY_POD)),
        APPROVE_POLICY,
    )

    assert (REPLACE_PROPOSED, OTHER_POD.uid) == (latest_action(found), found.history[0].uid)


def test_an_approval_from_before_the_proposal_approves_nothing() -> None:
    """A manifest may keep the annotation when the status is lost, so its id is skipped."""
    found = run_decide(make_record(), make_context(make_diagnosis(), approve="1"), APPROVE_POLICY)
    again = run_decide(found, make_context(make_diagnosis(), approve="1"), APPROVE_POLICY)

    assert (REPLACE_PROPOSED, 2) == (latest_action(found), found.history[0].id)
    assert REPLACE_PROPOSED == latest_action(again)


@pytest.mark.parametrize(("stood", "again"), [(1800, False), (60, True)])
def test_an_expired_proposal_is_not_repeated_at_once(stood: int, *, again: bool) -> None:
    """A proposal that ended early, because its diagnosis paused, is repeated."""
    fell = make_action(
        outcome=ActionOutcome.EXPIRED, at=AT - 1900, ended_at=builders.at(AT - 1900 + stood)
    )

    found = run_decide(make_record(fell), make_context(make_diagnosis()), APPROVE_POLICY)

    assert again is (REPLACE_PROPOSED == latest_action(found))
    assert BlockedReason.AWAITING_APPROVAL is found.blocked_reason


def test_an_expired_proposal_of_another_revision_does_not_count() -> None:
    """The desired revision has changed since."""
    fell = make_action(outcome=ActionOutcome.EXPIRED, at=AT - 1900, ended_at=builders.at(AT - 100))

    found = run_decide(
        make_record(fell, desired_since=builders.at(AT - 50)),
        make_context(make_diagnosis()),
        APPROVE_POLICY,
    )

    assert REPLACE_PROPOSED == latest_action(found)


def test_without_a_revision_all_recorded_actions_count() -> None:
    """A record without a revision."""
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
def test_a_pod_is_isolated_while_others_are_ready(now: RemediationContext, *, keeps: bool) -> None:
    """An active pod of the app that is not ready."""
    found = run_decide(EXHAUSTED_RECORD, now)

    assert found.quarantined
    assert keeps is (found.quarantine is not None)
    assert (FAILING_POD.name if keeps else "") == found.history[0].target


@pytest.mark.parametrize("rules", [make_policy(quarantine={"isolate": False}), APPROVE_POLICY])
def test_no_pod_is_isolated_if_it_is_disabled(rules: Policy) -> None:
    """Nor in the mode Approve."""
    found = run_decide(EXHAUSTED_RECORD, make_context(make_diagnosis()), rules)

    assert (True, None) == (found.quarantined, found.quarantine)


def test_a_pod_that_never_ran_is_not_isolated() -> None:
    """The cause is its image or its node: the pod has nothing to inspect."""
    vain = make_action(diagnosis=DiagnosisType.IMAGE_PULL_FAILING)

    found = run_decide(
        make_record(vain), make_context(make_diagnosis(DiagnosisType.IMAGE_PULL_FAILING))
    )

    assert (True, None) == (found.quarantined, found.quarantine)


def test_one_pod_is_isolated_at_a_time() -> None:
    """The first one stays until its TTL is over."""
    first = make_quarantine(pod=HEALTHY_POD)

    assert (
        first
        == run_decide(
            make_record(make_action(), quarantine=first), make_context(make_diagnosis())
        ).quarantine
    )


def test_long_messages_are_cut() -> None:
    """To the limit of the CRD."""
    wordy = make_diagnosis()
    wordy = type(wordy)(wordy.type, wordy.cause, wordy.confidence, wordy.pods, "x" * 2000)

    assert TEXT_LIMIT == len(run_decide(make_record(), make_context(wordy)).history[0].message)
    assert TEXT_LIMIT == len(run_decide(EXHAUSTED_RECORD, make_context(wordy)).history[0].message)
