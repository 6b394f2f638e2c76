"""What healing never does (docs/never.md), where no other test holds it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from selfhealing.api.healing_status import ActionOutcome, BlockedReason, HealingStatus, Remediation
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.remediation.context import FirstSight, RemediationContext
from selfhealing.remediation.proposal import NO_NEW_PODS
from selfhealing.remediation.strategies import choose_action
from tests.unit import builders
from tests.unit.remediation.factories import (
    AT,
    BAD_REVISION,
    FAILING_POD,
    HEALTHY_POD,
    NEW_REVISION,
    OTHER_HEALTHY_POD,
    STABLE_REVISION,
    latest_action,
    make_context,
    make_context_with,
    make_decision_input,
    make_diagnosis,
    make_policy,
    make_record,
    run_decide,
)

STABLE_RECORD = make_record(stable_revision=STABLE_REVISION, stable_image="web:v1")
CERTAIN = replace(BAD_REVISION, confidence=Confidence.HIGH)
ROLLED_BACK = (Remediation.ROLLBACK, ActionOutcome.IN_PROGRESS)


def roll_back(context: RemediationContext, **fields: object) -> HealingStatus:
    """The record after the rollback of the revision that the spec asks for."""
    after = run_decide(
        STABLE_RECORD.model_copy(update=fields),
        replace(context, external=replace(context.external, experiments_done=True)),
    )
    assert latest_action(after) == ROLLED_BACK
    return after


@pytest.mark.parametrize("kind", sorted(NO_NEW_PODS))
def test_no_pod_is_removed_that_may_get_no_substitute(kind: DiagnosisType) -> None:
    """New pods are refused, rejected, or find no node."""
    beside = make_diagnosis(kind, Cause.ENVIRONMENT, FAILING_POD)

    assert choose_action(make_decision_input(make_record(), make_context(make_diagnosis())))
    assert not choose_action(
        make_decision_input(make_record(), make_context(make_diagnosis(), beside))
    )


@pytest.mark.parametrize("confidence", [Confidence.MEDIUM, Confidence.LOW])
def test_recreate_stops_no_pod_that_serves_for_a_cause_that_is_only_likely(
    confidence: Confidence,
) -> None:
    """All pods would be stopped before the stable revision starts."""
    likely = replace(BAD_REVISION, confidence=confidence)
    context = replace(make_context(likely), uses_recreate=True)

    assert not choose_action(make_decision_input(STABLE_RECORD, context))

    certain = choose_action(
        make_decision_input(STABLE_RECORD, replace(context, diagnoses=(CERTAIN,)))
    )
    assert certain is not None


def test_a_rollback_to_what_would_not_start_is_not_made() -> None:
    """What the stable revision reads is gone; the status says so."""
    obstacle = "ConfigMap settings does not exist any more"
    after = run_decide(
        STABLE_RECORD,
        make_context_with(CERTAIN, rollback_obstacle=obstacle, experiments_done=True),
    )

    assert after.history == []
    assert after.blocked_reason is BlockedReason.TARGET_UNUSABLE
    assert after.next_action is not None
    assert obstacle in after.next_action.message


@pytest.mark.parametrize(
    ("ready", "minutes"), [(3, 10), (2, 10 / 3), (1, 1), (0, 1)], ids=["all", "two", "one", "none"]
)
def test_a_likely_revision_gets_the_patience_that_the_capacity_pays_for(
    ready: int, minutes: float
) -> None:
    """Of three wanted pods; a certain one is rolled back after ten seconds."""
    pods = (FAILING_POD, HEALTHY_POD, OTHER_HEALTHY_POD, replace(HEALTHY_POD, uid="other"))
    context = make_context(
        BAD_REVISION,
        pods=pods[: ready + 1],
        diagnosed_since={BAD_REVISION.type: FirstSight(builders.at(AT), BAD_REVISION.cause)},
    )

    likely = choose_action(make_decision_input(STABLE_RECORD, context))
    certain = choose_action(
        make_decision_input(STABLE_RECORD, replace(context, diagnoses=(CERTAIN,)))
    )

    assert likely is not None
    assert certain is not None
    assert likely.not_before == builders.at(AT) + timedelta(minutes=minutes)
    assert certain.not_before == builders.at(AT) + timedelta(seconds=10)


def test_a_bar_without_certainty_ends_by_itself() -> None:
    """It is tried again after an hour, then after two, up to a day."""
    delays = [
        after.retry_at - builders.at(AT)
        for retries in (0, 1, 5, 1000)
        if (after := roll_back(make_context(BAD_REVISION), retries=retries)).retry_at
    ]

    assert delays == [timedelta(hours=hours) for hours in (1, 2, 24, 24)]

    serving = make_context(pods=(HEALTHY_POD, OTHER_HEALTHY_POD), wanted=2)
    barred = roll_back(make_context(BAD_REVISION)).model_copy(update={"history": []})
    before = run_decide(barred, serving, at=AT + 3599)
    later = run_decide(barred, serving, at=AT + 3600)

    assert before.failed_revision == NEW_REVISION
    assert (later.failed_revision, later.retries) == (None, 1)

    unhealthy = replace(serving, diagnoses=(make_diagnosis(),), healthy=False, complete=False)
    lacking = replace(serving, wanted=3)

    assert run_decide(barred, unhealthy, at=AT + 3600).failed_revision is None
    assert run_decide(barred, lacking, at=AT + 3600).failed_revision == NEW_REVISION


def test_a_revision_that_failed_for_certain_is_not_tried_again_by_itself() -> None:
    """An image that does not exist does not come to be by itself."""
    barred = roll_back(make_context(CERTAIN)).model_copy(update={"history": []})

    assert barred.retry_at is None

    later = run_decide(barred, make_context(), at=AT + 100 * 24 * 3600)

    assert later.failed_revision == NEW_REVISION


def test_a_bar_moves_with_a_hash_that_nobody_has_asked_for() -> None:
    """A Secret rotates, or the operator is upgraded: the bad image is not tried again."""
    barred = roll_back(make_context(BAD_REVISION)).model_copy(update={"desired_generation": 0})
    rotated = replace(make_context(), desired_revision="rotated")

    assert run_decide(barred, rotated).failed_revision == "rotated"
    assert run_decide(barred, replace(rotated, generation=1)).failed_revision is None


def test_a_warning_alone_quarantines_no_app() -> None:
    """A quarantine would also stop the remediation of a later, more severe fault."""
    warning = make_diagnosis(DiagnosisType.READINESS_FLAPPING, Cause.POD)

    after = run_decide(make_record(), make_context(warning), make_policy())

    assert not after.quarantined
    assert after.blocked_reason is BlockedReason.NO_REMEDIATION


@pytest.mark.parametrize("field", ["watching_since", "ready_since"])
def test_no_revision_is_proved_by_time_that_nobody_watched(field: str) -> None:
    """Nor by time in which none of its pods was ready."""
    record = make_record(healthy_since=builders.NOON)
    late = make_context(**{field: builders.at(AT - 599)})
    early = make_context(**{field: builders.at(AT - 600)})

    assert run_decide(record, late).stable_revision is None
    assert run_decide(record, early).stable_revision == NEW_REVISION
