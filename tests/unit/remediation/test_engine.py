"""The decision, step by step: resets, evaluation of the running action, blocked reasons."""

import pytest

from selfhealing.api.healing_status import (
    MAX_DIAGNOSES,
    ActionOutcome,
    BlockedReason,
    HealingStatus,
    Remediation,
)
from selfhealing.api.scalars import TEXT_LIMIT
from selfhealing.health.app_diagnosis import AppDiagnosis
from selfhealing.health.attribution import Cause
from selfhealing.health.deadlines import Deadlines
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.remediation.context import ExternalState, RemediationContext
from selfhealing.remediation.engine import decide
from selfhealing.remediation.history import new_record
from tests.unit import builders
from tests.unit.remediation.factories import (
    AT,
    BAD_REVISION,
    EXTERNAL_BLOCKED_REASONS,
    FAILING_POD,
    HEALTHY_POD,
    LONG_AGO,
    LOST_NODE_POD,
    NEW_REVISION,
    NO_METRICS,
    OTHER_HEALTHY_POD,
    RUNNING_ACTION,
    STABLE_RECORD,
    latest_action,
    make_action,
    make_context,
    make_context_with,
    make_diagnosis,
    make_policy,
    make_quarantine,
    make_record,
    raised_to,
    run_decide,
)

REPLACE_STARTED = (Remediation.REPLACE_POD, ActionOutcome.IN_PROGRESS)
OVERRIDE_FIELDS = {
    "quarantined": True,
    "failed_revision": "old",
    "memory_limits": raised_to("200Mi"),
    "memory_in_template": True,
    "fallback_replicas": 5,
}
"""The fields of a record that override the spec."""


def read_overrides(record: HealingStatus) -> dict[str, object]:
    """The overrides of the spec in a record."""
    return {key: getattr(record, key) for key in OVERRIDE_FIELDS}


NO_OVERRIDES = read_overrides(new_record())


def test_the_record_of_a_healthy_app_has_healthy_since_only() -> None:
    """The first decision."""
    found = run_decide(new_record(), make_context())

    assert (NEW_REVISION, builders.at(AT)) == (found.desired_revision, found.desired_since)
    assert builders.at(AT) == found.healthy_since
    assert ("Auto", 3, None) == (found.mode, found.budget_left, found.blocked_reason)
    assert [] == found.history


@pytest.mark.parametrize(
    ("foreign_uids", "expected"),
    [
        (set(), (False, ActionOutcome.IN_PROGRESS)),
        ({"another"}, (False, ActionOutcome.IN_PROGRESS)),
        ({FAILING_POD.uid, "gone"}, (True, ActionOutcome.SUPERSEDED)),
    ],
)
def test_pods_that_turned_out_not_to_be_the_apps(
    foreign_uids: set[str], expected: tuple[bool, ActionOutcome]
) -> None:
    """The record forgets an isolated one, and an action on one is over."""
    record = make_record(RUNNING_ACTION, quarantine=make_quarantine())
    context = make_context_with(BAD_REVISION, foreign_uids=frozenset(foreign_uids))
    found = run_decide(record, context)

    assert expected == (found.quarantine is None, found.history[-1].outcome)


def test_another_revision_clears_the_overrides() -> None:
    """The running action is superseded."""
    proposed = make_action(2, outcome=ActionOutcome.PROPOSED)
    before = make_record(proposed, RUNNING_ACTION, desired_revision="old", **OVERRIDE_FIELDS)

    found = run_decide(before, make_context())

    assert NO_OVERRIDES == read_overrides(found)
    assert [ActionOutcome.EXPIRED, ActionOutcome.SUPERSEDED] == [a.outcome for a in found.history]
    assert [builders.at(AT)] * 2 == [a.ended_at for a in found.history]


def test_a_new_revision_does_not_reset_the_budget() -> None:
    """Otherwise many bad revisions in a row would cause actions without a limit."""
    before = make_record(*(make_action(n) for n in (3, 2, 1)), desired_revision="old")

    assert 0 == run_decide(before, make_context()).budget_left


