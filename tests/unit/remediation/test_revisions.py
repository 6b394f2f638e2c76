"""Which revisions an app goes back to, and what is known of them when the status was lost."""

from dataclasses import replace
from datetime import timedelta

import pytest

from selfhealing.api.healing_status import ActionOutcome, BlockedReason, HealingStatus, Remediation
from selfhealing.cache.parse import pod_view
from selfhealing.cache.views import PodView
from selfhealing.health.attribution import Cause, Confidence
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.remediation.context import FirstSight, SavedRevisionName
from selfhealing.remediation.history import new_record
from selfhealing.remediation.strategies import choose_action
from tests.unit import builders
from tests.unit.remediation.factories import (
    AT,
    BAD_REVISION,
    FAILING_POD,
    HEALTHY_POD,
    LONG_AGO,
    NEW_REVISION,
    STABLE_REVISION,
    latest_action,
    make_action,
    make_context,
    make_context_with,
    make_decision_input,
    make_diagnosis,
    make_pod,
    make_record,
    run_decide,
)

STABLE, BEFORE = SavedRevisionName(STABLE_REVISION, "web:v1"), SavedRevisionName("older", "web:v0")
CURRENT = SavedRevisionName(NEW_REVISION, "web:v2")


def named(record: HealingStatus) -> tuple[str | None, str | None, str | None]:
    """The revisions of a record: stable, the one before, and failed."""
    return record.stable_revision, record.previous_stable_revision, record.failed_revision


@pytest.mark.parametrize(
    ("saved", "rolled_back_from", "expected"),
    [
        ((CURRENT, STABLE), "", (NEW_REVISION, STABLE_REVISION, None)),
        ((STABLE,), "", (STABLE_REVISION, None, None)),
        ((STABLE, BEFORE), NEW_REVISION, (STABLE_REVISION, "older", NEW_REVISION)),
        ((CURRENT, STABLE), NEW_REVISION, (STABLE_REVISION, None, NEW_REVISION)),
        ((CURRENT,), NEW_REVISION, (None, None, None)),
        ((STABLE,), "another", (STABLE_REVISION, None, None)),
        ((), NEW_REVISION, (None, None, None)),
    ],
)
def test_a_lost_record_is_rebuilt(
    saved: tuple[SavedRevisionName, ...],
    rolled_back_from: str,
    expected: tuple[str | None, str | None, str | None],
) -> None:
    """From what is saved, and from what the Deployment says that it was rolled back from."""
    context = replace(make_context_with(saved_revisions=saved), rolled_back_from=rolled_back_from)
    found = run_decide(new_record(), context)

    assert named(found) == expected
    assert (found.retry_at is not None) == (expected[2] is not None)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (
            {"stable_revision": STABLE_REVISION, "previous_stable_revision": "older"},
            ("older", None, None),
        ),
        (
            {"stable_revision": NEW_REVISION, "previous_stable_revision": "older"},
            (NEW_REVISION, None, None),
        ),
    ],
    ids=["the stable one", "the one before"],
)
def test_a_saved_template_is_gone(
    known: dict[str, str], expected: tuple[str | None, str | None, str | None]
) -> None:
    """That revision is forgotten, and what the spec asks for runs."""
    before = make_record(**known, previous_stable_image="web:old", failed_revision=None)

    found = run_decide(before, make_context_with(stable_revision_missing=True))

    assert named(found) == expected
    assert found.previous_stable_image is None


