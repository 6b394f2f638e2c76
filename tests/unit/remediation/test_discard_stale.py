"""Which action of a stored record is still executed, and how long a record is kept."""

from datetime import timedelta

import pytest

from selfhealing.api.healing_status import (
    ActionOutcome,
    HealingAction,
    HealingStatus,
    QuarantineStatus,
    Remediation,
)
from selfhealing.api.spec import parse_spec
from selfhealing.health.deadlines import Deadlines
from selfhealing.remediation import history
from selfhealing.remediation.context import ExternalState, RemediationContext
from selfhealing.remediation.engine import decide
from selfhealing.remediation.policy import VERIFICATION_TIMEOUT, Policy, build_policy
from selfhealing.remediation.steps import Delete, discard_stale_action, plan_cleanup_for_job
from tests.unit import builders
from tests.unit.remediation.factories import raised_to

REVISION = "a1b2c3d4e5"
RUNNING_ACTION = HealingAction(
    id=1,
    remediation=Remediation.REPLACE_POD,
    diagnosis="CrashLooping",
    outcome=ActionOutcome.IN_PROGRESS,
    at=builders.at(0),
)


def make_record(*actions: HealingAction, **more: object) -> HealingStatus:
    """The record of an app."""
    fields = {"mode": "Auto", "budget_left": 3, "desired_revision": REVISION, **more}
    return HealingStatus.model_validate({"history": list(actions), **fields})


def make_policy(mode: str = "Auto") -> Policy:
    """The policy of a spec that only sets the mode."""
    return build_policy(parse_spec({"image": builders.IMAGE, "healing": {"mode": mode}}))


class TestDue:
    """The spec may have changed since the decision, and the operator may have been down."""

    @pytest.mark.parametrize("mode", ["Auto", "Approve"])
    def test_it_is_executed(self, mode: str) -> None:
        """Until the verification timeout."""
        at = builders.at(0) + VERIFICATION_TIMEOUT - timedelta(seconds=1)
        found = discard_stale_action(make_record(RUNNING_ACTION), REVISION, make_policy(mode), at)

        assert RUNNING_ACTION == history.find_running(found)
        assert mode == found.mode

    @pytest.mark.parametrize(
        ("asked", "mode", "after"),
        [
            ("another", "Auto", timedelta()),
            (REVISION, "Off", timedelta()),
            (REVISION, "Observe", timedelta()),
            (REVISION, "Auto", VERIFICATION_TIMEOUT),
        ],
        ids=["another version", "switched off", "only observed", "long ago"],
    )
    def test_it_is_discarded(self, asked: str, mode: str, after: timedelta) -> None:
        """The other fields of the record stay."""
        before = make_record(RUNNING_ACTION, memory_limits=raised_to("200Mi"))
        found = discard_stale_action(before, asked, make_policy(mode), builders.at(0) + after)

        assert None is history.find_running(found)
        assert raised_to("200Mi") == found.memory_limits

    def test_there_is_no_running_action(self) -> None:
        """Only the mode is updated."""
        assert make_record(mode="Off") == discard_stale_action(
            make_record(), "another", make_policy("Off"), builders.at(0)
        )


class TestIsolatedPod:
    """A pod that was removed from the app."""

    QUARANTINE = QuarantineStatus(pod="web-abc-1", uid="uid-1", until=builders.at(60))

    @pytest.mark.parametrize("mode", ["Auto", "Off"])
    @pytest.mark.parametrize(
        ("at", "is_delete_pending", "is_recorded"),
        [(59, False, True), (60, False, False), (60, True, True)],
        ids=["for a while", "until it is deleted", "until it can be"],
    )
    def test_how_long_it_is_in_the_record(
        self, mode: str, at: float, *, is_delete_pending: bool, is_recorded: bool
    ) -> None:
        """Only the operator deletes it, also in the mode Off."""
        context = RemediationContext(
            REVISION,
            builders.IMAGE,
            external=ExternalState(isolated_pod_delete_pending=is_delete_pending),
        )
        deadlines = Deadlines(builders.at(at))
        found = decide(
            make_record(quarantine=self.QUARANTINE), context, make_policy(mode), deadlines
        )

        assert is_recorded == (found.quarantine is not None)
        assert (None if at >= 60 else 1.0) == deadlines.requeue_after

    def test_the_app_becomes_a_job(self) -> None:
        """A Job has no record."""
        assert () == plan_cleanup_for_job(make_record())

        [step] = plan_cleanup_for_job(make_record(quarantine=self.QUARANTINE))

        assert isinstance(step, Delete)
        assert ("web-abc-1", "uid-1") == (step.name, step.uid)


@pytest.mark.parametrize("revision_not_saved", [True, False])
def test_a_revision_that_cannot_be_saved(*, revision_not_saved: bool) -> None:
    """It is healthy, but does not become the stable revision."""
    context = RemediationContext(
        REVISION,
        builders.IMAGE,
        healthy=True,
        complete=True,
        external=ExternalState(revision_not_saved=revision_not_saved),
    )
    past = make_record(desired_since=builders.at(0), healthy_since=builders.at(0))
    found = decide(past, context, make_policy(), Deadlines(builders.at(600)))

    assert (None if revision_not_saved else REVISION) == found.stable_revision