def test_somebody_resumes() -> None:
    """A resume resets the budget and clears the overrides, once for each new value."""
    before = make_record(
        make_action(), RUNNING_ACTION, cooldown_until=builders.at(AT + 60), **OVERRIDE_FIELDS
    )

    found = run_decide(before, make_context(resume="1"))
    again = run_decide(found.model_copy(update=OVERRIDE_FIELDS), make_context(resume="1"))
    taken_away = run_decide(found.model_copy(update=OVERRIDE_FIELDS), make_context())

    assert (NO_OVERRIDES, "1", 3) == (
        read_overrides(found),
        found.observed_resume,
        found.budget_left,
    )
    assert None is found.cooldown_until
    assert again.quarantined
    assert taken_away.quarantined


def test_a_resume_keeps_the_memory_limit_and_the_excluded_node() -> None:
    """Otherwise the app would get the limit back with which it was killed."""
    needs = {
        "memory_limits": raised_to("200Mi"),
        "memory_in_template": True,
        "excluded_node": "node-7",
        "excluded_until": builders.at(AT + 3600),
    }
    found = run_decide(make_record(quarantined=True, **needs), make_context(resume="1"))

    assert not found.quarantined
    assert needs == {field: getattr(found, field) for field in needs}


@pytest.mark.parametrize("past", [3, 1])
def test_missing_metrics_alone_never_quarantine_an_app(past: int) -> None:
    """The app serves, although the budget is spent or the fallback has failed."""
    vain = [
        make_action(n, Remediation.SCALING_FALLBACK, diagnosis=DiagnosisType.METRICS_UNAVAILABLE)
        for n in range(past, 0, -1)
    ]
    found = run_decide(make_record(*vain), make_context(NO_METRICS, healthy=True))

    assert (False, BlockedReason.NO_REMEDIATION) == (found.quarantined, found.blocked_reason)


def test_off_clears_the_overrides() -> None:
    """The running action is superseded, and no action starts."""
    found = run_decide(
        make_record(RUNNING_ACTION, **OVERRIDE_FIELDS),
        make_context(make_diagnosis()),
        make_policy(mode="Off"),
    )

    assert NO_OVERRIDES == read_overrides(found)
    assert (Remediation.REPLACE_POD, ActionOutcome.SUPERSEDED) == latest_action(found)
    assert ("Off", None) == (found.mode, found.blocked_reason)
    assert ["CrashLooping"] == [each.type for each in found.diagnoses]


@pytest.mark.parametrize("is_delete_pending", [False, True])
def test_an_isolated_pod_leaves_the_record_when_it_is_deleted(*, is_delete_pending: bool) -> None:
    """Until then it stays in the record, in any mode."""
    before = make_record(quarantine=make_quarantine(until=AT))
    now = make_context_with(isolated_pod_delete_pending=is_delete_pending)

    assert is_delete_pending is (run_decide(before, now).quarantine is not None)
    assert is_delete_pending is (
        run_decide(before, now, make_policy(mode="Off")).quarantine is not None
    )


def test_the_evidence_key_of_an_action_is_recorded_once() -> None:
    """The key does not change later."""
    now = make_context_with(evidence_keys={1: "first"})
    found = run_decide(make_record(RUNNING_ACTION), now)

    assert "first" == found.history[0].evidence
    assert (
        "first"
        == run_decide(found, make_context_with(evidence_keys={1: "other"})).history[0].evidence
    )


def test_a_quarantine_ends_after_a_healthy_window() -> None:
    """After the probation: the cause, for example a missing database, is gone."""
    before = make_record(quarantined=True, healthy_since=builders.at(AT - 600))

    assert run_decide(before, make_context(), at=AT - 1).quarantined
    assert not run_decide(before, make_context()).quarantined


def test_a_later_resume_keeps_its_reset_time() -> None:
    """A longer healthy time does not move it back."""
    resumed = builders.at(AT - 10)
    before = make_record(
        make_action(at=10), healthy_since=builders.at(0), budget_reset_time=resumed
    )

    assert resumed == run_decide(before, make_context()).budget_reset_time


def test_an_unhealthy_app_gets_an_action() -> None:
    """The first remediation that fits is started."""
    found = run_decide(make_record(healthy_since=builders.at(0)), make_context(make_diagnosis()))

    assert REPLACE_STARTED == latest_action(found)
    assert (FAILING_POD.name, FAILING_POD.uid) == (found.history[0].target, found.history[0].uid)
    assert (2, None, None) == (found.budget_left, found.blocked_reason, found.healthy_since)