def test_a_young_stable_revision_that_serves_nothing() -> None:
    """The way back to the one before costs nothing; it is tried after the progress deadline."""
    crashed = replace(
        FAILING_POD,
        containers=tuple(replace(c, restarts=5) for c in FAILING_POD.containers),
    )
    diagnosis = replace(
        make_diagnosis(DiagnosisType.DEPENDENCY_DOWN, Cause.ENVIRONMENT, crashed),
        confidence=Confidence.MEDIUM,
    )
    seen: dict[str, FirstSight] = {
        DiagnosisType.DEPENDENCY_DOWN: FirstSight(builders.at(AT - 599), "Environment")
    }
    context = replace(
        make_context_with(diagnosis, experiments_done=True), pods=(crashed,), diagnosed_since=seen
    )
    record = make_record(
        stable_revision=NEW_REVISION,
        stable_since=builders.at(AT - 3600),
        previous_stable_revision="older",
        previous_stable_digest="older and more",
        previous_stable_image="web:v0",
    )

    assert run_decide(record, context).blocked_reason is BlockedReason.NOT_DUE

    after = run_decide(record, context, at=AT + 1)

    assert latest_action(after) == (Remediation.ROLLBACK, ActionOutcome.IN_PROGRESS)
    assert named(after) == ("older", None, NEW_REVISION)
    assert ("older and more", None) == (after.stable_digest, after.previous_stable_digest)
    assert not choose_action(
        make_decision_input(record, replace(context, pods=(crashed, HEALTHY_POD)))
    )

    old = record.model_copy(update={"stable_since": builders.at(AT) - timedelta(days=2)})

    assert not choose_action(make_decision_input(old, context))


def test_the_revision_of_the_spec_recovers_before_the_rollback_is_done() -> None:
    """Then it was not at fault: it stays."""
    action = make_action(
        remediation=Remediation.ROLLBACK, outcome=ActionOutcome.IN_PROGRESS, at=AT - 10
    )
    record = make_record(
        action, stable_revision=STABLE_REVISION, failed_revision=NEW_REVISION, retries=0
    )
    recovered = make_pod("web-new-1", ready=True, since=AT - 5)
    context = replace(
        make_context(BAD_REVISION, diagnosed_since=LONG_AGO),
        pods=(recovered, FAILING_POD),
        current_hash="stable",
    )
    found = run_decide(record, context)

    assert found.history[0].outcome is ActionOutcome.FAILED
    assert found.failed_revision is None

    certain = record.model_copy(update={"failed_for_certain": True})

    assert run_decide(certain, context).history[0].outcome is ActionOutcome.IN_PROGRESS


@pytest.mark.parametrize(
    "pod",
    [
        make_pod("web-old-1", ready=True, since=AT - 100),
        pod_view(
            builders.pod(
                "web-new-1",
                builders.running(
                    AT - 5, restarts=4, last=builders.termination(started=100, finished=1000)
                ),
                since=AT - 5,
            )
        ),
    ],
    ids=["it was ready before", "it may crash again"],
)
def test_a_ready_pod_that_does_not_speak_for_the_revision_of_the_spec(pod: PodView) -> None:
    """The rollback goes on: the pod is of the stable revision, or only between two crashes."""
    action = make_action(
        remediation=Remediation.ROLLBACK, outcome=ActionOutcome.IN_PROGRESS, at=AT - 10
    )
    record = make_record(action, stable_revision=STABLE_REVISION, failed_revision=NEW_REVISION)
    context = replace(
        make_context(BAD_REVISION, diagnosed_since=LONG_AGO), pods=(pod,), current_hash="stable"
    )

    assert run_decide(record, context).history[0].outcome is ActionOutcome.IN_PROGRESS


@pytest.mark.parametrize("watched_for", [None, timedelta(hours=2), timedelta(seconds=60)])
def test_an_operator_that_was_away(watched_for: timedelta | None) -> None:
    """What it did not watch is not held against an action."""
    action = make_action(
        remediation=Remediation.ROLLBACK, outcome=ActionOutcome.IN_PROGRESS, at=AT - 400
    )
    record = make_record(action, stable_revision=STABLE_REVISION, failed_revision=NEW_REVISION)
    since = None if watched_for is None else builders.at(AT) - watched_for
    context = replace(make_context(BAD_REVISION), watching_since=since)
    is_away = watched_for == timedelta(seconds=60)
    expected = ActionOutcome.IN_PROGRESS if is_away else ActionOutcome.FAILED

    assert run_decide(record, context).history[0].outcome is expected
