"""A liveness probe that kills every pod of a proved version is relaxed for a time, if allowed."""

from dataclasses import replace
from typing import Any

import pytest

from selfhealing.api.healing_status import ActionOutcome, BlockedReason, HealingStatus, Remediation
from selfhealing.cache.parse import pod_view
from selfhealing.health.attribution import Cause
from selfhealing.health.pod_diagnosis import DiagnosisType
from selfhealing.remediation.context import RemediationContext
from selfhealing.remediation.steps import build_overrides
from selfhealing.remediation.strategies import choose_action
from tests.unit import builders
from tests.unit.remediation.factories import (
    AT,
    FAILING_POD,
    NEW_REVISION,
    make_action,
    make_context,
    make_decision_input,
    make_diagnosis,
    make_pod,
    make_policy,
    make_record,
    run_decide,
)

ALLOWED = make_policy(relaxLiveness={"enabled": True, "ttl": "30m"})
OTHER_POD = make_pod("web-abc-2")
BOTH = (FAILING_POD, OTHER_POD)
KILLED = make_diagnosis(DiagnosisType.LIVENESS_KILLED, Cause.UNKNOWN, *BOTH)
UIDS = frozenset(pod.uid for pod in BOTH)
UNTIL = builders.at(AT + 1800)


def killed_context(*more: DiagnosisType, **fields: Any) -> RemediationContext:  # noqa: ANN401
    """The context of an app of which the liveness probe kills every pod."""
    others = (make_diagnosis(each, Cause.ENVIRONMENT) for each in more)
    values = {"pods": BOTH, "wanted": 2, "slow_uids": UIDS, **fields}
    return make_context(KILLED, *others, **values)


def proved_record(**fields: Any) -> HealingStatus:  # noqa: ANN401 - as the model
    """The record of an app whose version was healthy for long."""
    return make_record(**{"stable_revision": NEW_REVISION, **fields})


def test_it_is_relaxed_for_a_time() -> None:
    """New pods are made with more patience; the record says until when."""
    found = run_decide(proved_record(), killed_context(), ALLOWED)
    action = found.history[0]

    assert (Remediation.RELAX_LIVENESS, ActionOutcome.IN_PROGRESS, "3x") == (
        action.remediation,
        action.outcome,
        action.target,
    )
    assert action.message.startswith("the liveness probe may fail 3 times as often for 30 minutes")
    assert UNTIL == found.relaxed_until
    assert build_overrides(found, None).relaxes_liveness


@pytest.mark.parametrize(
    ("record", "context", "allowed"),
    [
        (proved_record(), killed_context(), False),
        (make_record(stable_revision="another"), killed_context(), True),
        (proved_record(relaxed_until=UNTIL), killed_context(), True),
        (proved_record(), killed_context(slow_uids=UIDS - {FAILING_POD.uid}), True),
        (
            proved_record(),
            killed_context(pods=(*BOTH, make_pod("web-abc-3", ready=True)), wanted=3),
            True,
        ),
        (proved_record(), killed_context(uses_recreate=True), True),
        (proved_record(), killed_context(DiagnosisType.DEPENDENCY_DOWN), True),
        (proved_record(), killed_context(DiagnosisType.CPU_THROTTLED), True),
        (proved_record(), killed_context(DiagnosisType.QUOTA_EXCEEDED), True),
        (
            proved_record(
                history=[
                    make_action(
                        remediation=Remediation.RELAX_LIVENESS,
                        diagnosis=DiagnosisType.LIVENESS_KILLED,
                    )
                ]
            ),
            killed_context(),
            True,
        ),
    ],
    ids=[
        "not allowed",
        "on trial",
        "relaxed already",
        "a pod has another fault",
        "a pod serves",
        "all pods would be stopped first",
        "a dependency",
        "a CPU limit",
        "no new pods",
        "in vain before",
    ],
)
def test_it_stays(record: HealingStatus, context: RemediationContext, *, allowed: bool) -> None:
    """Only what is shown to be too slow gets patience, and only where a person asked for it."""
    policy = ALLOWED if allowed else make_policy()
    found = choose_action(make_decision_input(record, context, policy))

    assert found is None or found.remediation is not Remediation.RELAX_LIVENESS


@pytest.mark.parametrize(("started", "is_relaxed"), [(AT - 62, True), (AT - 63, False)])
def test_a_pod_that_has_recovered(started: float, *, is_relaxed: bool) -> None:
    """Its app runs for longer than before it was killed: the load is over."""
    killed = builders.termination(137, started=started - 45, finished=started - 10)
    pod = pod_view(builders.pod("web-abc-1", builders.running(started, restarts=5, last=killed)))
    diagnosis = make_diagnosis(DiagnosisType.LIVENESS_KILLED, Cause.UNKNOWN, pod)
    context = make_context(diagnosis, pods=(pod,), wanted=1, slow_uids=frozenset({pod.uid}))
    found = choose_action(make_decision_input(proved_record(), context, ALLOWED))

    assert is_relaxed is (found is not None and found.remediation is Remediation.RELAX_LIVENESS)


def test_it_waits_for_a_minute() -> None:
    """A peak of load may be over."""
    found = run_decide(proved_record(), killed_context(diagnosed_since={}), ALLOWED)

    assert BlockedReason.NOT_DUE is found.blocked_reason
    assert found.relaxed_until is None


class TestEnd:
    """When the probe is again as the spec says."""

    def relaxed(self, outcome: ActionOutcome = ActionOutcome.SUCCEEDED) -> HealingStatus:
        """The record after the action."""
        action = make_action(
            1, Remediation.RELAX_LIVENESS, outcome, diagnosis=DiagnosisType.LIVENESS_KILLED
        )
        return proved_record(history=[action], next_id=2, relaxed_until=UNTIL)

    @pytest.mark.parametrize(("after", "expected"), [(1799, UNTIL), (1800, None)])
    def test_its_time_is_over(self, after: float, expected: object) -> None:
        """Whether or not there is still load."""
        found = run_decide(self.relaxed(), make_context(), ALLOWED, at=AT + after)

        assert expected == found.relaxed_until

    def test_it_did_not_help(self) -> None:
        """After five minutes."""
        record = self.relaxed(ActionOutcome.IN_PROGRESS)
        found = run_decide(record, killed_context(), ALLOWED, at=AT + 300)

        assert (ActionOutcome.FAILED, None) == (found.history[-1].outcome, found.relaxed_until)

    def test_it_helped(self) -> None:
        """Every pod is ready, for half a minute."""
        record = self.relaxed(ActionOutcome.IN_PROGRESS).model_copy(
            update={"healthy_since": builders.at(AT - 40)}
        )
        found = run_decide(record, make_context(), ALLOWED)

        assert (ActionOutcome.SUCCEEDED, UNTIL) == (found.history[0].outcome, found.relaxed_until)

    @pytest.mark.parametrize(
        "change",
        [{"desired_revision": "newer", "generation": 9}, {}],
        ids=["another version", "switched off"],
    )
    def test_what_else_ends_it(self, change: dict[str, Any]) -> None:
        """An edit of the spec, and the mode Off."""
        context = replace(make_context(), **change)
        policy = ALLOWED if change else make_policy(mode="Off")

        assert run_decide(self.relaxed(), context, policy).relaxed_until is None