def test_an_app_scaled_to_zero_gets_no_action() -> None:
    """No pod is missing."""
    assert (
        [] == run_decide(make_record(), make_context(make_diagnosis(), scaled_to_zero=True)).history
    )


@pytest.mark.parametrize(
    ("known", "now", "blocked_reason"),
    [
        ({"quarantined": True}, make_context(make_diagnosis()), BlockedReason.QUARANTINED),
        *(
            ({}, make_context_with(make_diagnosis(), blocked_reason=blocked_reason), blocked_reason)
            for blocked_reason in EXTERNAL_BLOCKED_REASONS
        ),
        ({}, make_context(make_diagnosis(), rollout_paused=True), BlockedReason.ROLLOUT_PAUSED),
        (
            {"cooldown_until": builders.at(AT + 1)},
            make_context(make_diagnosis()),
            BlockedReason.COOLDOWN,
        ),
        ({}, make_context(make_diagnosis(cause=Cause.UNKNOWN)), BlockedReason.NO_REMEDIATION),
        (
            {},
            make_context_with(
                make_diagnosis(DiagnosisType.NODE_LOST, Cause.NODE, LOST_NODE_POD),
                too_many_nodes_lost=True,
            ),
            BlockedReason.NODES_LOST,
        ),
    ],
)
def test_blocked_reasons(
    known: dict[str, object], now: RemediationContext, blocked_reason: BlockedReason
) -> None:
    """No action starts, and the record says why."""
    found = run_decide(make_record().model_copy(update=known), now)

    assert (blocked_reason, []) == (found.blocked_reason, found.history)


@pytest.mark.parametrize(
    ("known", "now"),
    [
        *(
            (
                {},
                make_context_with(
                    make_diagnosis(cause=Cause.UNKNOWN), blocked_reason=blocked_reason
                ),
            )
            for blocked_reason in EXTERNAL_BLOCKED_REASONS
        ),
        (
            {"cooldown_until": builders.at(AT + 1)},
            make_context(make_diagnosis(cause=Cause.UNKNOWN)),
        ),
    ],
)
def test_no_remediation_has_priority_over_passing_reasons(
    known: dict[str, object], now: RemediationContext
) -> None:
    """So a restarted operator does not write the status of apps without a remediation."""
    assert (
        BlockedReason.NO_REMEDIATION
        is run_decide(make_record().model_copy(update=known), now).blocked_reason
    )


def test_a_blocked_app_is_not_quarantined() -> None:
    """Also if all remediations that fit have failed."""
    found = run_decide(
        make_record(make_action()),
        make_context_with(make_diagnosis(), blocked_reason=BlockedReason.STORM),
    )

    assert (BlockedReason.STORM, False) == (found.blocked_reason, found.quarantined)


def test_at_the_limit_of_actions_an_app_waits() -> None:
    """It spends nothing, and is not quarantined."""
    found = run_decide(
        make_record(), make_context_with(make_diagnosis(), is_action_limit_reached=True)
    )

    assert (BlockedReason.ACTION_LIMIT, []) == (found.blocked_reason, found.history)


def test_a_fallback_for_missing_metrics_does_not_wait_for_other_actions() -> None:
    """Missing metrics concern every autoscaler at once."""
    found = run_decide(make_record(), make_context_with(NO_METRICS, is_action_limit_reached=True))

    assert [Remediation.SCALING_FALLBACK] == [action.remediation for action in found.history]


def test_a_healthy_app_has_no_blocked_reason() -> None:
    """There is no action to block."""
    assert (
        None
        is run_decide(
            make_record(quarantined=True), make_context_with(blocked_reason=BlockedReason.STORM)
        ).blocked_reason
    )


def test_only_one_action_runs_at_a_time() -> None:
    """Another diagnosis waits for the outcome of the first action."""
    found = run_decide(make_record(RUNNING_ACTION), make_context(make_diagnosis(), NO_METRICS))

    assert [RUNNING_ACTION] == found.history


