"""What an action that failed leaves in place: a way back must not cost a pod that serves."""

from dataclasses import replace

import pytest

from selfhealing.api.healing_status import ActionOutcome, Remediation
from selfhealing.health.attribution import Cause
from selfhealing.remediation import transitions
from selfhealing.remediation.proposal import ProposedAction
from tests.unit import builders
from tests.unit.remediation.factories import (
    AT,
    BAD_REVISION,
    FAILING_POD,
    NEW_REVISION,
    STABLE_REVISION,
    make_action,
    make_context,
    make_decision_input,
    make_diagnosis,
    make_pod,
    make_record,
    run_decide,
)


def test_a_try_of_another_node_that_failed_beside_an_earlier_version() -> None:
    """The way back would be another rollout, which may stop a pod that serves."""
    running = make_action(
        remediation=Remediation.AVOID_NODE,
        outcome=ActionOutcome.IN_PROGRESS,
        at=AT - 400,
        target="node-7",
    )
    pods = (FAILING_POD, make_pod("web-old-1", ready=True))
    context = make_context(
        make_diagnosis(), pods=pods, current_hash=FAILING_POD.template_hash, generation=1
    )
    before = make_record(running, excluded_node="node-7", desired_generation=1)
    found = run_decide(before, context)
    rotated = run_decide(found, replace(context, desired_revision="rotated"))
    rolled_back = transitions.start_action(
        make_decision_input(found, context),
        ProposedAction(Remediation.ROLLBACK, BAD_REVISION, STABLE_REVISION, "back"),
    )

    assert ActionOutcome.FAILED is found.history[-1].outcome
    assert "node-7" == found.excluded_node
    assert (None, None) == (rotated.excluded_node, rolled_back.excluded_node)


@pytest.mark.parametrize(("is_ready", "excluded"), [(False, "node-7"), (True, None)])
def test_the_time_of_an_exclusion_is_over(*, is_ready: bool, excluded: str | None) -> None:
    """It ends when no pod of an earlier version is stopped for it that may become ready."""
    before = make_record(excluded_node="node-7", excluded_until=builders.at(AT))
    context = make_context(
        make_diagnosis(cause=Cause.UNKNOWN),
        pods=(FAILING_POD, make_pod("web-old-1", ready=is_ready)),
        current_hash=FAILING_POD.template_hash,
    )

    assert excluded == run_decide(before, context).excluded_node


@pytest.mark.parametrize(("since", "is_barred"), [(AT - 1000, True), (AT - 100, False)])
def test_a_rollback_that_takes_too_long(since: float, *, is_barred: bool) -> None:
    """It stays while pods of the stable revision serve: those that were ready before it."""
    back = make_action(
        remediation=Remediation.ROLLBACK, outcome=ActionOutcome.IN_PROGRESS, at=AT - 400
    )
    before = make_record(
        back,
        stable_revision=STABLE_REVISION,
        stable_image="web:v1",
        failed_revision=NEW_REVISION,
    )
    pods = (FAILING_POD, make_pod("web-old-1", ready=True, since=since))
    context = make_context(make_diagnosis(cause=Cause.UNKNOWN), pods=pods, current_hash="stable")
    found = run_decide(before, context)

    assert ActionOutcome.FAILED is next(each.outcome for each in found.history if each.id == 1)
    assert is_barred is (found.failed_revision is not None)