def test_observe_records_dry_runs() -> None:
    """Once in a window; or the blocked reason is NoRemediation."""
    rules = make_policy(mode="Observe")
    found = run_decide(make_record(), make_context(make_diagnosis()), rules)

    assert (Remediation.REPLACE_POD, ActionOutcome.OBSERVED) == latest_action(found)
    assert (3, None) == (found.budget_left, found.blocked_reason)
    assert (
        found.history
        == run_decide(found, make_context(make_diagnosis()), rules, at=AT + 60).history
    )
    assert 2 == len(run_decide(found, make_context(make_diagnosis()), rules, at=AT + 3600).history)
    assert (
        BlockedReason.NO_REMEDIATION
        is run_decide(
            make_record(), make_context(make_diagnosis(cause=Cause.UNKNOWN)), rules
        ).blocked_reason
    )


@pytest.mark.parametrize(
    ("past", "why"),
    [
        ((make_action(),), "no further remediation fits: CrashLooping it is"),
        (
            tuple(make_action(n, diagnosis=DiagnosisType.START_FAILING) for n in (3, 2, 1)),
            "the budget of actions is spent: CrashLooping it is",
        ),
    ],
)
def test_an_app_is_quarantined_at_the_end(past: tuple[object, ...], why: str) -> None:
    """The failing pod is isolated while others are ready."""
    found = run_decide(
        make_record().model_copy(update={"history": list(past), "next_id": 4}),
        make_context(make_diagnosis()),
    )

    assert (Remediation.QUARANTINE, ActionOutcome.COMPLETED) == latest_action(found)
    assert (True, BlockedReason.QUARANTINED) == (found.quarantined, found.blocked_reason)
    assert why == found.history[0].message
    assert (FAILING_POD.uid, builders.at(AT + 3600)) == (
        found.quarantine and found.quarantine.uid,
        found.quarantine and found.quarantine.until,
    )


def test_diagnoses_are_shown_once_a_type_and_cut() -> None:
    """The list is a map by type, with at most five entries."""
    many = [make_diagnosis(kind) for kind in DiagnosisType][: MAX_DIAGNOSES + 2]
    wordy = AppDiagnosis(
        many[0].type, Cause.POD, many[0].confidence, (FAILING_POD, HEALTHY_POD), "x" * 2000
    )

    found = run_decide(make_record(quarantined=True), make_context(wordy, *many))

    assert [each.type for each in many[:MAX_DIAGNOSES]] == [e.type for e in found.diagnoses]
    assert ("x" * TEXT_LIMIT, 2) == (found.diagnoses[0].message, found.diagnoses[0].pods)


def test_the_app_is_requeued_when_budget_returns_or_a_cooldown_ends() -> None:
    """No event reports either."""
    deadlines = Deadlines(builders.at(AT))
    resting = Deadlines(builders.at(AT))

    decide(
        make_record(make_action(at=AT - 3590)),
        make_context(pods=(HEALTHY_POD, OTHER_HEALTHY_POD)),
        make_policy(),
        deadlines,
    )
    decide(make_record(cooldown_until=builders.at(AT + 7)), make_context(), make_policy(), resting)

    assert (10.0, 7.0) == (deadlines.requeue_after, resting.requeue_after)


def test_a_rollback_overrides_the_spec() -> None:
    """The failed revision is recorded, and its higher memory limit is cleared."""
    before = STABLE_RECORD.model_copy(
        update={"memory_limits": raised_to("200Mi"), "memory_in_template": True}
    )

    found = run_decide(before, make_context(BAD_REVISION, diagnosed_since=LONG_AGO))

    assert (Remediation.ROLLBACK, ActionOutcome.IN_PROGRESS) == latest_action(found)
    assert (NEW_REVISION, [], False) == (
        found.failed_revision,
        found.memory_limits,
        found.memory_in_template,
    )


def test_a_decision_depends_on_its_arguments_only() -> None:
    """The same input gives the same output."""
    now = make_context(BAD_REVISION, NO_METRICS, external=ExternalState(evidence_keys={1: "key"}))

    assert run_decide(STABLE_RECORD, now) == run_decide(STABLE_RECORD, now)


def test_a_quarantine_by_the_budget_ends_with_the_budget() -> None:
    """The app need not be healthy for that."""
    before = make_record(
        make_action(outcome=ActionOutcome.SUCCEEDED, at=AT - 4000),
        quarantined=True,
        quarantined_by_budget=True,
    )
    context = make_context(make_diagnosis(cause=Cause.UNKNOWN))

    assert not run_decide(before, context).quarantined
    assert run_decide(before, context, make_policy(budget=1, window="2h")).quarantined
